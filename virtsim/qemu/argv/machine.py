"""Machine type, processor, memory, topology, NUMA: the head of the command line."""

from __future__ import annotations

from typing import Any

from virtsim.errors import ConfigUnsupported
from virtsim.model.cpu import Cpu
from virtsim.model.domain import Domain
from virtsim.model.features import Features
from virtsim.qemu.argv._options import Build, device, on_off

__all__ = ["bios", "cpu", "firmware", "iothreads", "machine", "memory", "numa", "smp"]

_KIB = 1024
#: libvirt has no limit; a command line of more would not fit into an argument list.
MAX_IOTHREADS = 1024


def machine(build: Build, accel: str) -> list[str]:
    """``-machine`` and ``-accel``."""
    domain = build.domain
    features = domain.features
    dump = domain.memory_dump_core is True
    options = [domain.os.machine or "pc", "usb=off"]
    if features is not None:
        if features.vmport is not None:
            options.append(f"vmport={on_off(features.vmport)}")
        if features.smm is not None:
            options.append(f"smm={on_off(features.smm)}")
        if features.ioapic is not None:
            options.append(f"kernel_irqchip={'split' if features.ioapic == 'qemu' else 'on'}")
    options.append(f"dump-guest-core={on_off(dump)}")
    backing = domain.memory_backing
    if backing is not None and backing.nosharepages:
        options.append("mem-merge=off")
    if not _cells(domain):
        options.append("memory-backend=pc.ram")
    if domain.os.bios_useserial:
        options.append("graphics=off")
    if domain.os.loader is not None and domain.os.loader_type == "pflash":
        options.append("pflash0=libvirt-pflash0-format")
        if domain.os.nvram is not None:
            options.append("pflash1=libvirt-pflash1-format")
    return ["-machine", ",".join(options), "-accel", accel]


def firmware(build: Build) -> list[str]:
    """The two flash chips of UEFI as block devices.

    Raises:
        ConfigUnsupported: firmware is asked for that the document does not name.
    """
    os = build.domain.os
    if os.loader is None:
        if os.firmware == "efi":
            raise ConfigUnsupported(
                "firmware='efi' needs the path of an image: "
                "write <loader readonly='yes' type='pflash'>PATH</loader>"
            )
        return []
    if os.loader_type != "pflash":
        return []
    argv = _flash("pflash0", os.loader, readonly=os.loader_readonly is not False)
    if os.nvram is not None:
        argv += _flash("pflash1", os.nvram, readonly=False)
    return argv


def bios(build: Build) -> list[str]:
    """``-bios`` for a firmware that is a ROM."""
    os = build.domain.os
    return ["-bios", os.loader] if os.loader is not None and os.loader_type != "pflash" else []


def _flash(name: str, path: str, *, readonly: bool) -> list[str]:
    return [
        *device(
            "-blockdev",
            driver="file",
            filename=path,
            node_name=f"libvirt-{name}-storage",
            auto_read_only=True,
            discard="unmap",
        ),
        *device(
            "-blockdev",
            node_name=f"libvirt-{name}-format",
            read_only=readonly,
            driver="raw",
            file=f"libvirt-{name}-storage",
        ),
    ]


def cpu(build: Build, accel: str) -> list[str]:
    """``-cpu``: the model, with features and what ``<features>`` and timers ask of the processor."""
    found = build.domain.cpu or Cpu(model="qemu64")
    mode = found.mode or "custom"
    if mode == "custom":
        parts = [found.model or "qemu64"]
    elif mode == "maximum" or accel == "tcg":
        # host-model and host-passthrough mean the processor that is there: with TCG, all that it can emulate.
        parts = ["max"]
        if mode == "maximum" and found.migratable is not None:
            parts.append(f"migratable={on_off(found.migratable)}")
    else:
        parts = ["host"]
        if found.migratable is not None and mode == "host-passthrough":
            parts.append(f"migratable={on_off(found.migratable)}")
    if found.vendor_id is not None:
        parts.append(f"vendor={found.vendor_id}")
    for feature in found.features:
        on = feature.policy in (None, "force", "require", "optional")
        parts.append(f"{feature.name}={on_off(on)}")
    if found.cache_mode == "emulate" and found.cache_level == 3:
        parts.append("l3-cache=on")
    elif found.cache_mode is not None:
        parts.append("host-cache-info=" + on_off(found.cache_mode == "passthrough"))
    parts += _enlightenments(build.domain)
    return ["-cpu", ",".join(parts)]


def _enlightenments(domain: Domain) -> list[str]:
    """What timers, ``<features>`` and the panic device ask of the processor, in libvirt's order."""
    parts = []
    for timer in domain.clock.timers if domain.clock is not None else ():
        if timer.name == "kvmclock" and timer.present is not None:
            parts.append(f"kvmclock={on_off(timer.present)}")
        if timer.name == "hypervclock" and timer.present:
            parts.append("hv-time=on")
        if timer.name == "tsc" and timer.frequency_hz:
            parts.append(f"tsc-frequency={timer.frequency_hz}")
    if any(panic.model == "hyperv" for panic in domain.devices.panics):
        parts.append("hv-crash")
    features = domain.features or Features()
    switches: tuple[tuple[bool | None, str], ...] = (
        (features.apic_eoi, "kvm-pv-eoi"),
        (features.pvspinlock, "kvm-pv-unhalt"),
    )
    parts += [f"{name}={on_off(value)}" for value, name in switches if value is not None]
    asked = (
        (features.hyperv_mode == "passthrough", "hv-passthrough=on"),
        (features.hyperv_relaxed, "hv-relaxed=on"),
        (features.hyperv_vapic, "hv-vapic=on"),
        (features.hyperv_spinlocks, f"hv-spinlocks=0x{features.hyperv_spinlocks_retries or 4096:x}"),
        (features.kvm_hidden, "kvm=off"),
    )
    parts += [text for wanted, text in asked if wanted]
    return parts if features.pmu is None else [*parts, f"pmu={on_off(features.pmu)}"]


def memory(build: Build) -> list[str]:
    """``-m``, the memory of a guest without NUMA, ``-overcommit``."""
    domain = build.domain
    argv = ["-m", str(-(-domain.memory_kib // _KIB))]
    if not _cells(domain):
        argv += _backend(build, "pc.ram", domain.memory_kib, None)
    locked = domain.memory_backing is not None and domain.memory_backing.locked
    return [*argv, "-overcommit", f"mem-lock={on_off(locked)}"]


def smp(build: Build) -> list[str]:
    """``-smp``.

    Raises:
        ConfigUnsupported: the topology does not multiply to the number of vCPUs; libvirt's words.
    """
    domain = build.domain
    found = domain.cpu or Cpu()
    sockets, dies = found.sockets or domain.vcpus, found.dies or 1
    cores, threads = found.cores or 1, found.threads or 1
    if sockets * dies * cores * threads != domain.vcpus:
        raise ConfigUnsupported("CPU topology doesn't match maximum vcpu count")
    head = str(domain.vcpus)
    if domain.vcpu_current is not None:
        head = f"{domain.vcpu_current},maxcpus={domain.vcpus}"
    middle = f",dies={dies}" if found.sockets is not None else ""
    return ["-smp", f"{head},sockets={sockets}{middle},cores={cores},threads={threads}"]


def iothreads(build: Build) -> list[str]:
    """``-object iothread`` for each.

    Raises:
        ConfigUnsupported: more threads than make sense.
    """
    if (build.domain.iothreads or 0) > MAX_IOTHREADS:
        raise ConfigUnsupported(f"more than {MAX_IOTHREADS} iothreads are not supported")
    argv: list[str] = []
    for number in range(1, (build.domain.iothreads or 0) + 1):
        argv += device("-object", qom_type="iothread", id=f"iothread{number}")
    return argv


def numa(build: Build) -> list[str]:
    """Memory and processors of each cell."""
    argv: list[str] = []
    for number, cell in enumerate(_cells(build.domain)):
        node = cell.id if cell.id is not None else number
        argv += _backend(build, f"ram-node{node}", cell.memory_kib, node, share=cell.mem_access)
        cpus = "".join(f",cpus={part}" for part in cell.cpus.split(",")) if cell.cpus else ""
        argv += ["-numa", f"node,nodeid={node}{cpus},memdev=ram-node{node}"]
    return argv


def _cells(domain: Domain) -> tuple[Any, ...]:
    return domain.cpu.cells if domain.cpu is not None else ()


def _page_size(domain: Domain, node: int | None) -> int | None:
    """Huge page size for a node in KiB; 0 for the host's default, None for no huge pages."""
    backing = domain.memory_backing
    if backing is None or not backing.hugepages:
        return None
    for page in backing.pages:
        if page.nodeset is None or (node is not None and node in _numbers(page.nodeset)) or node is None:
            return page.size_kib
    return None if backing.pages else 0


def _numbers(nodeset: str) -> set[int]:
    found: set[int] = set()
    for part in nodeset.split(","):
        first, _, last = part.partition("-")
        if first.isdigit() and (not last or last.isdigit()):
            found.update(range(int(first), min(int(last or first), int(first) + 4096) + 1))
    return found


def _backend(build: Build, name: str, size_kib: int, node: int | None, share: str | None = None) -> list[str]:
    """``-object memory-backend-...``.

    Huge pages come through memfd, not through a mounted hugetlbfs as libvirt does it: no mount point has to
    be found or prepared, nothing is left behind, and the pages are the same.
    """
    backing = build.domain.memory_backing
    page = _page_size(build.domain, node)
    access = share or (backing.access if backing is not None else None)
    source = backing.source if backing is not None else None
    shared = None if access is None else access == "shared"
    immediate = backing is not None and backing.allocation == "immediate"
    properties: dict[str, Any] = {"id": name}
    kind = "memory-backend-ram"
    if page is not None:
        kind = "memory-backend-memfd"
        properties["hugetlb"] = True
        if page:
            properties["hugetlbsize"] = page * _KIB
    elif source == "memfd":
        kind = "memory-backend-memfd"
    elif source == "file" or (access == "shared" and source is None):
        kind = "memory-backend-file" if source == "file" else "memory-backend-memfd"
        if source == "file":
            properties["mem_path"] = build.paths.dir
    if shared is not None or kind == "memory-backend-file":
        properties["share"] = bool(shared)
    if kind != "memory-backend-ram" and node is None:
        properties["x_use_canonical_path_for_ramblock_id"] = False
    if page is not None or immediate:
        properties["prealloc"] = True
        if backing is not None and backing.allocation_threads:
            properties["prealloc_threads"] = backing.allocation_threads
    return device(
        "-object", qom_type=kind, **properties, size=-(-size_kib // _KIB) * _KIB * _KIB
    )  # whole MiB, as libvirt
