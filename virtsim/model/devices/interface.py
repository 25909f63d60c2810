"""Network interfaces: ``<interface>``."""

from __future__ import annotations

from dataclasses import dataclass

from virtsim.model._codec import UINT, choice
from virtsim.model._fields import Wording, at, sub
from virtsim.model._macs import MAC
from virtsim.model.address import ADDRESS, Address

__all__ = ["Interface"]


@dataclass(frozen=True, slots=True)
class Interface:
    """``<interface>``; started here are the types ``user`` and ``bridge``."""

    type: str = at(
        "@type",
        choice(
            "user",
            "ethernet",
            "vhostuser",
            "server",
            "client",
            "mcast",
            "network",
            "bridge",
            "internal",
            "direct",
            "hostdev",
            "udp",
            "vdpa",
            "null",
            "vds",
        ),
        "user",
        required=True,
    )
    mac: str | None = at("mac/@address", MAC, words=Wording("unable to parse mac address '{}'"))
    source_network: str | None = at("source/@network")
    source_bridge: str | None = at("source/@bridge")
    source_dev: str | None = at("source/@dev")
    source_mode: str | None = at("source/@mode")
    source_type: str | None = at("source/@type")
    source_path: str | None = at("source/@path")
    source_portgroup: str | None = at("source/@portgroup")
    target_dev: str | None = at("target/@dev")
    model: str | None = at("model/@type")
    driver_name: str | None = at("driver/@name", choice("vhost", "qemu"))
    queues: int | None = at("driver/@queues", UINT)
    rx_queue_size: int | None = at("driver/@rx_queue_size", UINT)
    tx_queue_size: int | None = at("driver/@tx_queue_size", UINT)
    boot_order: int | None = at("boot/@order", UINT)
    rom_bar: str | None = at("rom/@bar", choice("on", "off"))
    rom_file: str | None = at("rom/@file")
    link: str | None = at("link/@state", choice("up", "down"))
    mtu: int | None = at("mtu/@size", UINT)
    alias: str | None = at("alias/@name")
    address: Address | None = sub("address", ADDRESS)
