"""From which repositories blobs may be mounted."""

from __future__ import annotations

from jackstay_oci.digest import Digest
from jackstay_oci.reference import Reference
from jackstay_oci.registry import blob_mounts

A, B = Digest.of(b"a"), Digest.of(b"b")
DESTINATION = Reference.parse("registry.example/app:1")


def sources(*held: tuple[str, set[Digest]]) -> dict[Digest, tuple[str, ...]]:
    return blob_mounts.sources(DESTINATION, [(Reference.parse(name), digests) for name, digests in held])


def test_repositories_of_the_same_registry_are_tried_in_order_each_once() -> None:
    found = sources(
        ("registry.example/base:1", {A, B}), ("registry.example/base:2", {A}), ("registry.example/other:1", {A})
    )
    assert found == {A: ("base", "other"), B: ("base",)}


def test_neither_the_repository_itself_nor_another_registrys() -> None:
    assert sources(("registry.example/app:0", {A}), ("base:1", {A}), ("other.example/base:1", {B})) == {}


def test_of_many_the_first_few() -> None:
    many = [(f"registry.example/r{number}:1", {A}) for number in range(10)]
    assert sources(*many) == {A: tuple(f"r{number}" for number in range(blob_mounts.CANDIDATES))}
