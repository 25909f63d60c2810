"""Image files: what their headers say, and how new ones are written.

Knows the formats on disk. Must not know nodes.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.host import Host

__all__ = ["create"]


def create(host: Host, driver: str, options: dict[str, Any]) -> None:
    """Make an image file.

    Args:
        host: where the file is.
        driver: the format: ``qcow2``, ``raw`` or ``file``.
        options: ``filename`` and ``size``, and for qcow2 what BlockdevCreateOptionsQcow2 has:
            ``version``, ``cluster-size``, ``backing-file``, ``backing-fmt``, ``refcount-bits``,
            ``lazy-refcounts``, ``extended-l2``, ``preallocation``.

    Raises:
        CommandError: it cannot be made.
    """
    del host, driver, options
