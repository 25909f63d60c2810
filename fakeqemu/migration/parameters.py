"""Capabilities and parameters of migration, and which of them QEMU refuses.

Knows migrate_params_check() and migrate_caps_check() of QEMU 7.2 migration/migration.c. Must not know what
the settings do.
"""

from __future__ import annotations

from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = ["CAPABILITIES", "DEFAULTS", "check_capabilities", "check_parameters"]

#: In QEMU's order, which ``info migrate_capabilities`` shows.
CAPABILITIES = (
    "xbzrle", "rdma-pin-all", "auto-converge", "zero-blocks", "compress", "events", "postcopy-ram", "x-colo",
    "release-ram", "block", "return-path", "pause-before-switchover", "multifd", "dirty-bitmaps",
    "postcopy-blocktime", "late-block-activate", "x-ignore-shared", "validate-uuid", "background-snapshot",
    "zero-copy-send", "postcopy-preempt",
)  # fmt: skip

#: QEMU's defaults.
DEFAULTS: dict[str, Any] = {
    "announce-initial": 50, "announce-max": 550, "announce-rounds": 5, "announce-step": 100,
    "compress-level": 1, "compress-threads": 8, "compress-wait-thread": True, "decompress-threads": 2,
    "throttle-trigger-threshold": 50, "cpu-throttle-initial": 20, "cpu-throttle-increment": 10,
    "cpu-throttle-tailslow": False, "max-cpu-throttle": 99, "tls-creds": "", "tls-hostname": "",
    "tls-authz": "", "max-bandwidth": 134217728, "downtime-limit": 300, "x-checkpoint-delay": 20000,
    "block-incremental": False, "multifd-channels": 2, "multifd-compression": "none",
    "multifd-zlib-level": 1, "multifd-zstd-level": 1, "xbzrle-cache-size": 67108864,
    "max-postcopy-bandwidth": 0,
}  # fmt: skip

_U8, _U32 = 255, 0xFFFFFFFF
#: What the schema calls an integer, but the visitor narrows (visit_type_uint8 and its kin).
_WIDTHS = {
    "compress-level": _U8, "compress-threads": _U8, "decompress-threads": _U8,
    "throttle-trigger-threshold": _U8, "cpu-throttle-initial": _U8, "cpu-throttle-increment": _U8,
    "max-cpu-throttle": _U8, "multifd-channels": _U8, "multifd-zlib-level": _U8, "multifd-zstd-level": _U8,
    "x-checkpoint-delay": _U32,
}  # fmt: skip

_BETWEEN = "expects a value between {low} and {high}"
_POWER = "expects a power of two no less than the target page size"
_THROTTLE = "expects an integer in the range of cpu_throttle_initial to 99"
_RANGE = "expects an integer in the range of {low} to {high}"
#: name -> (least, most, text), in the order in which QEMU looks.
_LIMITS: tuple[tuple[str, int, int, str], ...] = (
    ("compress-level", 0, 9, _BETWEEN), ("compress-threads", 1, 255, _BETWEEN),
    ("decompress-threads", 1, 255, _BETWEEN), ("throttle-trigger-threshold", 1, 100, _RANGE),
    ("cpu-throttle-initial", 1, 99, _RANGE), ("cpu-throttle-increment", 1, 99, _RANGE),
    ("downtime-limit", 0, 2000000, "expects an integer in the range of 0 to (2000 * 1000) ms"),
    ("multifd-channels", 1, 255, _BETWEEN), ("xbzrle-cache-size", 4096, 1 << 63, ""),
    ("max-cpu-throttle", 1, 99, ""), ("announce-initial", 0, 100000, _BETWEEN),
    ("announce-max", 0, 100000, _BETWEEN), ("announce-rounds", 0, 1000, _BETWEEN),
    ("announce-step", 1, 10000, "expects a value between 0 and 10000"),
)  # fmt: skip


def _wrong(name: str, text: str) -> CommandError:
    return CommandError("GenericError", f"Parameter '{name}' {text}")


def check_parameters(given: dict[str, Any], old: dict[str, Any]) -> None:
    """Would QEMU take these parameters on top of the ``old`` ones?

    Raises:
        CommandError: with its text for the first one it would not.
    """
    for name, most in _WIDTHS.items():
        if name in given and not 0 <= given[name] <= most:
            raise _wrong(name, f"expects uint{most.bit_length()}_t")
    merged = {**DEFAULTS, **old, **given}
    for name, low, high, text in _LIMITS:
        value = merged[name]
        if name == "xbzrle-cache-size":
            if value < low or value & (value - 1):
                raise _wrong("xbzrle_cache_size", _POWER)
        elif name == "max-cpu-throttle":
            if not merged["cpu-throttle-initial"] <= value <= high:
                raise _wrong("max_cpu_throttle", _THROTTLE)
        elif not low <= value <= high:
            raise _wrong(name.replace("-", "_"), text.format(low=low, high=high))


#: What a background snapshot does not go with, in QEMU's order.
_NO_SNAPSHOT = (
    "postcopy-ram", "dirty-bitmaps", "postcopy-blocktime", "late-block-activate", "return-path", "multifd",
    "pause-before-switchover", "auto-converge", "release-ram", "rdma-pin-all", "compress", "xbzrle", "x-colo",
    "validate-uuid", "zero-copy-send",
)  # fmt: skip


def check_capabilities(wanted: Iterable[str], parameters: dict[str, Any]) -> None:
    """Would QEMU have exactly these capabilities on at once?

    Raises:
        CommandError: with its text when it would not.
    """
    on = frozenset(wanted)

    def refuse(text: str) -> CommandError:
        return CommandError("GenericError", text)

    if {"postcopy-ram", "x-ignore-shared"} <= on:
        raise refuse("Postcopy is not compatible with ignore-shared")
    if "background-snapshot" in on:
        for other in _NO_SNAPSHOT:
            if other in on:
                raise refuse(f"Background-snapshot is not compatible with {other}")
    plain = parameters.get("multifd-compression", "none") == "none" and not parameters.get(
        "tls-creds"
    )  # what migrate_use_tls() looks at
    if "zero-copy-send" in on and ("multifd" not in on or "compress" in on or "xbzrle" in on or not plain):
        raise refuse("Zero copy only available for non-compressed non-TLS multifd migration")
    if "postcopy-preempt" in on and "postcopy-ram" not in on:
        raise refuse("Postcopy preempt requires postcopy-ram")
    if {"multifd", "compress"} <= on:
        raise refuse("Multifd is not compatible with compress")
