"""The elements of ``data`` of a copy."""

from __future__ import annotations

from jackstay.client import messages
from jackstay.copying.copy import fetched_objects
from jackstay.copying.progress import CopyProgress
from jackstay.copying.serve import Fetched
from jackstay.copying.sources import Blob, SourceImage


def test_wire_bytes_go_to_the_first_image_that_has_the_blob() -> None:
    shared, one, two = Blob("sha256:s", 10), Blob("sha256:1", 5), Blob("sha256:2", 6)
    images = [SourceImage(one, ("a:1",), (one, shared)), SourceImage(two, ("b:1",), (two, shared))]
    done = messages.FetchDone(
        images=[
            messages.FetchedImage(names=["a:1"], root=messages.Descriptor(digest="sha256:1"), bytes_sent=15),
            messages.FetchedImage(
                image_id="sha256:x", root=messages.Descriptor(digest="sha256:2"), bytes_sent=6, bytes_spared=10
            ),
        ],
        warnings=["not all of a:1"],
    )
    first, second = fetched_objects(
        Fetched(done, {"sha256:s": 12, "sha256:1": 6, "sha256:2": 8}), images, "web1", "relay", 1.23456
    )
    assert first == {
        "image": "a:1",
        "digest": "sha256:1",
        "bytes_sent": 15,
        "bytes_wire": 18,
        "bytes_spared": 0,
        "sources": [{"from": "web1", "via": "relay", "bytes": 15}],
        "seconds": 1.235,
        "warnings": ["not all of a:1"],
    }
    assert (second["image"], second["bytes_wire"], second["bytes_spared"]) == ("sha256:x", 8, 10)


def test_progress_adds_up_over_blobs_and_hosts() -> None:
    progress = CopyProgress()
    receiving = messages.FetchProgress.RECEIVING
    for name, current in (("web1", 10), ("web2", 90)):
        progress.host(name).update(messages.FetchProgress(digest="a", phase=receiving, current=1, total=100))
        progress.host(name).update(messages.FetchProgress(digest="a", phase=receiving, current=current, total=100))
    assert (progress.current, progress.total) == (100, 200)
    assert [name for name, _ in progress.slowest(5)] == ["web1", "web2"]
    progress.host("web1").update(messages.FetchProgress(digest="a", phase=messages.FetchProgress.RECEIVED, total=100))
    progress.host("web1").finished = True
    assert (progress.current, progress.finished) == (190, 1)
    assert [name for name, _ in progress.slowest(5)] == ["web2"]
