"""What QEMU prints and leaves: ``-version`` and ``-help``.

Knows the words. Imported only when asked for.
"""

from __future__ import annotations

from fakeqemu.actions import Stdout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fakeqemu.profile import Profile

__all__ = ["printed"]


def printed(what: str, profile: Profile) -> Stdout:
    """The action that prints it."""
    version = profile.facts["version"]
    number = "{major}.{minor}.{micro}".format(**version["qemu"])
    package = f" ({version['package']})" if version.get("package") else ""
    text = (
        f"QEMU emulator version {number}{package}\n"
        "Copyright (c) 2003-2022 Fabrice Bellard and the QEMU Project developers\n"
    )
    if what != "version":
        text += "This is fakeqemu; it accepts QEMU's command line: see QEMU's documentation.\n"
    return Stdout(text)
