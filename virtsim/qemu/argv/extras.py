"""Watchdog, balloon, randomness, panic device, host devices."""

from __future__ import annotations

from virtsim.errors import ConfigUnsupported
from virtsim.qemu.argv._options import Build, device, place

__all__ = ["balloon", "core_info", "hostdevs", "panics", "redirdevs", "rngs", "sandbox", "watchdogs"]


def watchdogs(build: Build) -> list[str]:
    """Watchdogs and what QEMU does when one barks."""
    argv: list[str] = []
    for watchdog in build.domain.devices.watchdogs:
        if watchdog.model not in ("i6300esb", "ib700"):
            raise ConfigUnsupported(f"unknown watchdog model '{watchdog.model}'")
        argv += device("-device", driver=watchdog.model, id=watchdog.alias, **place(build, watchdog.address))
    if build.domain.devices.watchdogs:
        # libvirt dumps a guest itself: QEMU has only to pause it.
        action = build.domain.devices.watchdogs[0].action or "reset"
        argv += ["-watchdog-action", "pause" if action == "dump" else action]
    return argv


def redirdevs(build: Build) -> list[str]:
    """USB devices that a SPICE viewer hands over."""
    argv: list[str] = []
    for redirdev in build.domain.devices.redirdevs:
        if redirdev.type != "spicevmc":
            raise ConfigUnsupported(f"redirected device of type '{redirdev.type}' is not supported")
        name = f"char{redirdev.alias}"
        argv += ["-chardev", f"spicevmc,id={name},name=usbredir"]
        at = place(build, redirdev.address)
        argv += device(
            "-device",
            driver="usb-redir",
            chardev=name,
            id=redirdev.alias,
            bootindex=redirdev.boot_order,
            **at,
        )
    return argv


def hostdevs(build: Build) -> list[str]:
    """Host devices of PCI through VFIO.

    Raises:
        ConfigUnsupported: another kind of host device.
    """
    argv: list[str] = []
    for hostdev in build.domain.devices.hostdevs:
        source = hostdev.source
        if hostdev.type != "pci" or source is None or hostdev.driver not in (None, "vfio"):
            raise ConfigUnsupported(f"hostdev of type '{hostdev.type}' is not supported")
        argv += device(
            "-device",
            driver="vfio-pci",
            host=f"{source.domain:04x}:{source.bus:02x}:{source.slot:02x}.{source.function:x}",
            id=hostdev.alias,
            bootindex=build.boot.get(hostdev.alias or ""),
            **place(build, hostdev.address),
            rombar=None if hostdev.rom_bar is None else int(hostdev.rom_bar == "on"),
            romfile=hostdev.rom_file,
        )
    return argv


def balloon(build: Build) -> list[str]:
    """The memory balloon."""
    found = build.domain.devices.balloon
    if found is None or found.model == "none":
        return []
    if not found.model.startswith("virtio"):
        raise ConfigUnsupported(
            f"Memory balloon device type '{found.model}' is not supported by this version of qemu"
        )
    suffix = found.model.removeprefix("virtio")
    return device(
        "-device",
        driver=f"virtio-balloon-pci{suffix}",
        id=found.alias,
        deflate_on_oom=found.autodeflate,
        free_page_reporting=found.free_page_reporting,
        **place(build, found.address),
    )


def rngs(build: Build) -> list[str]:
    """Sources of randomness."""
    argv: list[str] = []
    for rng in build.domain.devices.rngs:
        name = f"obj{rng.alias}"
        if rng.backend_model == "random":
            argv += device("-object", qom_type="rng-random", id=name, filename=rng.backend or "/dev/random")
        elif rng.backend_model == "builtin":
            argv += device("-object", qom_type="rng-builtin", id=name)
        else:
            raise ConfigUnsupported(f"RNG backend '{rng.backend_model}' is not supported")
        period = (rng.rate_period_ms or 1000) if rng.rate_bytes is not None else None
        argv += device(
            "-device",
            driver=f"virtio-rng-pci{rng.model.removeprefix('virtio')}",
            rng=name,
            id=rng.alias,
            max_bytes=rng.rate_bytes,
            period=period,
            **place(build, rng.address),
        )
    return argv


def core_info(build: Build) -> list[str]:
    """The device through which a guest tells where its crash dump's notes lie."""
    features = build.domain.features
    return device("-device", driver="vmcoreinfo") if features is not None and features.vmcoreinfo else []


def panics(build: Build) -> list[str]:
    """``pvpanic``."""
    argv: list[str] = []
    for panic in build.domain.devices.panics:
        if panic.model == "isa":
            argv += device("-device", driver="pvpanic", ioport=getattr(panic.address, "iobase", None))
        elif panic.model != "hyperv":
            raise ConfigUnsupported(f"the QEMU binary does not support the panic device '{panic.model}'")
    return argv


def sandbox(build: Build) -> list[str]:
    """``-sandbox``; a bridge's helper is a setuid program, which has to be allowed to start."""
    bridged = any(nic.type == "bridge" for nic in build.domain.devices.interfaces)
    word = "allow" if bridged else "deny"
    return ["-sandbox", f"on,obsolete=deny,elevateprivileges={word},spawn={word},resourcecontrol=deny"]
