"""A definition as libvirt keeps it: what the document leaves out, filled in.

Knows the defaults of libvirt 9.0.0's QEMU driver for x86_64 (``qemuDomainDefPostParse``), read off its results. Must
not know the command line, nor what a running domain adds.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from virtsim.errors import ConfigUnsupported, ErrorCode, XMLError
from virtsim.model import evolve
from virtsim.model.address import VirtioSerialAddress
from virtsim.model.clock import Clock
from virtsim.model.cpu import Cpu
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
    Serial,
    Video,
)
from virtsim.model.domain import Domain
from virtsim.model.features import Features
from virtsim.qemu.addresses import assign, drive_address

__all__ = ["complete"]

#: Of QEMU 7.2's ``pc`` (255) and ``q35`` (288) the number that both can do.
MAX_VCPUS = 288

#: Prefix of a target's name -> bus, as ``virDomainDiskDefParseValidate`` guesses.
_BUS_OF_TARGET = {"hd": "ide", "sd": "scsi", "vd": "virtio", "fd": "fdc", "xvd": "xen", "ubd": "uml"}


def complete(
    domain: Domain,
    *,
    new_uuid: Callable[[], uuid.UUID],
    new_mac: Callable[[], str],
    default_emulator: str,
    qemu_version: tuple[int, int] | None = (7, 2),
) -> Domain:
    """Fill in whatever the document leaves out; a complete domain comes back unchanged.

    Args:
        domain: as it was read.
        new_uuid: asked once if there is none.
        new_mac: asked for each interface without one.
        default_emulator: the program where none is named.
        qemu_version: the QEMU whose ``pc`` and ``q35`` are meant; None keeps these names as they are, which any
            QEMU understands.

    Raises:
        XMLError: something libvirt insists on is missing or contradicts itself.
        ConfigUnsupported: correct, but more than this driver can do.
    """
    _check(domain)
    machine = _machine(domain.os.machine, qemu_version)
    express = "q35" in machine
    devices = _devices(domain.devices, new_mac, express=express)
    if devices.emulator is None:
        devices = evolve(devices, emulator=default_emulator)
    boots = domain.os.boot or any(d.boot_order for d in (*devices.disks, *devices.interfaces, *devices.hostdevs))
    new_os = evolve(
        domain.os,
        arch=domain.os.arch or "x86_64",
        machine=machine,
        boot=domain.os.boot if boots else ("hd",),
    )
    memory = total_memory(domain)
    current = domain.current_memory_kib or memory
    return assign(
        evolve(
            domain,
            uuid=domain.uuid or new_uuid(),
            memory_kib=memory,
            current_memory_kib=min(current, memory),
            vcpu_placement=domain.vcpu_placement or "static",
            vcpu_current=None if domain.vcpu_current == domain.vcpus else domain.vcpu_current,
            os=new_os,
            features=_features(domain.features),
            cpu=_cpu(domain.cpu, kvm=domain.type == "kvm"),
            clock=domain.clock or Clock(),
            on_poweroff=domain.on_poweroff or "destroy",
            on_reboot=domain.on_reboot or "restart",
            on_crash=domain.on_crash or "destroy",
            devices=devices,
        )
    )


def _check(domain: Domain) -> None:
    """What libvirt refuses before it fills anything in; its words."""
    if not domain.name:
        raise XMLError("missing name information", code=ErrorCode.VIR_ERR_NO_NAME)
    if "/" in domain.name:
        raise XMLError(f"name {domain.name} cannot contain '/'")
    if any(char in domain.name for char in "\n\r"):
        raise XMLError("invalid char in name: \n")
    if domain.os.type != "hvm":
        raise ConfigUnsupported(f"this driver runs hvm guests only, not '{domain.os.type}'")
    if domain.os.arch not in (None, "x86_64"):
        raise ConfigUnsupported(f"no emulator for architecture '{domain.os.arch}'")
    if domain.vcpu_current is not None and domain.vcpu_current > domain.vcpus:
        raise ConfigUnsupported("maximum vCPU count must not be less than current vCPU count")
    if domain.vcpus > MAX_VCPUS:
        raise ConfigUnsupported(f"Maximum CPUs greater than specified machine type limit {MAX_VCPUS}")
    cpu = domain.cpu
    if cpu is not None and cpu.sockets is not None:
        if cpu.sockets * (cpu.dies or 1) * (cpu.cores or 1) * (cpu.threads or 1) != domain.vcpus:
            raise ConfigUnsupported("CPU topology doesn't match maximum vcpu count")
    if not total_memory(domain):
        raise XMLError("Memory size must be specified via <memory> or in the <numa> configuration")


def total_memory(domain: Domain) -> int:
    """Memory of the cells where there are cells (libvirt prefers them), else of ``<memory>``, in KiB."""
    cells = domain.cpu.cells if domain.cpu is not None else ()
    return sum(cell.memory_kib for cell in cells) or domain.memory_kib


def _machine(machine: str | None, version: tuple[int, int] | None) -> str:
    if version is None or machine not in ("pc", "q35", None):
        return machine or "pc"
    name = "q35" if machine == "q35" else "i440fx"
    return f"pc-{name}-{version[0]}.{version[1]}"


def _features(features: Features | None) -> Features | None:
    if features is None or features.hyperv_mode is not None:
        return features
    if (features.hyperv_relaxed, features.hyperv_vapic, features.hyperv_spinlocks) == (None, None, None):
        return features
    return evolve(features, hyperv_mode="custom")


def _cpu(cpu: Cpu | None, *, kvm: bool) -> Cpu:
    """The processor: QEMU's own default model where the document names none."""
    if cpu is None or (cpu.mode is None and cpu.model is None):
        given = cpu or Cpu()
        return _numbered(
            evolve(given, mode="custom", match="exact", check="none", fallback="forbid", model=_default_model(kvm=kvm))
        )
    mode = cpu.mode or "custom"
    check = cpu.check or ("partial" if mode == "host-model" or (kvm and mode == "custom") else "none")
    changes: dict[str, Any] = {"mode": mode, "check": check}
    if mode == "custom":
        changes |= {"match": cpu.match or "exact", "fallback": cpu.fallback or "allow"}
        if cpu.model is None:
            changes |= {"fallback": "forbid", "model": _default_model(kvm=kvm)}
    elif mode == "host-passthrough" and cpu.migratable is None:
        changes["migratable"] = True
    return _numbered(evolve(cpu, **changes))


def _default_model(*, kvm: bool) -> str:
    del kvm  # QEMU 7.2 calls the default of both accelerators the same
    return "qemu64"


def _numbered(cpu: Cpu) -> Cpu:
    """Topology with all its levels, cells with their ids."""
    if cpu.sockets is not None and cpu.dies is None:
        cpu = evolve(cpu, dies=1)
    if any(cell.id is None for cell in cpu.cells):
        cells = tuple(evolve(c, id=n) if c.id is None else c for n, c in enumerate(cpu.cells))
        cpu = evolve(cpu, cells=cells)
    return cpu


# -- devices --------------------------------------------------------------------------------------------------


def _devices(devices: Devices, new_mac: Callable[[], str], *, express: bool) -> Devices:
    disks = _ordered([_disk(disk) for disk in devices.disks])
    targets = [disk.target_dev for disk in disks]
    for target in targets:
        if targets.count(target) > 1:
            raise XMLError(f"target '{target}' duplicated for disk sources")
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
        inputs=tuple(i if i.bus else evolve(i, bus="ps2" if i.type != "tablet" else "usb") for i in inputs),
        graphics=graphics,
        audios=devices.audios or (Audio(1, "spice" if any(g.type == "spice" for g in graphics) else "none"),),
        videos=videos,
        watchdogs=tuple(w if w.action else evolve(w, action="reset") for w in devices.watchdogs),
        balloon=devices.balloon or Balloon("virtio"),
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
    driver_type = disk.driver_type or ("raw" if disk.source_file or disk.source_dev or disk.driver_name else None)
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
    if nic.type == "bridge" and not nic.source_bridge:
        raise XMLError("interface type='bridge' requires a 'source' element")
    queues = None if nic.queues == 1 else nic.queues
    if nic.mac is not None and nic.model is not None and queues == nic.queues:
        return nic
    return evolve(nic, mac=nic.mac or new_mac(), model=nic.model or "rtl8139", queues=queues)


def _serials(devices: Devices) -> tuple[tuple[Serial, ...], tuple[Console, ...]]:
    """Serial ports and consoles: the first console and the first serial port stand for each other."""
    serials, consoles = devices.serials, devices.consoles
    if consoles and not serials and consoles[0].target_type in (None, "serial"):
        first = consoles[0]
        serials = (Serial(type=first.type, source=first.source, log_file=first.log_file),)
    serials = tuple(_serial(port, n) for n, port in enumerate(serials))
    if serials and not consoles:
        first_port = serials[0]
        consoles = (Console(type=first_port.type, source=first_port.source, log_file=first_port.log_file),)
    first_log = serials[0] if serials else None
    if first_log is not None and consoles[0].target_type in (None, "serial"):
        head = evolve(consoles[0], log_file=first_log.log_file, log_append=first_log.log_append)
        consoles = (head, *consoles[1:])
    consoles = tuple(
        c
        if c.target_type is not None and c.port is not None
        else evolve(c, target_type=c.target_type or "serial", port=c.port if c.port is not None else n)
        for n, c in enumerate(consoles)
    )
    return serials, consoles


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
    changes: dict[str, Any] = {}
    if graphics.socket is None:
        chosen = graphics.autoport or graphics.port in (None, -1)
        if graphics.type == "vnc":
            changes = {"port": -1, "autoport": True} if chosen else {"autoport": False}
        elif chosen and graphics.tls_port in (None, -1):
            changes = {"port": None, "tls_port": None, "autoport": True}
    if not graphics.listens:
        if graphics.socket is not None:
            changes["listens"] = (GraphicsListen(type="socket", socket=graphics.socket),)
        else:
            changes["listens"] = (GraphicsListen(type="address", address=graphics.listen),)
    if all(getattr(graphics, name) == value for name, value in changes.items()):
        return graphics
    return evolve(graphics, **changes)


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


# -- controllers ----------------------------------------------------------------------------------------------


def _controllers(devices: Devices, *, express: bool) -> tuple[Controller, ...]:
    """The controllers of the document in libvirt's order, and those that the machine and the devices imply."""
    found = _sorted(devices.controllers)
    present = {(c.type, c.index) for c in found}

    def need(kind: str, index: int, model: str | None = None) -> None:
        if (kind, index) not in present:
            present.add((kind, index))
            found.append(Controller(type=kind, index=index, model=model))

    if not any(c.type == "usb" for c in found):
        need("usb", 0, "qemu-xhci" if express else "piix3-uhci")
    if express:
        need("sata", 0)
    need("pci", 0, "pcie-root" if express else "pci-root")
    for bus in ("scsi", "fdc", "ide", "sata"):
        used = [d.address.controller for d in devices.disks if d.target_bus == bus and hasattr(d.address, "controller")]
        for index in range(max(used, default=-1) + 1):
            need(bus, index, "lsilogic" if bus == "scsi" else None)
    serial = [
        d.address.controller if isinstance(d.address, VirtioSerialAddress) else 0
        for d in (*devices.channels, *devices.consoles)
        if d.target_type == "virtio"
    ]
    for index in range(max(serial, default=-1) + 1):
        need("virtio-serial", index)
    return tuple(_modelled(c, express=express) for c in found)


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
