"""The ``Config`` part of docker's `image inspect`: every field that docker always writes, the others where the image
has them, in docker's order (moby ``api/types/container/config.go``). Pure.

What docker does not know of comes last: nothing that an image says is hidden.
"""

from __future__ import annotations

from typing import Any

_ALWAYS: dict[str, Any] = {
    "Hostname": "",
    "Domainname": "",
    "User": "",
    "AttachStdin": False,
    "AttachStdout": False,
    "AttachStderr": False,
    "ExposedPorts": ...,
    "Tty": False,
    "OpenStdin": False,
    "StdinOnce": False,
    "Env": None,
    "Cmd": None,
    "Healthcheck": ...,
    "ArgsEscaped": ...,
    "Image": "",
    "Volumes": None,
    "WorkingDir": "",
    "Entrypoint": None,
    "NetworkDisabled": ...,
    "MacAddress": ...,
    "OnBuild": None,
    "Labels": None,
    "StopSignal": ...,
    "StopTimeout": ...,
    "Shell": ...,
}
"""Fields and what they are when an image says nothing of them; with ``...`` they are left out then."""

_WORDS = ("Cmd", "Entrypoint", "Shell")
_HEALTH = ("Test", "Interval", "Timeout", "StartPeriod", "StartInterval", "Retries")


def document(config: dict[str, Any] | None) -> dict[str, Any]:
    """Docker's object of the ``config`` of an image's config document, which `parse_config` has accepted."""
    given = config or {}
    told: dict[str, Any] = {}
    for name, default in _ALWAYS.items():
        value = given.get(name)
        if name in _WORDS and isinstance(value, str):  # as Docker once wrote one word
            value = [value]
        if name == "Healthcheck" and isinstance(value, dict):
            value = {field: value[field] for field in _HEALTH if value.get(field)}
        if value is not None and (default is not ... or value or name in ("Healthcheck", "StopTimeout")):
            told[name] = value
        elif default is not ...:
            told[name] = default
    return told | {name: value for name, value in given.items() if name not in told and name not in _ALWAYS}
