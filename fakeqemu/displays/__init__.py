"""Displays and input: VNC and SPICE servers, screens, pictures of them, mice and keys.

Knows ui/*.c of QEMU 7.2 as far as managers ask. Must not know what a guest draws: the text on its screen
stands in `fakeqemu.guests`. No display server really listens.
"""

from __future__ import annotations

from fakeqemu.displays.screens import Displays, displays_of

__all__ = ["Displays", "displays_of"]
