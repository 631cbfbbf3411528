"""What a container runs: its own settings over its image's config, as docker merges them. Pure.

Guarantees: the plan is whole (a command, an absolute working folder, an environment with ``PATH``), nothing in it has a
NUL byte. Leaves to others: who the user text means (`users`), which depends on the root filesystem, and what follows
from it (``HOME``, see `environment`). The rules are those of moby's ``daemon/commit.go`` (merge) and
``container/container_unix.go`` (CreateDaemonEnvironment).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass

from jackstay_agent.containers.settings import Settings
from jackstay_agent.errors import InvalidArgument
from jackstay_oci import signals
from jackstay_oci.config_values import absolute, parse_exposed
from jackstay_oci.image_config import ContainerConfig, Healthcheck, ImageConfig

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULT_STOP_SIGNAL = "SIGTERM"

_MAX_EXPOSED = 65536


@dataclass(frozen=True, slots=True)
class ProcessPlan:
    """What will run, settings and image together."""

    args: tuple[str, ...]  # never empty
    env: tuple[str, ...]  # "NAME=value", without HOME unless somebody gave it
    config_env: tuple[str, ...]  # what settings and image say of it, without what every container gets
    cwd: str  # absolute, clean
    user: str  # as written, "" for root
    stop_signal: str  # as written
    volumes: tuple[str, ...]  # the image's own, absolute and clean, where the settings mount nothing
    image_volumes: tuple[str, ...]  # all of the image's own
    exposed_ports: tuple[tuple[int, str], ...]  # port, protocol; sorted
    labels: dict[str, str]
    healthcheck: Healthcheck | None
    entrypoint: tuple[str, ...]  # what docker's inspect calls Entrypoint
    command: tuple[str, ...]  # what docker's inspect calls Cmd
    shell: tuple[str, ...]  # the image's, for a health check that is a line; () for the usual one

    @property
    def stop_number(self) -> int:
        """The number of the stop signal; SIGTERM's where an image's is none, as in docker: it must be stoppable."""
        try:
            return signals.parse(self.stop_signal)
        except InvalidArgument:
            return signals.parse(DEFAULT_STOP_SIGNAL)


def merge(settings: Settings, image: ImageConfig) -> ProcessPlan:
    """The plan of a container with *settings* of an image with config *image*. `settings.hostname` must be filled in.

    An entrypoint in the settings, even an empty one, does away with the image's command too.

    Raises:
        InvalidArgument: no command, a malformed variable, a working folder or volume that is not absolute, a NUL byte.
    """
    config = image.config
    entrypoint, command = _command(settings, config)
    args = entrypoint + command
    if not args:
        raise InvalidArgument(
            "no command specified", hint=f"image {settings.image} has none of its own: give one after the image's name"
        )
    if not args[0]:
        raise InvalidArgument("the command is an empty word", hint="give a program to run")
    plan = ProcessPlan(
        args=args,
        env=_environment(settings, config),
        config_env=override(_usable(config.env), settings.env),
        cwd=_working_dir(settings.working_dir or config.working_dir),
        user=settings.user or config.user,
        stop_signal=settings.stop_signal or config.stop_signal or DEFAULT_STOP_SIGNAL,
        volumes=_volumes(settings, config),
        image_volumes=_image_volumes(config),
        exposed_ports=_exposed(settings, config),
        labels={**config.labels, **settings.labels},
        healthcheck=_healthcheck(settings, config),
        entrypoint=entrypoint,
        command=command,
        shell=config.shell,
    )
    for text in (*plan.args, plan.cwd, plan.user):
        if "\0" in text:
            raise InvalidArgument(f"a NUL byte in {text[:60]!r}")
    for variable in plan.env:
        if "\0" in variable:  # its value may be a secret, and errors are logged
            raise InvalidArgument(f"a NUL byte in the environment variable {variable.partition('=')[0][:60]!r}")
    return plan


def environment(env: Iterable[str], home: str) -> tuple[str, ...]:
    """*env* with ``HOME`` from the user's entry in the passwd file, unless it is set already."""
    given = tuple(env)
    return given if any(variable.startswith("HOME=") for variable in given) else (*given, f"HOME={home}")


def override(env: Iterable[str], changes: Iterable[str]) -> tuple[str, ...]:
    """*env* with *changes* over it, as ``docker exec -e`` does: "NAME=value" sets in place, "NAME" alone removes.

    Raises `InvalidArgument` for a variable without a name.
    """
    variables = {name: value for name, value in map(_variable, env) if value is not None}
    for name, value in map(_variable, changes):
        if value is None:
            variables.pop(name, None)
        else:
            variables[name] = value
    return tuple(f"{name}={value}" for name, value in variables.items())


def _command(settings: Settings, config: ContainerConfig) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if settings.entrypoint is None:
        return config.entrypoint, settings.command or config.cmd
    # `--entrypoint ""` comes as no words or as one empty word
    return (() if settings.entrypoint == ("",) else settings.entrypoint), settings.command


def _healthcheck(settings: Settings, config: ContainerConfig) -> Healthcheck | None:
    """What the settings say of it, and where they say nothing, what the image says."""
    given, own = settings.health, config.healthcheck or Healthcheck()
    if given is None:
        return config.healthcheck
    return Healthcheck(**{name: getattr(given, name) or getattr(own, name) for name in own.__struct_fields__})


def _environment(settings: Settings, config: ContainerConfig) -> tuple[str, ...]:
    base = [f"PATH={DEFAULT_PATH}", f"HOSTNAME={settings.hostname}"]
    if settings.tty:
        base.append("TERM=xterm")
    return override(override(base, _usable(config.env)), settings.env)


def _usable(env: Iterable[str]) -> list[str]:
    """Without variables that have no name: none is worth refusing an image for."""
    return [variable for variable in env if variable.partition("=")[0]]


def _variable(text: str) -> tuple[str, str | None]:
    name, equals, value = text.partition("=")
    if not name:
        raise InvalidArgument("an environment variable has no name before its '='", hint="write NAME=value")
    return name, value if equals else None


def _working_dir(text: str) -> str:
    return absolute(text, "the working directory") if text else "/"


def _volumes(settings: Settings, config: ContainerConfig) -> tuple[str, ...]:
    taken = {posixpath.normpath("/" + mount.target.lstrip("/")) for mount in settings.mounts}
    taken |= {posixpath.normpath("/" + text.partition(":")[0].lstrip("/")) for text in settings.tmpfs}
    return tuple(path for path in _image_volumes(config) if path not in taken)


def _image_volumes(config: ContainerConfig) -> tuple[str, ...]:
    volumes = {absolute(path, "the image's volume") for path in config.volumes}
    if "/" in volumes:
        raise InvalidArgument("the image's volume '/' is invalid: destination can't be '/'")
    return tuple(sorted(volumes))


def _exposed(settings: Settings, config: ContainerConfig) -> tuple[tuple[int, str], ...]:
    ports = {(port.container_port, port.protocol or "tcp") for port in settings.ports}
    for text in (*config.exposed_ports, *settings.expose):
        ports.update(parse_exposed(text))
        if len(ports) > _MAX_EXPOSED:
            raise InvalidArgument(f"more than {_MAX_EXPOSED} ports are exposed")
    return tuple(sorted(ports))
