"""Dumps of guest memory: which file they make, and when they are done.

Knows dump/dump.c of QEMU 7.2, ELF and the head of the kdump format. Must not know monitors. The memory itself
is a hole in the file: no byte of the guest exists.
"""

from __future__ import annotations

__all__: list[str] = []
