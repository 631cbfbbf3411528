"""Floats as Go's strconv writes them. Pure."""

from __future__ import annotations

import math
from decimal import Decimal


def shortest(value: float) -> str:
    """``%v``: the fewest digits that mean this value; with an exponent below 1e-4 and from 1e6 on."""
    return _special(value) or _general(value)


def formatted(value: float, verb: str, precision: int | None, *, sharp: bool = False) -> str:
    """The value by a verb of ``e E f F g G x X b``; the sign is there only when it is negative."""
    special = _special(value)
    if special:
        return special
    if verb in "xX":
        text = _hexadecimal(value, precision)
        text = _with_zeros(text, 6 if precision is None else precision) if sharp and verb == "x" else text
        return text.upper() if verb == "X" else text
    if verb == "b":
        mantissa, exponent = math.frexp(value)
        return f"{int(mantissa * 2**53)}p{exponent - 53:+d}"
    if verb in "gG" and precision is None and not sharp:
        text = _general(value)
        return text.upper() if verb == "G" else text
    digits = 6 if precision is None else precision
    return format(value, f"{'#' if sharp else ''}.{digits}{verb}")


def json_number(value: float) -> str:
    """As encoding/json writes it: plain between 1e-6 and 1e21, else with an exponent."""
    if value != 0 and not 1e-6 <= abs(value) < 1e21:
        text = _scientific(*_parts(value))
        return text.replace("e-0", "e-")
    return _plain(*_parts(value))


def _special(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return ""


def _parts(value: float) -> tuple[str, str, int]:
    """Sign, shortest digits, and the exponent of the first of them."""
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, digits))
    return "-" if sign else "", text, exponent + len(text) - 1


def _general(value: float) -> str:
    sign, digits, exponent = _parts(value)
    if value == 0:
        return f"{sign}0"
    return _scientific(sign, digits, exponent) if not -4 <= exponent < 6 else _plain(sign, digits, exponent)


def _scientific(sign: str, digits: str, exponent: int) -> str:
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{exponent:+03d}"


def _plain(sign: str, digits: str, exponent: int) -> str:
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    whole, fraction = digits[: exponent + 1].ljust(exponent + 1, "0"), digits[exponent + 1 :]
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


def _with_zeros(hexadecimal: str, digits: int) -> str:
    """``%#x``: a point, and zeros up to so many digits, among which Go counts the ``x``."""
    mantissa, _, exponent = hexadecimal.partition("p")
    whole, _, fraction = mantissa.partition(".")
    missing = digits - len(whole.lstrip("-")[1:] + fraction)
    return f"{whole}.{fraction}{'0' * missing}p{exponent}"


def _hexadecimal(value: float, precision: int | None) -> str:
    sign = "-" if math.copysign(1, value) < 0 else ""
    mantissa, exponent = math.frexp(abs(value))
    if mantissa == 0:
        return f"{sign}0x0{'.' + '0' * precision if precision else ''}p+00"
    bits, exponent = int(mantissa * 2**53), exponent - 1  # 1.xxx in units of 2**-52
    if precision is not None and precision < 13:
        unit = 1 << 4 * (13 - precision)
        down, rest = divmod(bits, unit)
        bits = (down + (rest * 2 > unit or (rest * 2 == unit and down % 2))) * unit
        if bits >= 1 << 53:
            bits, exponent = bits >> 1, exponent + 1
    fraction = f"{bits & (1 << 52) - 1:013x}"
    fraction = fraction.rstrip("0") if precision is None else fraction[:precision].ljust(precision, "0")
    return f"{sign}0x1{'.' + fraction if fraction else ''}p{exponent:+03d}"
