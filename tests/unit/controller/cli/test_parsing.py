"""Docker's flags, read as docker reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackstay.cli.parsing.environment import parse_environment, parse_environment_lines, parse_pairs
from jackstay.cli.parsing.mounts import MountSpec, parse_mount, parse_volume
from jackstay.cli.parsing.ports import Port, parse_publish
from jackstay.cli.parsing.sizes import parse_bytes, parse_memory_swap, parse_nano_cpus
from jackstay.cli.parsing.times import parse_duration_ns, parse_time_ns
from jackstay.cli.parsing.ulimits import UlimitSpec, parse_ulimit
from jackstay_oci.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("80", [Port(80)]),
        ("8080:80", [Port(80, 8080)]),
        ("8080:80/udp", [Port(80, 8080, "", "udp")]),
        ("127.0.0.1:8080:80", [Port(80, 8080, "127.0.0.1")]),
        ("127.0.0.1::80", [Port(80, 0, "127.0.0.1")]),
        ("[::1]:8080:80/tcp", [Port(80, 8080, "::1")]),
        ("[::1]::80", [Port(80, 0, "::1")]),
        ("0:80", [Port(80, 0)]),
        ("8000-8002:80-82", [Port(80, 8000), Port(81, 8001), Port(82, 8002)]),
        ("80-81", [Port(80), Port(81)]),
        ("8000-8002:80", [Port(80, 8000, "", "tcp", 8002)]),
        ("[::1]:8000-8002:53/udp", [Port(53, 8000, "::1", "udp", 8002)]),
    ],
)
def test_publish(text: str, ports: list[Port]) -> None:
    assert parse_publish(text) == ports


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "a:80",
        "80:",
        "0",
        "65536",
        "80/sctp",
        "8000-8002:80-81",
        "0-2:80",
        "81-80",
        "::1:8080:80",
        "1.2.3:80:80",
        "[::1]80",
        "８０",
    ],
)
def test_publish_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="--publish"):
        parse_publish(text)


@given(st.integers(1, 65000), st.integers(1, 65000), st.integers(1, 30), st.sampled_from(["tcp", "udp"]))
def test_ranges_pair_up(inner: int, outer: int, count: int, protocol: str) -> None:
    text = f"{outer}-{outer + count}:{inner}-{inner + count}/{protocol}"
    ports = parse_publish(text)
    assert [(p.host_port - outer, p.container_port - inner) for p in ports] == [(n, n) for n in range(count + 1)]


@given(st.text(alphabet="0123456789:-/.[]tcpud", max_size=30))
def test_publish_raises_nothing_else(text: str) -> None:
    try:
        ports = parse_publish(text)
    except InvalidArgument:
        return
    assert all(0 < port.container_port < 65536 and 0 <= port.host_port < 65536 for port in ports)


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("/data", MountSpec("volume", "", "/data")),
        ("data:/data", MountSpec("volume", "data", "/data")),
        ("data:/data:ro,nocopy", MountSpec("volume", "data", "/data", read_only=True, no_copy=True)),
        ("/srv/./x:/data/", MountSpec("bind", "/srv/x", "/data", create_source=True)),
        ("/srv:/data:ro", MountSpec("bind", "/srv", "/data", read_only=True, create_source=True)),
        ("/srv:/data:Z,ro,cached", MountSpec("bind", "/srv", "/data", read_only=True, create_source=True)),
        ("data:/data:z", MountSpec("volume", "data", "/data")),
        ("/srv:/data:rw,rshared", MountSpec("bind", "/srv", "/data", propagation="rshared", create_source=True)),
    ],
)
def test_volume(text: str, mount: MountSpec) -> None:
    assert parse_volume(text) == mount


@pytest.mark.parametrize(
    "text",
    ["", "data", "./x:/data", "x:/data:zz", "/a:/b:ro:x", "/a:/", "a:b", "data:/x:rshared", "/a:/b:nocopy", "-x:/data"],
)
def test_volume_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="--volume"):
        parse_volume(text)


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("type=bind,src=/srv,dst=/data,ro", MountSpec("bind", "/srv", "/data", read_only=True)),
        ("source=data,target=/data,readonly=false", MountSpec("volume", "data", "/data")),
        ("target=/data,volume-nocopy", MountSpec("volume", "", "/data", no_copy=True)),
        ('type=bind,"source=/a,b",target=/data', MountSpec("bind", "/a,b", "/data")),
        ("type=tmpfs,target=/t", MountSpec("tmpfs", "", "/t")),
        ("type=bind,src=/srv,dst=/data,consistency=cached", MountSpec("bind", "/srv", "/data")),
        ("src=data,dst=/data,volume-driver=local", MountSpec("volume", "data", "/data")),
        (
            "type=tmpfs,target=/t,tmpfs-size=64m,tmpfs-mode=1770,ro",
            MountSpec("tmpfs", "", "/t", read_only=True, tmpfs_size=64 << 20, tmpfs_mode=0o1770),
        ),
        (
            "src=data,dst=/d,volume-subpath=a/b,volume-label=k=v=w,volume-label=flag",
            MountSpec("volume", "data", "/d", subpath="a/b", labels={"k": "v=w", "flag": ""}),
        ),
        (
            "type=bind,src=/srv,dst=/d,bind-recursive=disabled,bind-propagation=rslave",
            MountSpec("bind", "/srv", "/d", propagation="rslave", non_recursive=True),
        ),
        ("type=bind,src=/srv,dst=/d,ro,bind-recursive=readonly", MountSpec("bind", "/srv", "/d", read_only=True)),
    ],
)
def test_mount(text: str, mount: MountSpec) -> None:
    assert parse_mount(text) == mount


@pytest.mark.parametrize(
    "text",
    ["", "type=npipe,target=/x", "type=bind,source=rel,target=/x", "target=x", "type=bind,source=/a", "target=/x,foo=1",
     "target=/x,target=/y", "type=tmpfs,target=/x,source=y", "target=/x,readonly=perhaps", "target",
     "type=tmpfs,target=/x,tmpfs-size=much", "type=tmpfs,target=/x,tmpfs-mode=9", "target=/x,volume-subpath=/etc",
     "type=bind,source=/a,target=/x,bind-recursive=writable", "type=bind,source=/a,target=/x,bind-recursive=readonly",
     "type=bind,source=/a,target=/x,volume-label=a=b", "src=a,target=/x,volume-driver=nfs", "target=/x,consistency=no"],
)  # fmt: skip
def test_mount_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="--mount"):
        parse_mount(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("1024", 1024), ("512m", 512 << 20), ("1.5g", 3 << 29), ("2GB", 2 << 30), ("1KiB", 1024), ("7 b", 7)],
)
def test_bytes(text: str, size: int) -> None:
    assert parse_bytes(text, "--memory") == size


@pytest.mark.parametrize("text", ["", "m", "-1", "1x", "1e3", "99999999999g", "1..5m"])
def test_bytes_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="--memory"):
        parse_bytes(text, "--memory")


def test_swap_and_cpus() -> None:
    assert parse_memory_swap("-1") == -1
    assert parse_memory_swap("1g") == 1 << 30
    assert parse_nano_cpus("1.5") == 1_500_000_000
    assert parse_nano_cpus(".1") == 100_000_000
    for text in ("", "-1", "1e3", "0.0000000001", "one", "99999999999"):
        with pytest.raises(InvalidArgument, match="--cpus"):
            parse_nano_cpus(text)


def test_environment_takes_bare_names_from_outside() -> None:
    texts = ["A=1", "B", "C", "D=", "A=2", "E=x=y"]
    assert parse_environment(texts, {"B": "b b"}) == ["A=2", "B=b b", "D=", "E=x=y"]
    for text in ("", "=x", "A=\0"):
        with pytest.raises(InvalidArgument):
            parse_environment([text], {})


def test_environment_file() -> None:
    text = "\ufeff# comment\nA=1\n\n  B= two words # kept\nC\n"
    assert parse_environment_lines(text, "env") == ["A=1", "B= two words # kept", "C"]
    with pytest.raises(InvalidArgument, match="env: line 2"):
        parse_environment_lines("A=1\nA B=1\n", "env")


def test_pairs() -> None:
    assert parse_pairs(["a=1", "b", "c=x=y"], "--label") == {"a": "1", "b": "", "c": "x=y"}
    with pytest.raises(InvalidArgument, match="--label"):
        parse_pairs(["=x"], "--label")


NOW = 1_700_000_000 * 10**9


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("10m", NOW - 600 * 10**9),
        ("1h30m", NOW - 5400 * 10**9),
        ("1.5s", NOW - 1_500_000_000),
        ("2d", NOW - 172_800 * 10**9),
        ("1700000000", NOW),
        ("1700000000.000000005", NOW + 5),
        ("2023-11-14T22:13:20Z", NOW),
        ("2023-11-14T22:13:20.123456789Z", NOW + 123_456_789),
        ("2023-11-14T23:13:20.5+01:00", NOW + 500_000_000),
        ("2023-11-14T23:13:20+01:00", NOW),
    ],
)
def test_times(text: str, time: int) -> None:
    assert parse_time_ns(text, NOW, "--since") == time


@pytest.mark.parametrize("text", ["yesterday", "10x", "2023-13-01", "2023-11-14.5", "-10m", "m"])
def test_times_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="--since"):
        parse_time_ns(text, NOW, "--since")


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59))
def test_durations_add_up(hours: int, minutes: int, seconds: int) -> None:
    assert parse_duration_ns(f"{hours}h{minutes}m{seconds}s") == (hours * 3600 + minutes * 60 + seconds) * 10**9


def test_ulimits() -> None:
    assert parse_ulimit("nofile=1024:2048") == UlimitSpec("nofile", 1024, 2048)
    assert parse_ulimit("core=0") == UlimitSpec("core", 0, 0)
    assert parse_ulimit("memlock=-1") == UlimitSpec("memlock", -1, -1)
    for text in ("nofile", "files=1", "nofile=2:1", "nofile=-1:5", "nofile=x", "nofile=1:2:3"):
        with pytest.raises(InvalidArgument, match="--ulimit"):
            parse_ulimit(text)
