"""A definition as libvirt keeps it: what the document leaves out, filled in.

Knows the defaults of libvirt 9.0.0's QEMU driver for x86_64 (``qemuDomainDefPostParse``), read off its
results. Must not know the command line, nor what a running domain adds.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from virtsim.model import evolve
from virtsim.model.clock import Clock
from virtsim.model.cpu import Cpu
from virtsim.model.domain import Domain
from virtsim.model.features import Features
from virtsim.qemu.addresses import assign
from virtsim.qemu.checks import check, total_memory
from virtsim.qemu.device_defaults import complete_devices

__all__ = ["complete"]

#: What QEMU's ``pc`` and ``q35`` have where nothing is asked for (``query-machines``: default-cpu-type).
_DEFAULT_MODEL = "qemu64"


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
        qemu_version: the QEMU whose ``pc`` and ``q35`` are meant; None keeps these names as they are, which
            any QEMU understands.

    Raises:
        XMLError: something libvirt insists on is missing or contradicts itself.
        ConfigUnsupported: correct, but more than this driver can do.
    """
    check(domain)
    machine = _machine(domain.os.machine, qemu_version)
    express = "q35" in machine
    devices = complete_devices(domain.devices, new_mac, express=express)
    if devices.emulator is None:
        devices = evolve(devices, emulator=default_emulator)
    own = any(d.boot_order for d in devices.disks) or any(d.boot_order for d in devices.interfaces)
    boots = domain.os.boot or own or any(d.boot_order for d in devices.hostdevs)
    new_os = evolve(
        domain.os,
        arch=domain.os.arch or "x86_64",
        machine=machine,
        loader_type=domain.os.loader_type or ("rom" if domain.os.loader is not None else None),
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
            evolve(
                given,
                mode="custom",
                match="exact",
                check="none",
                fallback="forbid",
                model=_DEFAULT_MODEL,
            )
        )
    mode = cpu.mode or "custom"
    check = cpu.check or ("partial" if mode == "host-model" or (kvm and mode == "custom") else "none")
    changes: dict[str, Any] = {"mode": mode, "check": check}
    if mode == "custom":
        changes |= {"match": cpu.match or "exact", "fallback": cpu.fallback or "allow"}
        if cpu.model is None:
            changes |= {"fallback": "forbid", "model": _DEFAULT_MODEL}
    elif mode == "host-passthrough" and cpu.migratable is None:
        changes["migratable"] = True
    return _numbered(evolve(cpu, **changes))


def _numbered(cpu: Cpu) -> Cpu:
    """Topology with all its levels, cells with their ids."""
    if cpu.sockets is not None and cpu.dies is None:
        cpu = evolve(cpu, dies=1)
    if any(cell.id is None for cell in cpu.cells):
        cells = tuple(evolve(c, id=n) if c.id is None else c for n, c in enumerate(cpu.cells))
        cpu = evolve(cpu, cells=cells)
    return cpu
