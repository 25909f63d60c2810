"""The driver: all domains, their names, UUIDs and ids, what is defined, and who is told of events.

Source: libvirt 8.5.0 ``virdomainobjlist.c`` (what may be added beside what) and ``qemu_driver.c``.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from enum import IntEnum
from typing import TypeAlias

from virtsim.errors import (
    ErrorDomain,
    HostError,
    NoDomain,
    OperationFailed,
    OperationInvalid,
    VirtsimError,
)
from virtsim.host.context import Context
from virtsim.model import Domain, dump_domain, parse_domain
from virtsim.qemu.defaults import complete
from virtsim.qemu.schedules import Policy
from virtsim.qemu.vm import VirtualMachine
from virtsim.states._generated_enums import (
    DefinedDetail,
    DomainEvent,
    DomainEventID,
    UndefinedDetail,
)

__all__ = ["Driver", "Listener"]

#: Told of every event: (domain, event id, further values as libvirt's callback has them).
Listener: TypeAlias = Callable[[VirtualMachine, DomainEventID, tuple[object, ...]], None]


class Driver:
    """All domains of one run directory.

    Args:
        context: the run's doors.
        policy: how to wait for a monitor.
        emulator: the QEMU binary of domains that name none.
        accel: "kvm" or "tcg".
        max_queued: see `DomainJob`.
        qemu_version: whose ``pc`` and ``q35`` are meant; see `complete`.
    """

    def __init__(
        self,
        context: Context,
        *,
        policy: Policy,
        emulator: str,
        accel: str,
        max_queued: int = 0,
        qemu_version: tuple[int, int] | None = (7, 2),
    ) -> None:
        self.context = context
        self.policy = policy
        self.emulator = emulator
        self.accel = accel
        self.max_queued = max_queued
        self.qemu_version = qemu_version
        self.listeners: list[Listener] = []
        self.raw_listeners: list[
            Callable[[VirtualMachine, str, dict[str, object], dict[str, int]], None]
        ] = []
        self._domains: dict[uuid.UUID, VirtualMachine] = {}
        self._names: dict[str, VirtualMachine] = {}
        self._ids: dict[int, VirtualMachine] = {}
        self._last_id = 0

    # -- look-up

    def domains(self) -> list[VirtualMachine]:
        """All domains, in the order in which they became known."""
        return list(self._domains.values())

    def by_name(self, name: str) -> VirtualMachine:
        """Raises NoDomain."""
        found = self._names.get(name)
        if found is None:
            raise NoDomain(f"no domain with matching name '{name}'")
        return found

    def by_uuid(self, key: uuid.UUID, name: str | None = None) -> VirtualMachine:
        """Raises NoDomain; ``name`` is what the caller believed its name to be."""
        found = self._domains.get(key)
        if found is None:
            raise NoDomain(f"no domain with matching uuid '{key}'" + (f" ({name})" if name else ""))
        return found

    def by_id(self, number: int) -> VirtualMachine:
        """Raises NoDomain."""
        found = self._ids.get(number)
        if found is None:
            raise NoDomain(f"no domain with matching id {number}")
        return found

    # -- ids

    def assign_id(self, vm: VirtualMachine) -> int:
        """Give a domain the next id (from 1, never used twice)."""
        self._last_id += 1
        vm.id = self._last_id
        self._ids[vm.id] = vm
        return vm.id

    def release_id(self, vm: VirtualMachine) -> None:
        """Take the id back: the domain is no longer active."""
        self._ids.pop(vm.id, None)
        vm.id = -1

    # -- definitions

    def parse(self, xml: str | bytes) -> Domain:
        """Read and complete a definition.

        Raises:
            XMLError: the document is wrong.
            ConfigUnsupported: it cannot be carried out.
        """
        return complete(
            parse_domain(xml).domain,
            new_uuid=self.context.new_uuid,
            new_mac=self.context.new_mac,
            default_emulator=self.emulator,
            qemu_version=self.qemu_version,
        )

    def define(self, xml: str | bytes) -> VirtualMachine:
        """Make a persistent definition, or replace one. The old one stays when this fails.

        Raises:
            OperationFailed: the name belongs to another UUID or the UUID to another name.
            VirtsimError: the document is wrong, or cannot be written to disk.
        """
        definition = self.parse(xml)
        known = self._namesake(definition)
        self._save(definition)
        if known is None:
            vm = self._add(definition, persistent=True)
            detail = DefinedDetail.ADDED
        else:
            vm = known
            # A transient domain has no definition of its own yet, so this one is new (virDomainObjAssignDef).
            detail = DefinedDetail.UPDATED if vm.persistent else DefinedDetail.ADDED
            vm.config = definition
            vm.persistent = True
        vm.emit(DomainEvent.DEFINED, detail)
        return vm

    def prepare(self, xml: str | bytes) -> tuple[VirtualMachine, Domain]:
        """The domain and the definition for ``createXML``; a persistent definition is not replaced.

        Raises:
            OperationInvalid: the domain is active or being started.
            OperationFailed: the name belongs to another UUID or the UUID to another name.
            VirtsimError: the document is wrong.
        """
        definition = self.parse(xml)
        known = self._namesake(definition)
        if known is None:
            return self._add(definition, persistent=False), definition
        origin = ErrorDomain.VIR_FROM_DOMAIN
        if known.active:
            raise OperationInvalid(f"domain '{known.name}' is already active", domain=origin)
        if not known.persistent:
            raise OperationInvalid(f"domain '{known.name}' is already being started", domain=origin)
        return known, definition

    def undefine(self, vm: VirtualMachine) -> None:
        """Drop the persistent definition; an active domain goes on as a transient one.

        Raises:
            OperationInvalid: it is transient already.
            HostError: the file cannot be removed; the domain stays defined.
        """
        if not vm.persistent:
            raise OperationInvalid("cannot undefine transient domain")
        path = self._config_path(vm.name)
        try:
            self.context.files.unlink(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise HostError(f"cannot remove config {path}", error.errno or 0) from error
        vm.persistent = False
        vm.emit(DomainEvent.UNDEFINED, UndefinedDetail.REMOVED)
        self.remove_inactive(vm)

    def remove_inactive(self, vm: VirtualMachine) -> None:
        """Forget a transient domain that is shut off; there is no UNDEFINED for it."""
        if vm.active or vm.persistent or vm.job.removed:
            return
        self._domains.pop(vm.uuid, None)
        self._names.pop(vm.name, None)
        vm.job.vanish()

    def load(self) -> None:
        """Read the definitions of the run directory; one that cannot be read is noted and left alone."""
        directory = self._config_dir()
        try:
            names = sorted(self.context.files.list_dir(directory))
        except FileNotFoundError:
            return
        for name in names:
            if not name.endswith(".xml"):
                continue
            try:
                definition = self.parse(self.context.files.read(f"{directory}/{name}"))
                if self._namesake(definition) is None:
                    self._add(definition, persistent=True)
            except (OSError, VirtsimError) as error:
                self.context.note("host", "host", op="config.unreadable", detail=f"{name}: {error}")

    # -- events

    def emit(self, vm: VirtualMachine, event_id: DomainEventID, *values: object) -> None:
        """Note an event and tell whoever listens."""
        if event_id is DomainEventID.LIFECYCLE:
            event, detail = values
            assert isinstance(event, IntEnum)  # noqa: S101  (what LIFECYCLE has)
            assert isinstance(detail, IntEnum)  # noqa: S101  (what LIFECYCLE has)
            self.context.note("event", vm.name, event=event.name, detail=detail.name)
        elif not values:  # REBOOT, CONTROL_ERROR
            self.context.note("event", vm.name, event=event_id.name)
        # The others repeat what QEMU has just said, which is in the journal already.
        for listener in self.listeners:
            listener(vm, event_id, values)

    # -- private

    def _add(self, definition: Domain, *, persistent: bool) -> VirtualMachine:
        vm = VirtualMachine(self, definition, persistent=persistent)
        self._domains[vm.uuid] = vm
        self._names[vm.name] = vm
        return vm

    def _namesake(self, definition: Domain) -> VirtualMachine | None:
        """The domain of the same name and UUID, if there is one (``virDomainObjListAddLocked``).

        Raises:
            OperationFailed: only one of the two is the same.
        """
        origin = ErrorDomain.VIR_FROM_DOMAIN
        assert definition.uuid is not None  # noqa: S101  (a complete definition has one)
        known = self._domains.get(definition.uuid)
        if known is not None:
            if known.name != definition.name:
                raise OperationFailed(
                    f"domain '{known.name}' is already defined with uuid {known.uuid}", domain=origin
                )
            return known
        known = self._names.get(definition.name)
        if known is not None:
            raise OperationFailed(
                f"domain '{definition.name}' already exists with uuid {known.uuid}", domain=origin
            )
        return None

    def _config_dir(self) -> str:
        return f"{self.context.run_dir}/config"

    def _config_path(self, name: str) -> str:
        return f"{self._config_dir()}/{name}.xml"

    def _save(self, definition: Domain) -> None:
        path = self._config_path(definition.name)
        data = dump_domain(definition).encode()
        try:
            self.context.files.make_dirs(self._config_dir())
            self.context.files.write_atomic(path, data)
        except OSError as error:
            raise HostError(f"cannot write config file '{path}'", error.errno or 0) from error
