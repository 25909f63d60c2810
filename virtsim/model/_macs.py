"""The codec of MAC addresses, as libvirt reads and prints them."""

from __future__ import annotations

import re

from virtsim.model._codec import Codec

__all__ = ["MAC"]

_OCTETS = re.compile(r"[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}\Z")


def _decode(text: str) -> str:
    if _OCTETS.match(text) is None:
        raise ValueError("")
    return ":".join(f"{int(octet, 16):02x}" for octet in text.split(":"))


#: Six octets in hexadecimal; written in lower case with two digits each.
MAC = Codec(_decode, str)
