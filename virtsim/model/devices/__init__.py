"""``<devices>``: one file for each kind of device.

Knows the XML of devices. Must not know which of them a machine can have, nor how QEMU is told of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from virtsim.model._fields import at, each, sub
from virtsim.model.devices.balloon import Balloon
from virtsim.model.devices.channel import Channel
from virtsim.model.devices.console import Console
from virtsim.model.devices.controller import Controller
from virtsim.model.devices.disk import Disk
from virtsim.model.devices.graphics import Graphics, GraphicsListen
from virtsim.model.devices.hostdev import Hostdev
from virtsim.model.devices.hub import Hub
from virtsim.model.devices.input import Input
from virtsim.model.devices.interface import Interface
from virtsim.model.devices.panic import Panic
from virtsim.model.devices.redirdev import Redirdev
from virtsim.model.devices.rng import Rng
from virtsim.model.devices.serial import Serial
from virtsim.model.devices.sound import Audio, Sound
from virtsim.model.devices.tpm import Tpm
from virtsim.model.devices.video import Video
from virtsim.model.devices.watchdog import Watchdog

__all__ = [
    "Audio",
    "Balloon",
    "Channel",
    "Console",
    "Controller",
    "Devices",
    "Disk",
    "Graphics",
    "GraphicsListen",
    "Hostdev",
    "Hub",
    "Input",
    "Interface",
    "Panic",
    "Redirdev",
    "Rng",
    "Serial",
    "Sound",
    "Tpm",
    "Video",
    "Watchdog",
]


@dataclass(frozen=True, slots=True)
class Devices:
    """``<devices>``, in libvirt's order."""

    emulator: str | None = at("emulator")
    disks: tuple[Disk, ...] = each("disk", Disk)
    controllers: tuple[Controller, ...] = each("controller", Controller)
    interfaces: tuple[Interface, ...] = each("interface", Interface)
    serials: tuple[Serial, ...] = each("serial", Serial)
    consoles: tuple[Console, ...] = each("console", Console)
    channels: tuple[Channel, ...] = each("channel", Channel)
    inputs: tuple[Input, ...] = each("input", Input)
    tpms: tuple[Tpm, ...] = each("tpm", Tpm)
    graphics: tuple[Graphics, ...] = each("graphics", Graphics)
    sounds: tuple[Sound, ...] = each("sound", Sound)
    audios: tuple[Audio, ...] = each("audio", Audio)
    videos: tuple[Video, ...] = each("video", Video)
    hostdevs: tuple[Hostdev, ...] = each("hostdev", Hostdev)
    redirdevs: tuple[Redirdev, ...] = each("redirdev", Redirdev)
    hubs: tuple[Hub, ...] = each("hub", Hub)
    watchdogs: tuple[Watchdog, ...] = each("watchdog", Watchdog)
    balloon: Balloon | None = sub("memballoon", Balloon)
    rngs: tuple[Rng, ...] = each("rng", Rng)
    panics: tuple[Panic, ...] = each("panic", Panic)
