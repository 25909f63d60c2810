"""Graphics cards: ``<video>``."""

from __future__ import annotations

from dataclasses import dataclass

from virtsim.errors import ErrorCode
from virtsim.model._codec import UINT, YESNO, choice
from virtsim.model._fields import Wording, at, sub
from virtsim.model.address import ADDRESS, Address

__all__ = ["Video"]


@dataclass(frozen=True, slots=True)
class Video:
    """``<video>``."""

    driver: str | None = at("driver/@name", choice("qemu", "vhostuser"))
    model: str | None = at(
        "model/@type",
        choice(
            "vga",
            "cirrus",
            "vmvga",
            "xen",
            "vbox",
            "qxl",
            "parallels",
            "virtio",
            "gop",
            "none",
            "bochs",
            "ramfb",
        ),
        words=Wording("unknown video model '{}'", code=ErrorCode.VIR_ERR_CONFIG_UNSUPPORTED),
    )
    ram_kib: int | None = at("model/@ram", UINT)
    vram_kib: int | None = at("model/@vram", UINT)
    vram64_kib: int | None = at("model/@vram64", UINT)
    vgamem_kib: int | None = at("model/@vgamem", UINT)
    heads: int | None = at("model/@heads", UINT)
    primary: bool | None = at("model/@primary", YESNO)
    blob: str | None = at("model/@blob", choice("on", "off"))
    accel3d: bool | None = at("model/acceleration/@accel3d", YESNO)
    accel2d: bool | None = at("model/acceleration/@accel2d", YESNO)
    resolution_x: int | None = at("model/resolution/@x", UINT)
    resolution_y: int | None = at("model/resolution/@y", UINT)
    alias: str | None = at("alias/@name")
    address: Address | None = sub("address", ADDRESS)
