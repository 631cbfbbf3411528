"""The OCI runtime specification (config.json, version 1.0.2) of a container, as docker would write it. Pure.

Guarantees: a container that is not privileged has docker's 14 capabilities, an empty inheritable set (CVE-2022-24769),
docker's masked and read-only paths, its default seccomp profile and device rules, unless the settings say otherwise;
limits are checked before anything is started. Leaves to others: everything on disk. The context has what was found
there; what each part means is in the siblings (`capabilities`, `devices`, `resources`, `rlimits`, `seccomp`,
`security`, `spec_mounts`, `sysctls`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jackstay_agent.containers import (
    capabilities,
    devices,
    namespaces,
    resources,
    rlimits,
    seccomp,
    security,
    spec_mounts,
    sysctls,
    user_namespaces,
)
from jackstay_agent.containers.cdi_edits import Edits
from jackstay_agent.containers.device_mappings import GivenDevice
from jackstay_agent.containers.host_facts import HostFacts
from jackstay_agent.containers.namespaces import Shared
from jackstay_agent.containers.process import ProcessPlan, environment, override
from jackstay_agent.containers.settings import Settings
from jackstay_agent.containers.spec_mounts import MemoryMount, ResolvedMount
from jackstay_agent.containers.users import ROOT, ResolvedUser
from jackstay_agent.errors import InvalidArgument, Unsupported
from jackstay_agent.kernel.id_maps import IdRange

VERSION = "1.0.2"

_INIT_TARGET = "/dev/init"  # on the container's own tmpfs, so that no mount point stays behind in its layer
_MAX_HOSTNAME = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecContext:
    """What the specification rests on beside settings and image. `build` adds to `warnings`."""

    id: str
    rootfs: str  # absolute path of the mounted root filesystem
    hostname: str
    netns_path: str | None  # network namespace to join; None: the host's for network "host", else a new, empty one
    cgroups_path: str  # "/jackstay/ID"
    facts: HostFacts
    user: ResolvedUser = ROOT
    mounts: tuple[ResolvedMount | MemoryMount, ...] = ()  # volumes and binds, the image's volumes too
    files: dict[str, str] = field(default_factory=dict)  # "/etc/hosts", "/etc/resolv.conf", "/etc/hostname" → host path
    devices: tuple[GivenDevice, ...] = ()
    edits: Edits = field(default_factory=Edits)  # what CDI devices ask for
    joined: Mapping[str, str] = field(default_factory=dict)  # types of other containers' namespaces → their paths
    userns: str = ""  # path of its user namespace, "" for the host's
    ids: IdRange | None = None  # what that one has
    shm: str = ""  # host path of what is to be /dev/shm; "" for one of its own
    env: tuple[str, ...] = field(default=(), repr=False)  # over all others; secrets that only the process may have
    console: tuple[int, int] | None = None  # rows and columns of its terminal, when they are known
    warnings: list[str] = field(default_factory=list)


def build(settings: Settings, plan: ProcessPlan, context: SpecContext) -> dict[str, Any]:
    """The config.json of a container.

    Raises:
        InvalidArgument: a setting is malformed, out of bounds, or contradicts another.
        Unsupported: this host cannot do what was asked: a capability, an init program, a security profile.
    """
    facts = context.facts
    options = security.parse(settings.security_opt, facts, privileged=settings.privileged)
    shared = namespaces.parse(settings)
    own_ids = user_namespaces.size(settings)
    host_network = context.netns_path is None and settings.network == "host"
    caps = capabilities.effective(
        settings.cap_add, settings.cap_drop, privileged=settings.privileged, available=facts.capabilities
    )
    limits = resources.linux(settings.resources, facts, context.warnings)
    limits["devices"] = devices.rules(_given(context), settings.device_cgroup_rules, privileged=settings.privileged)
    mounts = spec_mounts.build(
        context.mounts,
        settings.tmpfs,
        context.files,
        shm_size=settings.shm_size,
        writable_system=settings.privileged,
        read_only_root=settings.read_only,
        own_cgroup=shared.own_cgroup(cgroup_v2=facts.cgroup_v2),
        shared=shared,
        shm=context.shm,
    )
    args = list(plan.args)
    if settings.init:
        mounts.append(_init_mount(mounts, facts))
        args = [_INIT_TARGET, "--", *args]
    linux: dict[str, Any] = {
        "cgroupsPath": context.cgroups_path,
        "devices": _device_nodes(settings, context),
        "maskedPaths": list(options.masked),
        "namespaces": _namespaces(context, shared, host_network=host_network),
        "readonlyPaths": list(options.read_only),
        "resources": limits,
        "sysctl": sysctls.build(
            settings.sysctls, host_network=host_network or bool(shared.net_of), shared=shared, own_ids=own_ids
        ),
    }
    if context.ids is not None:
        mapping = [{"containerID": 0, "hostID": context.ids.first, "size": context.ids.size}]
        linux |= {"uidMappings": mapping, "gidMappings": mapping}
    user_namespaces.check(context.user, own_ids)
    if propagation := spec_mounts.root_propagation(context.mounts):
        linux["rootfsPropagation"] = propagation
    if profile := seccomp.profile(
        options.seccomp, capabilities=caps, machine=facts.machine, privileged=settings.privileged
    ):
        linux["seccomp"] = profile
    built = {
        "ociVersion": VERSION,
        "process": _process(settings, plan, context, args, caps, options),
        "root": {"path": context.rootfs, "readonly": settings.read_only},
        "hostname": _hostname(context.hostname),
        "mounts": mounts,
        "annotations": dict(settings.annotations),
        "linux": linux,
    }
    if shared.uts:
        del built["hostname"]  # it would be the host's that is set
    if context.ids is not None:
        mounts += devices.binds(_given(context))
        linux["devices"] = []
    context.edits.apply(built)
    return built


def _process(
    settings: Settings,
    plan: ProcessPlan,
    context: SpecContext,
    args: list[str],
    caps: tuple[str, ...],
    options: security.Security,
) -> dict[str, Any]:
    user = context.user
    process: dict[str, Any] = {
        "terminal": settings.tty,
        "user": {"uid": user.uid, "gid": user.gid, "additionalGids": list(user.groups), "umask": 0o022},
        "args": args,
        "env": list(environment(override(plan.env, context.env), user.home)),
        "cwd": plan.cwd,
        "capabilities": process_capabilities(caps, user.uid),
        "noNewPrivileges": options.no_new_privileges,
        "rlimits": rlimits.build(settings.ulimits, context.facts.rlimits, context.warnings),
    }
    if settings.tty and context.console is not None:
        process["consoleSize"] = {"height": context.console[0], "width": context.console[1]}
    if options.apparmor and not settings.privileged:
        process["apparmorProfile"] = options.apparmor
    if settings.oom_score_adj is not None:
        if not -1000 <= settings.oom_score_adj <= 1000:
            raise InvalidArgument(f"Invalid value {settings.oom_score_adj}, range for oom score adj is [-1000, 1000]")
        process["oomScoreAdj"] = settings.oom_score_adj
    return process


def process_capabilities(caps: tuple[str, ...], uid: int) -> dict[str, list[str]]:
    """``process.capabilities`` as execve would leave them: a user other than root holds none, root all of *caps*."""
    held = list(caps) if uid == 0 else []
    return {"bounding": list(caps), "effective": held, "permitted": held, "inheritable": [], "ambient": []}


def _namespaces(context: SpecContext, shared: Shared, *, host_network: bool) -> list[dict[str, str]]:
    made = [{"type": kind} for kind in shared.own]
    made += [{"type": kind, "path": path} for kind, path in context.joined.items()]
    if context.userns:
        made.append({"type": "user", "path": context.userns})
    if context.netns_path is not None:
        made.append({"type": "network", "path": context.netns_path})
    elif not host_network and "network" not in context.joined:
        made.append({"type": "network"})
    if shared.own_cgroup(cgroup_v2=context.facts.cgroup_v2):
        made.append({"type": "cgroup"})
    return made


def _given(context: SpecContext) -> tuple[GivenDevice, ...]:
    return (*context.edits.devices, *context.devices)


def _device_nodes(settings: Settings, context: SpecContext) -> list[dict[str, Any]]:
    if any(mount.target.rstrip("/") == "/dev" for mount in context.mounts):
        return []  # the runtime would make them in the host's folder
    return devices.nodes(context.facts.devices, _given(context), privileged=settings.privileged)


def _init_mount(mounts: list[dict[str, Any]], facts: HostFacts) -> dict[str, Any]:
    if not facts.init:
        raise Unsupported(
            "this host has no init program for --init", hint="install catatonit (or tini-static) on the host"
        )
    for mount in mounts:
        if mount["destination"] == _INIT_TARGET or (mount["destination"] == "/dev" and mount["type"] == "bind"):
            raise InvalidArgument(f"--init needs {_INIT_TARGET}, which a mount at {mount['destination']} covers")
    options = ["bind", "rprivate", "ro", "nosuid", "nodev"]
    return {"destination": _INIT_TARGET, "type": "bind", "source": facts.init, "options": options}


def _hostname(hostname: str) -> str:
    if len(hostname) > _MAX_HOSTNAME or any(character in hostname for character in "\0\n/ "):
        raise InvalidArgument(f"invalid hostname {hostname[:70]!r}", hint=f"at most {_MAX_HOSTNAME} characters")
    return hostname
