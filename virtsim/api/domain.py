"""``Domain``: one domain, with libvirt-python's names; every method that asks the driver is awaitable."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from virtsim.api._call import api, check_flags
from virtsim.errors import InvalidArgument
from virtsim.model import Domain as Definition
from virtsim.model import dump_domain, without_secrets
from virtsim.qemu import launch, operations, stop
from virtsim.qemu.driver import Driver
from virtsim.qemu.vm import VirtualMachine
from virtsim.states._generated_enums import (
    CreateFlags,
    DestroyFlags,
    RebootFlags,
    ShutdownFlags,
    UndefineFlags,
    XMLFlags,
)
from virtsim.states.job import Job

if TYPE_CHECKING:
    from virtsim.api.connection import Connection

__all__ = ["Domain"]

_CREATE = (
    CreateFlags.START_PAUSED
    | CreateFlags.START_AUTODESTROY
    | CreateFlags.START_BYPASS_CACHE
    | CreateFlags.START_FORCE_BOOT
    | CreateFlags.START_RESET_NVRAM
)
_ACPI_OR_AGENT = ShutdownFlags.ACPI_POWER_BTN | ShutdownFlags.GUEST_AGENT


class Domain:
    """A domain of a connection: a name for it, not the domain itself.

    It stays usable while the domain comes and goes; once the domain is no longer known every method
    raises NoDomain.
    """

    __slots__ = ("_connection", "_name", "_uuid")

    def __init__(self, connection: Connection, name: str, key: uuid.UUID) -> None:
        self._connection = connection
        self._name = name
        self._uuid = key

    def __repr__(self) -> str:
        return f"<Domain {self._name} {self._uuid}>"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Domain) and self._uuid == other._uuid and self._connection is other._connection
        )

    def __hash__(self) -> int:
        return hash(self._uuid)

    # -- identity

    def connect(self) -> Connection:
        """The connection it belongs to."""
        return self._connection

    def name(self) -> str:
        """Its name."""
        return self._name

    def UUIDString(self) -> str:
        """Its UUID, with dashes."""
        return str(self._uuid)

    def UUID(self) -> bytes:
        """Its UUID, 16 bytes."""
        return self._uuid.bytes

    def UUID_object(self) -> uuid.UUID:
        """Its UUID as Python has it."""
        return self._uuid

    @api("virDomainGetID")
    async def ID(self) -> int:
        """Its id while it is active, else -1."""
        return self._vm().id

    # -- life

    @api("virDomainCreate")
    async def create(self) -> None:
        """Start it: RUNNING/BOOTED, with RESUMED and STARTED. See `createWithFlags` for what it raises."""
        await start(self._connection, self._vm(), 0, "remoteDispatchDomainCreate")

    @api("virDomainCreateWithFlags")
    async def createWithFlags(self, flags: int = 0) -> None:
        """Start it; with START_PAUSED its processors stay stopped.

        When it fails or is cancelled nothing is left behind: no process, socket, file, descriptor or task.

        Raises:
            InvalidArgument: a flag that libvirt does not take here.
            OperationInvalid: it is running already.
            OperationTimeout: another job held it for 30 s.
            HostError, InternalError: QEMU did not start; the text ends in its last words.
        """
        number = check_flags(
            flags, _CREATE, "qemuDomainCreateWithFlags", unmodelled=CreateFlags.START_RESET_NVRAM
        )
        # virsh and libvirt-python call virDomainCreate when there are no flags; whoever waits is told
        # that name.
        owner = "remoteDispatchDomainCreateWithFlags" if number else "remoteDispatchDomainCreate"
        await start(self._connection, self._vm(), number, owner)

    @api("virDomainUndefine")
    async def undefine(self) -> None:
        """Drop its definition; an active domain goes on as a transient one.

        Raises:
            OperationInvalid: it is transient.
        """
        await self._undefine("remoteDispatchDomainUndefine")

    @api("virDomainUndefineFlags")
    async def undefineFlags(self, flags: int = 0) -> None:
        """As `undefine`. Raises InvalidArgument for KEEP_NVRAM with NVRAM, or KEEP_TPM with TPM."""
        known = UndefineFlags
        number = check_flags(flags, sum(known), "qemuDomainUndefineFlags")
        for keep, drop, what in (
            (known.KEEP_NVRAM, known.NVRAM, "nvram"),
            (known.KEEP_TPM, known.TPM, "TPM"),
        ):
            if number & keep and number & drop:
                raise InvalidArgument(f"cannot both keep and delete {what}")
        await self._undefine("remoteDispatchDomainUndefineFlags")

    async def _undefine(self, name: str) -> None:
        vm = self._vm()
        await vm.job.begin(Job.MODIFY, name)
        try:
            vm.driver.undefine(vm)
        finally:
            vm.job.end()

    @api("virDomainSuspend")
    async def suspend(self) -> None:
        """Stop its processors: PAUSED/USER. Raises OperationInvalid when it is not running or pmsuspended."""
        await operations.suspend(self._vm(), "remoteDispatchDomainSuspend")

    @api("virDomainResume")
    async def resume(self) -> None:
        """Let its processors run: RUNNING/UNPAUSED. Raises OperationInvalid when they do already."""
        await operations.resume(self._vm(), "remoteDispatchDomainResume")

    @api("virDomainShutdown")
    async def shutdown(self) -> None:
        """Ask the guest to power off; returns at once. Raises OperationInvalid unless it is RUNNING."""
        await operations.shutdown(self._vm(), "remoteDispatchDomainShutdown")

    @api("virDomainShutdownFlags")
    async def shutdownFlags(self, flags: int = 0) -> None:
        """As `shutdown`, by ACPI or by the guest agent (which this version never has)."""
        number = check_flags(flags, _ACPI_OR_AGENT, "qemuDomainShutdownFlags")
        owner = "remoteDispatchDomainShutdownFlags"
        if number == ShutdownFlags.GUEST_AGENT:
            await operations.shutdown_by_agent(self._vm(), owner)
        else:
            await operations.shutdown(self._vm(), owner)

    @api("virDomainReboot")
    async def reboot(self, flags: int = 0) -> None:
        """Ask the guest to reboot; returns at once. Raises OperationInvalid when it is not active."""
        number = check_flags(flags, _ACPI_OR_AGENT, "qemuDomainReboot")
        vm = self._vm()
        if number == RebootFlags.GUEST_AGENT:
            await operations.shutdown_by_agent(vm, "remoteDispatchDomainReboot")
        else:
            await operations.reboot(vm, "remoteDispatchDomainReboot")

    @api("virDomainReset")
    async def reset(self, flags: int = 0) -> None:
        """Reset the machine, without asking the guest. Raises OperationInvalid when it is not active."""
        check_flags(flags, 0, "qemuDomainReset")
        await operations.reset(self._vm(), "remoteDispatchDomainReset")

    @api("virDomainDestroy")
    async def destroy(self) -> None:
        """End it by force: SHUTOFF/DESTROYED. See `destroyFlags` for what it raises."""
        await stop.destroy(self._vm(), graceful=False, api="remoteDispatchDomainDestroy")

    @api("virDomainDestroyFlags")
    async def destroyFlags(self, flags: int = 0) -> None:
        """End it; GRACEFUL sends SIGTERM only and gives up after 15 s.

        When it fails the domain stays as it is.

        Raises:
            OperationInvalid: it is not running.
            HostError: EBUSY, QEMU survived 15 s, or 40 s of force; 2 s more for each host device.
            OperationTimeout: another job held it for 30 s.
        """
        number = check_flags(
            flags, DestroyFlags.GRACEFUL | DestroyFlags.REMOVE_LOGS, "qemuDomainDestroyFlags"
        )
        vm = self._vm()
        await stop.destroy(
            vm, graceful=bool(number & DestroyFlags.GRACEFUL), api="remoteDispatchDomainDestroyFlags"
        )
        if number & DestroyFlags.REMOVE_LOGS:
            launch.remove_log(vm)

    # -- questions

    @api("virDomainGetState")
    async def state(self, flags: int = 0) -> tuple[int, int]:
        """State and reason, as libvirt's numbers."""
        check_flags(flags, 0, "qemuDomainGetState")
        vm = self._vm()
        return int(vm.state), int(vm.reason)

    @api("virDomainIsActive")
    async def isActive(self) -> bool:
        """Whether it is active."""
        return self._vm().active

    @api("virDomainIsPersistent")
    async def isPersistent(self) -> bool:
        """Whether it stays when it is shut off."""
        return self._vm().persistent

    @api("virDomainGetInfo")
    async def info(self) -> tuple[int, int, int, int, int]:
        """State, largest and current memory (KiB), virtual processors, processor time (ns; always 0)."""
        vm = self._vm()
        definition = vm.run.live if vm.run is not None else vm.config
        current = definition.current_memory_kib
        memory = definition.total_memory_kib
        return int(vm.state), memory, current if current is not None else memory, definition.vcpus, 0

    @api("virDomainGetControlInfo")
    async def controlInfo(self, flags: int = 0) -> tuple[int, int, int]:
        """(state, details, ms): 0 ok, 1 background job, 2 occupied, 3 error. Raises OperationInvalid."""
        check_flags(flags, 0, "qemuDomainGetControlInfo")
        return operations.control_info(self._vm())

    @api("virDomainMemoryStats")
    async def memoryStats(self, flags: int = 0) -> dict[str, int]:
        """What the balloon says, KiB. Raises OperationInvalid when it is not running."""
        check_flags(flags, 0, "qemuDomainMemoryStats")
        return await operations.memory_stats(self._vm(), "remoteDispatchDomainMemoryStats")

    @api("virDomainGetXMLDesc")
    async def XMLDesc(self, flags: int = 0) -> str:
        """Its XML: as it runs, or with INACTIVE (and when it is off) as it will start next.

        Asked of an active domain it takes a QUERY job, as libvirt does since 11.0.0: during a long start
        it fails after 30 s.
        """
        number = check_flags(
            flags,
            XMLFlags.SECURE | XMLFlags.INACTIVE | XMLFlags.UPDATE_CPU | XMLFlags.MIGRATABLE,
            "qemuDomainGetXMLDesc",
            unmodelled=XMLFlags.UPDATE_CPU | XMLFlags.MIGRATABLE,
        )
        vm = self._vm()
        if not vm.active or number & XMLFlags.INACTIVE:
            return dump(vm, secure=bool(number & XMLFlags.SECURE), inactive=True)
        await operations.touch(vm, "remoteDispatchDomainGetXMLDesc")
        return dump(vm, secure=bool(number & XMLFlags.SECURE), inactive=not vm.active)

    # -- private

    def _vm(self) -> VirtualMachine:
        return self._connection.driver().by_uuid(self._uuid, self._name)

    def _driver(self) -> Driver:
        return self._connection.driver()

    def _actor(self) -> str:
        return self._name

    def _next_call(self) -> int:
        return self._connection.next_call()


async def start(
    connection: Connection, vm: VirtualMachine, flags: int, owner: str, definition: Definition | None = None
) -> None:
    """Start a domain as ``virDomainCreate`` and its kin do; ``definition`` None means its own."""
    await launch.start(vm, definition, paused=bool(flags & CreateFlags.START_PAUSED), api=owner)
    if flags & CreateFlags.START_AUTODESTROY:
        vm.autodestroy = connection


def dump(vm: VirtualMachine, *, secure: bool, inactive: bool) -> str:
    """The XML of a domain; without ``secure`` passwords are left out."""
    definition = vm.config if inactive or vm.run is None else vm.run.live
    return dump_domain(definition if secure else without_secrets(definition))
