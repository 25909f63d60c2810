"""The guest: what runs inside of the machine, as far as anybody outside can notice.

Knows a small Linux: when it boots, what its console says, how its agent answers, what it does when it is told
to end, sleep or panic. Must not know sockets, sessions or how QEMU is built: run states stand in
`fakeqemu.runstate`, character devices in `fakeqemu.chardevs`. Nothing of it is imported while a machine has
neither console nor agent and no script asks for more.
"""

from __future__ import annotations

from fakeqemu.guests.inside import Guest, guest_of

__all__ = ["Guest", "guest_of"]
