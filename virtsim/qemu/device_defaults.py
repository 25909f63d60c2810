"""The defaults of devices, and the controllers that a machine and its devices imply.

Knows what libvirt 9.0.0's QEMU driver fills in for x86_64 (``qemuDomainDeviceDefPostParse`` and company),
read off its results. Must not know addresses on PCI, nor the command line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from virtsim.errors import ConfigUnsupported, XMLError
from virtsim.model import evolve
from virtsim.model.address import DriveAddress, VirtioSerialAddress
from virtsim.model.devices import (
    Audio,
    Balloon,
    Channel,
    Console,
    Controller,
    Devices,
    Disk,
    Graphics,
    GraphicsListen,
    Input,
    Interface,
    Rng,
    Serial,
    Video,
)
from virtsim.qemu.addresses import drive_address

__all__ = ["complete_devices"]

#: Controllers of one kind that addresses may imply; there are no more PCI buses than this.
MAX_CONTROLLERS = 256

#: Prefix of a target's name -> bus, as ``virDomainDiskDefParseValidate`` guesses.
_BUS_OF_TARGET = {"hd": "ide", "sd": "scsi", "vd": "virtio", "fd": "fdc", "xvd": "xen", "ubd": "uml"}


def complete_devices(devices: Devices, new_mac: Callable[[], str], *, express: bool) -> Devices:
    """The devices as libvirt keeps them, but for their addresses on PCI, USB and virtio-serial.

    Args:
        devices: as they were read.
        new_mac: asked for each interface without a MAC address.
        express: whether the machine has PCI Express (``q35``).

    Raises:
        XMLError: something libvirt insists on is missing or contradicts itself.
        ConfigUnsupported: correct, but more than this driver can do.
    """
    disks = _ordered([_disk(disk) for disk in devices.disks])
    serials, consoles = _serials(devices)
    graphics = tuple(_graphics(g) for g in devices.graphics)
    videos = tuple(_video(v, first=not n) for n, v in enumerate(devices.videos))
    if graphics and not videos:
        videos = (_video(Video(model="cirrus"), first=True),)
    inputs = devices.inputs
    for kind in ("mouse", "keyboard"):
        if not any(i.type == kind and i.bus in ("ps2", None) for i in inputs):
            inputs = (*inputs, Input(type=kind, bus="ps2"))
    new = evolve(
        devices,
        disks=disks,
        interfaces=tuple(_interface(nic, new_mac) for nic in devices.interfaces),
        serials=serials,
        consoles=consoles,
        channels=tuple(_channel(c) for c in devices.channels),
        inputs=tuple(
            i if i.bus or i.type == "evdev" else evolve(i, bus="usb" if i.type == "tablet" else "ps2")
            for i in inputs
        ),
        graphics=graphics,
        audios=devices.audios or _audios(graphics),
        videos=videos,
        watchdogs=tuple(w if w.action else evolve(w, action="reset") for w in devices.watchdogs),
        balloon=devices.balloon or Balloon("virtio"),
        rngs=tuple(_rng(rng) for rng in devices.rngs),
        panics=tuple(p if p.model else evolve(p, model="isa") for p in devices.panics),
    )
    return evolve(new, controllers=_controllers(new, express=express))


def _disk(disk: Disk) -> Disk:
    target = disk.target_dev
    bus = disk.target_bus
    if bus is None:
        prefix = target.rstrip("0123456789")
        bus = next((b for p, b in _BUS_OF_TARGET.items() if prefix.startswith(p)), "ide")
        bus = "fdc" if disk.device == "floppy" else bus
    driver_type = disk.driver_type or (
        "raw" if disk.source_file or disk.source_dev or disk.driver_name else None
    )
    changes: dict[str, Any] = {
        "target_bus": bus,
        "driver_name": disk.driver_name or "qemu",
        "driver_type": driver_type or "raw",
        "readonly": disk.readonly or disk.device == "cdrom",
    }
    if disk.address is None:
        changes["address"] = drive_address(target, bus)
    if all(getattr(disk, name) == value for name, value in changes.items()):
        return disk
    return evolve(disk, **changes)


def _ordered(disks: list[Disk]) -> tuple[Disk, ...]:
    """Disks of one bus stand together in the order of their targets (``virDomainDiskInsert``)."""
    buses: dict[str | None, list[Disk]] = {}
    for disk in disks:
        buses.setdefault(disk.target_bus, []).append(disk)
    for group in buses.values():
        group.sort(key=lambda disk: (len(disk.target_dev), disk.target_dev))
    return tuple(disk for group in buses.values() for disk in group)


def _interface(nic: Interface, new_mac: Callable[[], str]) -> Interface:
    queues = None if nic.queues == 1 else nic.queues
    if nic.mac is not None and nic.model is not None and queues == nic.queues:
        return nic
    return evolve(nic, mac=nic.mac or new_mac(), model=nic.model or "rtl8139", queues=queues)


def _serials(devices: Devices) -> tuple[tuple[Serial, ...], tuple[Console, ...]]:
    """Serial ports and consoles: the first console and the first serial port stand for each other."""
    serials, consoles = devices.serials, devices.consoles
    if consoles and not serials and consoles[0].target_type in (None, "serial"):
        first = consoles[0]
        serials = (
            Serial(
                type=first.type, source=first.source, log_file=first.log_file, log_append=first.log_append
            ),
        )
    serials = tuple(_serial(port, n) for n, port in enumerate(serials))
    consoles = tuple(_console(console, n) for n, console in enumerate(consoles))
    if serials and serials[0].target_type == "isa-serial":
        port = serials[0]
        head = Console(
            type=port.type,
            source=port.source,
            protocol=port.protocol,
            log_file=port.log_file,
            log_append=port.log_append,
            target_type="serial",
            port=port.port,
        )
        same = consoles and consoles[0].target_type == "serial"
        consoles = (head, *(consoles[1:] if same else consoles))
    return serials, consoles


def _console(console: Console, number: int) -> Console:
    if console.target_type is not None and console.port is not None:
        return console
    port = number if console.port is None else console.port
    return evolve(console, target_type=console.target_type or "serial", port=port)


def _serial(port: Serial, number: int) -> Serial:
    kind = port.target_type or "isa-serial"
    if port.target_type and port.target_model and port.port is not None:
        return port
    return evolve(
        port,
        target_type=kind,
        target_model=port.target_model or kind,
        port=number if port.port is None else port.port,
    )


def _graphics(graphics: Graphics) -> Graphics:
    if graphics.type not in ("vnc", "spice"):
        return graphics
    changes = _ports(graphics) if graphics.socket is None else {}
    if not graphics.listens and "listens" not in changes:
        listen = GraphicsListen(type="address", address=graphics.listen)
        if graphics.socket is not None:
            listen = GraphicsListen(type="socket", socket=graphics.socket)
        changes["listens"] = (listen,)
    if all(getattr(graphics, name) == value for name, value in changes.items()):
        return graphics
    return evolve(graphics, **changes)


def _ports(graphics: Graphics) -> dict[str, Any]:
    """Whether a start chooses the port of a display, as libvirt keeps it."""
    if graphics.listens and graphics.listens[0].type in ("none", "socket"):
        return {}
    if graphics.type == "vnc":
        chosen = graphics.autoport or graphics.port in (None, -1)
        return {"port": -1, "autoport": True} if chosen else {"autoport": False}
    if graphics.autoport or graphics.port == -1:
        return {"port": None, "tls_port": None, "autoport": True}
    if graphics.port is not None:
        return {"autoport": False}
    if graphics.tls_port is None and not graphics.listens:
        return {"listens": (GraphicsListen(type="none"),)}  # no port, and none is to be chosen
    return {}


def _audios(graphics: tuple[Graphics, ...]) -> tuple[Audio, ...]:
    """Where sound goes: to a SPICE viewer, else nowhere; nothing for a display that has no sound."""
    if graphics and all(g.type == "egl-headless" for g in graphics):
        return ()
    return (Audio(1, "spice" if any(g.type == "spice" for g in graphics) else "none"),)


def _rng(rng: Rng) -> Rng:
    return evolve(rng, backend="/dev/random") if rng.backend_model == "random" and not rng.backend else rng


def _channel(channel: Channel) -> Channel:
    """A socket that libvirt is to choose (``mode='bind'`` without a path) is chosen at each start."""
    source = channel.source
    if channel.type == "unix" and source is not None and source.path is None:
        return evolve(channel, source=None)
    return channel


#: Memory of a graphics card in KiB: ``virDomainVideoDefaultRAM`` and qxl's two areas.
_VIDEO_MEMORY = {
    "cirrus": {"vram_kib": 16384},
    "vga": {"vram_kib": 16384},
    "bochs": {"vram_kib": 16384},
    "vmvga": {"vram_kib": 16384},
    "qxl": {"ram_kib": 65536, "vram_kib": 65536, "vgamem_kib": 16384},
}


def _video(video: Video, *, first: bool) -> Video:
    model = video.model or "cirrus"
    changes: dict[str, Any] = {"model": model}
    if model != "none":
        changes["heads"] = video.heads or 1
        for name, value in _VIDEO_MEMORY.get(model, {}).items():
            changes[name] = getattr(video, name) or value
    if first and model != "none":
        changes["primary"] = True
    if all(getattr(video, name) == value for name, value in changes.items()):
        return video
    return evolve(video, **changes)


# -- controllers ----------------------------------------------------------------------------------------


def _controllers(devices: Devices, *, express: bool) -> tuple[Controller, ...]:
    """The controllers of the document in libvirt's order, and those that machine and devices imply."""
    found = _sorted(devices.controllers)
    present = {(c.type, c.index) for c in found}

    def need(kind: str, index: int, model: str | None = None) -> None:
        if (kind, index) not in present:
            present.add((kind, index))
            found.append(Controller(type=kind, index=index, model=model))

    if not any(c.type == "usb" and c.model == "none" for c in found):
        need("usb", 0, "qemu-xhci" if express else "piix3-uhci")
    if express:
        need("sata", 0)
    root = "pcie-root" if express else "pci-root"
    need("pci", 0, root)
    given = next((c.model for c in found if c.type == "pci" and c.index == 0), None)
    if given not in (None, root):
        raise XMLError(
            f"The PCI controller with index='0' must be model='{root}' for this machine type, "
            f"but model='{given}' was found instead"
        )
    for bus, count in _implied(devices).items():
        for index in range(count):
            need(bus, index, "lsilogic" if bus == "scsi" else None)
    # Channels without a port of their own fill one controller after the other, but for the consoles' port 0.
    rooms = [(c.ports or 31) - 1 for c in found if c.type == "virtio-serial"]
    while sum(rooms) < sum(1 for c in devices.channels if c.target_type == "virtio"):
        need("virtio-serial", len(rooms))
        rooms.append(30)
    return tuple(_modelled(c, express=express) for c in found)


def _implied(devices: Devices) -> dict[str, int]:
    """Kind of controller -> how many the addresses of devices ask for, in libvirt's order.

    Raises:
        ConfigUnsupported: more than any machine has.
    """
    counts = dict.fromkeys(("scsi", "fdc", "ide", "sata", "virtio-serial"), 0)
    for disk in devices.disks:
        if isinstance(disk.address, DriveAddress) and disk.target_bus in counts:
            counts[disk.target_bus] = max(counts[disk.target_bus], disk.address.controller + 1)
    ends: tuple[Channel | Console, ...] = (*devices.channels, *devices.consoles)
    for end in ends:
        if end.target_type == "virtio":
            number = end.address.controller if isinstance(end.address, VirtioSerialAddress) else 0
            counts["virtio-serial"] = max(counts["virtio-serial"], number + 1)
    for kind, count in counts.items():
        if count > MAX_CONTROLLERS:
            raise ConfigUnsupported(
                f"{count} {kind} controllers: more than {MAX_CONTROLLERS} are not supported"
            )
    return counts


def _modelled(c: Controller, *, express: bool) -> Controller:
    if c.model is None and c.type == "usb":
        return evolve(c, model="qemu-xhci" if express else "piix3-uhci")
    if c.model is None and c.type == "scsi":
        return evolve(c, model="lsilogic")
    return c


def _sorted(controllers: tuple[Controller, ...]) -> list[Controller]:
    """Indexes for controllers without one; those of a type stand together (``virDomainControllerInsert``)."""
    used: dict[str, set[int]] = {}
    for c in controllers:
        if c.index is not None:
            used.setdefault(c.type, set()).add(c.index)
    done: list[Controller] = []
    for c in controllers:
        if c.index is None:
            taken = used.setdefault(c.type, set())
            index = 0
            if not (c.type == "usb" and c.master is not None):
                index = next(n for n in range(len(taken) + 1) if n not in taken)
            taken.add(index)
            c = evolve(c, index=index)  # noqa: PLW2901 - the numbered one takes its place
        same = [n for n, other in enumerate(done) if other.type == c.type]
        later = [n for n in same if (done[n].index or 0) > (c.index or 0)]
        done.insert(later[0] if later else same[-1] + 1 if same else len(done), c)
    return done
