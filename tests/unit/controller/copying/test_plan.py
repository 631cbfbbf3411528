"""What a plan says, and that it agrees with what it was made from."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jackstay.copying.plan import closure, plan_images
from jackstay.copying.sources import Blob, SourceImage

ROOT, CONFIG, BASE, TOP = (
    Blob(f"sha256:{name * 64}"[:71], size) for name, size in zip("abcd", (1, 20, 300, 4000), strict=True)
)
IMAGE = SourceImage(ROOT, ("docker.io/library/app:1",), (ROOT, CONFIG, BASE, TOP))


def test_only_missing_blobs_are_sent() -> None:
    (plan,) = plan_images([IMAGE], [ROOT.digest, TOP.digest], "web1", "relay")
    assert (plan.image, plan.bytes_sent, plan.bytes_spared) == ("docker.io/library/app:1", 4001, 320)
    assert [(share.name, share.via, share.bytes) for share in plan.sources] == [("web1", "relay", 4001)]


def test_nothing_missing_has_no_source() -> None:
    (plan,) = plan_images([IMAGE], [], "web1", "relay")
    assert (plan.bytes_sent, plan.bytes_spared, plan.sources) == (0, 4321, ())


blobs = st.lists(
    st.builds(Blob, st.integers(0, 30).map(lambda n: f"sha256:{n:064x}"), st.just(7)), min_size=1, max_size=8
)
images = st.lists(st.builds(lambda items: SourceImage(items[0], (), tuple(items)), blobs), max_size=5)


@given(images, st.sets(st.integers(0, 30).map(lambda n: f"sha256:{n:064x}")))
def test_a_shared_blob_is_counted_once(copied: list[SourceImage], missing: set[str]) -> None:
    plans = plan_images(copied, missing, "web1", "relay")
    assert sum(plan.bytes_sent for plan in plans) == 7 * len(missing & set(closure(copied)))
    for image, plan in zip(copied, plans, strict=True):
        assert plan.bytes_sent + plan.bytes_spared == 7 * len({blob.digest for blob in image.blobs})
