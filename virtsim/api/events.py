"""Events for callers: callbacks as libvirt-python has them, and an asynchronous iterator."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, cast

from virtsim.errors import InvalidArgument, OperationFailed
from virtsim.qemu.vm import VirtualMachine
from virtsim.states._generated_enums import DomainEvent, DomainEventID

if TYPE_CHECKING:
    import uuid

    from virtsim.api.connection import Connection
    from virtsim.api.domain import Domain

__all__ = ["EventRegistry", "EventStream", "LifecycleEvent"]

#: So many events may wait for a reader of the iterator; one that never reads is told so when it does.
WAITING_MAX = 100_000


@dataclass(frozen=True, slots=True)
class LifecycleEvent:
    """One lifecycle event.

    Attributes:
        domain: name of the domain.
        event: what happened.
        detail: the detail, of the enumeration that belongs to ``event``.
        at_ns: when, on the loop's clock.
    """

    domain: str
    event: DomainEvent
    detail: IntEnum
    at_ns: int


class EventStream:
    """An asynchronous iterator over lifecycle events since it was entered; ends with its ``async with``."""

    def __init__(self, registry: EventRegistry, name: str | None) -> None:
        self._registry = registry
        self._name = name
        self._waiting: deque[LifecycleEvent] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._lost = False
        self._closed = False

    async def __aenter__(self) -> EventStream:
        self._registry.streams.append(self)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the iteration once what was queued has been read."""
        self._closed = True
        if self in self._registry.streams:
            self._registry.streams.remove(self)
        self._wake()

    def __aiter__(self) -> AsyncIterator[LifecycleEvent]:
        return self

    async def __anext__(self) -> LifecycleEvent:
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        if self._lost:
            raise OperationFailed(f"more than {WAITING_MAX} events were left unread")
        return self._waiting.popleft()

    def put(self, event: LifecycleEvent) -> None:
        """Queue an event for the reader."""
        if self._name is not None and event.domain != self._name:
            return
        if len(self._waiting) >= WAITING_MAX:
            self._lost = True
            return
        self._waiting.append(event)
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


@dataclass(frozen=True, slots=True)
class _Registration:
    event_id: DomainEventID
    domain: uuid.UUID | None
    callback: Callable[..., object]
    opaque: object


class EventRegistry:
    """Who wants to hear of what on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._registrations: dict[int, _Registration] = {}
        self._raw: dict[int, tuple[uuid.UUID | None, str | None, Callable[..., object], object]] = {}
        self._last = -1
        self.streams: list[EventStream] = []

    def register(
        self, domain: Domain | None, event_id: int, callback: Callable[..., object], opaque: object
    ) -> int:
        """Register a callback; returns the number to deregister it with."""
        try:
            known = DomainEventID(event_id)
        except ValueError:
            raise InvalidArgument(
                f"eventID in virConnectDomainEventRegisterAny must be less than {len(DomainEventID)}",
                bare=True,
            ) from None
        self._last += 1
        key = domain.UUID_object() if domain is not None else None
        self._registrations[self._last] = _Registration(known, key, callback, opaque)
        return self._last

    def register_raw(
        self, domain: Domain | None, event: str | None, callback: Callable[..., object], opaque: object
    ) -> int:
        """Register a callback for QEMU's own events."""
        self._last += 1
        key = domain.UUID_object() if domain is not None else None
        self._raw[self._last] = (key, event, callback, opaque)
        return self._last

    def deregister(self, number: int) -> None:
        """Forget a callback.

        Raises:
            InvalidArgument: there is none of that number.
        """
        if self._registrations.pop(number, None) is None and self._raw.pop(number, None) is None:
            raise InvalidArgument(f"could not find event callback {number} for deletion")

    def clear(self) -> None:
        """Forget everybody and end the iterators."""
        self._registrations.clear()
        self._raw.clear()
        for stream in list(self.streams):
            stream.close()

    def deliver(self, vm: VirtualMachine, event_id: DomainEventID, values: tuple[object, ...]) -> None:
        """An event of the driver's: tell whoever registered for it, in order of registration.

        A callback that raises is a bug of the caller's; the loop's exception handler is told, the others
        still hear of the event, and the domain is not disturbed.
        """
        if event_id is DomainEventID.LIFECYCLE and self.streams:
            event, detail = cast("tuple[DomainEvent, IntEnum]", values)
            item = LifecycleEvent(vm.name, event, detail, vm.driver.context.now_ns())
            for stream in list(self.streams):
                stream.put(item)
        if not self._registrations:
            return
        for entry in list(self._registrations.values()):
            if entry.event_id is event_id and entry.domain in {None, vm.uuid}:
                numbers = tuple(int(v) if isinstance(v, IntEnum) else v for v in values)
                self._call(entry.callback, vm, *numbers, entry.opaque)

    def deliver_raw(
        self, vm: VirtualMachine, name: str, data: dict[str, object], timestamp: dict[str, int]
    ) -> None:
        """An event of QEMU's own."""
        for key, wanted, callback, opaque in list(self._raw.values()):
            if key in {None, vm.uuid} and wanted in {None, name}:
                seconds, micros = timestamp.get("seconds", -1), timestamp.get("microseconds", -1)
                self._call(callback, vm, name, seconds, micros, data, opaque)

    def _call(self, callback: Callable[..., object], vm: VirtualMachine, *values: Any) -> None:
        connection = self._connection
        try:
            callback(connection, connection.wrap(vm), *values)
        except Exception as error:  # noqa: BLE001  (not ours: reported, and the next callback is called)
            asyncio.get_running_loop().call_exception_handler(
                {"message": "an event callback raised", "exception": error}
            )
