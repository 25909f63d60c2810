"""Small change of the builders: JSON arguments, key=value lists, PCI places.

Knows QEMU's two syntaxes. Must not know any device.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from virtsim.errors import ConfigUnsupported
from virtsim.model.address import PciAddress, UsbAddress, VirtioSerialAddress
from virtsim.model.domain import Domain
from virtsim.qemu.live import InstancePaths

__all__ = ["Build", "comma", "device", "on_off", "place", "quoted"]

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


@dataclass(slots=True)
class Build:
    """What every builder is given.

    Attributes:
        domain: the live definition.
        paths: the instance's files.
        buses: PCI bus number -> its name on the command line.
        boot: boot index of what ``<boot>`` elements name, by alias.
    """

    domain: Domain
    paths: InstancePaths
    buses: dict[int, str]
    boot: dict[str, int] = field(default_factory=dict)


@lru_cache(maxsize=4096)
def _encoded(items: tuple[tuple[str, Any], ...]) -> str:
    return _encode(dict(items))


def device(option: str, **properties: Any) -> list[str]:
    """``-device {...}`` and its like; ``_`` in names is ``-``; None is left out."""
    items = tuple(
        (name.rstrip("_").replace("__", "\0").replace("_", "-").replace("\0", "_"), value)
        for name, value in properties.items()
        if value is not None
    )
    return [option, _encoded(items)]


def quoted(**properties: Any) -> str:
    """JSON with the names as they are, for nested values."""
    return _encode({name: value for name, value in properties.items() if value is not None})


def comma(text: str) -> str:
    """Text for a key=value option, where a comma is written twice."""
    return text.replace(",", ",,")


def on_off(value: bool) -> str:  # noqa: FBT001 - it says it all
    """QEMU's words for a switch."""
    return "on" if value else "off"


def place(build: Build, address: Any) -> dict[str, Any]:
    """The ``bus``, ``addr``, ``port`` ... properties that put a device where its address says.

    Raises:
        ConfigUnsupported: it says a PCI bus that the machine does not have.
    """
    if isinstance(address, PciAddress):
        if address.bus not in build.buses:
            raise ConfigUnsupported(f"a device is on PCI bus {address.bus}, which this machine does not have")
        addr = f"0x{address.slot:x}" + (f".0x{address.function:x}" if address.function else "")
        found: dict[str, Any] = {"bus": build.buses[address.bus]}
        if address.multifunction is not None:
            found["multifunction"] = address.multifunction
        return found | {"addr": addr}
    if isinstance(address, UsbAddress):
        return {"bus": "usb.0" if not address.bus else f"usb{address.bus}.0", "port": address.port}
    if isinstance(address, VirtioSerialAddress):
        return {"bus": f"virtio-serial{address.controller}.{address.bus}", "nr": address.port}
    return {}
