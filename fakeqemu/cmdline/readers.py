# ruff: noqa: SIM905  (long lists of words read better as text)
"""One reader for each option that a fake looks at: what it says, and what QEMU says when it is wrong.

Knows the syntax of each option. Must not know the checks of the whole. On the start-up path.
"""

from __future__ import annotations

from fakeqemu.cmdline.keyval import OptionError, flag, number, parse, size, unflatten
from fakeqemu.cmdline.options import MACHINES
from fakeqemu.cmdline.parts import ArgvError, Chardev, Device, Monitor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fakeqemu.cmdline.argv import CommandLine

__all__ = ["READERS"]

MIB = 1 << 20


def _json(value: str) -> dict[str, Any]:
    from fakeqemu.protocol.qjson import JSONReader

    reader = JSONReader()
    found = reader.feed(value.encode("utf-8", "surrogateescape"))
    if not found:
        raise OptionError("JSON parse error, premature EOI")
    tree, error = found[0]
    if error is not None:
        raise OptionError(error)
    if not isinstance(tree, dict):
        raise OptionError("Parameter type mismatch")
    return tree


def _name(line: CommandLine, value: str, _text: str) -> None:
    line.name = parse(value, "guest").get("guest")


_UUID = (8, 4, 4, 4, 12)


def _uuid(line: CommandLine, value: str, _text: str) -> None:
    parts = value.split("-")
    hexadecimal = all(sign in "0123456789abcdefABCDEF" for part in parts for sign in part)
    if tuple(map(len, parts)) != _UUID or not hexadecimal:
        raise OptionError("failed to parse UUID string: wrong format")
    line.uuid = value.lower()


def _m(line: CommandLine, value: str, _text: str) -> None:
    pairs = parse(value, "size")
    for key in pairs:
        if key not in ("size", "slots", "maxmem"):
            raise OptionError(f"Invalid parameter '{key}'")
    if "size" in pairs:
        amount = size(pairs["size"], "size", unit=MIB)
        line.ram = (amount + 8191) // 8192 * 8192 or line.ram
    if "slots" in pairs:
        line.slots = number(pairs["slots"], "slots")
    if "maxmem" in pairs:
        line.max_ram = size(pairs["maxmem"], "maxmem")


def _smp(line: CommandLine, value: str, _text: str) -> None:
    line.last["smp"] = value


def _machine(line: CommandLine, value: str, _text: str) -> None:
    pairs = parse(value, "type")
    kind = pairs.pop("type", None)
    if kind is not None:
        line.machine = MACHINES.get(kind, kind) if line.target is None else kind
    line.machine_options.update(pairs)
    if "accel" in pairs:
        line.accel = _accelerator(pairs["accel"].split(":"))
    if "memory-backend" in pairs:
        line.machine_options["memory-backend"] = pairs["memory-backend"]


def _accelerator(wanted: list[str]) -> str:
    """Of several, TCG: the others are there to fall back from, and no host has a KVM for the fake."""
    return "tcg" if "tcg" in wanted else wanted[0]


def _accel(line: CommandLine, value: str, _text: str) -> None:
    name = parse(value, "accel").get("accel", "")
    if name not in ("tcg", "kvm", "xen", "qtest"):
        raise OptionError(f"invalid accelerator {name}")
    for key, setting in parse(value, "accel").items() if name == "tcg" else ():
        if key == "thread" and setting not in ("single", "multi"):
            raise OptionError(f"Invalid 'thread' setting {setting}")
        if key == "tb-size" and not setting[:1].isdigit():
            raise OptionError(f"Parameter '{key}' expects uint64")
        if key not in ("accel", "thread", "tb-size", "split-wx"):
            raise OptionError(f"Property 'tcg-accel.{key}' not found")
    line.accel = _accelerator([line.accel, name]) if line.accel else name


def _cpu(line: CommandLine, value: str, _text: str) -> None:
    line.cpu, line.last["cpu"] = value.partition(",")[0], value


def _pidfile(line: CommandLine, value: str, _text: str) -> None:
    line.pidfile = value


_ACTIONS = {
    "reboot": ("reset", "shutdown"),
    "shutdown": ("poweroff", "pause"),
    "panic": ("pause", "shutdown", "exit-failure", "none"),
    "watchdog": ("reset", "shutdown", "poweroff", "pause", "debug", "none", "inject-nmi"),
}


def _action(line: CommandLine, value: str, _text: str) -> None:
    for key, wanted in parse(value).items():
        if key not in _ACTIONS:
            raise OptionError(f"Invalid parameter '{key}'")
        if wanted not in _ACTIONS[key]:
            raise OptionError(f"Parameter '{key}' does not accept value '{wanted}'")
        line.actions[key] = wanted


def _watchdog_action(line: CommandLine, value: str, _text: str) -> None:
    if value not in _ACTIONS["watchdog"]:
        raise OptionError(f"Parameter 'watchdog' does not accept value '{value}'")
    line.actions["watchdog"] = value


_BACKENDS = frozenset(
    "testdev pty wctablet serial tty file memory ringbuf udp parallel parport vc socket msmouse null"
    " qemu-vdagent"
    " pipe mux stdio spicevmc spiceport dbus braille".split()
)


def _add_fd(line: CommandLine, value: str, _text: str) -> None:
    pairs = parse(value)
    if pairs.get("fd", "").isdigit() and pairs.get("set", "").isdigit():
        line.fdsets += ((int(pairs["set"]), int(pairs["fd"]), pairs.get("opaque")),)


def _chardev(line: CommandLine, value: str, text: str) -> None:
    options = parse(value, "backend")
    backend, ident = options.pop("backend", ""), options.pop("id", None)
    if ident is None:
        raise OptionError("chardev: no id specified")
    _identifier(ident)
    if backend not in _BACKENDS:
        raise OptionError(f"'{backend}' is not a valid char driver name")
    if ident in line.chardevs:
        raise OptionError(f"Duplicate ID '{ident}' for chardev")
    line.chardevs[ident] = _addressed(Chardev(ident, backend, options, text))


def _addressed(chardev: Chardev) -> Chardev:
    if chardev.backend == "socket" and not any(
        chardev.options.get(key) for key in ("path", "fd", "host", "port")
    ):
        raise OptionError("Unable to parse FD number ")  # QEMU's own words for an address that is not there
    return chardev


def _legacy(ident: str, value: str, text: str) -> Chardev:
    """``unix:path,server=on,wait=off`` and its like, as -qmp, -monitor and -serial take them."""
    kind, _, rest = value.partition(":")
    if kind == "unix":
        return Chardev(ident, "socket", parse(rest, "path"), text)
    if kind in ("tcp", "telnet", "websocket"):
        address, _, more = rest.partition(",")
        host, _, port = address.rpartition(":")
        return Chardev(ident, "socket", {"host": host, "port": port, **parse(more)}, text)
    if kind in ("file", "pipe", "tty", "udp", "fd"):
        return Chardev(ident, kind, {"path": rest}, text)
    name = value.partition(",")[0].partition(":")[0]
    if name in ("null", "pty", "stdio", "vc", "msmouse", "braille", "testdev", "wctablet"):
        return Chardev(ident, name, {}, text)
    raise OptionError(f"'{value}' is not a valid char driver")


def _monitor_on(line: CommandLine, value: str, text: str, *, control: bool, pretty: bool = False) -> None:
    if value == "none":
        return
    if value.startswith("chardev:"):
        line.monitors.append(Monitor(value[8:], control=control, text=text, pretty=pretty))
        return
    ident = f"compat_monitor{sum(name.startswith('compat_monitor') for name in line.chardevs)}"
    try:
        line.chardevs[ident] = _legacy(ident, value, text)
    except OptionError as error:
        program = line.program
        raise ArgvError(f"{program}: {text}: {error}\n{program}: {text}: parse error: {value}\n") from None
    _addressed(line.chardevs[ident])
    line.monitors.append(Monitor(ident, control=control, text=text, pretty=pretty))


def _qmp(line: CommandLine, value: str, text: str) -> None:
    _monitor_on(line, value, text, control=True)


def _qmp_pretty(line: CommandLine, value: str, text: str) -> None:
    _monitor_on(line, value, text, control=True, pretty=True)


def _human(line: CommandLine, value: str, text: str) -> None:
    _monitor_on(line, value, text, control=False)


def _mon(line: CommandLine, value: str, text: str) -> None:
    pairs = parse(value, "chardev")
    mode = pairs.get("mode", "readline")
    if "chardev" not in pairs:
        raise OptionError("Parameter 'chardev' is missing")
    if mode not in ("readline", "control"):
        raise OptionError(f"Parameter 'mode' does not accept value '{mode}'")
    # It may stand before its -chardev: whether that exists is asked when all options have been read.
    control, pretty = mode == "control", flag(pairs.get("pretty", "off"), "pretty")
    if pretty and not control:
        raise OptionError("'pretty' is not compatible with HMP monitors")
    line.monitors.append(Monitor(pairs["chardev"], control=control, text=text, pretty=pretty))


def _serial(line: CommandLine, value: str, text: str) -> None:
    if value == "none" or value.startswith(("chardev:", "mon:")):
        return
    ident = f"serial{sum(name.startswith('serial') for name in line.chardevs)}"
    try:
        line.chardevs[ident] = _legacy(ident, value, text)
    except OptionError as error:
        whole = f"{line.program}: {text}: "
        more = f"could not connect serial device to character backend '{value}'"
        raise ArgvError(f"{whole}{error}\n{whole}{more}\n") from None


def _identifier(name: object) -> None:
    """id_wellformed() of util/id.c."""
    if isinstance(name, str) and not (
        name[:1].isalpha() and name.isascii() and name.translate(_IN_IDENTIFIERS).isalnum()
    ):
        raise OptionError(
            "Parameter 'id' expects an identifier\n"
            "Identifiers consist of letters, digits, '-', '.', '_', starting with a letter."
        )


_IN_IDENTIFIERS = {ord(sign): "x" for sign in "-._"}


def _device(line: CommandLine, value: str, text: str) -> None:
    options: dict[str, Any] = _json(value) if value.startswith("{") else dict(parse(value, "driver"))
    driver = options.pop("driver", None)
    if not isinstance(driver, str):
        raise OptionError("Parameter 'driver' is missing")
    ident = options.get("id")
    _identifier(ident)
    if ident is not None and any(device.id == ident for device in line.devices):
        raise OptionError(f"Duplicate ID '{ident}' for device")
    line.devices.append(Device(driver, ident, options, text))


_OBJECTS = frozenset(
    "authz-list authz-listfile authz-pam authz-simple can-bus can-host-socketcan colo-compare"
    " cryptodev-backend"
    " cryptodev-backend-builtin cryptodev-backend-lkcf cryptodev-vhost-user dbus-vmstate filter-buffer"
    " filter-dump"
    " filter-mirror filter-redirector filter-replay filter-rewriter input-barrier input-linux iothread"
    " main-loop"
    " memory-backend-epc memory-backend-file memory-backend-memfd memory-backend-ram pr-manager-helper qtest"
    " rng-builtin rng-egd rng-random secret secret_keyring sev-guest thread-context s390-pv-guest"
    " throttle-group"
    " tls-cipher-suites tls-creds-anon tls-creds-psk tls-creds-x509 x-remote-object"
    " x-vfio-user-server".split()
)


def _object(line: CommandLine, value: str, text: str) -> None:
    options: dict[str, Any] = _json(value) if value.startswith("{") else unflatten(parse(value, "qom-type"))
    for key in ("qom-type", "id"):
        if not isinstance(options.get(key), str):
            raise OptionError(f"Parameter '{key}' is missing")
        if key == "qom-type" and options[key] not in _OBJECTS:
            raise OptionError(f"Parameter 'qom-type' does not accept value '{options[key]}'")
    kind, ident = options.pop("qom-type"), options.pop("id")
    _identifier(ident)
    if kind.startswith("memory-backend-") and "size" not in options:
        raise OptionError("Parameter 'size' is missing")
    if isinstance(options.get("size"), str):
        options["size"] = size(options["size"], "size")
    if ident in line.objects:
        raise OptionError(f"Duplicate ID '{ident}' for object")
    line.objects[ident] = Device(kind, ident, options, text)


_NETDEVS = frozenset(
    "nic user tap l2tpv3 socket stream dgram vde bridge hubport vhost-user vhost-vdpa".split()
)


def _netdev(line: CommandLine, value: str, text: str) -> None:
    options: dict[str, Any] = _json(value) if value.startswith("{") else unflatten(parse(value, "type"))
    kind = options.pop("type", None)
    ident = options.pop("id", None)
    if kind is None or ident is None:
        raise OptionError(f"Parameter '{'type' if kind is None else 'id'}' is missing")
    if kind not in _NETDEVS:
        raise OptionError(f"Parameter 'type' does not accept value '{kind}'")
    if ident in line.netdevs:
        raise OptionError(f"Duplicate ID '{ident}' for netdev")
    line.netdevs[ident] = Device(kind, ident, options, text)


_DRIVERS = frozenset(
    "blkdebug blklogwrites blkreplay blkverify bochs cloop compress copy-before-write copy-on-read dmg"
    " file ftp ftps"
    " gluster host_cdrom host_device http https io_uring iscsi luks nbd nfs null-aio null-co nvme parallels"
    " preallocate qcow qcow2 qed quorum raw rbd replication snapshot-access ssh throttle vdi vhdx"
    " virtio-blk-vhost-user virtio-blk-vhost-vdpa vmdk vpc vvfat".split()
)


def _blockdev(line: CommandLine, value: str, text: str) -> None:
    options: dict[str, Any] = _json(value) if value.startswith("{") else unflatten(parse(value, "driver"))
    driver, node = options.get("driver"), options.get("node-name")
    if driver is None:
        raise OptionError("Parameter 'driver' is missing")
    if driver not in _DRIVERS:
        raise OptionError(f"Parameter 'driver' does not accept value '{driver}'")
    if node is None:
        raise OptionError("'node-name' must be specified for the root node")
    if node in line.blockdevs:
        raise OptionError(f"Duplicate nodes with node-name='{node}'")
    line.blockdevs[node] = Device(driver, node, options, text)


def _drive(line: CommandLine, value: str, text: str) -> None:
    options: dict[str, Any] = dict(parse(value))
    ident = options.get("id")
    if ident is not None and any(drive.id == ident for drive in line.drives):
        raise OptionError(f"Duplicate ID '{ident}' for drive")
    line.drives.append(Device("drive", ident, options, text))


def _disk(line: CommandLine, value: str, text: str) -> None:
    line.drives.append(Device("hd", None, {"file": value}, text))


def _vnc(line: CommandLine, value: str, _text: str) -> None:
    if value != "none":
        line.vnc.append(value)


def _spice(line: CommandLine, value: str, _text: str) -> None:
    line.spice = value


def _incoming(line: CommandLine, value: str, _text: str) -> None:
    scheme = value.partition(":")[0]
    if value != "defer" and scheme not in ("tcp", "unix", "fd", "exec", "rdma", "vsock"):
        raise OptionError(f"unknown migration protocol: {value}")
    line.incoming = value


def _loadvm(line: CommandLine, value: str, _text: str) -> None:
    line.loadvm = value


def _boot_part(line: CommandLine, value: str, text: str) -> None:
    line.last[text.partition(" ")[0].lstrip("-")] = value


READERS: dict[str, Callable[[CommandLine, str, str], None]] = {
    "append": _boot_part, "initrd": _boot_part, "kernel": _boot_part,
    "M": _machine, "accel": _accel, "action": _action, "add-fd": _add_fd, "blockdev": _blockdev,
    "cdrom": _disk, "chardev":
    _chardev,
    "cpu": _cpu, "device": _device, "drive": _drive, "hda": _disk, "hdb": _disk, "hdc": _disk, "hdd": _disk,
    "incoming": _incoming, "loadvm": _loadvm, "m": _m, "machine": _machine, "mon": _mon, "monitor": _human,
    "name": _name, "netdev": _netdev, "object": _object,
    "pidfile": _pidfile, "qmp": _qmp, "qmp-pretty": _qmp_pretty,
    "serial": _serial,
    "smp": _smp, "spice": _spice, "uuid": _uuid, "vnc": _vnc, "watchdog-action": _watchdog_action,
}  # fmt: skip
