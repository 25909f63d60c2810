"""Who does not go together: users of one node, and nodes of one file.

Knows the checks of QEMU 7.2 ``block.c`` and ``block/file-posix.c``, and their words. Must not know the graph.
"""

from __future__ import annotations

from fakeqemu.block.perms import names
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from fakeqemu.block.node import BlockNode

__all__ = ["check_locks", "check_users"]


def check_users(node: BlockNode) -> None:
    """Whether all users of a node go together (bdrv_parent_perms_conflict).

    Raises:
        CommandError: two of them do not.
    """
    for sharer in node.parents:
        for wanter in node.parents:
            bad = wanter.perm & ~sharer.shared
            if wanter is not sharer and bad:
                said = (
                    f"Permission conflict on node '{node.name}': permissions '{names(bad)}' are both"
                    f" required by {wanter.told()} (uses node '{node.name}' as '{wanter.name}' child) and"
                    f" unshared by {sharer.told()} (uses node '{node.name}' as '{sharer.name}' child)."
                )
                raise CommandError("GenericError", said)


def check_locks(nodes: Iterable[BlockNode], node: BlockNode, perm: int, shared: int) -> None:
    """The locks on the bytes of a file, which other nodes of the same file hold (file-posix.c).

    Raises:
        CommandError: one cannot be had.
    """
    if node.unlocked:
        return
    others = [
        other.wanted()
        for other in nodes
        if other is not node and other.path == node.path and not other.unlocked and other.parents
    ]
    for bit in (1, 2, 4, 8):
        if perm & bit and any(not theirs & bit for _, theirs in others):
            raise _locked(node, f'Failed to get "{names(bit)}" lock')
    for bit in (1, 2, 4, 8):
        if not shared & bit and any(theirs & bit for theirs, _ in others):
            raise _locked(node, f'Failed to get shared "{names(bit)}" lock')


def _locked(node: BlockNode, text: str) -> CommandError:
    """A lock that cannot be had, with the hint that standard error gets."""
    error = CommandError("GenericError", text)
    error.hint = f"Is another process using the image [{node.path}]?\n"  # type: ignore[attr-defined]
    return error
