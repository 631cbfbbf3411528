"""The runtime specification as a whole, and its small siblings: limits, rlimits, sysctls, security options."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from jackstay_agent.containers import capabilities, cpuset, process, resources, rlimits, security, spec, sysctls
from jackstay_agent.containers.settings import NetworkAttachment, Resources, Ulimit
from jackstay_agent.containers.spec_mounts import ResolvedMount
from jackstay_agent.containers.users import ResolvedUser
from jackstay_agent.errors import InvalidArgument, Unsupported
from tests.unit.agent.containers.container_values import FACTS, context, image, settings

APP = image(cmd=("/bin/app",))
MIB = 1 << 20


def build(around: dict[str, Any] | None = None, **values: Any) -> dict[str, Any]:
    given = settings(**values)
    return spec.build(given, process.merge(given, APP), context(**(around or {})))


def test_an_ordinary_container() -> None:
    built = build()
    linux = built["linux"]
    assert built["ociVersion"] == "1.0.2"
    assert built["root"] == {"path": "/run/c1/rootfs", "readonly": False}
    assert built["hostname"] == "box"
    assert built["process"]["capabilities"] == {
        "bounding": [name for name in capabilities.ALL if name in capabilities.DEFAULT],
        "effective": [name for name in capabilities.ALL if name in capabilities.DEFAULT],
        "permitted": [name for name in capabilities.ALL if name in capabilities.DEFAULT],
        "inheritable": [],
        "ambient": [],
    }
    assert built["process"]["noNewPrivileges"] is False
    assert "HOME=/root" in built["process"]["env"]
    assert linux["seccomp"]["defaultAction"] == "SCMP_ACT_ERRNO"
    assert "/proc/kcore" in linux["maskedPaths"]
    assert "/proc/sys" in linux["readonlyPaths"]
    assert linux["devices"] == []
    assert linux["resources"]["devices"][0] == {"allow": False, "access": "rwm"}
    assert sorted(namespace["type"] for namespace in linux["namespaces"]) == [
        "cgroup", "ipc", "mount", "network", "pid", "uts",
    ]  # fmt: skip
    assert {"type": "network", "path": "/run/netns/c1"} in linux["namespaces"]
    assert linux["cgroupsPath"] == "/jackstay/c1"


def test_device_rules_of_ones_own() -> None:
    rules = build(device_cgroup_rules=("c 10:* rw", "a *:* m"))["linux"]["resources"]["devices"]
    assert rules[-2:] == [
        {"allow": True, "type": "c", "major": 10, "access": "rw"},
        {"allow": True, "type": "a", "access": "m"},
    ]
    for text in ("", "c 10 rw", "x 1:1 rw", "c 1:1 x", "c 1:1 rwmr", "c -1:1 r", " c 1:1 r"):
        with pytest.raises(InvalidArgument, match="invalid device cgroup format"):
            build(device_cgroup_rules=(text,))


def test_a_privileged_container() -> None:
    built = build(privileged=True)
    linux = built["linux"]
    assert "seccomp" not in linux
    assert (linux["maskedPaths"], linux["readonlyPaths"]) == ([], [])
    assert built["process"]["capabilities"]["effective"] == list(capabilities.ALL)
    assert built["process"]["capabilities"]["inheritable"] == []
    assert linux["resources"]["devices"] == [{"allow": True, "access": "rwm"}]
    assert [device["path"] for device in linux["devices"]] == ["/dev/kvm"]
    options = {mount["destination"]: mount["options"] for mount in built["mounts"]}
    assert "rw" in options["/sys"]
    assert "rw" in options["/sys/fs/cgroup"]


def test_a_privileged_container_over_the_hosts_dev_makes_no_nodes_there() -> None:
    mounts = (ResolvedMount(source="/dev", target="/dev/"),)
    assert build({"mounts": mounts}, privileged=True)["linux"]["devices"] == []


def test_another_user_holds_no_capability() -> None:
    built = build({"user": ResolvedUser(1000, 1001, (1001, 10), "/home/app")})
    assert built["process"]["user"] == {"uid": 1000, "gid": 1001, "additionalGids": [1001, 10], "umask": 0o022}
    assert built["process"]["capabilities"]["effective"] == []
    assert len(built["process"]["capabilities"]["bounding"]) == 14
    assert "HOME=/home/app" in built["process"]["env"]


@pytest.mark.parametrize(
    ("network", "path", "expected"),
    [
        ("host", None, []),
        ("none", None, [{"type": "network"}]),
        ("bridge", "/n", [{"type": "network", "path": "/n"}]),
    ],
)
def test_network_namespace(network: str, path: str | None, expected: list[dict[str, str]]) -> None:
    built = build({"netns_path": path}, networks=(NetworkAttachment(network=network),))
    assert [n for n in built["linux"]["namespaces"] if n["type"] == "network"] == expected
    # A sysctl of a network that is the host's would change the host.
    assert (built["linux"]["sysctl"] == {}) == (network == "host")


def test_cgroup_namespace_only_on_v2() -> None:
    built = build({"facts": dataclasses.replace(FACTS, cgroup_v2=False)})
    assert "cgroup" not in [namespace["type"] for namespace in built["linux"]["namespaces"]]


def test_init_goes_first_and_is_mounted() -> None:
    built = build(init=True)
    assert built["process"]["args"] == ["/dev/init", "--", "/bin/app"]
    (mount,) = [mount for mount in built["mounts"] if mount["destination"] == "/dev/init"]
    assert mount["source"] == "/usr/bin/catatonit"
    assert "ro" in mount["options"]
    assert built["mounts"].index(mount) > [m["destination"] for m in built["mounts"]].index("/dev")


def test_init_where_it_cannot_be() -> None:
    with pytest.raises(Unsupported, match="--init"):
        build({"facts": dataclasses.replace(FACTS, init="")}, init=True)
    with pytest.raises(InvalidArgument, match="covers"):
        build({"mounts": (ResolvedMount(source="/dev", target="/dev"),)}, init=True)


def test_security_options() -> None:
    built = build(security_opt=("no-new-privileges", "seccomp=unconfined"))
    assert built["process"]["noNewPrivileges"] is True
    assert "seccomp" not in built["linux"]
    assert build(security_opt=("systempaths=unconfined",))["linux"]["maskedPaths"] == []


def test_oom_score_annotations_and_hostname() -> None:
    built = build(oom_score_adj=-500, annotations={"a": "b"})
    assert built["process"]["oomScoreAdj"] == -500
    assert built["annotations"] == {"a": "b"}
    assert "oomScoreAdj" not in build()["process"]
    with pytest.raises(InvalidArgument, match=r"\[-1000, 1000\]"):
        build(oom_score_adj=1001)
    with pytest.raises(InvalidArgument, match="hostname"):
        build({"hostname": "a" * 64})


def test_limits() -> None:
    limits = resources.linux(
        Resources(
            memory=64 * MIB, memory_reservation=32 * MIB, nano_cpus=1_500_000_000, cpu_shares=512, cpuset_cpus="0-1",
            pids_limit=100,
        ),
        FACTS,
        [],
    )  # fmt: skip
    assert limits == {
        "memory": {"limit": 64 * MIB, "reservation": 32 * MIB, "swap": 128 * MIB},
        "cpu": {"period": 100_000, "quota": 150_000, "shares": 512, "cpus": "0-1"},
        "pids": {"limit": 100},
    }
    assert resources.linux(Resources(pids_limit=-1), FACTS, []) == {}
    assert resources.linux(Resources(memory=64 * MIB, memory_swap=-1), FACTS, [])["memory"]["swap"] == -1


def test_more_limits() -> None:
    warnings: list[str] = []
    given = Resources(cpu_period=50_000, cpu_quota=-1, cpuset_mems="0", blkio_weight=300)
    assert resources.linux(given, FACTS, warnings) == {
        "cpu": {"period": 50_000, "quota": -1, "mems": "0"},
        "blockIO": {"weight": 300},
    }
    assert warnings == []
    facts = dataclasses.replace(FACTS, blkio_weight=False)
    assert resources.linux(Resources(blkio_weight=300), facts, warnings) == {}
    assert len(warnings) == 1


@pytest.mark.parametrize(
    ("old", "given", "merged"),
    [
        ({"memory": 64 * MIB, "cpuset_cpus": "0"}, {}, {"memory": 64 * MIB, "cpuset_cpus": "0"}),
        ({}, {"memory": 64 * MIB}, {"memory": 64 * MIB}),
        ({"memory": 64 * MIB}, {"memory": 100 * MIB}, {"memory": 100 * MIB, "memory_swap": 128 * MIB}),
        ({"memory": 64 * MIB, "memory_swap": -1}, {"memory": MIB << 9}, {"memory": MIB << 9, "memory_swap": -1}),
        ({"memory": 64 * MIB}, {"memory": MIB << 9, "memory_swap": -1}, {"memory": MIB << 9, "memory_swap": -1}),
        ({"pids_limit": 5, "cpu_shares": 9}, {"pids_limit": -1}, {"pids_limit": -1, "cpu_shares": 9}),
        ({"cpu_quota": -1}, {"nano_cpus": 10**9}, {"cpu_quota": -1, "nano_cpus": 10**9}),
    ],
)
def test_limits_that_are_changed(old: dict[str, Any], given: dict[str, Any], merged: dict[str, Any]) -> None:
    assert resources.merge(Resources(**old), Resources(**given)) == Resources(**merged)


@pytest.mark.parametrize(
    ("old", "given", "match"),
    [
        ({"memory": 64 * MIB}, {"memory": 129 * MIB}, "update the memoryswap at the same time"),
        ({"memory": 64 * MIB, "memory_swap": 65 * MIB}, {"memory": 66 * MIB}, "update the memoryswap at the same time"),
        ({"cpu_period": 1000}, {"nano_cpus": 10**9}, "as CPU Period has already been set"),
        ({"cpu_quota": 1000}, {"nano_cpus": 10**9}, "as CPU Quota has already been set"),
        ({"nano_cpus": 10**9}, {"cpu_period": 1000}, "as NanoCPUs has already been set"),
        ({"nano_cpus": 10**9}, {"cpu_quota": 1000}, "as NanoCPUs has already been set"),
    ],
)
def test_changes_that_contradict_what_is_set(old: dict[str, Any], given: dict[str, Any], match: str) -> None:
    with pytest.raises(InvalidArgument, match=match):
        resources.merge(Resources(**old), Resources(**given))


def test_swap_that_the_kernel_cannot_limit() -> None:
    warnings: list[str] = []
    facts = dataclasses.replace(FACTS, swap_limit=False)
    assert resources.linux(Resources(memory=64 * MIB), facts, warnings) == {"memory": {"limit": 64 * MIB}}
    assert len(warnings) == 1


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"memory": 6 * MIB - 1}, "Minimum memory limit allowed is 6MB"),
        ({"memory_swap": 64 * MIB}, "always set the Memory limit"),
        ({"memory": 64 * MIB, "memory_swap": 32 * MIB}, "memoryswap limit should be larger"),
        ({"memory_reservation": MIB}, "Minimum memory reservation"),
        ({"memory": 32 * MIB, "memory_reservation": 64 * MIB}, "less than memory reservation"),
        ({"memory": -1}, "negative"),
        ({"memory_swap": -2}, "negative"),
        ({"nano_cpus": 2_000_000_001}, "only 2 CPUs available"),
        ({"nano_cpus": 1}, "range of CPUs"),
        ({"nano_cpus": -1}, "range of CPUs"),
        ({"cpu_shares": 1}, "CPU shares"),
        ({"cpuset_cpus": "0-2"}, "requested 0-2, available: 0-1"),
        ({"cpuset_cpus": "x"}, "cpuset"),
        ({"cpuset_cpus": "1-0"}, "cpuset"),
        ({"pids_limit": -2}, "pids limit"),
        ({"nano_cpus": 10**9, "cpu_period": 1000}, "Nano CPUs and CPU Period"),
        ({"nano_cpus": 10**9, "cpu_quota": 1000}, "Nano CPUs and CPU Quota"),
        ({"cpu_period": 999}, "less than 1ms"),
        ({"cpu_period": 1_000_001}, "larger than 1s"),
        ({"cpu_quota": 999}, "quota can not be less than 1ms"),
        ({"cpu_quota": -2}, "invalid CPU cfs quota"),
        ({"cpuset_mems": "0-1"}, "requested 0-1, available: 0"),
        ({"cpuset_mems": "x"}, "cpuset mems"),
        ({"blkio_weight": 9}, "from 10 to 1000"),
        ({"blkio_weight": 1001}, "from 10 to 1000"),
    ],
)
def test_impossible_limits(values: dict[str, Any], match: str) -> None:
    with pytest.raises(InvalidArgument, match=match):
        resources.linux(Resources(**values), FACTS, [])


def test_lists_of_cpus() -> None:
    assert cpuset.parse("0-2, 7") == {0, 1, 2, 7}
    assert cpuset.format_list(frozenset({7, 0, 1, 2, 9, 10})) == "0-2,7,9-10"


def test_rlimits_are_clamped_and_it_is_told() -> None:
    warnings: list[str] = []
    given = (
        Ulimit(name="nofile", soft=100_000, hard=200_000),
        Ulimit(name="core", soft=-1, hard=-1),
        Ulimit(name="nproc", soft=1, hard=2),
    )
    assert rlimits.build(given, FACTS.rlimits, warnings) == [
        {"type": "RLIMIT_CORE", "soft": (1 << 64) - 1, "hard": (1 << 64) - 1},
        {"type": "RLIMIT_NOFILE", "soft": 20000, "hard": 20000},
        {"type": "RLIMIT_NPROC", "soft": 1, "hard": 2},
    ]
    assert len(warnings) == 1
    assert "nofile" in warnings[0]


@pytest.mark.parametrize(
    ("name", "soft", "hard", "match"),
    [("files", 1, 1, "invalid ulimit type"), ("nofile", 2, 1, "less than or equal"), ("nofile", -2, 1, "invalid"),
     ("nofile", -1, 5, "less than or equal")],
)  # fmt: skip
def test_impossible_rlimits(name: str, soft: int, hard: int, match: str) -> None:
    with pytest.raises(InvalidArgument, match=match):
        rlimits.build([Ulimit(name=name, soft=soft, hard=hard)], {}, [])


def test_sysctls() -> None:
    built = sysctls.build({"net/core/somaxconn": "1024", "kernel.shmmax": "1"}, host_network=False)
    assert built == {**sysctls.DEFAULT_NETWORK, "net.core.somaxconn": "1024", "kernel.shmmax": "1"}
    assert sysctls.build({"fs.mqueue.msg_max": "5"}, host_network=True) == {"fs.mqueue.msg_max": "5"}


@pytest.mark.parametrize(
    ("key", "value", "host_network"),
    [
        ("kernel.core_pattern", "|/evil", False),
        ("vm.swappiness", "1", False),
        ("net.core.somaxconn", "1", True),
        ("net/core/somaxconn", "1", True),
        ("kernel.msgmax/../core_pattern", "x", False),
        ("net....kernel.core_pattern", "x", False),
        ("net.core.somaxconn", "1\n2", False),
        ("", "", False),
    ],
)
def test_sysctls_of_the_host(key: str, value: str, host_network: bool) -> None:
    with pytest.raises(InvalidArgument):
        sysctls.build({key: value}, host_network=host_network)


def test_security_options_on_hosts_with_and_without() -> None:
    armored = dataclasses.replace(FACTS, apparmor=True, selinux=True)
    assert security.parse(["apparmor=web", "label=disable"], FACTS).apparmor == ""
    assert security.parse(["apparmor=web"], armored).apparmor == "web"
    assert security.parse(["apparmor:unconfined"], armored).apparmor == ""
    assert security.parse(["no-new-privileges:true"], FACTS).no_new_privileges
    assert not security.parse(["no-new-privileges=false"], FACTS).no_new_privileges
    assert security.parse(['seccomp={"a":1}'], FACTS).seccomp == '{"a":1}'
    with pytest.raises(Unsupported, match="SELinux"):
        security.parse(["label=type:web_t"], armored)
    for bad in ("nonsense", "apparmor", "seccomp=", "no-new-privileges=maybe", "", "systempaths=open"):
        with pytest.raises(InvalidArgument, match="invalid --security-opt"):
            security.parse([bad], FACTS)


@pytest.mark.parametrize("kind", ["pid", "ipc", "uts"])
def test_a_namespace_of_the_host(kind: str) -> None:
    built = build(**{kind: "host"})
    assert kind not in [namespace["type"] for namespace in built["linux"]["namespaces"]]
    assert ("hostname" in built) == (kind != "uts")
    types = {mount["destination"]: mount["type"] for mount in built["mounts"]}
    assert (types["/dev/shm"] == "bind") == (kind == "ipc")
    with pytest.raises(InvalidArgument, match=f"--{kind}: invalid mode"):
        build(**{kind: "mine"})


def test_namespaces_of_another_container() -> None:
    joined = {"pid": "/proc/1/fd/7", "ipc": "/proc/1/fd/8"}
    built = build({"joined": joined, "shm": "/run/shm"}, pid="container:a", ipc="container:a")
    namespaces = {namespace["type"]: namespace.get("path") for namespace in built["linux"]["namespaces"]}
    assert (namespaces["pid"], namespaces["ipc"]) == ("/proc/1/fd/7", "/proc/1/fd/8")
    (shm,) = [mount for mount in built["mounts"] if mount["destination"] == "/dev/shm"]
    assert (shm["type"], shm["source"]) == ("bind", "/run/shm")


@pytest.mark.parametrize(
    ("mode", "v2", "own"),
    [("", True, True), ("", False, False), ("host", True, False), ("private", False, True)],
)
def test_cgroup_namespace(mode: str, v2: bool, own: bool) -> None:
    built = build({"facts": dataclasses.replace(FACTS, cgroup_v2=v2)}, cgroupns=mode)
    assert ("cgroup" in [namespace["type"] for namespace in built["linux"]["namespaces"]]) == own
