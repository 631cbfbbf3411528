"""``--gpus``, and which texts of ``--device`` name a device by the Container Device Interface. Pure."""

from __future__ import annotations

import csv
import re

from jackstay_oci.errors import InvalidArgument

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*/[A-Za-z][A-Za-z0-9_-]*=[A-Za-z0-9][A-Za-z0-9_.:-]*", re.ASCII)
_GPU = "nvidia.com/gpu="


def is_cdi_name(text: str) -> bool:
    """Whether *text* is ``vendor.com/class=name`` and no path."""
    return _NAME.fullmatch(text) is not None


def parse_gpus(text: str) -> list[str]:
    """The CDI names of the GPUs that *text* asks for: ``all``, a number of them, or ``device=0,GPU-uuid``.

    As docker reads it, several devices stand in quotes when more follows: ``"device=0,1",driver=nvidia``.

    Raises:
        InvalidArgument: it is malformed, or asks for what CDI has not, like capabilities.
    """
    try:
        (fields,) = csv.reader([text], strict=True)
    except (csv.Error, ValueError) as error:
        raise _invalid(text) from error
    if fields[0].startswith("device=") and all("=" not in each for each in fields[1:]):
        fields = [",".join(fields)]
    chosen: list[str] = []
    for field in fields:
        key, equals, value = field.partition("=")
        if not equals:
            key, value = "count", field
        if key == "device" and value and not chosen:
            chosen = value.split(",")
        elif key == "count" and not chosen:
            chosen = _count(text, value)
        elif key != "driver" or value not in ("nvidia", "cdi"):
            raise _invalid(text)
    names = [_GPU + each for each in chosen]
    if not names or not all(map(is_cdi_name, names)):
        raise _invalid(text)
    return names


def _count(text: str, value: str) -> list[str]:
    if value in ("all", "-1"):
        return ["all"]
    if not (value.isascii() and value.isdigit() and 0 < int(value) < 1000):
        raise _invalid(text)
    return [str(number) for number in range(int(value))]


def _invalid(text: str) -> InvalidArgument:
    return InvalidArgument(f"--gpus {text!r}: not understood", hint="give all, a number, or device=0,1")
