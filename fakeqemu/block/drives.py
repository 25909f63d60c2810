"""The options of a drive, as the old way spells them.

Knows drive_new and blockdev_init of QEMU 7.2 ``blockdev.c``: what they refuse, in their order. Must not know
nodes.
"""

from __future__ import annotations

from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["check_drive", "check_words", "short_form"]

_BUSES = ("none", "ide", "scsi", "floppy", "pflash", "mtd", "sd", "virtio", "xen")
_CACHES = ("none", "off", "writeback", "unsafe", "writethrough", "directsync")
_WRITE_ERRORS = ("ignore", "enospc", "stop", "report")
_READ_ERRORS = ("ignore", "stop", "report")
_KNOWN = frozenset((
    "file", "if", "bus", "unit", "index", "media", "snapshot", "cache", "format", "driver", "id",
    "werror", "rerror", "read-only", "readonly", "aio", "copy-on-read", "bps", "bps_rd", "bps_wr", "iops",
    "iops_rd", "iops_wr", "bps_max", "bps_rd_max", "bps_wr_max", "iops_max", "iops_rd_max", "iops_wr_max",
    "iops_size", "group", "discard", "detect-zeroes", "node-name", "auto-read-only", "force-share",
    "backing", "size", "offset", "locking", "pr-manager", "drop-cache", "lazy-refcounts",
    "pass-discard-request", "pass-discard-snapshot", "pass-discard-other", "overlap-check", "cache-size",
    "l2-cache-size", "l2-cache-entry-size", "refcount-cache-size", "cache-clean-interval", "key-secret",
    "data-file", "encrypt", "path", "server", "host", "port", "export", "url", "filename",
    "stats-account-invalid", "stats-account-failed", "read-zeroes", "latency-ns",
))  # fmt: skip
_NUMBERS = ("size", "offset", "latency-ns", "vote-threshold", "cache-size", "l2-cache-size")
_FLAGS = ("read-only", "auto-read-only", "force-share", "read-zeroes", "drop-cache", "lazy-refcounts")


def _fail(text: str) -> CommandError:
    return CommandError("GenericError", text)


def check_words(options: dict[str, Any]) -> None:
    """Check numbers and flags that a command line gave as text (qobject-input-visitor.c, keyval).

    Raises:
        CommandError: one is none.
    """
    for key, value in options.items():
        if not isinstance(value, str):
            continue
        if key in _NUMBERS and not value.isdigit():
            raise _fail(f"Parameter '{key}' expects integer")
        if key in _FLAGS and value not in ("on", "off"):
            raise _fail(f"Parameter '{key}' expects 'on' or 'off'")


def short_form(text: str) -> dict[str, Any]:
    """What the short forms stand for: -hda and its sisters, -cdrom, -fda, -sd, -pflash, a bare file."""
    word = text.split(" ", 1)[0].lstrip("-")
    if word == "drive":
        return {}
    if word == "cdrom":
        return {"media": "cdrom", "index": "2", "if": "ide"}
    if word in ("hda", "hdb", "hdc", "hdd"):
        return {"index": str("abcd".index(word[2])), "if": "ide"}
    if word in ("fda", "fdb"):
        return {"index": str("ab".index(word[2])), "if": "floppy"}
    if word in ("sd", "pflash", "mtdblock"):
        return {"if": word.removesuffix("block")}
    return {"index": "0", "if": "ide"}


def check_drive(  # noqa: C901 - QEMU's checks, in its order
    options: dict[str, Any], taken: set[tuple[str, int]], units: int
) -> str:
    """Check what a drive is given before anything is opened; the interface it is on.

    Args:
        options: of the drive.
        taken: interfaces and numbers of earlier drives.
        units: drives on one IDE bus.

    Raises:
        CommandError: QEMU's words.
    """
    cache = options.get("cache")
    if cache is not None and cache not in _CACHES:
        raise _fail("invalid cache option")
    media = options.get("media")
    if media not in (None, "disk", "cdrom"):
        raise _fail(f"'{media}' invalid media")
    where = str(options.get("if", "ide"))
    if where not in _BUSES:
        raise _fail(f"unsupported bus type '{where}'")
    index = options.get("index")
    if index is not None and ("bus" in options or "unit" in options):
        raise _fail("index cannot be used with bus and unit")
    if index is not None and (where, int(index)) in taken:
        most = units if where == "ide" else 7 if where == "scsi" else 0
        bus, unit = divmod(int(index), most) if most else (0, int(index))
        raise _fail(f"drive with bus={bus}, unit={unit} (index={index}) exists")
    for key, known, name in (("werror", _WRITE_ERRORS, "write"), ("rerror", _READ_ERRORS, "read")):
        policy = options.get(key)
        if policy is None:
            continue
        if where not in ("none", "ide", "scsi", "virtio"):
            raise _fail(f"{key} is not supported by this bus type")
        if policy not in known:
            raise _fail(f"'{policy}' invalid {name} error action")
    unknown = [key for key in options if key not in _KNOWN and "." not in key]
    if unknown:
        driver = options.get("format") or options.get("driver") or "raw"
        raise _fail(f"Block format '{driver}' does not support the option '{unknown[0]}'")
    return where
