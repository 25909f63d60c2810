"""What QEMU prints and leaves: ``-version``, ``-help``, ``-machine help`` and its like.

Knows the words. Imported only when asked for.
"""

from __future__ import annotations

from fakeqemu.actions import Stdout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fakeqemu.facts.profile import Profile

__all__ = ["printed"]


def printed(what: str, profile: Profile) -> Stdout:
    """The action that prints it: as the real program did, where that has been recorded.

    Args:
        what: ``version``, ``help``, or an option with its argument: ``machine help``.
        profile: the facts.
    """
    text = profile.printed(f"-{'help' if what == 'h' else what}")
    if text is None:
        version = profile.facts["version"]
        number = "{major}.{minor}.{micro}".format(**version["qemu"])
        package = f" ({version['package']})" if version.get("package") else ""
        text = (
            f"QEMU emulator version {number}{package}\n"
            "Copyright (c) 2003-2022 Fabrice Bellard and the QEMU Project developers\n"
        )
    return Stdout(text)
