"""Network back ends, network cards and the links between them.

Knows net/*.c of QEMU 7.2: what a back end wants, how a card is named, what its receive filter says.
Must not know devices otherwise (`fakeqemu.hardware`) nor what the guest sends.
"""

from __future__ import annotations

from fakeqemu.networks.clients import Networks, networks_of

__all__ = ["Networks", "networks_of"]
