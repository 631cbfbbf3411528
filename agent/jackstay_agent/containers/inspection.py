"""Docker's ``container inspect`` document of a container: docker's field names, types and ways to write nothing. Pure.

What an agent has no notion of has the value that docker shows for a container that does not use it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jackstay_agent.containers import health as health_checks
from jackstay_agent.containers import log_options, masked_paths, security, spec_mounts, state
from jackstay_agent.containers.health import Health
from jackstay_agent.containers.process import ProcessPlan
from jackstay_agent.containers.settings import Mount, Port, Settings
from jackstay_agent.images.document_times import render
from jackstay_agent.metadata.containers import ContainerRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the document tells beside row, settings and plan."""

    network_settings: Mapping[str, Any]  # docker's ``NetworkSettings``, from the networks
    volume_paths: Mapping[str, str]  # volume's name to its folder on the host
    files: Mapping[str, str]  # "/etc/hosts", "/etc/resolv.conf", "/etc/hostname" to their host paths
    log_path: str
    storage: str  # name of the snapshotter
    runtime: str  # name of the OCI runtime
    cgroup_v2: bool = True
    health: Health | None = None  # None for one that never had a check
    size_rw: int | None = None  # bytes, None when nobody asked
    size_root: int | None = None


def document(row: ContainerRow, settings: Settings, plan: ProcessPlan, around: Surroundings) -> dict[str, Any]:
    """The document; `docker inspect` prints it in an array."""
    built: dict[str, Any] = {
        "Id": row.id,
        "Created": render(row.created),
        "Path": plan.args[0],
        "Args": list(plan.args[1:]),
        "State": _state(row, around.health),
        "Image": row.image_id,
        "ResolvConfPath": around.files.get("/etc/resolv.conf", ""),
        "HostnamePath": around.files.get("/etc/hostname", ""),
        "HostsPath": around.files.get("/etc/hosts", ""),
        "LogPath": around.log_path,
        "Name": f"/{row.name}",
        "RestartCount": row.restart_count,
        "Driver": around.storage,
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": None,
        "HostConfig": _host_config(settings, around),
        "GraphDriver": {"Name": around.storage, "Data": None},
        "Mounts": [_mount_point(mount, around.volume_paths) for mount in settings.mounts],
        "Config": _config(row, settings, plan),
        "NetworkSettings": _network_settings(settings, around.network_settings),
    }
    if around.size_rw is not None:
        built["SizeRw"] = around.size_rw
    if around.size_root is not None:
        built["SizeRootFs"] = around.size_root
    return built


def _state(row: ContainerRow, health: Health | None) -> dict[str, Any]:
    shown = state.shown(state.of(row))
    built: dict[str, Any] = {
        "Status": shown,
        "Running": state.is_live(row.state) or shown == "restarting",
        "Paused": shown == "paused",
        "Restarting": shown == "restarting",
        "OOMKilled": bool(row.oom),
        "Dead": shown == "dead",
        "Pid": row.pid if state.is_live(row.state) else 0,
        "ExitCode": row.exit_code or 0,
        "Error": row.error,
        "StartedAt": render(row.started),
        "FinishedAt": render(row.finished),
    }
    if health is not None and row.started:
        # As in docker, one that does not run is unhealthy.
        built["Health"] = health_checks.document(health) | ({} if state.is_live(row.state) else {"Status": "unhealthy"})
    return built


def _config(row: ContainerRow, settings: Settings, plan: ProcessPlan) -> dict[str, Any]:
    built: dict[str, Any] = {
        "Hostname": settings.hostname,
        "Domainname": "",
        "User": plan.user,
        "AttachStdin": settings.attach_stdin,
        "AttachStdout": settings.attach_stdin,
        "AttachStderr": settings.attach_stdin,
        "Tty": settings.tty,
        "OpenStdin": settings.open_stdin,
        "StdinOnce": settings.open_stdin and settings.attach_stdin,
        "Env": list(plan.config_env),
        "Cmd": list(plan.command) or None,
        "Image": row.image,
        "Volumes": _volumes(settings, plan) or None,
        "WorkingDir": "" if plan.cwd == "/" else plan.cwd,
        "Entrypoint": list(plan.entrypoint) or None,
        "OnBuild": None,
        "Labels": dict(plan.labels),
    }
    if plan.exposed_ports:
        built["ExposedPorts"] = {f"{port}/{protocol}": {} for port, protocol in plan.exposed_ports}
    if plan.healthcheck is not None:
        check = plan.healthcheck
        told = {
            "Test": list(check.test),
            "Interval": check.interval,
            "Timeout": check.timeout,
            "StartPeriod": check.start_period,
            "StartInterval": check.start_interval,
            "Retries": check.retries,
        }
        built["Healthcheck"] = {name: value for name, value in told.items() if value}
    if settings.health_on_failure:
        built["HealthcheckOnFailureAction"] = settings.health_on_failure
    if settings.secrets:  # as podman has them, with where they are
        built["Secrets"] = [
            {"Name": use.source, "Type": use.type, "Target": use.target}
            | ({"UID": use.uid, "GID": use.gid, "Mode": use.mode} if use.type == "mount" else {})
            for use in settings.secrets
        ]
    if plan.stop_signal:
        built["StopSignal"] = plan.stop_signal
    if settings.stop_timeout is not None:
        built["StopTimeout"] = settings.stop_timeout
    return built


def _volumes(settings: Settings, plan: ProcessPlan) -> dict[str, dict[str, Any]]:
    anonymous = {mount.target for mount in settings.mounts if mount.anonymous}
    return {target: {} for target in sorted(anonymous.union(plan.image_volumes))}


def _host_config(settings: Settings, around: Surroundings) -> dict[str, Any]:
    limits = settings.resources
    about_paths = [security.split(option) for option in settings.security_opt]
    masked, read_only = masked_paths.build(about_paths, privileged=settings.privileged)
    built: dict[str, Any] = {
        "Binds": [_bind(mount) for mount in settings.mounts if not _is_more(mount) and not mount.anonymous] or None,
        "ContainerIDFile": "",
        "LogConfig": {"Type": settings.log_driver or log_options.DEFAULT, "Config": dict(settings.log_opts)},
        "NetworkMode": settings.network,
        "PortBindings": _port_bindings(settings.ports),
        "RestartPolicy": {"Name": settings.restart.name, "MaximumRetryCount": settings.restart.maximum_retries},
        "AutoRemove": settings.auto_remove,
        "VolumeDriver": "",
        "VolumesFrom": list(settings.volumes_from) or None,
        "ConsoleSize": [0, 0],
        "CapAdd": list(settings.cap_add) or None,
        "CapDrop": list(settings.cap_drop) or None,
        "CgroupnsMode": settings.cgroupns or ("private" if around.cgroup_v2 else "host"),
        "Dns": list(settings.dns),
        "DnsOptions": list(settings.dns_options),
        "DnsSearch": list(settings.dns_search),
        "ExtraHosts": list(settings.add_host) or None,
        "GroupAdd": list(settings.group_add) or None,
        "IpcMode": settings.ipc or "private",
        "Cgroup": "",
        "Links": None,
        "OomScoreAdj": settings.oom_score_adj or 0,
        "PidMode": settings.pid,
        "Privileged": settings.privileged,
        "PublishAllPorts": settings.publish_all,
        "ReadonlyRootfs": settings.read_only,
        "SecurityOpt": list(settings.security_opt) or None,
        "Tmpfs": {path: options for path, _, options in (text.partition(":") for text in settings.tmpfs)},
        "UTSMode": settings.uts,
        "UsernsMode": settings.userns,
        "ShmSize": settings.shm_size or spec_mounts.DEFAULT_SHM,
        "Sysctls": dict(settings.sysctls),
        "Runtime": around.runtime,
        "Isolation": "",
        "CpuShares": limits.cpu_shares,
        "Memory": limits.memory,
        "NanoCpus": limits.nano_cpus,
        "CgroupParent": "",
        "BlkioWeight": limits.blkio_weight,
        "BlkioWeightDevice": [],
        "BlkioDeviceReadBps": [],
        "BlkioDeviceReadIOps": [],
        "BlkioDeviceWriteBps": [],
        "BlkioDeviceWriteIOps": [],
        "CpuCount": 0,
        "CpuPercent": 0,
        "CpuRealtimePeriod": 0,
        "CpuRealtimeRuntime": 0,
        "IOMaximumBandwidth": 0,
        "IOMaximumIOps": 0,
        "CpuPeriod": limits.cpu_period,
        "CpuQuota": limits.cpu_quota,
        "CpusetCpus": limits.cpuset_cpus,
        "CpusetMems": limits.cpuset_mems,
        "Devices": [
            {
                "PathOnHost": device.host_path,
                "PathInContainer": device.container_path,
                "CgroupPermissions": device.permissions,
            }
            for device in settings.devices
        ],
        "DeviceCgroupRules": list(settings.device_cgroup_rules) or None,
        "DeviceRequests": _device_requests(settings),
        "MemoryReservation": limits.memory_reservation,
        "MemorySwap": limits.memory_swap or 2 * limits.memory,
        "MemorySwappiness": None,
        "OomKillDisable": False,
        "PidsLimit": limits.pids_limit if limits.pids_limit > 0 else None,
        "Ulimits": [{"Name": u.name, "Hard": u.hard, "Soft": u.soft} for u in settings.ulimits],
        "MaskedPaths": list(masked),
        "ReadonlyPaths": list(read_only),
    }
    if more := [_mount(mount) for mount in settings.mounts if _is_more(mount) and not mount.inherited]:
        built["Mounts"] = more
    if settings.init:
        built["Init"] = True
    if settings.annotations:
        built["Annotations"] = dict(settings.annotations)
    return built


def _network_settings(settings: Settings, told: Mapping[str, Any]) -> dict[str, Any]:
    """*told*, and in it the addresses that were asked for."""
    asked = {each.network: {"IPv4Address": each.ip, "IPv6Address": each.ip6} for each in settings.networks}
    wanted = {
        network: {key: address for key, address in addresses.items() if address} for network, addresses in asked.items()
    }
    networks = {
        name: {**place, "IPAMConfig": wanted[name]} if wanted.get(name) else place
        for name, place in told.get("Networks", {}).items()
    }
    return {**told, "Networks": networks}


def _is_more(mount: Mount) -> bool:
    """Whether *mount* is not what docker's "Binds" can say; then it is in "Mounts"."""
    return bool(mount.inherited or mount.type == "tmpfs" or mount.subpath or mount.labels or mount.non_recursive)


def _mount(mount: Mount) -> dict[str, Any]:
    built: dict[str, Any] = {"Type": mount.type, "Source": mount.source, "Target": mount.target}
    if not mount.source:
        del built["Source"]
    if mount.read_only:
        built["ReadOnly"] = True
    if mount.type == "bind":
        built["BindOptions"] = {"Propagation": mount.propagation, "NonRecursive": mount.non_recursive}
    elif mount.type == "volume":
        given = {"NoCopy": mount.no_copy, "Labels": mount.labels, "Subpath": mount.subpath}
        built["VolumeOptions"] = {name: value for name, value in given.items() if value}
    else:
        options = {"SizeBytes": mount.tmpfs_size, "Mode": mount.tmpfs_mode}
        built["TmpfsOptions"] = {name: value for name, value in options.items() if value}
    return built


def _device_requests(settings: Settings) -> list[dict[str, Any]] | None:
    if not settings.cdi_devices:
        return None
    names = list(settings.cdi_devices)
    return [{"Driver": "cdi", "Count": 0, "DeviceIDs": names, "Capabilities": None, "Options": None}]


def _bind(mount: Mount) -> str:
    options = [*(["ro"] if mount.read_only else []), *(["nocopy"] if mount.no_copy else [])]
    if mount.type == "bind" and mount.propagation not in ("", "rprivate"):
        options.append(mount.propagation)
    return ":".join([mount.source, mount.target, *([",".join(options)] if options else [])])


def _port_bindings(ports: Sequence[Port]) -> dict[str, list[dict[str, str]]]:
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        host_port = "-".join(str(each) for each in (port.host_port, port.host_port_end) if each)
        bindings.setdefault(f"{port.container_port}/{port.protocol}", []).append(
            {"HostIp": port.host_ip, "HostPort": host_port}
        )
    return bindings


def _mount_point(mount: Mount, volume_paths: Mapping[str, str]) -> dict[str, Any]:
    built: dict[str, Any] = {"Type": mount.type}
    if mount.type == "volume":
        built |= {"Name": mount.source, "Source": volume_paths.get(mount.source, ""), "Driver": "local"}
    else:
        built["Source"] = mount.source
    return built | {
        "Destination": mount.target,
        "Mode": "ro" if mount.read_only else "",
        "RW": not mount.read_only,
        "Propagation": mount.propagation if mount.type == "bind" else "",
    }
