"""What the commands of the monitor for people do, where that is more than one command of QMP.

Knows monitor/hmp-cmds.c of QEMU 7.2. Must not know how a line is read (`fakeqemu.human.line`).
"""

from __future__ import annotations

from fakeqemu.human.line import BadLine
from fakeqemu.protocol.asking import ask
from fakeqemu.registry import CommandError, Deferred

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session

    Deed: TypeAlias = Callable[[FakeQemu, Session | None, dict[str, Any]], "str | Deferred | None"]

__all__ = ["DEEDS"]

_MASK = (1 << 64) - 1


def _keyval(text: str, implied: str | None) -> dict[str, Any]:
    """``driver,prop=value`` as a dictionary."""
    from fakeqemu.cmdline.keyval import OptionError, parse

    try:
        return dict(parse(text, implied)) if text else {}
    except OptionError as error:
        raise CommandError("GenericError", str(error)) from None


# -- devices, objects, networks ------------------------------------------------------------------------------


def device_add(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str | Deferred:
    """``device_add driver,prop=value``."""
    value = ask(machine, "device_add", _keyval(given["device"], "driver"), session)
    return value if isinstance(value, Deferred) else ""


def netdev_add(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str:
    """``netdev_add type,id=...``."""
    options = _keyval(given["netdev"], "type")
    if "id" not in options:
        raise CommandError("GenericError", "Parameter 'id' is missing")
    ask(machine, "netdev_add", options, session)
    return ""


def object_add(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str:
    """``object_add type,id=...``; a JSON object does as well."""
    text = given["object"]
    if text.startswith("{"):
        from json import loads

        try:
            options = loads(text)
        except ValueError:
            raise CommandError("GenericError", "JSON parse error, invalid object") from None
    else:
        options = _typed(machine, _keyval(text, "qom-type"))
    ask(machine, "object-add", options, session)
    return ""


def _typed(machine: FakeQemu, options: dict[str, Any]) -> dict[str, Any]:
    """Words as the types that QMP wants: numbers, sizes, on and off."""
    kinds = {
        entry["name"]: entry["type"]
        for entry in machine.profile.value("qom-list-properties", {"typename": options.get("qom-type")}) or ()
    }
    found: dict[str, Any] = {}
    for key, value in options.items():
        kind = kinds.get(key, "")
        text = str(value)
        if kind == "bool" or (not kind and text in ("on", "off") and key not in ("id", "data")):
            found[key] = text in ("on", "yes", "true")
        elif kind.startswith(("int", "uint", "size")) and text[:1].isdigit():
            scale = {"K": 10, "M": 20, "G": 30, "T": 40}.get(text[-1:].upper())
            digits = text[:-1] if scale else text
            found[key] = (int(digits, 0) << scale if scale else int(digits, 0)) if digits.isalnum() else value
        elif key == "size" and text[-1:].upper() in ("K", "M", "G", "T") and text[:-1].isdigit():
            found[key] = int(text[:-1]) << {"K": 10, "M": 20, "G": 30, "T": 40}[text[-1].upper()]
        else:
            found[key] = value
    return found


def chardev_add(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str:
    """``chardev-add backend,id=...``: the backends that need no more than their name, files and sockets."""
    options = _keyval(given["args"], "backend")
    backend, ident = str(options.pop("backend", "")), options.pop("id", None)
    if ident is None:
        raise CommandError("GenericError", "Parameter 'id' is missing")
    ask(machine, "chardev-add", {"id": ident, "backend": _backend(backend, options)}, session)
    return ""


def _backend(kind: str, options: dict[str, Any]) -> dict[str, Any]:
    if kind in ("null", "pty", "testdev", "msmouse", "wctablet", "stdio"):
        return {"type": kind, "data": {}}
    if kind in ("ringbuf", "memory"):
        size = options.get("size")
        return {"type": kind, "data": {} if size is None else {"size": int(str(size), 0)}}
    if kind == "file":
        return {"type": kind, "data": {"out": options.get("path", "")}}
    if kind in ("pipe", "serial", "parallel"):
        return {"type": kind, "data": {"device": options.get("path", "")}}
    if kind == "socket" and "path" in options:
        address = {"type": "unix", "data": {"path": options["path"]}}
        server = options.get("server", "off") in ("on", "yes", True)
        wait = options.get("wait", "on") in ("on", "yes", True)
        data: dict[str, Any] = {"addr": address, "server": server}
        return {"type": kind, "data": {**data, "wait": wait} if server else data}
    raise CommandError("GenericError", f"'{kind}' is not a valid char driver name")


# -- run state, memory, keys ---------------------------------------------------------------------------------


def balloon(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str:
    """A target in megabytes."""
    ask(machine, "balloon", {"value": given["value"]}, session)
    return ""


def sendkey(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str:
    """Keys by name, held together: ``ctrl-alt-f1``."""
    keys: list[dict[str, Any]] = []
    for word in str(given["keys"]).split("-"):
        name = "less" if word == "<" else word
        if name[:2] == "0x":
            keys.append({"type": "number", "data": int(name, 16)})
        else:
            keys.append({"type": "qcode", "data": name})
    arguments: dict[str, Any] = {"keys": keys}
    if "hold-time" in given:
        arguments["hold-time"] = given["hold-time"]
    try:
        ask(machine, "send-key", arguments, session)
    except CommandError as error:
        if "does not accept value" not in error.desc:
            raise
        return f"invalid parameter: {error.desc.rpartition(' ')[2].strip(chr(39))}\n"
    return ""


def watchdog_action(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str:
    """What a watchdog does."""
    try:
        ask(machine, "watchdog-set-action", {"action": given["action"]}, session)
    except CommandError as error:
        if "does not accept value" not in error.desc:
            raise
        raise CommandError("GenericError", f"invalid parameter value: {given['action']}") from None
    return ""


def cpu(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str:
    """The CPU that other commands are about: checked, and forgotten with this line."""
    del session
    return "" if 0 <= given["index"] < machine.line.cpus else "invalid CPU index\n"


def boot_set(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str:
    """The order of boot devices, which no guest of the fake reads."""
    del machine, session
    return f"boot device list now set to {given['bootdevice']}\n"


def print_(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str:
    """The value of an expression."""
    del machine, session
    value = given["val"]
    shapes = {"x": f"{value & _MASK:#x}", "o": f"{value & _MASK:#o}".replace("0o", "0"), "d": str(value)}
    shapes["u"] = str(value & _MASK)
    shapes["c"] = repr(chr(value & 0xFF))
    return f"{shapes.get(given['format'], shapes['x'])}\n"


def examine(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str:
    """Memory: zeroes, as many as asked for, in lines of 16 bytes."""
    del machine, session
    if given["format"] == "i":
        raise CommandError("CommandNotFound", "The command x has not been found")
    size = given["size"]
    address, count = given["addr"] & _MASK, min(given["count"], 1 << 16)
    decimal = "0".rjust((size * 80 + 32) // 33)
    zeroes = {"d": decimal, "u": decimal, "o": "0".rjust((size * 8 + 2) // 3), "c": "'\\x00'"}
    zero = zeroes.get(given["format"], f"0x{0:0{size * 2}x}")
    each = 16 // size
    lines = []
    for start in range(0, count, each):
        values = " ".join([zero] * min(each, count - start))
        lines.append(f"{address + start * size & _MASK:016x}: {values}\n")
    return "".join(lines)


def sum_(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str:
    """The checksum of memory that is all zeroes."""
    del machine, session, given
    return "00000\n"


# -- migration -----------------------------------------------------------------------------------------------


def migrate(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str | Deferred:
    """Without -d the prompt comes back when it is over."""
    arguments: dict[str, Any] = {key: True for key in ("blk", "inc", "resume") if key in given}
    ask(machine, "migrate", {"uri": given["uri"], **arguments}, session)
    if "detach" in given:
        return ""
    text = Deferred()

    def look() -> None:
        from fakeqemu.migration.outgoing import OVER
        from fakeqemu.migration.part import migration_of

        outgoing = migration_of(machine).outgoing
        if outgoing is None or outgoing.status in OVER or outgoing.status.startswith("postcopy"):
            error = None if outgoing is None else outgoing.error
            text.resolve("" if error is None else f"Error: {error}\n")
        else:
            machine.later(100_000_000, look)

    look()
    return text


def migrate_set_capability(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str:
    """One capability."""
    from fakeqemu.migration.parameters import CAPABILITIES

    name = given["capability"]
    if name not in CAPABILITIES:
        raise CommandError("GenericError", f"invalid parameter value: {name}")
    entry = {"capability": name, "state": given["state"]}
    ask(machine, "migrate-set-capabilities", {"capabilities": [entry]}, session)
    return ""


def migrate_set_parameter(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str:
    """One parameter; a bandwidth without a unit is in MiB."""
    from fakeqemu.migration.parameters import DEFAULTS

    name, text = given["parameter"], given["value"]
    if name not in DEFAULTS:
        raise CommandError("GenericError", f"invalid parameter value: {name}")
    default = DEFAULTS[name]
    value: Any = text
    if isinstance(default, bool):
        if text not in ("on", "off", "yes", "no", "true", "false", "y", "n"):
            raise CommandError("GenericError", f"Parameter '{name}' expects 'on' or 'off'")
        value = text in ("on", "yes", "true", "y")
    elif isinstance(default, int):
        digits, unit = (text[:-1], text[-1].upper()) if text[-1:].isalpha() else (text, "")
        shift = {"": 0, "B": 0, "K": 10, "M": 20, "G": 30, "T": 40, "P": 50, "E": 60}.get(unit)
        if shift is None or not digits.isdigit():
            raise CommandError(
                "GenericError",
                f"Parameter '{name}' expects a non-negative number below 2^64\n"
                "Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\n"
                "and exabytes, respectively.",
            )
        if not unit and name in ("max-bandwidth", "max-postcopy-bandwidth"):
            shift = 20
        value = int(digits) << shift
    ask(machine, "migrate-set-parameters", {name: value}, session)
    return ""


def migrate_continue(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str:
    """Go on from a state."""
    try:
        ask(machine, "migrate-continue", {"state": given["state"]}, session)
    except CommandError as error:
        if "does not accept value" not in error.desc:
            raise
        raise CommandError("GenericError", f"invalid parameter value: {given['state']}") from None
    return ""


def calc_dirty_rate(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str:
    """Begin to measure."""
    if given["second"] <= 0:
        return "Incorrect period length specified!\n"
    if "ring" in given and "bitmap" in given:
        return "Either dirty ring or dirty bitmap can be specified!\n"
    arguments: dict[str, Any] = {"calc-time": given["second"]}
    if "samples" in given:
        arguments["sample-pages"] = given["samples"]
    if "ring" in given or "bitmap" in given:
        arguments["mode"] = "dirty-ring" if "ring" in given else "dirty-bitmap"
    ask(machine, "calc-dirty-rate", arguments, session)
    return (
        f"Starting dirty rate measurement with period {given['second']} seconds\n"
        "[Please use 'info dirty_rate' to check results]\n"
    )


def cancel_vcpu_dirty_limit(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str:
    """Cancel limits that there are none of."""
    ask(machine, "cancel-vcpu-dirty-limit", given, session)
    return "[Please use 'info vcpu_dirty_limit' to query dirty limit for virtual CPU]\n"


def dump_guest_memory(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str | Deferred:
    """A dump into a file."""
    formats = [name for name in ("zlib", "lzo", "snappy", "windmp") if name in given]
    if len(formats) > 1:
        raise CommandError("GenericError", "only one of '-z|-l|-s|-w' can be set")
    arguments: dict[str, Any] = {"paging": "paging" in given, "protocol": f"file:{given['filename']}"}
    if "detach" in given:
        arguments["detach"] = True
    arguments.update({key: given[key] for key in ("begin", "length") if key in given})
    if formats:
        arguments["format"] = "win-dmp" if formats == ["windmp"] else f"kdump-{formats[0]}"
    value: Deferred | None = ask(machine, "dump-guest-memory", arguments, session)
    return value if value is not None else ""


# -- snapshots of the whole machine --------------------------------------------------------------------------


def savevm(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> Any:
    """Into the images."""
    del session
    from fakeqemu.jobs import snapshots

    return snapshots.savevm(machine, given.get("name"))


def loadvm(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> Any:
    """Out of the images."""
    del session
    from fakeqemu.jobs import snapshots

    return snapshots.loadvm(machine, given["name"])


def delvm(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> Any:
    """Away with one."""
    del session
    from fakeqemu.jobs import snapshots

    return snapshots.delvm(machine, given["name"])


# -- objects by path, and the rest ---------------------------------------------------------------------------


def qom_list(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str:
    """The properties of an object."""
    if "path" not in given:
        return "/\n"
    found = ask(machine, "qom-list", {"path": given["path"]}, session)
    return "".join(f"{entry['name']} ({entry['type']})\n" for entry in found)


def qom_get(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str:
    """One property, as JSON."""
    from json import dumps

    return dumps(ask(machine, "qom-get", given, session), ensure_ascii=False) + "\n"


def qom_set(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str:
    """Set one property: a word, a number, or JSON after -j."""
    from json import loads

    text: Any = given["value"]
    number = isinstance(text, str) and text.lstrip("-").isdigit()
    if given.pop("json", False) or number or text in ("true", "false"):
        try:
            text = loads(text)
        except ValueError:
            raise CommandError("GenericError", "JSON parse error") from None
    elif text in ("on", "off"):
        text = text == "on"
    ask(machine, "qom-set", {"path": given["path"], "property": given["property"], "value": text}, session)
    return ""


def ringbuf_read(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str:
    """What a ring buffer holds."""
    data = str(ask(machine, "ringbuf-read", given, session))
    return "".join(char if char in "\n\t" or char >= " " else f"\\u{ord(char):04X}" for char in data) + "\n"


def change(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str:
    """Another medium in a drive."""
    arguments: dict[str, Any] = {"device": given["device"], "filename": given["target"]}
    if "arg" in given:
        arguments["format"] = given["arg"]
    if "mode" in given:
        arguments["read-only-mode"] = given["mode"]
    if "force" in given:
        arguments["force"] = True
    ask(machine, "blockdev-change-medium", arguments, session)
    return ""


def commit(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str:
    """Into the backing files: of all disks without -snapshot, that is of none."""
    del machine, session
    return "" if given["device"] == "all" else f"Device '{given['device']}' not found\n"


def block_set_io_throttle(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str:
    """Limits of a disk."""
    ask(machine, "block_set_io_throttle", given, session)
    return ""


def announce_self(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str:
    """Announce the network interfaces, with the timing of the migration parameters."""
    from fakeqemu.migration.part import migration_of

    migration = migration_of(machine)
    names = ("initial", "max", "rounds", "step")
    arguments: dict[str, Any] = {name: migration.parameter(f"announce-{name}") for name in names}
    if "interfaces" in given:
        arguments["interfaces"] = given["interfaces"].split(",")
    if "id" in given:
        arguments["id"] = given["id"]
    ask(machine, "announce-self", arguments, session)
    return ""


def log(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str:
    """Logging of what does not happen here: only to be switched off."""
    del machine, session
    if given["items"] != "none":
        raise CommandError("CommandNotFound", "The command log has not been found")
    return ""


def singlestep(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str:
    """Instructions one by one: none is carried out, one by one or otherwise."""
    del machine, session
    option = given.get("option", "on")
    if option == "on":
        raise CommandError("CommandNotFound", "The command singlestep has not been found")
    return "" if option == "off" else f"unexpected option {option}\n"


def gdbserver(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str:
    """A debugger finds nobody here; that there is none can be asked for."""
    del machine, session
    if given.get("device") != "none":
        raise CommandError("CommandNotFound", "The command gdbserver has not been found")
    return "Disabled gdbserver\n"


def sync_profile(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str:
    """Profiling of locks that there are none of."""
    del machine, session
    if "op" not in given:
        return "sync-profile is off\n"
    if given["op"] not in ("on", "off", "reset"):
        raise CommandError("GenericError", "invalid parameter 'op', expecting 'on', 'off', or 'reset'")
    return ""


def trace_event(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str:
    """Switch trace events on or off."""
    wanted: dict[str, Any] = {key: given[key] for key in ("name", "vcpu") if key in given}
    try:
        ask(machine, "trace-event-set-state", {**wanted, "enable": given["option"]}, session)
    except CommandError as error:
        return f"{error.desc}\n"
    return ""


def help_(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str:
    """What commands there are."""
    del machine, session
    from fakeqemu.human.table import describe

    return describe(given.get("name", ""))


def mouse_set(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str:
    """Which mouse hears."""
    mice = ask(machine, "query-mice", None, session)
    found = any(mouse["index"] == given["index"] for mouse in mice)
    return "" if found else f"Mouse at index '{given['index']}' not found\n"


def nothing(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str:
    """What QEMU does without a word and what leaves no trace here."""
    del machine, session, given
    return ""


def not_replaying(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str:
    """Replay is never on."""
    del machine, session
    text = (
        "setting the breakpoint is allowed only in play mode" if "icount" in given else "not in replay mode"
    )
    return f"{text}\n"


def getfd_twice(machine: FakeQemu, session: Session | None, given: dict[str, Any]) -> str:
    """A descriptor that came with the line."""
    if session is None:
        raise BadLine("getfd: a monitor that takes descriptors is needed")
    ask(machine, "getfd", given, session)
    return ""


DEEDS: dict[str, Deed] = {
    "announce_self": announce_self, "balloon": balloon, "block_set_io_throttle": block_set_io_throttle,
    "boot_set": boot_set, "calc_dirty_rate": calc_dirty_rate,
    "cancel_vcpu_dirty_limit": cancel_vcpu_dirty_limit, "change": change, "chardev-add": chardev_add,
    "commit": commit, "cpu": cpu, "delvm": delvm, "device_add": device_add,
    "dump-guest-memory": dump_guest_memory, "gdbserver": gdbserver, "getfd": getfd_twice, "help": help_,
    "loadvm": loadvm, "log": log, "migrate": migrate, "migrate_continue": migrate_continue,
    "migrate_set_capability": migrate_set_capability, "migrate_set_parameter": migrate_set_parameter,
    "mouse_button": nothing, "mouse_move": nothing, "mouse_set": mouse_set, "netdev_add": netdev_add,
    "object_add": object_add, "print": print_, "qom-get": qom_get, "qom-list": qom_list, "qom-set": qom_set,
    "replay_break": not_replaying, "ringbuf_read": ringbuf_read, "savevm": savevm, "sendkey": sendkey,
    "singlestep": singlestep, "stopcapture": nothing, "sum": sum_, "sync-profile": sync_profile,
    "trace-event": trace_event, "watchdog_action": watchdog_action, "x": examine, "xp": examine,
}  # fmt: skip
