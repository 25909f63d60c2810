"""Permissions on a node, and what an edge of a role asks for and shares.

Knows the rules of QEMU 7.2 ``block.c`` (bdrv_default_perms and its parts). Must not know nodes.
"""

from __future__ import annotations

__all__ = [
    "ALL", "CONSISTENT_READ", "COW", "DATA", "FILTERED", "METADATA", "PRIMARY", "RESIZE", "WRITE",
    "WRITE_UNCHANGED", "child_perms", "names", "qapi_names",
]  # fmt: skip

CONSISTENT_READ, WRITE, WRITE_UNCHANGED, RESIZE = 1, 2, 4, 8
ALL = 15
_NAMES = ((1, "consistent read"), (2, "write"), (4, "write unchanged"), (8, "resize"))
#: In the order in which ``x-debug-query-block-graph`` tells them.
_QAPI = ((8, "resize"), (4, "write-unchanged"), (2, "write"), (1, "consistent-read"))

#: What a child is to its parent (BdrvChildRole).
DATA, METADATA, FILTERED, COW, PRIMARY = 1, 2, 4, 8, 16


def names(perms: int) -> str:
    """Permissions as an error message lists them."""
    return ", ".join(name for bit, name in _NAMES if perms & bit)


def qapi_names(perms: int) -> list[str]:
    """Permissions as QAPI spells them."""
    return [name for bit, name in _QAPI if perms & bit]


def child_perms(role: int, perm: int, shared: int, *, writable: bool, inactive: bool) -> tuple[int, int]:
    """What an edge asks for and shares, from what the parent's own users ask for and share.

    Args:
        role: of the child.
        perm: what the parent's users ask for together.
        shared: what all of them share.
        writable: whether the parent was opened for writing.
        inactive: whether the image still belongs to the source of a migration.
    """
    if role & FILTERED:
        return perm, shared
    if role & COW:
        shared = (WRITE | RESIZE if shared & WRITE else 0) | CONSISTENT_READ | WRITE_UNCHANGED
        if inactive:
            shared |= WRITE | RESIZE
        return perm & CONSISTENT_READ, shared
    if role & METADATA:
        perm |= CONSISTENT_READ | (WRITE | RESIZE if writable else 0)
        shared &= ~(WRITE | RESIZE)
    if role & DATA:
        shared &= ~RESIZE
        if perm & WRITE_UNCHANGED:
            perm |= WRITE
        if perm & WRITE:
            perm |= RESIZE
    if inactive:
        shared |= WRITE | RESIZE
    return perm, shared
