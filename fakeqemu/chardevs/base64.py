"""Base64 as QEMU's qbase64_decode() takes it: strictly, and with its words for what is wrong."""

from __future__ import annotations

from binascii import Error, a2b_base64, b2a_base64

from fakeqemu.registry import CommandError

__all__ = ["decode", "encode"]

_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\n\r")


def decode(text: str) -> bytes:
    """The bytes of a base64 text; four letters at a time, what is left over counts for nothing.

    Raises:
        CommandError: there is a letter in it that is none of base64's.
    """
    if not _ALPHABET.issuperset(text):
        raise CommandError("GenericError", "Base64 data contains invalid characters")
    letters = text.replace("\n", "").replace("\r", "")
    try:
        return a2b_base64(letters[: len(letters) & ~3].encode("ascii"))
    except Error:
        return b""


def encode(data: bytes) -> str:
    """The base64 text of bytes, on one line."""
    return b2a_base64(data, newline=False).decode("ascii")
