"""``-netdev`` and ``-device`` for network interfaces."""

from __future__ import annotations

from virtsim.errors import ConfigUnsupported
from virtsim.model.devices import Interface
from virtsim.qemu.argv._options import Build, device, place

__all__ = ["interfaces"]

_MODELS = {
    "virtio": "virtio-net-pci",
    "virtio-transitional": "virtio-net-pci-transitional",
    "virtio-non-transitional": "virtio-net-pci-non-transitional",
}


def interfaces(build: Build) -> list[str]:
    """All of them. A bridge is joined by QEMU itself through its setuid helper, so that no root is needed."""
    argv: list[str] = []
    for number, nic in enumerate(build.domain.devices.interfaces):
        argv += _backend(nic, f"host{nic.alias or f'net{number}'}")
        argv += device(
            "-device",
            driver=_MODELS.get(nic.model or "", nic.model),
            mq=True if nic.queues and nic.queues > 1 else None,
            vectors=2 * nic.queues + 2 if nic.queues and nic.queues > 1 else None,
            rx__queue__size=nic.rx_queue_size,
            tx__queue__size=nic.tx_queue_size,
            host__mtu=nic.mtu,
            netdev=f"host{nic.alias or f'net{number}'}",
            id=nic.alias,
            mac=nic.mac,
            bootindex=build.boot.get(nic.alias or ""),
            **place(build, nic.address),
            rombar=None if nic.rom_bar is None else int(nic.rom_bar == "on"),
            romfile=nic.rom_file,
        )
    return argv


def _backend(nic: Interface, name: str) -> list[str]:
    if nic.type == "user":
        return device("-netdev", type="user", id=name)
    if nic.type == "bridge":
        return device("-netdev", type="bridge", br=nic.source_bridge, id=name)
    raise ConfigUnsupported(f"interface type '{nic.type}' is not supported")
