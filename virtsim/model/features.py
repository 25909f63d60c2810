"""What the machine has besides devices: ``<features>``."""

from __future__ import annotations

from dataclasses import dataclass

from virtsim.model._codec import ONOFF, UINT, choice
from virtsim.model._fields import at, flag

__all__ = ["Features"]


@dataclass(frozen=True, slots=True)
class Features:
    """``<features>``."""

    acpi: bool = flag("acpi")
    apic: bool = flag("apic")
    apic_eoi: bool | None = at("apic/@eoi", ONOFF)
    pae: bool = flag("pae")
    hap: bool | None = at("hap/@state", ONOFF)
    viridian: bool = flag("viridian")
    privnet: bool = flag("privnet")
    hyperv_mode: str | None = at("hyperv/@mode", choice("custom", "passthrough"))
    hyperv_relaxed: bool | None = at("hyperv/relaxed/@state", ONOFF)
    hyperv_vapic: bool | None = at("hyperv/vapic/@state", ONOFF)
    hyperv_spinlocks: bool | None = at("hyperv/spinlocks/@state", ONOFF)
    hyperv_spinlocks_retries: int | None = at("hyperv/spinlocks/@retries", UINT)
    kvm_hidden: bool | None = at("kvm/hidden/@state", ONOFF)
    pvspinlock: bool | None = at("pvspinlock/@state", ONOFF)
    pmu: bool | None = at("pmu/@state", ONOFF)
    vmport: bool | None = at("vmport/@state", ONOFF)
    smm: bool | None = at("smm/@state", ONOFF)
    ioapic: str | None = at("ioapic/@driver", choice("kvm", "qemu"))
    vmcoreinfo: bool | None = at("vmcoreinfo/@state", ONOFF)
