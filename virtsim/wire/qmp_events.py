"""The events of a QMP conversation: what either end says.

Knows which members a message has and their types: an event that breaks them cannot be made (ValueError). Must
not know whose turn it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = ["Command", "ConnectionClosed", "ErrorReply", "Event", "Greeting", "QmpEvent", "Reply"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """The server's first words.

    Attributes:
        version: the member ``QMP.version``.
        capabilities: what the server offers; "oob" is the only one that exists.
    """

    version: Mapping[str, Any]
    capabilities: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check(isinstance(self.version, Mapping), "QMP.version is an object")
        _check(all(isinstance(name, str) for name in self.capabilities), "QMP.capabilities holds strings")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command of the client's.

    Attributes:
        name: the member ``execute``.
        arguments: or None: the member is left out.
        id: any JSON value, which the reply repeats; None: the member is left out.
        oob: sent as ``exec-oob``.
    """

    name: str
    arguments: Mapping[str, Any] | None = None
    id: Any = None
    oob: bool = False

    def __post_init__(self) -> None:
        _check(isinstance(self.name, str) and self.name != "", "the command's name is a string")
        _check(self.arguments is None or isinstance(self.arguments, Mapping), "arguments is an object")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A command succeeded.

    Attributes:
        value: the member ``return``.
        id: the command's.
    """

    value: Any
    id: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorReply:
    """A command failed.

    Attributes:
        error_class: "GenericError", "CommandNotFound", "DeviceNotFound" ...
        desc: for humans.
        id: the command's; None also when the server could not make out the command.
    """

    error_class: str
    desc: str
    id: Any = None

    def __post_init__(self) -> None:
        _check(isinstance(self.error_class, str), "error.class is a string")
        _check(isinstance(self.desc, str), "error.desc is a string")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something happened in the server.

    Attributes:
        name: the member ``event``.
        data: or None: the member is left out.
        timestamp: (seconds since the epoch, microseconds), or None; both -1 when the server does not know.
    """

    name: str
    data: Mapping[str, Any] | None = None
    timestamp: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        _check(isinstance(self.name, str) and self.name != "", "the event's name is a string")
        _check(self.data is None or isinstance(self.data, Mapping), "data is an object")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionClosed:
    """The peer has hung up, between two messages."""


QmpEvent: TypeAlias = Greeting | Command | Reply | ErrorReply | Event | ConnectionClosed


def _check(right: bool, rule: str) -> None:  # noqa: FBT001 - a condition, not an option
    if not right:
        raise ValueError(rule)
