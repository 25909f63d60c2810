"""``Connection``: the way in. Definitions, look-ups, lists, events."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

from virtsim.api._call import api, check_flags
from virtsim.api.domain import Domain, start
from virtsim.api.events import EventRegistry, EventStream
from virtsim.api.native import native_argv
from virtsim.errors import InvalidArgument, OperationError, VirtsimError
from virtsim.host.context import Context
from virtsim.qemu import shutdown
from virtsim.qemu.driver import Driver
from virtsim.qemu.schedules import Policy
from virtsim.qemu.schedules import policy as policy_of_name
from virtsim.qemu.vm import VirtualMachine
from virtsim.states._generated_enums import (
    CreateFlags,
    DefineFlags,
    DomainState,
    ListFlags,
)

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Connection"]

_CREATE_XML = (
    CreateFlags.START_PAUSED
    | CreateFlags.START_AUTODESTROY
    | CreateFlags.START_VALIDATE
    | CreateFlags.START_RESET_NVRAM
)

#: Groups of virConnectListAllDomains: within a group any flag will do, each group that is named must agree.
_GROUPS: tuple[dict[ListFlags, Callable[[VirtualMachine], bool]], ...] = (
    {ListFlags.ACTIVE: lambda vm: vm.active, ListFlags.INACTIVE: lambda vm: not vm.active},
    {ListFlags.PERSISTENT: lambda vm: vm.persistent, ListFlags.TRANSIENT: lambda vm: not vm.persistent},
    {
        ListFlags.RUNNING: lambda vm: vm.state is DomainState.RUNNING,
        ListFlags.PAUSED: lambda vm: vm.state is DomainState.PAUSED,
        ListFlags.SHUTOFF: lambda vm: vm.state is DomainState.SHUTOFF,
        ListFlags.OTHER: lambda vm: (
            vm.state not in {DomainState.RUNNING, DomainState.PAUSED, DomainState.SHUTOFF}
        ),
    },
    # What this version does not have, no domain has.
    {ListFlags.MANAGEDSAVE: lambda _: False, ListFlags.NO_MANAGEDSAVE: lambda _: True},
    {ListFlags.AUTOSTART: lambda _: False, ListFlags.NO_AUTOSTART: lambda _: True},
    {ListFlags.HAS_SNAPSHOT: lambda _: False, ListFlags.NO_SNAPSHOT: lambda _: True},
    {ListFlags.HAS_CHECKPOINT: lambda _: False, ListFlags.NO_CHECKPOINT: lambda _: True},
)


class Connection:
    """One driver and its domains; use `open`."""

    def __init__(self, driver: Driver) -> None:
        self._the_driver: Driver | None = driver
        self._calls = 0
        self._events = EventRegistry(self)
        driver.listeners.append(self._events.deliver)
        driver.raw_listeners.append(self._events.deliver_raw)

    # -- opening and closing

    @classmethod
    async def open(
        cls,
        context: Context,
        *,
        policy: Policy | str = "eventful",
        emulator: str = "/usr/bin/qemu-system-x86_64",
        accel: str = "tcg",
        max_queued: int = 0,
        qemu_version: tuple[int, int] | None = (7, 2),
    ) -> Connection:
        """Open a connection and read the persistent definitions of the run directory.

        Args:
            context: the run's doors.
            policy: how to wait for a monitor, or the name of a policy.
            emulator: the QEMU binary of domains that name none.
            accel: "kvm" or "tcg".
            max_queued: libvirt's ``max_queued``: refuse jobs at once when more are queued for a domain;
            0: never.
            qemu_version: of that emulator: the machine types ``pc`` and ``q35`` become those of this version
            (``pc-i440fx-7.2``), as libvirt canonicalises them; None keeps the names as they are.

        Raises:
            InvalidArgument: an unknown policy or accelerator.
        """
        if accel not in {"kvm", "tcg"}:
            raise InvalidArgument(f"unknown accelerator '{accel}': kvm or tcg")
        chosen = policy_of_name(policy) if isinstance(policy, str) else policy
        driver = Driver(
            context,
            policy=chosen,
            emulator=emulator,
            accel=accel,
            max_queued=max_queued,
            qemu_version=qemu_version,
        )
        driver.load()
        return cls(driver)

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of everything: no task is left, running domains stay running. Twice is fine.

        Domains that were started with START_AUTODESTROY are destroyed first.
        """
        driver = self._the_driver
        if driver is None:
            return
        for vm in driver.domains():
            if vm.autodestroy is self:
                # One that will not die must not keep the others, or the connection.
                with contextlib.suppress(VirtsimError):
                    await shutdown.client_gone(vm)
        self._the_driver = None
        for vm in driver.domains():
            if vm.run is not None:
                await shutdown.let_go(vm)
        self._events.clear()
        driver.listeners.clear()
        driver.raw_listeners.clear()

    def isAlive(self) -> bool:
        """Whether it is open."""
        return self._the_driver is not None

    # -- definitions

    @api("virDomainDefineXMLFlags")
    async def defineXML(self, xml: str | bytes, flags: int = 0) -> Domain:
        """Make a persistent definition, or replace one of the same name and UUID.

        An active domain keeps running as it is. When it fails the old definition stays.

        Raises:
            XMLError: the document is wrong; has line and column.
            OperationFailed: the name belongs to another UUID, or the UUID to another name.
        """
        check_flags(flags, DefineFlags.VALIDATE, "qemuDomainDefineXMLFlags", unmodelled=DefineFlags.VALIDATE)
        return self.wrap(self.driver().define(xml))

    async def defineXMLFlags(self, xml: str | bytes, flags: int = 0) -> Domain:
        """As `defineXML`."""
        return await self.defineXML(xml, flags)

    @api("virDomainCreateXML")
    async def createXML(self, xml: str | bytes, flags: int = 0) -> Domain:
        """Start a domain from a document without defining it: it is transient, gone when it is off.

        If there is a persistent domain of the same name and UUID, that one is started with this document.

        Raises:
            OperationInvalid: that domain is active.
            VirtsimError: as `Domain.createWithFlags` and `defineXML` do.
        """
        number = check_flags(
            flags,
            _CREATE_XML,
            "qemuDomainCreateXML",
            unmodelled=CreateFlags.START_VALIDATE | CreateFlags.START_RESET_NVRAM,
        )
        vm, definition = self.driver().prepare(xml)
        await start(self, vm, number, "remoteDispatchDomainCreateXML", definition)
        return self.wrap(vm)

    # -- look-ups

    @api("virDomainLookupByName")
    async def lookupByName(self, name: str) -> Domain:
        """Raises NoDomain."""
        return self.wrap(self.driver().by_name(name))

    @api("virDomainLookupByUUIDString")
    async def lookupByUUIDString(self, text: str) -> Domain:
        """Raises NoDomain, or InvalidArgument for what is no UUID."""
        try:
            key = uuid.UUID(text)
        except (ValueError, AttributeError, TypeError):
            raise InvalidArgument(
                f"uuidstr in virDomainLookupByUUIDString must be a valid UUID: {text!r}", bare=True
            ) from None
        return self.wrap(self.driver().by_uuid(key))

    @api("virDomainLookupByUUID")
    async def lookupByUUID(self, raw: bytes) -> Domain:
        """Raises NoDomain, or InvalidArgument unless given 16 bytes."""
        try:
            key = uuid.UUID(bytes=bytes(raw))
        except (ValueError, TypeError):
            raise InvalidArgument("uuid in virDomainLookupByUUID must have 16 bytes", bare=True) from None
        return self.wrap(self.driver().by_uuid(key))

    @api("virDomainLookupByID")
    async def lookupByID(self, number: int) -> Domain:
        """Raises NoDomain, or InvalidArgument for a negative id."""
        if number < 0:
            raise InvalidArgument("id in virDomainLookupByID must be zero or greater", bare=True)
        return self.wrap(self.driver().by_id(number))

    # -- lists

    @api("virConnectListAllDomains")
    async def listAllDomains(self, flags: int = 0) -> list[Domain]:
        """All domains that the flags let through, in the order in which they became known."""
        number = check_flags(flags, sum(ListFlags), "qemuConnectListAllDomains")
        return [self.wrap(vm) for vm in self.driver().domains() if _listed(vm, number)]

    @api("virConnectListDefinedDomains")
    async def listDefinedDomains(self) -> list[str]:
        """Names of the inactive domains."""
        return [vm.name for vm in self.driver().domains() if not vm.active]

    @api("virConnectNumOfDefinedDomains")
    async def numOfDefinedDomains(self) -> int:
        """How many domains are inactive."""
        return sum(not vm.active for vm in self.driver().domains())

    @api("virConnectListDomains")
    async def listDomainsID(self) -> list[int]:
        """Ids of the active domains."""
        return [vm.id for vm in self.driver().domains() if vm.active]

    @api("virConnectNumOfDomains")
    async def numOfDomains(self) -> int:
        """How many domains are active."""
        return sum(vm.active for vm in self.driver().domains())

    # -- conversions

    @api("virConnectDomainXMLToNative")
    async def domainXMLToNative(self, fmt: str, xml: str | bytes, flags: int = 0) -> str:
        """The QEMU command line of a document, on one line; no domain is made.

        Raises:
            InvalidArgument: another format than "qemu-argv".
        """
        check_flags(flags, 0, "qemuConnectDomainXMLToNative")
        if fmt != "qemu-argv":
            raise InvalidArgument(f"unsupported config type {fmt}")
        driver = self.driver()
        return " ".join(
            _quoted(word)
            for word in native_argv(
                xml, emulator=driver.emulator, accel=driver.accel, qemu_version=driver.qemu_version
            )
        )

    # -- events

    def domainEventRegisterAny(
        self, domain: Domain | None, event_id: int, callback: Callable[..., object], opaque: object = None
    ) -> int:
        """Have ``callback(connection, domain, ..., opaque)`` called at each event of a kind.

        LIFECYCLE gives event and detail, REBOOT and CONTROL_ERROR nothing, the others what libvirt's give.

        Args:
            domain: only its events, or None for all.
            event_id: a `DomainEventID`.
            callback: called in the loop, at the moment of the event; it must not block.
            opaque: passed on.

        Returns:
            The number for `domainEventDeregisterAny`.

        Raises:
            InvalidArgument: an unknown event id.
        """
        self.driver()
        return self._events.register(domain, event_id, callback, opaque)

    def domainEventDeregisterAny(self, number: int) -> None:
        """Call it no more. Raises InvalidArgument for an unknown number."""
        self._events.deregister(number)

    def qemuMonitorEventRegister(
        self,
        domain: Domain | None,
        event: str | None,
        callback: Callable[..., object],
        opaque: object = None,
    ) -> int:
        """Have a callback called at QEMU's own events.

        It gets ``(connection, domain, event, seconds, micros, details, opaque)``.

        Args:
            domain: only its events, or None for all.
            event: only events of this name, or None for all.
            callback: called in the loop; it must not block.
            opaque: passed on.
        """
        self.driver()
        return self._events.register_raw(domain, event, callback, opaque)

    def qemuMonitorEventDeregister(self, number: int) -> None:
        """Call it no more. Raises InvalidArgument for an unknown number."""
        self._events.deregister(number)

    def lifecycle_events(self, domain: str | None = None) -> EventStream:
        """Lifecycle events as an asynchronous iterator; subscribe before you act.

        ::

            async with connection.lifecycle_events() as events:
                await domain.create()
                async for event in events:
                    ...

        Args:
            domain: name of the only domain of interest, or None for all.
        """
        return EventStream(self._events, domain)

    # -- for the other objects of the API

    def driver(self) -> Driver:
        """The driver.

        Raises:
            OperationError: the connection is closed.
        """
        if self._the_driver is None:
            raise OperationError("the connection is closed")
        return self._the_driver

    def next_call(self) -> int:
        """A number for an API call, from 1."""
        self._calls += 1
        return self._calls

    def wrap(self, vm: VirtualMachine) -> Domain:
        """The API's object for a domain."""
        return Domain(self, vm.name, vm.uuid)

    def _driver(self) -> Driver:
        return self.driver()

    def _actor(self) -> str:
        return "run"

    def _next_call(self) -> int:
        return self.next_call()


def _listed(vm: VirtualMachine, flags: int) -> bool:
    for group in _GROUPS:
        named = [flag for flag in group if flags & flag]
        if named and not any(group[flag](vm) for flag in named):
            return False
    return True


def _quoted(word: str) -> str:
    """As libvirt quotes: only what a shell would take apart."""
    if word and all(c.isalnum() or c in "-_./:=,+@%" for c in word):
        return word
    return "'" + word.replace("'", "'\\''") + "'"
