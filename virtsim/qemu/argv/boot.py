"""Clock, power, boot order, kernel: how the machine comes up and what becomes of its end."""

from __future__ import annotations

from virtsim.model.devices import Disk
from virtsim.model.domain import Domain
from virtsim.qemu.argv._options import Build, on_off

__all__ = ["boot", "boot_indexes", "clock", "power"]

_CLASSES = {"hd": ("disk", "lun"), "cdrom": ("cdrom",), "fd": ("floppy",)}


def clock(build: Build) -> list[str]:
    """``-rtc``, the PIT's policy, HPET."""
    found = build.domain.clock
    argv, rtc = [], "base=utc"
    policy_of_rtc = pit = None
    hpet = True
    if found is not None:
        if found.offset == "localtime" or (found.offset == "variable" and found.basis == "localtime"):
            rtc = "base=localtime"
        for timer in found.timers:
            if timer.name == "rtc":
                policy_of_rtc = timer
            elif timer.name == "pit":
                pit = timer.tickpolicy
            elif timer.name == "hpet":
                hpet = timer.present is not False
    if policy_of_rtc is not None:
        if policy_of_rtc.track in ("guest", "realtime"):
            rtc += f",clock={'vm' if policy_of_rtc.track == 'guest' else 'rt'}"
        if policy_of_rtc.tickpolicy == "catchup":
            rtc += ",driftfix=slew"
    argv = ["-rtc", rtc]
    if pit in ("delay", "discard"):
        argv += ["-global", f"kvm-pit.lost_tick_policy={pit}"]
    if not hpet:
        argv.append("-no-hpet")
    return argv


def power(build: Build) -> list[str]:
    """``-no-shutdown``, sleep states, ACPI."""
    domain = build.domain
    argv = ["-no-shutdown"]
    chip = "ICH9-LPC" if "q35" in (domain.os.machine or "") else "PIIX4_PM"
    for name, enabled in (("disable_s3", domain.suspend_to_mem), ("disable_s4", domain.suspend_to_disk)):
        if enabled is not None:
            argv += ["-global", f"{chip}.{name}={0 if enabled else 1}"]
    if domain.features is None or not domain.features.acpi:
        argv.append("-no-acpi")
    return argv


def boot(build: Build) -> list[str]:
    """``-boot``, ``-kernel`` and company."""
    os = build.domain.os
    parts = []
    if os.bootmenu is not None:
        parts.append(f"menu={on_off(os.bootmenu)}")
    if os.bios_reboot_timeout_ms is not None:
        parts.append(f"reboot-timeout={os.bios_reboot_timeout_ms}")
    if os.bootmenu and os.bootmenu_timeout_ms is not None:
        parts.append(f"splash-time={os.bootmenu_timeout_ms}")
    argv = ["-boot", ",".join([*parts, "strict=on"])]
    for option, value in (
        ("-kernel", os.kernel),
        ("-initrd", os.initrd),
        ("-append", os.cmdline),
        ("-dtb", os.dtb),
    ):
        if value is not None:
            argv += [option, value]
    return argv


def boot_indexes(domain: Domain) -> dict[str, int]:
    """Boot index by alias: from each device's own ``<boot order>``, else from ``<os>``, first device of a kind."""
    devices = domain.devices
    own = {
        device.alias or "": device.boot_order
        for device in (*devices.disks, *devices.interfaces, *devices.hostdevs)
        if device.boot_order
    }
    if own:
        return own
    found: dict[str, int] = {}
    for number, kind in enumerate(domain.os.boot, 1):
        if kind == "network":
            first = devices.interfaces[0].alias if devices.interfaces else None
        else:
            first = _first(devices.disks, _CLASSES[kind])
        if first is not None:
            found[first] = number
    return found


def _first(disks: tuple[Disk, ...], kinds: tuple[str, ...]) -> str | None:
    return next((disk.alias for disk in disks if disk.device in kinds), None)
