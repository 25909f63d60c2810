"""QEMU's option syntax: ``name,key=value,flag,path=a,,b`` and its errors.

Knows util/qemu-option.c and util/keyval.c of QEMU 7.2. Must not know which options there are. On the start-up
path: no imports.
"""

from __future__ import annotations

__all__ = ["OptionError", "flag", "number", "parse", "size", "unflatten"]

SIZE_HELP = (
    "Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\nand exabytes, respectively."
)
_SUFFIXES = {"b": 0, "k": 10, "m": 20, "g": 30, "t": 40, "p": 50, "e": 60}


class OptionError(Exception):
    """What QEMU prints about an option, after the option itself."""


def parse(text: str, implied: str | None = None) -> dict[str, str]:
    """Key/value pairs in order. ``,,`` is a comma inside a value; a word alone is ``on``, ``noword`` off.

    Args:
        text: the option's argument.
        implied: the key of a first part that has no ``=``.
    """
    pairs: dict[str, str] = {}
    for index, part in enumerate(_split(text)):
        key, equals, value = part.partition("=")
        if not equals:
            if index == 0 and implied is not None:
                key, value = implied, part
            elif key.startswith("no") and len(key) > 2 and key != "node":
                key, value = key[2:], "off"
            else:
                value = "on"
        pairs[key] = value.replace("\0", ",")
    return pairs


def _split(text: str) -> list[str]:
    if ",," in text:
        text = text.replace(",,", "\0")
    return text.split(",") if text else []


def unflatten(pairs: dict[str, str]) -> dict[str, object]:
    """``addr.type=unix,addr.path=/x`` as nested dictionaries, as keyval.c makes them."""
    tree: dict[str, object] = {}
    for key, value in pairs.items():
        node = tree
        *outer, last = key.split(".")
        for name in outer:
            inner = node.setdefault(name, {})
            if not isinstance(inner, dict):
                raise OptionError(f"Parameters '{name}.*' used inconsistently")
            node = inner
        node[last] = value
    return tree


def flag(value: str, name: str) -> bool:
    """``on`` or ``off``."""
    if value in ("on", "yes", "true", "y"):
        return True
    if value in ("off", "no", "false", "n"):
        return False
    raise OptionError(f"Parameter '{name}' expects 'on' or 'off'")


def number(value: str, name: str) -> int:
    """A whole number, decimal, octal or hexadecimal as strtol takes it."""
    digits, base = value.strip(), 10
    if digits[:2].lower() == "0x":
        base = 16
    elif len(digits) > 1 and digits[0] == "0" and digits.isdigit():
        base = 8
    try:
        return int(digits, base)
    except ValueError:
        raise OptionError(f"Parameter '{name}' expects a number") from None


def size(value: str, name: str, *, unit: int = 1) -> int:
    """A size with QEMU's suffixes; ``unit`` is what a bare number counts (``-m`` counts MiB).

    Source: util/cutils.c ``do_strtosz`` and util/qemu-option.c ``parse_option_size``.
    """
    suffix = value[-1:].lower()
    shift = _SUFFIXES.get(suffix) if value[:2].lower() != "0x" else None
    digits = value[:-1] if shift is not None else value
    factor = unit if shift is None else 1 << shift
    whole, point, fraction = digits.partition(".")
    hexadecimal = digits[:2].lower() == "0x"
    good = (whole.isascii() and whole.isdigit() and (not point or fraction.isdigit())) or hexadecimal
    if not good:
        raise OptionError(f"Parameter '{name}' expects a non-negative number below 2^64\n{SIZE_HELP}")
    try:
        amount = int(digits, 16) * factor if hexadecimal else int(whole) * factor
    except ValueError:
        raise OptionError(
            f"Parameter '{name}' expects a non-negative number below 2^64\n{SIZE_HELP}"
        ) from None
    if fraction:
        amount += int(fraction) * factor // 10 ** len(fraction)
    if amount >= 1 << 64:
        raise OptionError(f"Value '{value}' is out of range for parameter '{name}'")
    return amount
