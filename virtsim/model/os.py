"""What the machine boots: ``<os>`` with its machine type, firmware, kernel, order and menu."""

from __future__ import annotations

from dataclasses import dataclass

from virtsim.model._codec import TEXT, UINT, YESNO, choice
from virtsim.model._fields import Wording, at, each

__all__ = ["Os"]


@dataclass(frozen=True, slots=True)
class Os:
    """``<os>``: ``type`` is always ``hvm`` here; ``loader`` is the path of a firmware image."""

    firmware: str | None = at("@firmware", choice("bios", "efi"))
    arch: str | None = at("type/@arch")
    machine: str | None = at("type/@machine")
    type: str = at(
        "type", TEXT, "hvm", required=True, words=Wording(missing="an os <type> must be specified")
    )
    loader_readonly: bool | None = at("loader/@readonly", YESNO)
    loader_secure: bool | None = at("loader/@secure", YESNO)
    loader_type: str | None = at("loader/@type", choice("rom", "pflash"))
    loader: str | None = at("loader")
    nvram_template: str | None = at("nvram/@template")
    nvram: str | None = at("nvram")
    kernel: str | None = at("kernel")
    initrd: str | None = at("initrd")
    cmdline: str | None = at("cmdline")
    dtb: str | None = at("dtb")
    boot: tuple[str, ...] = each("boot/@dev", choice("fd", "hd", "cdrom", "network"))
    bootmenu: bool | None = at("bootmenu/@enable", YESNO)
    bootmenu_timeout_ms: int | None = at("bootmenu/@timeout", UINT)
    bios_useserial: bool | None = at("bios/@useserial", YESNO)
    bios_reboot_timeout_ms: str | None = at("bios/@rebootTimeout")
