"""What can be wrong with bytes from a peer: one class for each fault.

::

    InternalError (virtsim.errors)
    `-- ProtocolError             the peer broke the protocol; the engine is of no more use
        |-- FramingError              the bytes are not a sequence of JSON objects
        |   |-- MessageTooLarge           over the bound before it ended
        |   |-- InvalidUTF8               bytes that are no UTF-8
        |   |-- InvalidJSON               not JSON
        |   |-- TooDeep                   JSON nested beyond the bound
        |   |-- NotAnObject               JSON, but a list, a string, a number ...
        |   `-- Truncated                 the peer hung up in the middle of a message
        `-- MessageError              a JSON object that is no message here
            |-- UnknownMessage            none of the members that tell what it is
            |-- MalformedMessage          a member is missing or of the wrong type
            |-- UnexpectedReply           a reply, and no such command is outstanding
            `-- OutOfTurn                 a message that this state of the session does not have
    RuntimeError
    `-- LocalProtocolError        our side tried to send what it must not: a bug of ours, nothing was sent

The texts are libvirt's where it has one (9.0.0 qemuMonitorIORead, qemuMonitorJSONIOProcessLine,
virJSONValueFromString).
"""

from __future__ import annotations

from virtsim.errors import InternalError

__all__ = [
    "FramingError",
    "InvalidJSON",
    "InvalidUTF8",
    "LocalProtocolError",
    "MalformedMessage",
    "MessageError",
    "MessageTooLarge",
    "NotAnObject",
    "OutOfTurn",
    "ProtocolError",
    "TooDeep",
    "Truncated",
    "UnexpectedReply",
    "UnknownMessage",
]


class ProtocolError(InternalError):
    """The peer broke the protocol."""


class FramingError(ProtocolError):
    """The bytes are not a sequence of JSON objects."""


class MessageTooLarge(FramingError):
    """A message is longer than the bound."""


class InvalidUTF8(FramingError):
    """A message has bytes that are no UTF-8."""


class InvalidJSON(FramingError):
    """A message is not JSON."""


class TooDeep(FramingError):
    """A message is nested more deeply than the bound."""


class NotAnObject(FramingError):
    """A message is JSON, but no object."""


class Truncated(FramingError):
    """The peer hung up in the middle of a message."""


class MessageError(ProtocolError):
    """A JSON object is no message here."""


class UnknownMessage(MessageError):
    """An object with none of the members that tell what it is."""


class MalformedMessage(MessageError):
    """A message of which a member is missing or of the wrong type."""


class UnexpectedReply(MessageError):
    """A reply to a command that is not outstanding."""


class OutOfTurn(MessageError):
    """A message that the present state of the session does not have."""


class LocalProtocolError(RuntimeError):
    """Our own side tried to send what it must not send now; nothing was sent, the session is as before."""
