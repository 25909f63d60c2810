"""libvirt's QEMU namespace: arguments passed through and capabilities forced on or off."""

from __future__ import annotations

from dataclasses import dataclass

from virtsim.model._codec import TEXT
from virtsim.model._fields import at, each

__all__ = ["QemuCapabilities", "QemuCommandline", "QemuEnv"]


@dataclass(frozen=True, slots=True)
class QemuEnv:
    """One environment variable of the process."""

    name: str = at("@name", TEXT, "", required=True)
    value: str | None = at("@value")


@dataclass(frozen=True, slots=True)
class QemuCommandline:
    """``<qemu:commandline>``: appended to the command line as it is."""

    args: tuple[str, ...] = each("qemu:arg/@value", TEXT)
    env: tuple[QemuEnv, ...] = each("qemu:env", QemuEnv)


@dataclass(frozen=True, slots=True)
class QemuCapabilities:
    """``<qemu:capabilities>``: libvirt's names of QEMU capabilities."""

    add: tuple[str, ...] = each("qemu:add/@capability", TEXT)
    delete: tuple[str, ...] = each("qemu:del/@capability", TEXT)
