"""images: lines, filters, sizes, containers."""

from __future__ import annotations

import sqlite3

import pytest

from jackstay_agent.errors import InvalidArgument, InvalidReference, NotFound
from jackstay_agent.images import listing
from jackstay_agent.images.filters import Filters
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


async def test_images_that_differ_only_in_their_configs_share_their_layers(host: ImageHost) -> None:
    await host.load(Made([A]), "docker.io/library/one:1")
    (alone,) = await lines(host)
    assert (alone.size.shared, alone.size.total > 0) == (0, True)
    await host.load(Made([A], config={"author": "x"}), "docker.io/library/two:1")
    assert {line.size.shared for line in await lines(host)} == {alone.size.total}


async def test_labels_that_would_fill_the_list_are_left_out(host: ImageHost) -> None:
    labels = {"before": "1", "huge": "x" * 2_000_000, "after": "ß"}
    await host.load(Made([], config={"config": {"Labels": labels}}), "docker.io/library/web:1")
    (line,) = await lines(host, "label=huge", "label=after=ß")  # they are there all the same
    assert line.labels == {"before": "1", "after": "ß"}
    assert (await host.images.inspect("web:1", "overlay"))["Config"]["Labels"] == labels


async def test_no_number_of_labelled_images_fills_the_list(host: ImageHost, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two", "three"):
        config = {"author": name, "config": {"Labels": {"of": name * 10}}}
        await host.load(Made([], config=config), f"docker.io/library/{name}:1")
    monkeypatch.setattr(listing, "ALL_LABELS", 90)
    told = [line.labels for line in await lines(host)]
    assert [bool(labels) for labels in told] == [True, True, False]


async def test_an_image_whose_name_was_taken_keeps_its_digest(host: ImageHost) -> None:
    await host.load(old := Made([A], config=NEW), "docker.io/library/web:1")
    await host.load(Made([B], config=OLD), "docker.io/library/web:1")
    first, _ = await lines(host)
    assert (first.repository, first.tag, first.root) == ("<none>", "<none>", str(old.root.digest))


async def test_listing_takes_the_same_few_queries_however_many_images_there_are(host: ImageHost) -> None:
    asked: list[list[str]] = []
    for count in (1, 20):
        for number in range(count):
            made = Made([A], config={"author": f"{count} {number}"})
            await host.load(made, f"docker.io/library/many:{count}-{number}")
        seen: list[str] = []

        def traced(connection: sqlite3.Connection, seen: list[str] = seen) -> int:
            connection.set_trace_callback(seen.append)
            try:
                return len(listing.lines(connection, Filters()))
            finally:
                connection.set_trace_callback(None)

        assert await host.database.read(traced) >= count
        asked.append(seen)
    assert asked[0] == asked[1]


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
        (["label=tier", "label=empty"], ["web:1", "other.io/a/web:2"]),
        (["label=tier", "label=missing"], []),
        (["label=tier", "reference=web"], ["web:1"]),
        (["before=db:1", "since=web:1"], []),
        (["before=db:1", "before=web:1"], ["<none>:<none>"]),
        (["until=2001-06-01"], ["web:1", "other.io/a/web:2", "<none>:<none>"]),
        (["until=2001-06-01", "dangling=true"], ["<none>:<none>"]),
        (["dangling=true", "label=tier"], []),
        (["dangling=true", "reference=*"], []),  # what has no name fits no pattern
    ],
)
async def test_filters(listed: ImageHost, filters: list[str], expected: list[str]) -> None:
    assert await shown(listed, *filters) == expected


async def test_a_reference(listed: ImageHost) -> None:
    assert await shown(listed, reference="web") == ["web:1"]
    assert await shown(listed, reference="web:2") == []
    assert await shown(listed, reference="other.io/a/web:2") == ["other.io/a/web:2"]
    assert await shown(listed, reference="docker.io/library/web:1") == ["web:1"]
    assert await shown(listed, reference="w*") == ["web:1"]
    assert await shown(listed, reference="*/*/web") == ["other.io/a/web:2"]
    assert await shown(listed, "reference=db", reference="web") == ["db:1", "web:1"]  # either, as in docker
    assert await shown(listed, reference="A B") == []
    assert await shown(listed, reference="[::1]:5000/web") == []
    with pytest.raises(InvalidArgument, match="syntax error in pattern"):
        await shown(listed, reference="[")


@pytest.mark.parametrize(
    ("text", "kind"),
    [("x=1", InvalidArgument), ("dangling", InvalidArgument), ("dangling=maybe", InvalidArgument),
     ("before=none", NotFound), ("since=A B", InvalidReference)],
)  # fmt: skip
async def test_bad_filters(listed: ImageHost, text: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        await lines(listed, text)
