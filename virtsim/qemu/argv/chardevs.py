"""``-chardev`` and ``-device`` for serial ports, consoles and channels, and the monitor's own."""

from __future__ import annotations

from dataclasses import dataclass

from virtsim.errors import ConfigUnsupported
from virtsim.model.chardev import CharSource
from virtsim.qemu.argv._options import Build, comma, device, on_off, place

__all__ = ["MonitorSocket", "channels", "consoles", "monitor", "serials"]


@dataclass(frozen=True, slots=True)
class MonitorSocket:
    """Where QEMU serves QMP: at a path that it makes, or at a listening descriptor that it inherits."""

    path: str | None = None
    fd: int | None = None


def monitor(socket: MonitorSocket) -> list[str]:
    """``-chardev`` and ``-mon`` of the control monitor."""
    where = f"fd={socket.fd}" if socket.fd is not None else f"path={comma(socket.path or '')}"
    return [
        "-chardev",
        f"socket,id=charmonitor,{where},server=on,wait=off",
        "-mon",
        "chardev=charmonitor,id=monitor,mode=control",
    ]


def serials(build: Build) -> list[str]:
    """Serial ports."""
    argv: list[str] = []
    drivers = {"isa-serial": "isa-serial", "pci-serial": "pci-serial", "usb-serial": "usb-serial"}
    for port in build.domain.devices.serials:
        driver = drivers.get(port.target_model or "isa-serial")
        if driver is None:
            raise ConfigUnsupported(f"serial port of type '{port.target_type}' is not supported")
        name = f"char{port.alias}"
        argv += [
            "-chardev",
            _backend(
                port.type,
                port.source,
                name,
                port.log_file,
                log_append=port.log_append,
                telnet=port.protocol == "telnet",
            ),
        ]
        index = port.port if driver == "isa-serial" else None
        argv += device(
            "-device", driver=driver, chardev=name, id=port.alias, index=index, **place(build, port.address)
        )
    return argv


def channels(build: Build) -> list[str]:
    """Channels of virtio-serial."""
    argv: list[str] = []
    for channel in build.domain.devices.channels:
        if channel.target_type != "virtio":
            raise ConfigUnsupported(f"channel target type '{channel.target_type}' is not supported")
        name = f"char{channel.alias}"
        argv += [
            "-chardev",
            _backend(
                channel.type,
                channel.source,
                name,
                channel.log_file,
                log_append=channel.log_append,
                vdagent=True,
            ),
        ]
        target = channel.target_name or ("com.redhat.spice.0" if channel.type == "spicevmc" else None)
        argv += device(
            "-device",
            driver="virtserialport",
            **place(build, channel.address),
            chardev=name,
            id=channel.alias,
            name=target,
        )
    return argv


def consoles(build: Build) -> list[str]:
    """Virtio consoles; one that stands for a serial port adds nothing."""
    argv: list[str] = []
    for console in build.domain.devices.consoles:
        if console.target_type == "serial":
            continue
        if console.target_type != "virtio":
            raise ConfigUnsupported(f"console target type '{console.target_type}' is not supported")
        name = f"char{console.alias}"
        argv += [
            "-chardev",
            _backend(console.type, console.source, name, console.log_file, log_append=console.log_append),
        ]
        at = place(build, console.address)
        argv += device("-device", driver="virtconsole", **at, chardev=name, id=console.alias)
    return argv


def _backend(
    kind: str,
    source: CharSource | None,
    name: str,
    log: str | None,
    *,
    log_append: bool | None,
    vdagent: bool = False,
    telnet: bool = False,
) -> str:
    """The value of ``-chardev``."""
    found = source or CharSource()
    path = comma(found.path or "")
    if kind in ("pty", "null", "stdio"):
        text = f"{kind},id={name}"
    elif kind == "file":
        text = f"file,id={name},path={path},append={on_off(found.append is not False)}"
        text = text if found.append is not None else f"file,id={name},path={path}"
    elif kind == "pipe":
        text = f"pipe,id={name},path={path}"
    elif kind == "dev":
        text = f"serial,id={name},path={path}"
    elif kind == "unix":
        server = found.mode != "connect"
        text = f"socket,id={name},path={path}" + (",server=on,wait=off" if server else "")
        if not server and found.reconnect and found.reconnect_s:
            text += f",reconnect={found.reconnect_s}"
    elif kind == "tcp":
        text = f"socket,id={name},host={found.host or ''},port={found.service or ''}"
        text += ",telnet=on" if telnet else ""
        text += ",server=on,wait=off" if found.mode == "bind" else ""
    elif kind == "spicevmc" and vdagent:
        text = f"spicevmc,id={name},name=vdagent"
    else:
        raise ConfigUnsupported(f"character device of type '{kind}' is not supported")
    if log is not None:
        text += f",logfile={comma(log)}" + ("" if log_append is None else f",logappend={on_off(log_append)}")
    return text
