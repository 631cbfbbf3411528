"""Mutations of inputs, as hypothesis draws and shrinks them: bytes that are nearly right find more than random ones."""

from __future__ import annotations

from hypothesis import strategies as st

from jackstay_oci.tar.header import BLOCK
from tests.fuzz import raw_tar
from tests.fuzz.seeds import seeds

_TOKENS = [
    b"\0", b"\xff", b"\x80", b"/", b"..", b"../", b".wh.", b"\n", b"=", b" ", b"-1", b"9" * 20, b"\0" * BLOCK,
    b"null", b"{}", b"[]", b'""', b"1e999", b"\\u0000", b"\xed\xa0\x80", b"$", b"${", b"'", b'"', b"\\", b":", b"@",
    b"sha256:", b"\x80" + b"\xff" * 11, b"\x7f\xff\xff\xff", b"{0}", b"{1}", b"{L}", b"\n---\n",
]  # fmt: skip
_SEEDS = seeds()
_place = st.floats(0, 1)
_operations = st.one_of(
    st.tuples(st.just("put"), _place, st.sampled_from(_TOKENS)),
    st.tuples(st.just("insert"), _place, st.sampled_from(_TOKENS)),
    st.tuples(st.just("flip"), _place, st.integers(1, 255).map(lambda byte: bytes([byte]))),
    st.tuples(st.just("cut"), _place, st.just(b"")),
    st.tuples(st.just("drop"), _place, st.integers(1, 600).map(bytes)),
    st.tuples(st.just("repeat"), _place, st.integers(1, 600).map(bytes)),
)


def mutated(target: str) -> st.SearchStrategy[bytes]:
    """One of the target's seeds, or two of them joined, changed in up to six places; or anything."""
    seed = st.sampled_from(_SEEDS[target])
    begin = st.one_of(seed, seed, st.tuples(seed, seed).map(b"".join), st.binary(max_size=200))
    return st.builds(_mutate, begin, st.lists(_operations, max_size=6))


def _mutate(data: bytes, operations: list[tuple[str, float, bytes]]) -> bytes:
    for kind, place, value in operations:
        at = int(place * len(data))
        width = len(value)
        if kind == "put":
            data = data[:at] + value + data[at + width :]
        elif kind == "insert":
            data = data[:at] + value + data[at:]
        elif kind == "flip" and at < len(data):
            data = data[:at] + bytes([data[at] ^ value[0]]) + data[at + 1 :]
        elif kind == "cut":
            data = data[:at]
        elif kind == "drop":
            data = data[:at] + data[at + width :]
        elif kind == "repeat":
            data = data[: at + width] + data[at:]
    return data


_numbers = st.one_of(
    st.integers(0, 2**40).map(lambda number: b"%o\0" % number),
    st.integers(-(2**62), 2**63 - 1).map(lambda number: b"\x80" + number.to_bytes(11, "big", signed=True)),
    st.binary(max_size=12),
    st.just(b""),
)
_names = st.one_of(st.binary(max_size=120), st.sampled_from([b"a", b"a/", b"/a", b"../a", b"a/../../b", b"./.wh.x"]))
_keys = st.sampled_from(
    [
        b"path", b"linkpath", b"size", b"uid", b"gid", b"mtime", b"SCHILY.xattr.user.a", b"SCHILY.xattr.", b"comment",
        b"GNU.sparse.size", b"GNU.sparse.map", b"GNU.sparse.major", b"GNU.sparse.realsize", b"GNU.sparse.name",
        b"GNU.sparse.offset", b"GNU.sparse.numbytes", b"GNU.sparse.numblocks",
    ]
)  # fmt: skip
_values = st.one_of(
    st.integers(-5, 3000).map(b"%d".__mod__),
    st.sampled_from([b"", b"1", b"0", b"0,5", b"0,5,500,5", b"1.5", b"a/../b"]),
    st.binary(max_size=30),
)
_records = st.lists(st.builds(raw_tar.record, _keys, _values), max_size=8).map(b"".join)
_contents = st.one_of(st.binary(max_size=600), st.just(b"1\n0\n5\n".ljust(BLOCK, b"\0") + b"12345"))
_entries = st.one_of(
    st.builds(
        raw_tar.entry,
        st.sampled_from([b"0", b"\0", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"S", b"V", b"M", b"D"]),
        _contents, name=_names, linkname=_names, uid=_numbers, gid=_numbers, mtime=_numbers, devmajor=_numbers,
        devminor=_numbers, prefix=st.sampled_from([b"", b"", b"p/q", b"..", b"\xff" * 155]),
        magic=st.sampled_from([b"ustar\x0000", b"ustar  \0", b""]), sparse=st.binary(max_size=96),
        more=st.sampled_from([b"", b"\1"]), realsize=_numbers,
    ),
    st.builds(raw_tar.entry, st.sampled_from([b"0", b"2", b"5"]), _contents, name=_names),
    st.builds(raw_tar.header, st.sampled_from([b"0", b"5", b"x", b"L"]), size=st.integers(0, 3000)),
    st.builds(raw_tar.pax, _records, st.sampled_from([b"x", b"x", b"g", b"X"])),
    st.builds(raw_tar.entry, st.sampled_from([b"L", b"K"]), _names),
    st.just(bytes(BLOCK)),
)  # fmt: skip
tars = st.lists(_entries, max_size=6).map(lambda parts: b"\0" + b"".join(parts) + bytes(2 * BLOCK))
"""Tars of headers that each are well formed and that need not fit together, as `targets.fuzz_tar_reader` takes them."""
