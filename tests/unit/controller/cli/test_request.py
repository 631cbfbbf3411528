"""The flags of ``run`` as the protocol's request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jackstay.cli.container_flags import ContainerFlags
from jackstay.cli.parsing.container_request import build_request
from jackstay.client import messages
from jackstay.errors import UsageError


def build(*, detach: bool = False, **flags: Any) -> messages.CreateContainerRequest:
    return build_request(ContainerFlags(**flags), "app:1", ["sh", "-c", "x"], {"HOME": "/root"}, detach=detach)


def test_nothing_given_sends_nothing() -> None:
    expected = messages.CreateContainerRequest(image="app:1", command=["sh", "-c", "x"])
    expected.resources.SetInParent()
    assert build() == expected


def test_everything() -> None:
    request = build(
        name="app", interactive=True, tty=True, rm=True, replace=True, env=["HOME", "A=1"], workdir="/w", user="1:2",
        group_add=["adm"], hostname="h", volume=["data:/data", "/srv:/srv:ro"], mount=["type=tmpfs,target=/t"],
        tmpfs=["/run"], read_only=True, shm_size="1m", publish=["8080-8081:80-81"], publish_all=True, network=["shop"],
        ip="172.31.0.9", ip6="fd00::9", network_alias=["db"],
        mac_address="02:00:00:00:00:01", dns=["1.1.1.1"], dns_search=["x"], add_host=["a:::1"],
        memory="512m", memory_reservation="1m", memory_swap="-1", cpus="1.5", cpu_shares=7, cpuset_cpus="0",
        cpuset_mems="1", blkio_weight=10, cpu_period=1000, cpu_quota=-1,
        pids_limit=-1, oom_score_adj=-5, ulimit=["nofile=1:2"], sysctl=["a.b=1"], cap_add=["NET_ADMIN"],
        cap_drop=["ALL"], privileged=True, security_opt=["no-new-privileges"], init=True, label=["k=v"],
        log_driver="local", log_opt=["max-size=1m"], volumes_from=["other:ro"],
        annotation=["n=m"], stop_signal="QUIT", stop_timeout=0, restart="no",
        health_cmd="true", health_interval="1s", health_timeout="2s", health_retries=4, health_start_period="5s",
        health_start_interval="6ms",
        ipc="none", pid="host", uts="host", userns="auto", cgroupns="host", platform="x86_64",
        device=["/dev/a:r", "x.org/y=z"], gpus="2", device_cgroup_rule=["c 1:1 r"], dns_option=["ndots:2"],
        expose=["80"], health_on_failure="kill",
        secret=["key,uid=5,mode=0400", "source=word,type=env,target=WORD"],
    )  # fmt: skip
    assert list(request.env) == ["HOME=/root", "A=1"]
    assert (request.tty, request.open_stdin, request.attach_stdin, request.auto_remove) == (True, True, True, True)
    assert [(m.type, m.source, m.target, m.read_only) for m in request.mounts] == [
        ("volume", "data", "/data", False),
        ("bind", "/srv", "/srv", True),
        ("tmpfs", "", "/t", False),
    ]
    assert list(request.tmpfs) == ["/run"]
    assert [(p.host_port, p.container_port) for p in request.ports] == [(8080, 80), (8081, 81)]
    resources = request.resources
    assert (resources.memory, resources.memory_swap, resources.nano_cpus) == (512 << 20, -1, 1_500_000_000)
    assert (resources.cpuset_mems, resources.blkio_weight) == ("1", 10)
    assert (resources.cpu_period, resources.cpu_quota) == (1000, -1)
    assert (resources.pids_limit, request.oom_score_adj, request.shm_size) == (-1, -5, 1 << 20)
    assert request.HasField("stop_timeout")
    check = request.health
    assert list(check.test) == ["CMD-SHELL", "true"]
    durations = (check.interval_ns, check.timeout_ns, check.start_period_ns, check.start_interval_ns)
    assert durations == (10**9, 2 * 10**9, 5 * 10**9, 6 * 10**6)
    assert check.retries == 4
    assert request.health_on_failure == "kill"
    assert list(request.secrets) == [
        messages.SecretUse(source="key", type="mount", uid=5, mode=0o400),
        messages.SecretUse(source="word", type="env", target="WORD"),
    ]
    assert (list(request.expose), list(request.dns_options), list(request.device_cgroup_rules)) == (
        ["80"],
        ["ndots:2"],
        ["c 1:1 r"],
    )
    assert list(request.add_host) == ["a:::1"]
    assert dict(request.sysctls) == {"a.b": "1"}
    unset = {field.name for field in request.DESCRIPTOR.fields} - {field.name for field, _ in request.ListFields()}
    to_come: set[str] = set()
    assert list(request.cdi_devices) == ["x.org/y=z", "nvidia.com/gpu=0", "nvidia.com/gpu=1"]
    assert request.platform == "linux/amd64"
    assert unset == {"entrypoint", *to_come}


def test_entrypoint_absent_empty_and_given() -> None:
    assert not build().HasField("entrypoint")
    assert build(entrypoint="").HasField("entrypoint")
    assert list(build(entrypoint="").entrypoint.args) == []
    assert list(build(entrypoint="/x").entrypoint.args) == ["/x"]


def test_input_is_not_attached_in_the_background() -> None:
    request = build(interactive=True, detach=True)
    assert (request.open_stdin, request.attach_stdin) == (True, False)


def test_files_come_before_flags(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("A=file\nB=file\n")
    request = build(env_file=[str(file)], env=["A=flag"], label_file=[str(file)], label=["B=flag"])
    assert list(request.env) == ["A=flag", "B=file"]
    assert dict(request.labels) == {"A": "file", "B": "flag"}


@pytest.mark.parametrize(
    "flags",
    [
        {"volume": ["a-b:/x"], "tmpfs": ["/x"]},
        {"tmpfs": ["x"]},
        {"add_host": ["a"]},
        {"volume": ["/x"], "mount": ["target=/x"]},
        {"rm": True, "restart": "always"},
    ],
)
def test_contradictions(flags: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        build(**flags)
