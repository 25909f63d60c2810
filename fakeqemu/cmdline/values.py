"""What QEMU says of values that its less usual options cannot take.

Knows the option tables of QEMU 7.2 (``qemu_rtc_opts`` and its like), asked of the program option by option.
Must not know what the options are for. Imported when one of them is on the command line.
"""

from __future__ import annotations

from fakeqemu.cmdline.keyval import OptionError, flag, parse, unflatten

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from fakeqemu.cmdline.argv import CommandLine

__all__ = ["CHECKS", "TABLES", "check", "table"]

#: Options that are QemuOpts: the implied key, and the keys by kind: s text, b on or off, n number, z size.
TABLES: dict[str, tuple[str | None, dict[str, str]]] = {
    "rtc": (None, {"base": "s", "clock": "s", "driftfix": "s"}),
    "msg": (None, {"timestamp": "b", "guest-name": "b"}),
    "overcommit": (None, {"mem-lock": "b", "cpu-pm": "b"}),
    "name": ("guest", {"guest": "s", "process": "s", "debug-threads": "b"}),
    "sandbox": ("enable", {"enable": "b", "obsolete": "s", "elevateprivileges": "s", "spawn": "s",
                           "resourcecontrol": "s"}),
    "add-fd": (None, {"fd": "n", "set": "n", "opaque": "s"}),
    "icount": ("shift", {"shift": "s", "align": "b", "sleep": "b", "rr": "s", "rrfile": "s",
                         "rrsnapshot": "s"}),
    "fw_cfg": ("name", {"name": "s", "file": "s", "string": "s", "gen_id": "s"}),
    "spice": (None, {
        "port": "n", "tls-port": "n", "addr": "s", "ipv4": "b", "ipv6": "b", "unix": "b", "password": "s",
        "password-secret": "s", "disable-ticketing": "b", "disable-copy-paste": "b",
        "disable-agent-file-xfer": "b", "sasl": "b", "x509-dir": "s", "x509-key-file": "s",
        "x509-key-password": "s", "x509-cert-file": "s", "x509-cacert-file": "s", "x509-dh-key-file": "s",
        "tls-ciphers": "s", "tls-channel": "s", "plaintext-channel": "s", "image-compression": "s",
        "jpeg-wan-compression": "s", "zlib-glz-wan-compression": "s", "streaming-video": "s",
        "agent-mouse": "b", "playback-compression": "b", "seamless-migration": "b", "display": "s",
        "head": "n", "gl": "b", "rendernode": "s",
    }),
    "vnc": ("vnc", {
        "vnc": "s", "display": "s", "head": "n", "to": "n", "websocket": "s", "share": "s", "tls-creds": "s",
        "password": "b", "password-secret": "s", "reverse": "b", "lock-key-sync": "b", "key-delay-ms": "n",
        "sasl": "b", "tls-authz": "s", "sasl-authz": "s", "lossy": "b", "non-adaptive": "b", "audiodev": "s",
        "power-control": "b", "ipv4": "b", "ipv6": "b", "connections": "n",
    }),
}  # fmt: skip
#: The keys of -smbios by type, beside ``type`` (hw/smbios/smbios.c).
_SMBIOS: dict[str, dict[str, str]] = {
    "0": {"vendor": "s", "version": "s", "date": "s", "release": "s", "uefi": "b"},
    "1": {"manufacturer": "s", "product": "s", "version": "s", "serial": "s", "uuid": "s", "sku": "s",
          "family": "s"},
    "2": {"manufacturer": "s", "product": "s", "version": "s", "serial": "s", "asset": "s", "location": "s"},
    "3": {"manufacturer": "s", "version": "s", "serial": "s", "asset": "s", "sku": "s"},
    "4": {"sock_pfx": "s", "manufacturer": "s", "version": "s", "serial": "s", "asset": "s", "part": "s",
          "max-speed": "n", "current-speed": "n", "processor-id": "n"},
    "8": {"internal_reference": "s", "external_reference": "s", "connector_type": "n", "port_type": "n"},
    "11": {"value": "s", "path": "s"},
    "17": {"loc_pfx": "s", "bank": "s", "manufacturer": "s", "serial": "s", "asset": "s", "part": "s",
           "speed": "n"},
    "41": {"designation": "s", "kind": "s", "instance": "n", "pcidev": "s"},
}  # fmt: skip
_GRAPHICS = ("none", "std", "cirrus", "vmware", "xenfb", "qxl", "tcx", "cg3", "virtio", "help")
_DISPLAYS = ("default", "none", "gtk", "sdl", "egl-headless", "curses", "cocoa", "spice-app", "dbus")
_AUDIO = ("none", "alsa", "coreaudio", "dbus", "dsound", "jack", "oss", "pa", "sdl", "sndio", "spice", "wav")
_NUMA = {
    "node": ("nodeid", "cpus", "mem", "memdev", "initiator"),
    "dist": ("src", "dst", "val"),
    "cpu": ("node-id", "socket-id", "die-id", "cluster-id", "core-id", "thread-id"),
    "hmat-lb": ("initiator", "target", "hierarchy", "data-type", "latency", "bandwidth"),
    "hmat-cache": ("node-id", "size", "level", "associativity", "policy", "line"),
}  # fmt: skip
_BOOT = {"order": "s", "once": "s", "menu": "b", "splash": "s", "splash-time": "i", "reboot-timeout": "i",
         "strict": "b"}  # fmt: skip
_MOST_NODES = 128


def number(value: str, key: str) -> int:
    """A number as QemuOpts reads it: 64 bits without sign."""
    digits = value[1:] if value[:1] in "+-" else value
    base = 16 if digits[:2].lower() == "0x" else 8 if len(digits) > 1 and digits[0] == "0" else 10
    try:
        return int(digits, base)
    except ValueError:
        raise OptionError(f"Parameter '{key}' expects a number") from None


def table(known: dict[str, str], pairs: dict[str, str]) -> None:
    """Check keys and kinds, in the order in which they were written."""
    for key, value in pairs.items():
        kind = known.get(key)
        if kind is None:
            raise OptionError(f"Invalid parameter '{key}'")
        if kind == "b":
            flag(value, key)
        elif kind == "n":
            number(value, key)


def short(value: str, implied: str | None) -> str | None:
    """The first key that is written without a value, which QEMU 7.2 warns of; None when there is none."""
    for index, part in enumerate(value.replace(",,", "").split(",")):
        if part and "=" not in part and not (index == 0 and implied is not None):
            return part
    return None


def check(line: CommandLine, name: str, value: str, text: str) -> None:
    """Check an option's value.

    Raises:
        OptionError: what follows the option in QEMU's message.
        ArgvError: the whole message, where QEMU does not name the option.
    """
    known = TABLES.get(name)
    if known is not None and name != "vnc":
        _warn(line, value, text, known[0])
        table(known[1], parse(value, known[0]))
    more = CHECKS.get(name)
    if more is not None:
        more(line, value, text)


def _warn(line: CommandLine, value: str, text: str, implied: str | None) -> None:
    key = short(value, implied)
    if key is not None:
        given = f"{key[2:]}=off" if key.startswith("no") and len(key) > 2 else f"{key}=on"
        line.warn(
            f"{text}: warning: short-form boolean option '{key}' deprecated\nPlease use {given} instead"
        )


def _rtc(line: CommandLine, value: str, _text: str) -> None:
    pairs = parse(value)
    base = pairs.get("base", "utc")
    if base not in ("utc", "localtime"):
        date, t, time = base.partition("T")
        good = _digits(date, "-", (4, 2, 2)) and (not t or _digits(time, ":", (2, 2, 2)))
        if not good:
            raise line.error("invalid datetime format\nvalid formats: '2006-06-17T16:01:21' or '2006-06-17'")
    for key, wanted in (("clock", ("host", "rt", "vm")), ("driftfix", ("slew", "none"))):
        if key in pairs and pairs[key] not in wanted:
            raise line.error(f"invalid option value '{pairs[key]}'")


def _digits(text: str, between: str, most: tuple[int, ...]) -> bool:
    parts = text.split(between)
    return len(parts) == len(most) and all(
        part.isdigit() and len(part) <= width for part, width in zip(parts, most, strict=True)
    )


def _boot(line: CommandLine, value: str, _text: str) -> None:
    for key, given in parse(value, "order").items():
        kind = _BOOT.get(key)
        if kind is None:
            raise line.error(f"Parameter 'boot.{key}' is unexpected")
        if kind == "b" and given not in ("on", "off", "yes", "no", "true", "false", "y", "n"):
            raise line.error(f"Parameter 'boot.{key}' expects 'on' or 'off'")
        if kind == "i" and not given.lstrip("-").isdigit():
            raise line.error(f"Parameter 'boot.{key}' expects integer")
        if key in ("order", "once"):
            _boot_order(line, given)


def _boot_order(line: CommandLine, given: str) -> None:
    """validate_bootdevices() of softmmu/bootdevice.c."""
    for index, letter in enumerate(given):
        if not "a" <= letter <= "p":
            raise line.error(f"Invalid boot device '{letter}'")
        if letter in given[:index]:
            raise line.error(f"Boot device '{letter}' was given twice")


def _global(line: CommandLine, value: str, text: str) -> None:
    driver, dot, rest = value.partition(".")
    if dot and "=" in rest and "=" not in driver and "," not in driver:
        return  # driver.property=value: what it names is looked at when a device is made
    _warn(line, value, text, None)
    pairs = parse(value)
    table({"driver": "s", "property": "s", "value": "s"}, pairs)
    if len(pairs) < 3:
        raise OptionError("options 'driver', 'property', and 'value' are required")


def _sandbox(_line: CommandLine, value: str, _text: str) -> None:
    wanted = {
        "obsolete": ("allow", "deny"), "elevateprivileges": ("allow", "deny", "children"),
        "spawn": ("allow", "deny"), "resourcecontrol": ("allow", "deny"),
    }  # fmt: skip
    for key, given in parse(value, "enable").items():
        if key in wanted and given not in wanted[key]:
            raise OptionError(f"invalid argument for {key}")


def _numa(line: CommandLine, value: str, _text: str) -> None:  # noqa: C901, PLR0912 - QEMU's checks, in order
    pairs = parse(value, "type")
    kind = pairs.pop("type", None)
    if kind is None:
        raise OptionError("Parameter 'type' is missing")
    if kind not in _NUMA:
        raise OptionError(f"Parameter 'type' does not accept value '{kind}'")
    numbers = {"nodeid", "node-id", "src", "dst", "val", "initiator", "target"}
    for key, given in pairs.items():
        if key in numbers and not given.isdigit():
            raise OptionError(f"Parameter '{key}' expects a number")
        if key == "cpus" and not all(part.isdigit() for part in given.split("-", 1)):
            raise OptionError(f"Parameter '{key}' expects a uint64 value or range")
        if key == "mem" and not given.rstrip("bkKmMgGtT").replace(".", "", 1).isdigit():
            raise OptionError(f"Parameter '{key}' expects a size value")
    for key in pairs:
        if key not in _NUMA[kind]:
            raise OptionError(f"Invalid parameter '{key}'")
    nodes = line.numa
    if kind == "node":
        node = int(pairs.get("nodeid", len(nodes)))
        if node >= _MOST_NODES:
            raise OptionError(f"Max number of NUMA nodes reached: {node}")
        if node in nodes:
            raise OptionError(f"Duplicate NUMA nodeid: {node}")
        nodes.append(node)
    elif kind == "cpu" and int(pairs.get("node-id", 0)) not in nodes:
        raise OptionError(
            f"Invalid node-id={pairs.get('node-id', 0)}, NUMA node must be defined with -numa node,nodeid=ID"
            " before it's used with -numa cpu,node-id=ID"
        )
    elif kind == "dist" and not {int(pairs.get("src", 0)), int(pairs.get("dst", 0))} <= set(nodes):
        raise OptionError(
            "Source/Destination NUMA node is missing. Please use '-numa node' option to declare it first."
        )


def _smbios(line: CommandLine, value: str, text: str) -> None:
    _warn(line, value, text, None)
    pairs = parse(value)
    kind = pairs.pop("type", None)
    if kind is None:
        if "file" not in pairs:
            raise OptionError("Must specify type= or file=")
        return
    if number(kind, "type") > 255:
        raise OptionError("out of range!")
    known = _SMBIOS.get(kind)
    if known is None:
        raise OptionError(f"Don't know how to build fields for SMBIOS type {kind}")
    table(known, pairs)
    if "uuid" in pairs:
        parts = pairs["uuid"].split("-")
        if [len(part) for part in parts] != [8, 4, 4, 4, 12]:
            raise OptionError("Invalid UUID")


def _vnc(line: CommandLine, value: str, text: str) -> None:
    """vnc_display_open() of ui/vnc.c; the listening itself is the display's business."""
    pairs = parse(value, "vnc")
    pairs.pop("id", None)
    table(TABLES["vnc"][1], pairs)
    address = pairs.get("vnc", "")
    if address == "none" or address.startswith("unix:"):
        return
    if pairs.get("share", "ignore") not in ("ignore", "allow-exclusive", "force-shared"):
        raise OptionError("unknown vnc share= option")
    _, colon, port = address.rpartition(":")
    if not colon:
        raise OptionError("no vnc port specified")
    if not port:
        raise OptionError("vnc port cannot be empty")
    if flag(pairs.get("reverse", "off"), "reverse"):
        return
    if not port.isdigit():
        raise OptionError(f"can't convert to a number: {port}")
    if int(port) > 65535 or int(port) + 5900 > 65535:
        raise OptionError(f"port {port} out of range")
    del line, text


def _display(line: CommandLine, value: str, _text: str) -> None:
    if value.startswith("vnc="):
        line.vnc.append(value[4:])
        return
    pairs = parse(value, "type")
    kind = pairs.pop("type", "")
    if kind not in _DISPLAYS:
        raise OptionError(f"Parameter 'type' does not accept value '{kind}'")
    known = {"full-screen", "window-close", "show-cursor", "gl", "grab-on-hover", "zoom-to-fit", "grab-mod",
             "rendernode", "addr", "p2p", "audiodev", "charset"}  # fmt: skip
    for key in pairs:
        if key not in known:
            raise OptionError(f"Parameter '{key}' is unexpected")


def _vga(line: CommandLine, value: str, _text: str) -> None:
    if value not in _GRAPHICS:
        raise line.error(f"unknown vga type: {value}")


def _fw_cfg(_line: CommandLine, value: str, _text: str) -> None:
    pairs = parse(value, "name")
    if "name" not in pairs or sum(key in pairs for key in ("file", "string", "gen_id")) != 1:
        raise OptionError("name, plus exactly one of file, string and gen_id, are needed")


def _icount(_line: CommandLine, value: str, _text: str) -> None:
    shift = parse(value, "shift").get("shift", "auto")
    if shift != "auto" and not (shift.isdigit() and int(shift) <= 10):
        raise OptionError("icount: Invalid shift value")


def _audiodev(_line: CommandLine, value: str, _text: str) -> None:
    if value.startswith("{"):
        return
    pairs = parse(value, "driver")
    if "id" not in pairs:
        raise OptionError("Parameter 'id' is missing")
    if pairs.get("driver") not in _AUDIO:
        raise OptionError(f"Parameter 'driver' does not accept value '{pairs.get('driver')}'")
    known = {"driver", "id", "in", "out", "timer-period", "path", "dev", "server", "buffer-count",
             "threshold", "dsp-policy", "exclusive", "try-mmap", "latency"}  # fmt: skip
    for key in unflatten(pairs):
        if key not in known:
            raise OptionError(f"Parameter '{key}' is unexpected")


def _tpmdev(_line: CommandLine, value: str, _text: str) -> None:
    pairs = parse(value, "type")
    if "id" not in pairs:
        raise OptionError("Parameter 'id' is missing")
    if pairs.get("type") not in ("passthrough", "emulator"):
        raise OptionError(
            "Parameter 'type' expects a TPM backend type\nSupported TPM types (choose only one):\n"
            " passthrough   Passthrough TPM backend driver\n    emulator   TPM emulator backend driver"
        )
    if pairs["type"] == "emulator" and "chardev" not in pairs:
        raise OptionError("tpm-emulator: parameter 'chardev' is missing")


def _compat(_line: CommandLine, value: str, _text: str) -> None:
    wanted = {
        "deprecated-input": ("accept", "reject", "crash"), "deprecated-output": ("accept", "hide"),
        "unstable-input": ("accept", "reject", "crash"), "unstable-output": ("accept", "hide"),
    }  # fmt: skip
    for key, given in parse(value).items():
        if key in wanted and given not in wanted[key]:
            raise OptionError(f"Parameter '{key}' does not accept value '{given}'")
        if key not in wanted:
            raise OptionError(f"Parameter '{key}' is unexpected")


def _seed(_line: CommandLine, value: str, _text: str) -> None:
    if not value.isdigit():
        raise OptionError(f"Invalid seed number: {value}")


def _set(line: CommandLine, value: str, _text: str) -> None:
    group, _, rest = value.partition(".")
    ident, dot, more = rest.partition(".")
    if not dot or "=" not in more:
        raise OptionError(f'can\'t parse: "{value}"')
    if group == "device" and not any(device.id == ident for device in line.devices):
        raise OptionError(f'there is no device "{ident}" defined')


CHECKS: dict[str, Callable[[CommandLine, str, str], None]] = {
    "audiodev": _audiodev, "boot": _boot, "compat": _compat, "display": _display, "fw_cfg": _fw_cfg,
    "global": _global, "icount": _icount, "numa": _numa, "rtc": _rtc, "sandbox": _sandbox, "seed": _seed,
    "set": _set, "smbios": _smbios, "tpmdev": _tpmdev, "vga": _vga, "vnc": _vnc,
}  # fmt: skip
