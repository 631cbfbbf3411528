"""images: lines, filters, sizes, containers."""

from __future__ import annotations

import pytest

from jackstay_agent.errors import InvalidArgument, InvalidReference, NotFound
from jackstay_agent.images.listing import ListedImage, list_images
from tests.unit.agent.images.image_host import ImageHost, Made, tar

A, B = tar({"a": b"a" * 5000}), tar({"b": b"b" * 100})
OLD = {"created": "2001-01-01T00:00:00Z", "config": {"Labels": {"tier": "web", "empty": ""}}}
NEW = {"created": "2002-01-01T00:00:00Z", "author": "x"}


@pytest.fixture
async def listed(host: ImageHost) -> ImageHost:
    """web:1 and other.io/a/web:2 are one image, db:1 a newer one on the same lowest layer, one has no name."""
    await host.load(made := Made([A], config=OLD), "docker.io/library/web:1", "other.io/a/web:2")
    await host.load(Made([A, B], config=NEW), "docker.io/library/db:1")
    await host.load(Made([B]))
    await host.container("c", made.root.digest)
    return host


async def lines(host: ImageHost, *filters: str, reference: str = "") -> list[ListedImage]:
    return await list_images(host.database, filters, reference)


async def shown(host: ImageHost, *filters: str, reference: str = "") -> list[str]:
    return [f"{line.repository}:{line.tag}" for line in await lines(host, *filters, reference=reference)]


async def test_newest_first_a_line_a_name(listed: ImageHost) -> None:
    assert await shown(listed) == ["db:1", "web:1", "other.io/a/web:2", "<none>:<none>"]


async def test_sizes_and_containers(listed: ImageHost) -> None:
    database, web, other, nameless = await lines(listed)
    assert (web.containers, other.containers, database.containers) == (1, 1, 0)
    assert database.size.total == web.size.total + nameless.size.total
    assert (database.size.shared, web.size.shared, nameless.size.shared) == (web.size.total, web.size.total, 0)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["dangling=true"], ["<none>:<none>"]),
        (["dangling=0"], ["db:1", "web:1", "other.io/a/web:2"]),
        (["label=tier"], ["web:1", "other.io/a/web:2"]),
        (["label=tier=web", "label=empty="], ["web:1", "other.io/a/web:2"]),
        (["label=tier=db"], []),
        (["before=db:1"], ["web:1", "other.io/a/web:2", "<none>:<none>"]),
        (["since=web:1"], ["db:1"]),
        (["reference=*:1"], ["db:1", "web:1"]),
        (["reference=other.io/*/web"], ["other.io/a/web:2"]),
        (["reference=db", "reference=web"], ["db:1", "web:1"]),
    ],
)
async def test_filters(listed: ImageHost, filters: list[str], expected: list[str]) -> None:
    assert await shown(listed, *filters) == expected


async def test_a_reference(listed: ImageHost) -> None:
    assert await shown(listed, reference="web") == ["web:1"]
    assert await shown(listed, reference="web:2") == []
    assert await shown(listed, reference="other.io/a/web:2") == ["other.io/a/web:2"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [("x=1", InvalidArgument), ("dangling", InvalidArgument), ("dangling=maybe", InvalidArgument),
     ("before=none", NotFound), ("since=A B", InvalidReference)],
)  # fmt: skip
async def test_bad_filters(listed: ImageHost, text: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        await lines(listed, text)
