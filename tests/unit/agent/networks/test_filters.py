from __future__ import annotations

import pytest

from jackstay_agent.errors import InvalidArgument
from jackstay_agent.metadata.networks import NetworkRow
from jackstay_agent.networks.filters import matching, prunable

NETWORKS = [
    NetworkRow("a1", "bridge", "bridge", "jackstay0", "10.88.0.0/16", "10.88.0.1", 1),
    NetworkRow("b2", "host", "host", "", "", "", 1),
    NetworkRow("c3", "shop", "bridge", "jk-1", "10.89.0.0/24", "10.89.0.1", 20, labels={"tier": "front", "own": ""}),
    NetworkRow("c4", "shop-back", "bridge", "jk-2", "10.89.1.0/24", "10.89.1.1", 30, labels={"tier": "back"}),
]


def names(*texts: str) -> list[str]:
    return [row.name for row in matching(NETWORKS, texts, {"c4"})]


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ([], ["bridge", "host", "shop", "shop-back"]),
        (["name=shop"], ["shop", "shop-back"]),
        (["name=^shop$", "name=ost"], ["host", "shop"]),
        (["id=c"], ["shop", "shop-back"]),
        (["driver=host"], ["host"]),
        (["scope=local", "type=builtin"], ["bridge", "host"]),
        (["scope=swarm"], []),
        (["type=custom", "label=tier"], ["shop", "shop-back"]),
        (["label=tier=front", "label=own"], ["shop"]),
        (["dangling=true"], ["shop"]),
        (["dangling=false"], ["bridge", "host", "shop-back"]),
    ],
)
def test_what_is_listed(texts: list[str], found: list[str]) -> None:
    assert names(*texts) == found


@pytest.mark.parametrize("text", ["wheels=4", "name", "dangling=perhaps", "type=odd", "name=("])
def test_a_filter_that_is_not_known(text: str) -> None:
    with pytest.raises(InvalidArgument):
        names(text)


def test_what_a_prune_may_take() -> None:
    def taken(*texts: str, before: int | None = None) -> list[str]:
        return [row.name for row in prunable(NETWORKS, texts, before)]

    assert taken() == ["shop", "shop-back"]
    assert taken(before=30) == ["shop"]
    assert taken("label=tier=back") == ["shop-back"]
    assert taken("label!=own") == ["shop-back"]
    with pytest.raises(InvalidArgument):
        taken("name=shop")
