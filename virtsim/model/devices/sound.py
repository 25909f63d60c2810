"""Sound cards and where their sound goes: ``<sound>`` and ``<audio>``."""

from __future__ import annotations

from dataclasses import dataclass

from virtsim.model._codec import UINT, choice
from virtsim.model._fields import at, sub
from virtsim.model.address import ADDRESS, Address

__all__ = ["Audio", "Sound"]


@dataclass(frozen=True, slots=True)
class Sound:
    """``<sound>``."""

    model: str = at(
        "@model",
        choice("sb16", "es1370", "pcspk", "ac97", "ich6", "ich9", "usb", "ich7"),
        "ich6",
        required=True,
    )
    codec: str | None = at("codec/@type", choice("duplex", "micro", "output"))
    audio_id: int | None = at("audio/@id", UINT)
    alias: str | None = at("alias/@name")
    address: Address | None = sub("address", ADDRESS)


@dataclass(frozen=True, slots=True)
class Audio:
    """``<audio>``: a backend of the host."""

    id: int = at("@id", UINT, 1, required=True)
    type: str = at(
        "@type",
        choice("none", "alsa", "coreaudio", "jack", "oss", "pulseaudio", "sdl", "spice", "file", "dbus"),
        "none",
        required=True,
    )
