"""The default profile's shape, and profiles that users bring. What a kernel makes of it: test_spec_in_runtimes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackstay_agent.containers import capabilities, seccomp, seccomp_table
from jackstay_agent.errors import InvalidArgument

MACHINES = sorted(seccomp_table.ARCHITECTURES)
_DANGEROUS = """
    add_key keyctl request_key io_uring_setup io_uring_enter io_uring_register userfaultfd kexec_load kexec_file_load
    swapon swapoff mount umount2 unshare setns bpf init_module finit_module delete_module reboot pivot_root
    open_by_handle_at perf_event_open fsopen move_mount nfsservctl uselib _sysctl
"""
DANGEROUS = _DANGEROUS.split()


def allowed(profile: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [rule for rule in profile["syscalls"] if name in rule["names"] and rule["action"] == "SCMP_ACT_ALLOW"]


@pytest.mark.parametrize("machine", MACHINES)
def test_refused_by_default(machine: str) -> None:
    profile = seccomp.default(capabilities.DEFAULT, machine)
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    assert [name for name in DANGEROUS if allowed(profile, name)] == []
    # Allowed only with a look at their arguments.
    for name in ("clone", "personality", "socket"):
        assert all("args" in rule for rule in allowed(profile, name)), name
    assert allowed(profile, "clone3") == []
    assert {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38} in profile["syscalls"]


def test_clone_flags_stand_elsewhere_on_s390x() -> None:
    indexes = {m: allowed(seccomp.default((), m), "clone")[0]["args"][0]["index"] for m in MACHINES}
    assert indexes == {"x86_64": 0, "aarch64": 0, "ppc64le": 0, "riscv64": 0, "s390x": 1}


def test_families_are_bounded_from_above() -> None:
    """The kernel looks at 32 bits of the family, the filter at 64: a lower bound would let 2^32 + 40 through."""
    profile = seccomp.default(capabilities.ALL, "x86_64")
    for rule in allowed(profile, "socket"):
        (argument,) = rule["args"]
        assert argument["op"] in ("SCMP_CMP_LT", "SCMP_CMP_EQ")
        reached = range(argument["value"]) if argument["op"] == "SCMP_CMP_LT" else [argument["value"]]
        assert not {38, 40} & set(reached)


def test_capabilities_open_what_they_are_for() -> None:
    profile = seccomp.default(["CAP_SYS_ADMIN"], "x86_64")
    for name in ("mount", "unshare", "clone3", "bpf", "setns"):
        assert any("args" not in rule for rule in allowed(profile, name)), name
    assert allowed(seccomp.default(["CAP_SYS_BOOT"], "x86_64"), "reboot")
    assert allowed(seccomp.default(capabilities.ALL, "x86_64"), "keyctl") == []


def test_no_name_stands_twice_in_the_table() -> None:
    names = [name for group in seccomp_table.ALWAYS.values() for name in group.split()]
    assert len(names) == len(set(names))


def test_every_capability_in_the_table_is_one() -> None:
    assert set(seccomp_table.WITH_CAPABILITY) <= set(capabilities.ALL)


def chosen(text: str, *, privileged: bool = False) -> dict[str, Any] | None:
    return seccomp.profile(text, capabilities=capabilities.DEFAULT, machine="x86_64", privileged=privileged)


def test_unconfined_and_privileged() -> None:
    assert chosen("unconfined") is None
    assert chosen("", privileged=True) is None
    assert chosen('{"defaultAction": "SCMP_ACT_ALLOW"}', privileged=True) == {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [],
    }


def test_dockers_format_is_decided_here() -> None:
    rules = [
        {"names": ["a"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_CHOWN"], "arches": ["amd64"]}},
        {"names": ["b"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
        {"names": ["c"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_CHOWN"]}},
        {"names": ["d"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm64"]}, "comment": "x"},
        {"names": ["e"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
        {"names": ["f"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "99.0"}},
        {"name": "g", "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "args": []},
        {"names": ["h"], "action": "SCMP_ACT_TRAP", "args": [{"index": 1, "value": 2, "op": "SCMP_CMP_EQ"}]},
    ]
    text = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        "archMap": [
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": None},
        ],
        "syscalls": rules,
    }
    assert chosen(json.dumps(text)) == {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
        "syscalls": [
            {"names": ["a"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["e"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["g"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
            {
                "names": ["h"],
                "action": "SCMP_ACT_TRAP",
                "args": [{"index": 1, "value": 2, "valueTwo": 0, "op": "SCMP_CMP_EQ"}],
            },
        ],
    }


@pytest.mark.parametrize(
    "text",
    [
        "/etc/profile.json",
        "[]",
        "{}",
        '{"defaultAction": "ALLOW"}',
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"action": "SCMP_ACT_ALLOW"}]}',
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"name": "a", "names": ["b"], "action": "SCMP_ACT_LOG"}]}',
        '{"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": -1}',
        '{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["a"], "archMap": [{"architecture": "b"}]}',
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"name": "a", "action": "SCMP_ACT_LOG", '
        '"includes": {"minKernel": "new"}}]}',
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"name": "a", "action": "SCMP_ACT_LOG", '
        '"args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]}]}',
        "[" * 100_000,
        " " * (seccomp.MAX_PROFILE + 1),
    ],
)
def test_malformed_profiles(text: str) -> None:
    with pytest.raises(InvalidArgument, match="seccomp"):
        chosen(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(st.sampled_from(["defaultAction", "syscalls", "names", "args", "includes", "archMap"]), x)
        ),
        max_leaves=12,
    )
)
def test_any_json_gives_a_profile_or_invalid_argument(value: object) -> None:
    try:
        chosen(json.dumps(value))
    except InvalidArgument:
        pass
