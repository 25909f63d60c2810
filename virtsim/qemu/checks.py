"""What libvirt refuses when a domain is defined, in its own words.

Knows the checks of libvirt 9.0.0's QEMU driver for what the model has (``virDomainDefValidate``,
``qemuValidateDomainDef``). Must not know addresses, defaults or the command line.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from virtsim.errors import ConfigUnsupported, ErrorCode, XMLError
from virtsim.model.domain import Domain

__all__ = ["check", "total_memory"]

#: Far beyond any machine's PCI buses; keeps the time of everything below bounded.
MAX_DEVICES = 4096

#: vCPUs of QEMU 7.2's machine types (``query-machines``): q35 288, pc 255.
_MAX_VCPUS = {True: 288, False: 255}


def check(domain: Domain) -> None:
    """Refuse what cannot be a domain of this driver.

    Raises:
        XMLError: something libvirt insists on is missing or contradicts itself.
        ConfigUnsupported: correct, but more than this driver can do.
    """
    for one in _CHECKS:
        one(domain)


def total_memory(domain: Domain) -> int:
    """Memory of the cells where there are cells (libvirt prefers them), else of ``<memory>``, in KiB."""
    cells = domain.cpu.cells if domain.cpu is not None else ()
    return sum(cell.memory_kib for cell in cells) or domain.memory_kib


def _names(domain: Domain) -> None:
    if not domain.name:
        raise XMLError("missing name information", code=ErrorCode.VIR_ERR_NO_NAME)
    if "/" in domain.name:
        raise XMLError(f"name {domain.name} cannot contain '/'")
    if any(char in domain.name for char in "\n\r"):
        raise XMLError("invalid char in name: \n", code=ErrorCode.VIR_ERR_XML_DETAIL)


def _machine(domain: Domain) -> None:
    os = domain.os
    if os.type != "hvm":
        emulator = domain.emulator or "qemu-system-x86_64"
        raise ConfigUnsupported(f"Emulator '{emulator}' does not support os type '{os.type}'")
    if os.arch not in (None, "x86_64"):
        raise ConfigUnsupported(f"no emulator for architecture '{os.arch}'")
    if os.machine is not None and not os.machine.startswith(("pc", "q35")):
        raise XMLError("No PCI buses available")
    if os.loader is None and os.nvram is not None and os.firmware is None:
        raise XMLError(
            "no loader path specified and firmware auto selection disabled", code=ErrorCode.VIR_ERR_XML_DETAIL
        )
    uefi = os.firmware == "efi" or (os.loader is not None and os.loader_type == "pflash")
    if uefi and not (domain.features is not None and domain.features.acpi):
        raise ConfigUnsupported("UEFI requires ACPI on this architecture")


def _processors(domain: Domain) -> None:
    cpu = domain.cpu
    most = _MAX_VCPUS["q35" in (domain.os.machine or "")]
    if domain.vcpu_current is not None and domain.vcpu_current > domain.vcpus:
        raise ConfigUnsupported("maximum vCPU count must not be less than current vCPU count")
    if domain.vcpus > most:
        raise ConfigUnsupported(f"Maximum CPUs greater than specified machine type limit {most}")
    if not domain.vcpus:
        raise XMLError("CPU IDs in <numa> exceed the <vcpu> count", code=ErrorCode.VIR_ERR_INTERNAL_ERROR)
    if cpu is None:
        return
    if cpu.vendor_id is not None and len(cpu.vendor_id) != 12:
        raise XMLError("vendor_id must be exactly 12 characters long")
    if cpu.features and cpu.mode in (None, "custom") and cpu.model is None:
        raise XMLError("Non-empty feature list specified without CPU model")
    product = (cpu.sockets or 1) * (cpu.dies or 1) * (cpu.cores or 1) * (cpu.threads or 1)
    if cpu.sockets is not None and product != domain.vcpus:
        raise ConfigUnsupported("CPU topology doesn't match maximum vcpu count")


def _memory(domain: Domain) -> None:
    if not total_memory(domain):
        raise XMLError("Memory size must be specified via <memory> or in the <numa> configuration")
    backing = domain.memory_backing
    if backing is not None and backing.hugepages and backing.allocation == "ondemand":
        raise ConfigUnsupported("hugepages are not allowed with memory allocation ondemand")


def _clock(domain: Domain) -> None:
    for timer in domain.clock.timers if domain.clock is not None else ():
        if timer.name in ("platform", "armvtimer"):
            raise ConfigUnsupported(f"unsupported timer type (name) '{timer.name}'")


def _size(domain: Domain) -> None:
    devices = domain.devices
    families = (getattr(devices, field.name) for field in dataclasses.fields(devices))
    if sum(len(family) for family in families if isinstance(family, tuple)) > MAX_DEVICES:
        raise ConfigUnsupported(f"more than {MAX_DEVICES} devices are not supported")


def _disks(domain: Domain) -> None:
    sources: dict[str, str] = {}
    for disk in domain.devices.disks:
        source = disk.source_file or disk.source_dev or disk.source_dir or disk.source_volume
        target = disk.target_dev
        if disk.type in ("file", "block") and source is None and disk.device in ("disk", "lun"):
            code = ErrorCode.VIR_ERR_NO_SOURCE
            raise XMLError(f"missing source information for device {target}", code=code)
        if disk.device == "lun" and disk.type not in ("block", "network", "volume"):
            raise ConfigUnsupported("disk device='lun' is only valid for block type disk source")
        if target in sources:
            both = f"'{sources[target]}' and '{source or ''}'"
            raise XMLError(f"target '{target}' duplicated for disk sources {both}")
        sources[target] = source or ""
        if disk.iothread is not None and not 1 <= disk.iothread <= (domain.iothreads or 0):
            raise ConfigUnsupported(f"Disk iothread '{disk.iothread}' not defined in iothreadid")


def _boot(domain: Domain) -> None:
    devices = domain.devices
    orders = [d.boot_order for d in devices.disks]
    orders += [d.boot_order for d in devices.interfaces]
    orders += [d.boot_order for d in devices.hostdevs]
    given = [order for order in orders if order is not None]
    seen: set[int] = set()
    if given and domain.os.boot:
        raise ConfigUnsupported("per-device boot elements cannot be used together with os/boot elements")
    for order in given:
        if not order:
            raise XMLError("Invalid value for attribute 'order' in element 'boot': Zero is not permitted")
        if order in seen:
            raise ConfigUnsupported(f"boot order '{order}' used for more than one device")
        seen.add(order)


def _interfaces(domain: Domain) -> None:
    for nic in domain.devices.interfaces:
        if nic.type == "bridge" and not nic.source_bridge:
            raise XMLError("interface type='bridge' requires a 'source' element")
        if nic.type == "user" and nic.mtu is not None:
            raise ConfigUnsupported("setting MTU on interface type user is not supported yet")


def _displays(domain: Domain) -> None:
    devices = domain.devices
    if len(devices.videos) > 1 and any(video.model == "none" for video in devices.videos):
        raise ConfigUnsupported("a 'none' video type must be the only video device defined for the domain")
    for video in devices.videos[1:]:
        if video.model not in ("qxl", "virtio", "ramfb"):
            model = video.model or "cirrus"
            raise ConfigUnsupported(f"video type '{model}' is only valid as primary video device")
    if any(graphics.type == "spice" for graphics in devices.graphics):
        return
    chardevs = (*devices.channels, *devices.serials, *devices.consoles, *devices.redirdevs)
    if any(getattr(chardev, "type", None) in ("spicevmc", "spiceport") for chardev in chardevs):
        raise ConfigUnsupported("chardev 'spicevmc' not supported without spice graphics")


_CHECKS: tuple[Callable[[Domain], None], ...] = (
    _names,
    _size,
    _machine,
    _processors,
    _memory,
    _clock,
    _disks,
    _boot,
    _interfaces,
    _displays,
)
