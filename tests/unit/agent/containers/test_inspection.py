"""Docker's document, field for field where it matters to those who read it with templates."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jackstay_agent.containers import inspection, process
from jackstay_agent.containers.inspection import Surroundings
from jackstay_agent.containers.settings import HealthCheck, Mount, NetworkAttachment, Port, Resources, SecretUse, Ulimit
from jackstay_agent.metadata.containers import ContainerRow
from tests.unit.agent.containers.container_values import image, settings

SECOND = 10**9
APP = image(
    entrypoint=("/entry",), cmd=("serve",), env=("A=1",), exposed_ports={"80/tcp": {}}, working_dir="/srv",
    labels={"from": "image"}, stop_signal="SIGQUIT", volumes={"/image/": {}},
)  # fmt: skip


def document(around: dict[str, Any] | None = None, row: dict[str, Any] | None = None, **values: Any) -> dict[str, Any]:
    given = settings(**values)
    found = ContainerRow(
        **{
            "id": "c" * 64, "name": "web", "image": "app", "image_root": "r", "image_id": "sha256:i", "snapshot": "s",
            "config": "", "state": "running", "pid": 42, "created": 1_700_000_000 * SECOND + 120_000_000,
            "started": 1_700_000_001 * SECOND, **(row or {}),
        }
    )  # fmt: skip
    surroundings = {
        "network_settings": {"Ports": {}}, "volume_paths": {"data": "/var/lib/v/data/_data"},
        "files": {"/etc/hosts": "/run/hosts"}, "log_path": "/log", "storage": "overlay", "runtime": "crun",
        **(around or {}),
    }  # fmt: skip
    return inspection.document(found, given, process.merge(given, APP), Surroundings(**surroundings))


def test_the_frame() -> None:
    built = document()
    assert list(built) == [
        "Id", "Created", "Path", "Args", "State", "Image", "ResolvConfPath", "HostnamePath", "HostsPath", "LogPath",
        "Name", "RestartCount", "Driver", "Platform", "MountLabel", "ProcessLabel", "AppArmorProfile", "ExecIDs",
        "HostConfig", "GraphDriver", "Mounts", "Config", "NetworkSettings",
    ]  # fmt: skip
    assert (built["Path"], built["Args"], built["Name"], built["Image"]) == ("/entry", ["serve"], "/web", "sha256:i")
    assert built["Created"] == "2023-11-14T22:13:20.12Z"
    assert built["HostsPath"] == "/run/hosts"
    json.dumps(built)


@pytest.mark.parametrize(
    ("state", "shown", "running", "paused", "pid"),
    [
        ("created", "created", False, False, 0), ("starting", "created", False, False, 0),
        ("running", "running", True, False, 42), ("paused", "paused", True, True, 42),
        ("exited", "exited", False, False, 0), ("removing", "removing", False, False, 0),
        ("dead", "dead", False, False, 0),
    ],
)  # fmt: skip
def test_state(state: str, shown: str, running: bool, paused: bool, pid: int) -> None:
    built = document(row={"state": state})["State"]
    assert (built["Status"], built["Running"], built["Paused"], built["Pid"]) == (shown, running, paused, pid)
    assert built["Dead"] == (state == "dead")


def test_an_end() -> None:
    built = document(row={"state": "exited", "exit_code": 137, "oom": 1, "error": "e", "finished": 2 * SECOND})["State"]
    assert (built["ExitCode"], built["OOMKilled"], built["Error"]) == (137, True, "e")
    assert built["FinishedAt"] == "1970-01-01T00:00:02Z"


def test_never_is_gos_zero_time() -> None:
    built = document(row={"state": "created", "started": 0})["State"]
    assert built["StartedAt"] == built["FinishedAt"] == "0001-01-01T00:00:00Z"


def test_config() -> None:
    built = document(env=("B=2",), labels={"mine": "x"}, tty=True, open_stdin=True, stop_timeout=3)["Config"]
    assert built["Env"] == ["A=1", "B=2"]
    assert (built["Cmd"], built["Entrypoint"], built["WorkingDir"]) == (["serve"], ["/entry"], "/srv")
    assert built["Labels"] == {"from": "image", "mine": "x"}
    assert built["ExposedPorts"] == {"80/tcp": {}}
    assert (built["StopSignal"], built["StopTimeout"], built["Tty"], built["OpenStdin"]) == ("SIGQUIT", 3, True, True)
    assert document(entrypoint=(), command=("x",))["Config"]["Entrypoint"] is None
    assert "Secrets" not in built
    uses = (SecretUse(source="a", target="/a", uid=5, mode=0o400), SecretUse(source="b", type="env", target="B"))
    assert document(secrets=uses)["Config"]["Secrets"] == [
        {"Name": "a", "Type": "mount", "Target": "/a", "UID": 5, "GID": 0, "Mode": 0o400},
        {"Name": "b", "Type": "env", "Target": "B"},
    ]


def test_volumes_are_those_of_the_image_and_those_without_a_name() -> None:
    mounts = (
        Mount(type="volume", source="f" * 64, target="/anonymous", anonymous=True),
        Mount(type="volume", source="data", target="/image"),
        Mount(type="volume", source="data", target="/named"),
    )
    assert document(mounts=mounts)["Config"]["Volumes"] == {"/anonymous": {}, "/image": {}}
    assert document()["Config"]["Volumes"] == {"/image": {}}


def test_host_config() -> None:
    built = document(
        mounts=(
            Mount(type="volume", source="data", target="/d", read_only=True),
            Mount(type="bind", source="/srv", target="/s", propagation="rslave"),
            Mount(type="volume", source="f" * 64, target="/anonymous", anonymous=True),
        ),
        ports=(Port(container_port=80, host_port=8080), Port(container_port=80, host_ip="127.0.0.1"),
               Port(container_port=53, protocol="udp", host_port=53, host_port_end=55)),
        resources=Resources(memory=64 << 20, nano_cpus=5 * 10**8, pids_limit=9),
        ulimits=(Ulimit(name="nofile", soft=1, hard=2),),
        tmpfs=("/t:size=1m", "/u"), cap_add=("NET_ADMIN",), auto_remove=True, read_only=True,
        networks=(NetworkAttachment(network="host"),),
    )["HostConfig"]  # fmt: skip
    assert built["Binds"] == ["data:/d:ro", "/srv:/s:rslave"]
    assert built["PortBindings"] == {
        "80/tcp": [{"HostIp": "", "HostPort": "8080"}, {"HostIp": "127.0.0.1", "HostPort": ""}],
        "53/udp": [{"HostIp": "", "HostPort": "53-55"}],
    }
    assert (built["Memory"], built["MemorySwap"], built["NanoCpus"], built["PidsLimit"]) == (
        64 << 20, 128 << 20, 5 * 10**8, 9,
    )  # fmt: skip
    assert built["Ulimits"] == [{"Name": "nofile", "Hard": 2, "Soft": 1}]
    assert built["Tmpfs"] == {"/t": "size=1m", "/u": ""}
    assert (built["CapAdd"], built["CapDrop"], built["AutoRemove"], built["ReadonlyRootfs"]) == (
        ["NET_ADMIN"], None, True, True,
    )  # fmt: skip
    assert (built["NetworkMode"], built["ShmSize"]) == ("host", 64 << 20)
    assert built["RestartPolicy"] == {"Name": "no", "MaximumRetryCount": 0}
    assert document()["HostConfig"]["PidsLimit"] is None
    assert document(privileged=True)["HostConfig"]["MaskedPaths"] == []


def test_mount_points() -> None:
    built = document(
        mounts=(
            Mount(type="volume", source="data", target="/d", read_only=True),
            Mount(type="bind", source="/srv", target="/s"),
        )
    )["Mounts"]
    assert built == [
        {"Type": "volume", "Name": "data", "Source": "/var/lib/v/data/_data", "Driver": "local", "Destination": "/d",
         "Mode": "ro", "RW": False, "Propagation": ""},
        {"Type": "bind", "Source": "/srv", "Destination": "/s", "Mode": "", "RW": True, "Propagation": "rprivate"},
    ]  # fmt: skip


def test_sizes_only_when_asked() -> None:
    assert "SizeRw" not in document()
    built = document({"size_rw": 0, "size_root": 5})
    assert (built["SizeRw"], built["SizeRootFs"]) == (0, 5)


def test_mounts_that_binds_cannot_say() -> None:
    built = document(
        mounts=(
            Mount(type="volume", source="data", target="/d", subpath="a", labels={"k": "v"}),
            Mount(type="bind", source="/srv", target="/srv", non_recursive=True, read_only=True),
            Mount(type="tmpfs", source="", target="/t", tmpfs_size=4096, tmpfs_mode=0o700),
            Mount(type="volume", source="other", target="/o", inherited=True),
        ),
        volumes_from=("web:ro",),
    )
    config = built["HostConfig"]
    assert (config["Binds"], config["VolumesFrom"]) == (None, ["web:ro"])
    assert config["Mounts"] == [
        {"Type": "volume", "Source": "data", "Target": "/d", "VolumeOptions": {"Labels": {"k": "v"}, "Subpath": "a"}},
        {
            "Type": "bind", "Source": "/srv", "Target": "/srv", "ReadOnly": True,
            "BindOptions": {"Propagation": "rprivate", "NonRecursive": True},
        },
        {"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 4096, "Mode": 448}},
    ]  # fmt: skip
    assert [(mount["Type"], mount["Destination"], mount["RW"]) for mount in built["Mounts"]] == [
        ("volume", "/d", True), ("bind", "/srv", False), ("tmpfs", "/t", True), ("volume", "/o", True),
    ]  # fmt: skip
    assert "Mounts" not in document()["HostConfig"]


def test_what_docker_leaves_out_when_nobody_asked() -> None:
    plain, asked = (
        document(),
        document(init=True, annotations={"a": "b"}, health=HealthCheck(test=("CMD", "x"), retries=2)),
    )
    assert not {"Init", "Annotations"} & plain["HostConfig"].keys()
    assert (asked["HostConfig"]["Init"], asked["HostConfig"]["Annotations"]) == (True, {"a": "b"})
    assert asked["Config"]["Healthcheck"] == {"Test": ["CMD", "x"], "Retries": 2}


def test_addresses_that_were_asked_for() -> None:
    place = {"IPAMConfig": None, "IPAddress": "10.0.0.7"}
    told = {"Bridge": "", "Networks": {"own": place, "bridge": place}}
    networks = (NetworkAttachment(network="own", ip="10.0.0.7", ip6="fd00::7"), NetworkAttachment())
    built = document({"network_settings": told}, networks=networks)["NetworkSettings"]["Networks"]
    assert built["own"] == place | {"IPAMConfig": {"IPv4Address": "10.0.0.7", "IPv6Address": "fd00::7"}}
    assert built["bridge"] == place
