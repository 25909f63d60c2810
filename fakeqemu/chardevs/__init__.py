"""Character devices: what is behind each of them, which device uses it, and what passes through.

Knows chardev/*.c of QEMU 7.2: the back ends, their names in ``query-chardev``, who may be removed.
Must not know what is said on one: consoles and agents stand in `fakeqemu.guests`, monitors in
`fakeqemu.protocol.session` and `fakeqemu.human`.
"""

from __future__ import annotations

from fakeqemu.chardevs.backend import Backend
from fakeqemu.chardevs.table import Chardevs, chardevs_of

__all__ = ["Backend", "Chardevs", "chardevs_of"]
