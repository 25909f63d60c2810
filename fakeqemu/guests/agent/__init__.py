"""The guest agent: what qemu-ga 7.2 says on its port.

Knows qga/main.c, the commands of qga/qapi-schema.json that managers use, and their texts. Must not know how
bytes come to the port: that is the character device's business.
"""

from __future__ import annotations

from fakeqemu.guests.agent.port import Agent

__all__ = ["Agent"]
