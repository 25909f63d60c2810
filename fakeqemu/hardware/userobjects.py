"""User objects: ``-object`` and ``object-add``: what each needs, who uses it, how it goes.

Knows qom/object_interfaces.c, backends/ and crypto/ of QEMU 7.2 as far as managers meet them. The schema
has checked names and types of members. Must not know commands.
"""

from __future__ import annotations

from fakeqemu.hardware.objects import Object
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.hardware.registry import Registry

__all__ = ["add", "begin", "delete", "iothreads", "memory_backends"]

_MOST = (1 << 63) - 1


def _error(text: str) -> CommandError:
    return CommandError("GenericError", text)


def begin(registry: Registry) -> None:
    """The objects of the command line, and the machine's own memory."""
    line = registry.machine.line
    for name, device in line.objects.items():
        registry.listed["objects"].add(name)
        registry.objects[name] = Object(registry, device.kind, name, f"/objects/{name}", device.options)
    if "memory-backend" in line.machine_options or line.machine == "none":
        return
    argv = registry.machine.argv
    numa = any("memdev=" in argv[place + 1] for place, word in enumerate(argv[:-1]) if word == "-numa")
    own = ram_name(registry)
    if not numa and own is not None and own not in registry.objects:
        ram = Object(registry, "memory-backend-ram", own, f"/objects/{own}", {"size": line.ram})
        registry.objects = {own: ram, **registry.objects}
        registry.listed["objects"].add(own)


_ram_names: dict[str, dict[str, str | None]] = {}


def ram_name(registry: Registry) -> str | None:
    """What the machine calls its memory: ``default-ram-id`` of query-machines."""
    profile, wanted = registry.machine.profile, registry.machine.line.machine
    names = _ram_names.get(profile.path)
    if names is None:
        names = _ram_names[profile.path] = {}
        for entry in profile.value("query-machines") or ():
            names[entry["name"]] = names[entry.get("alias", entry["name"])] = entry.get("default-ram-id")
    return names.get(wanted)


def add(registry: Registry, kind: str, ident: str, options: dict[str, Any]) -> Object:
    """Make a user object.

    Raises:
        CommandError: in QEMU's words.
    """
    from fakeqemu.hardware.checks import identifier

    if not identifier(ident):
        raise _error("Parameter 'id' expects an identifier")
    if kind in _UNKNOWN:
        raise _error(f"invalid object type: {kind}")
    thing = Object(registry, kind, ident, f"/objects/{ident}", options)
    _check_set(registry, thing)
    if ident in registry.objects:
        raise _error(f"attempt to add duplicate property '{ident}' to object (type 'container')")
    registry.listed["objects"].add(ident)
    try:
        _check_complete(registry, thing)
    except CommandError:
        registry.listed["objects"].remove(ident)
        raise
    thing.hotplugged = True
    registry.objects[ident] = thing
    return thing


#: Types of the schema that this QEMU does not have, or that its board does not.
_UNKNOWN = ("memory-backend-epc", "x-vfio-user-server", "x-remote-object")
#: Bytes that a memory file is rounded up to.
_PAGE = 4096


def _check_set(registry: Registry, thing: Object) -> None:
    """What fails while properties are set, before the object has its place."""
    options, kind = thing.options, thing.kind
    if kind == "iothread":
        for name in (
            "poll-max-ns",
            "poll-grow",
            "poll-shrink",
            "aio-max-batch",
            "thread-pool-min",
            "thread-pool-max",
        ):
            value = options.get(name)
            if value is not None and not 0 <= value <= _MOST:
                raise _error(f"{name} value must be in range [0, {_MOST}]")
    if kind.startswith("memory-backend-") and options.get("size") == 0:
        raise _error(f"property 'size' of {kind} doesn't take value '0'")
    _check_named(registry, thing)
    if kind == "rng-egd":
        from fakeqemu.hardware.world import has_chardev

        if not has_chardev(registry.machine, str(options.get("chardev"))):
            raise CommandError("DeviceNotFound", f"Device '{options.get('chardev')}' not found")


def _check_named(registry: Registry, thing: Object) -> None:
    """What names something that has to be there, or one of some words."""
    options, kind = thing.options, thing.kind
    if kind.startswith("filter-") and options.get("status", "on") not in ("on", "off"):
        raise _error("Invalid value for netfilter status, should be 'on' or 'off'")
    if kind == "can-host-socketcan":
        bus = str(options.get("canbus"))
        if bus not in registry.objects:
            raise CommandError("DeviceNotFound", f"Device '{bus}' not found")
        raise _error("failed to create CAN_RAW socket: Address family not supported by protocol")
    if kind == "qtest":
        from fakeqemu.hardware.world import has_chardev

        if not has_chardev(registry.machine, str(options.get("chardev"))):
            raise _error(f"Cannot find character device '{options.get('chardev')}'")


def _check_complete(registry: Registry, thing: Object) -> None:
    """What fails when the object is completed."""
    check = _COMPLETE.get(thing.kind)
    if check is None:
        if thing.kind.startswith("memory-backend-"):
            _memory(registry, thing)
        elif thing.kind.startswith("filter-"):
            _filter(registry, thing)
        return
    check(registry, thing)


def _memory(registry: Registry, thing: Object) -> None:
    options = thing.options
    policy, nodes = options.get("policy", "default"), options.get("host-nodes") or []
    if policy != "default" and not nodes:
        raise _error(f"host-nodes must be set for policy {policy}")
    if policy == "default" and nodes:
        raise _error(
            "host-nodes must be empty for policy default,"
            " or you should explicitly specify a policy other than default"
        )
    size = options.get("size")
    if thing.kind == "memory-backend-memfd" and isinstance(size, int) and size % _PAGE:
        whole = -(-size // _PAGE) * _PAGE
        raise _error(f"backing store size {size:#x} does not match 'size' option {whole:#x}")
    if thing.kind == "memory-backend-file":
        path = str(options.get("mem-path"))
        reason = registry.machine.host.file_error(path.rpartition("/")[0] or "/")
        if reason is not None:
            raise _error(f"can't open backing store {path} for guest RAM: {reason}")


def _secret(registry: Registry, thing: Object) -> None:
    options = thing.options
    path, data = options.get("file"), options.get("data")
    if path is not None and data is not None:
        raise _error("'file' and 'data' are mutually exclusive")
    if path is None and data is None:
        raise _error("Either 'file' or 'data' must be provided")
    if path is not None:
        reason = registry.machine.host.file_error(path)
        if reason is not None:
            raise _error(f"Unable to read {path}: Failed to open file “{path}”: {reason}")
    key = options.get("keyid")
    if key is None:
        return
    master = registry.objects.get(str(key))
    if master is None or master.kind != "secret":
        raise _error(f"No secret with id '{key}'")
    if len(_plain(registry, master)) != 32:
        raise _error("Key should be 32 bytes in length")
    if options.get("iv") is None:
        raise _error("IV is required to decrypt secret")


def _plain(registry: Registry, thing: Object) -> bytes:
    """The bytes of a secret that is not encrypted itself; 32 unknown ones where nobody can look."""
    options = thing.options
    data = options.get("data")
    if data is None:
        raw = registry.machine.host.read(str(options.get("file")), 0, 1 << 16)
        if raw is None:
            return bytes(32)
    else:
        raw = str(data).encode()
    if options.get("keyid") is not None:
        return bytes(32)
    if options.get("format") == "base64":
        from binascii import Error, a2b_base64

        try:
            return a2b_base64(raw)
        except Error:
            return b""
    return raw


def _random(registry: Registry, thing: Object) -> None:
    path = thing.options.get("filename", "/dev/urandom")
    reason = registry.machine.host.file_error(path)
    if reason is not None:
        raise _error(f"Could not open '{path}': {reason}")


def _throttle(registry: Registry, thing: Object) -> None:
    del registry
    limits = thing.options.get("limits") or {}
    for unit in ("iops", "bps"):
        for more in ("", "-max"):
            total = limits.get(f"{unit}-total{more}")
            if total and any(limits.get(f"{unit}-{way}{more}") for way in ("read", "write")):
                raise _error(
                    "bps/iops/max total values and read/write values cannot be used at the same time"
                )


def _filter(registry: Registry, thing: Object) -> None:
    from fakeqemu.hardware.world import has_netdev

    if not has_netdev(registry.machine, str(thing.options.get("netdev"))):
        raise _error("Parameter 'netdev' expects a network backend id")


def _tls(registry: Registry, thing: Object) -> None:
    directory = thing.options.get("dir")
    if directory is None:
        raise _error("Missing 'dir' property value")
    path = f"{directory}/ca-cert.pem"
    reason = registry.machine.host.file_error(path)
    if reason is not None:
        raise _error(f"Unable to access credentials {path}: {reason}")


def _helper(registry: Registry, thing: Object) -> None:
    path = thing.options.get("path")
    reason = registry.machine.host.file_error(str(path))
    if reason is not None:
        raise _error(f"Failed to connect to '{path}': {reason}")


def _input(registry: Registry, thing: Object) -> None:
    path = thing.options.get("evdev")
    reason = registry.machine.host.file_error(str(path))
    raise _error(f"Could not open '{path}': {reason or 'No such file or directory'}")


_COMPLETE = {
    "secret": _secret, "rng-random": _random, "throttle-group": _throttle, "tls-creds-x509": _tls,
    "pr-manager-helper": _helper, "input-linux": _input,
}  # fmt: skip


def users(registry: Registry, thing: Object) -> bool:
    """Whether an object may not go: memory that is in use, and what refers to it for its life."""
    name = thing.id
    if thing.kind.startswith("memory-backend-"):
        line = registry.machine.line
        if name == line.machine_options.get("memory-backend") or (
            name not in line.objects and not thing.hotplugged
        ):
            return True
        words = registry.machine.argv
        if any(f"memdev={name}" in word.split(",") for word in words if word.startswith("node")):
            return True
        return any(it.options.get("memdev") == name for it in registry.devices())
    if thing.kind in ("can-bus", "tls-cipher-suites"):
        return True
    if thing.kind == "throttle-group":
        nodes = registry.machine.parts.get("block")
        for node in getattr(nodes, "nodes", {}).values():
            if getattr(node, "options", {}).get("throttle-group") == name:
                return True
    return False


def delete(registry: Registry, ident: str) -> None:
    """Take a user object away.

    Raises:
        CommandError: it is not there, or in use.
    """
    thing = registry.objects.get(ident)
    if thing is None:
        raise _error(f"object '{ident}' not found")
    if users(registry, thing):
        raise _error(f"object '{ident}' is in use, can not be deleted")
    del registry.objects[ident]
    registry.listed["objects"].remove(ident)
    for key in [key for key in registry.changed if key[0] == thing.path]:
        del registry.changed[key]


def listed(registry: Registry, *, starts: str) -> list[Object]:
    """Objects of a kind, in the order in which QEMU walks its container."""
    from fakeqemu.glib import hash_order

    return [
        registry.objects[name]
        for name in hash_order(registry.objects)
        if registry.objects[name].kind.startswith(starts)
    ]


def iothreads(registry: Registry) -> list[dict[str, Any]]:
    """``query-iothreads``."""
    machine = registry.machine
    threads = listed(registry, starts="iothread")
    ids = machine.host.thread_ids(len(registry.cpus) + len(registry.objects) + 1, machine.pid)
    names = [name for name, it in registry.objects.items() if it.kind == "iothread"]
    found = []
    for thing in threads:
        values = {
            name: registry.changed.get((thing.path, name), thing.options.get(name, default))
            for name, default in (
                ("poll-shrink", 0),
                ("aio-max-batch", 0),
                ("poll-grow", 0),
                ("poll-max-ns", 32768),
            )
        }
        found.append(
            {
                "poll-shrink": int(values["poll-shrink"]),
                "thread-id": ids[(len(registry.cpus) + names.index(str(thing.id))) % len(ids)],
                "aio-max-batch": int(values["aio-max-batch"]),
                "poll-grow": int(values["poll-grow"]),
                "poll-max-ns": int(values["poll-max-ns"]),
                "id": thing.id,
            }
        )
    return found


def memory_backends(registry: Registry) -> list[dict[str, Any]]:
    """``query-memdev``."""
    from fakeqemu.hardware.memory import backend_size
    from fakeqemu.hardware.values import converted

    line = registry.machine.line
    dump = line.machine_options.get("dump-guest-core", "on") == "on"
    found = []
    for thing in reversed(listed(registry, starts="memory-backend-")):
        options = thing.options

        def flag(name: str, options: dict[str, Any] = options, *, default: bool) -> bool:
            return bool(converted(registry, "bool", options[name])) if name in options else default

        found.append(
            {
                "share": flag("share", default=thing.kind == "memory-backend-memfd"),
                "reserve": flag("reserve", default=True),
                "prealloc": flag("prealloc", default=False),
                "host-nodes": options.get("host-nodes") or [],
                "size": backend_size(thing) or line.ram,
                "merge": flag("merge", default=True),
                "dump": flag("dump", default=dump),
                "policy": options.get("policy", "default"),
                "id": thing.id,
            }
        )
    return found
