"""Clock, power, boot order, kernel: how the machine comes up and what becomes of its end."""

from __future__ import annotations

import datetime as dt

from virtsim.errors import ConfigUnsupported
from virtsim.model.clock import Clock
from virtsim.model.devices import Disk, Hostdev, Interface
from virtsim.model.domain import Domain
from virtsim.qemu.argv._options import Build, on_off

__all__ = ["boot", "boot_indexes", "clock", "power"]

_CLASSES = {"hd": ("disk", "lun"), "cdrom": ("cdrom",), "fd": ("floppy",)}


def clock(build: Build) -> list[str]:
    """``-rtc``, the PIT's policy, HPET."""
    found = build.domain.clock or Clock()
    timers = {timer.name: timer for timer in found.timers}
    rtc = f"base={_base(found)}"
    if (timer := timers.get("rtc")) is not None:
        if timer.track in ("guest", "realtime"):
            rtc += f",clock={'vm' if timer.track == 'guest' else 'rt'}"
        if timer.tickpolicy == "catchup":
            rtc += ",driftfix=slew"
    argv = ["-rtc", rtc]
    if (timer := timers.get("pit")) is not None and timer.tickpolicy in ("delay", "discard"):
        argv += ["-global", f"kvm-pit.lost_tick_policy={timer.tickpolicy}"]
    if (timer := timers.get("hpet")) is not None and timer.present is False:
        argv.append("-no-hpet")
    return argv


def _base(found: Clock) -> str:
    """What the guest's clock starts with.

    Raises:
        ConfigUnsupported: an offset from the time of the start, which a command line cannot say.
    """
    if found.offset in ("localtime", "timezone"):
        return "localtime"
    if found.offset == "absolute" and found.start_s is not None:
        moment = dt.datetime.fromtimestamp(found.start_s, dt.UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%S")
    if found.offset == "variable" and found.adjustment not in (None, "0", "reset"):
        raise ConfigUnsupported("clock offset='variable' with an adjustment is not supported")
    return "localtime" if found.basis == "localtime" else "utc"


def power(build: Build) -> list[str]:
    """``-no-shutdown``, sleep states, ACPI."""
    domain = build.domain
    argv = ["-no-shutdown"]
    if domain.features is None or not domain.features.acpi:
        argv.append("-no-acpi")
    chip = "ICH9-LPC" if "q35" in (domain.os.machine or "") else "PIIX4_PM"
    for name, enabled in (("disable_s3", domain.suspend_to_mem), ("disable_s4", domain.suspend_to_disk)):
        if enabled is not None:
            argv += ["-global", f"{chip}.{name}={0 if enabled else 1}"]
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
    """Boot index by alias: each device's own ``<boot order>``, else from ``<os>``, first device of a kind."""
    devices = domain.devices
    ends: tuple[Disk | Interface | Hostdev, ...] = (*devices.disks, *devices.interfaces, *devices.hostdevs)
    own = {device.alias or "": device.boot_order for device in ends if device.boot_order}
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
