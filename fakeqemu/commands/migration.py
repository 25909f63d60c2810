"""Migration: capabilities, parameters, and the commands that begin, steer and end one."""

from __future__ import annotations

from fakeqemu.migration.part import migration_of
from fakeqemu.registry import CommandError, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.migration.incoming import Incoming
    from fakeqemu.migration.outgoing import Outgoing
    from fakeqemu.migration.uri import Target
    from fakeqemu.protocol.qjson import Raw
    from fakeqemu.protocol.session import Session
    from fakeqemu.registry import Deferred

__all__ = [
    "colo_lost_heartbeat", "migrate", "migrate_cancel", "migrate_continue", "migrate_incoming",
    "migrate_pause", "migrate_recover", "migrate_set_capabilities", "migrate_set_parameters",
    "migrate_start_postcopy", "query_colo_status", "query_migrate", "query_migrate_capabilities",
    "query_migrate_parameters", "query_xen_replication_status",
]  # fmt: skip


def _error(text: str) -> CommandError:
    return CommandError("GenericError", text)


def _running(machine: FakeQemu) -> Outgoing | None:
    """The migration that is going on, if one is."""
    from fakeqemu.migration.outgoing import OVER

    outgoing = migration_of(machine).outgoing
    return None if outgoing is None or outgoing.status in OVER else outgoing


@command("query-migrate")
def query_migrate(machine: FakeQemu, session: Session) -> dict[str, Any]:
    """How the last migration stands."""
    del session
    if "migration" not in machine.parts:
        return {}
    from fakeqemu.migration.report import report

    return report(machine)


@command("query-migrate-capabilities")
def query_migrate_capabilities(machine: FakeQemu, session: Session) -> Raw | list[dict[str, Any]] | None:
    """All capabilities; the recorded reply as long as none is switched on."""
    del session
    on = migration_of(machine).capabilities
    if not on:
        return machine.profile.recorded("query-migrate-capabilities")
    known = machine.profile.value("query-migrate-capabilities")
    return [{"state": entry["capability"] in on, "capability": entry["capability"]} for entry in known]


@command("migrate-set-capabilities", takes=True)
def migrate_set_capabilities(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Switch capabilities on and off: all of them, or none when QEMU would not have them together."""
    del session
    from fakeqemu.migration.parameters import check_capabilities

    migration = migration_of(machine)
    if _running(machine) is not None:
        raise _error("There's a migration process in progress")
    wanted = set(migration.capabilities)
    for entry in arguments["capabilities"]:
        (wanted.add if entry["state"] else wanted.discard)(entry["capability"])
    check_capabilities(wanted, migration.parameters)
    migration.capabilities = wanted


@command("query-migrate-parameters")
def query_migrate_parameters(machine: FakeQemu, session: Session) -> dict[str, Any]:
    """All parameters."""
    del session
    from fakeqemu.migration.parameters import DEFAULTS

    return {**DEFAULTS, **migration_of(machine).parameters}


@command("migrate-set-parameters", takes=True)
def migrate_set_parameters(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Set parameters; a migration that is going on goes on with them."""
    del session
    from fakeqemu.migration.parameters import check_parameters

    migration = migration_of(machine)
    given = dict(arguments)
    for name in ("tls-creds", "tls-hostname", "tls-authz"):
        if given.get(name, "") is None:
            given[name] = ""
    if "max-bandwidth" in given:
        given["max-bandwidth"] %= 1 << 64
    if "max-postcopy-bandwidth" in given:
        given["max-postcopy-bandwidth"] %= 1 << 64
    check_parameters(given, migration.parameters)
    for name in ("multifd-zlib-level", "multifd-zstd-level"):
        given.pop(name, None)  # QEMU 7.2 takes them and forgets them
    migration.parameters.update(given)
    outgoing = _running(machine)
    if outgoing is not None:
        outgoing.retimed()


@command("migrate", takes=True)
def migrate(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Send the guest away: the event ``setup`` comes before the reply, everything else after it."""
    uri: str = arguments["uri"]
    migration = migration_of(machine)
    outgoing = migration.outgoing
    if arguments.get("resume"):
        if outgoing is None or outgoing.status != "postcopy-paused":
            raise _error("Cannot resume if there is no paused migration")
        target = _target(uri)
        if target is None:
            raise _error("Parameter 'uri' expects a valid migration protocol")
        outgoing.recover(target, _descriptor(machine, session, target))
        return
    _ready(machine)
    migration.unstarted, migration.error, migration.outgoing = "setup", None, None
    migration.announce("setup")
    try:
        target = _target(uri)
        fd = None if target is None else _descriptor(machine, session, target)
    except CommandError as error:
        _refused(machine, error.desc)
        raise
    if target is None:
        _refused(machine, None)
        raise _error("Parameter 'uri' expects a valid migration protocol")
    from fakeqemu.migration.outgoing import Outgoing

    migration.unstarted = "none"
    migration.outgoing = Outgoing(machine, target, fd)
    migration.outgoing.begin()


def _ready(machine: FakeQemu) -> None:
    """migrate_prepare(): may a migration begin now?"""
    if _running(machine) is not None:
        raise _error("There's a migration process in progress")
    if machine.runstate == "inmigrate":
        raise _error("Guest is waiting for an incoming migration")
    if machine.runstate == "postmigrate":
        raise _error("Can't migrate the vm that was paused due to previous migration")


def _refused(machine: FakeQemu, error: str | None) -> None:
    migration = migration_of(machine)
    migration.unstarted, migration.error = "failed", error
    migration.announce("failed")


def _target(uri: str) -> Target | None:
    from fakeqemu.migration.uri import parse

    return parse(uri)


def _descriptor(machine: FakeQemu, session: Session, target: Target) -> int | None:
    if target.kind != "fd":
        return None
    from fakeqemu.descriptors import descriptors_of

    return descriptors_of(machine).take(session, target.text)


@command("migrate_cancel")
def migrate_cancel(machine: FakeQemu, session: Session) -> None:
    """Give the migration up; nothing happens when there is none."""
    del session
    outgoing = _running(machine)
    if outgoing is not None:
        outgoing.cancel()


@command("migrate-continue", takes=True)
def migrate_continue(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Go on from ``pre-switchover``."""
    del session
    migration = migration_of(machine)
    outgoing = migration.outgoing
    status = migration.unstarted if outgoing is None else outgoing.status
    if status != arguments["state"]:
        raise _error(f"Migration not in expected state: {status}")
    if outgoing is not None and status == "pre-switchover":
        machine.afterwards(lambda: outgoing.go_on() if outgoing.status == "pre-switchover" else None)


@command("migrate-start-postcopy")
def migrate_start_postcopy(machine: FakeQemu, session: Session) -> None:
    """Let the guest go over now, and its memory follow."""
    del session
    if "postcopy-ram" not in migration_of(machine).capabilities:
        raise _error("Enable postcopy with migrate_set_capability before the start of migration")
    if migration_of(machine).outgoing is None:
        raise _error("Postcopy must be started after migration has been started")
    outgoing = _running(machine)
    if outgoing is not None:
        outgoing.start_postcopy()


@command("migrate-pause")
def migrate_pause(machine: FakeQemu, session: Session) -> None:
    """Interrupt a post-copy migration."""
    del session
    migration = migration_of(machine)
    if migration.outgoing is not None and migration.outgoing.status == "postcopy-active":
        migration.outgoing.pause()
        return
    incoming = migration.incoming
    if incoming is not None and incoming.status == "postcopy-active":
        incoming.interrupt()
        return
    raise _error("migrate-pause is currently only supported during postcopy-active state")


@command("migrate-recover", takes=True)
def migrate_recover(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> Deferred:
    """Listen again for the rest of an interrupted migration."""
    incoming = migration_of(machine).incoming
    if incoming is None or incoming.status != "postcopy-paused":
        raise _error("Migrate recover can only be run when postcopy is paused.")
    incoming.close_door()
    return _listen(machine, session, incoming, arguments["uri"])


@command("migrate-incoming", takes=True)
def migrate_incoming(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> Deferred:
    """Wait for the guest: the second half of ``-incoming defer``."""
    migration = migration_of(machine)
    if machine.line.incoming is None:
        raise _error("'-incoming' was not specified on the command line")
    if migration.incoming is not None or machine.line.incoming != "defer":
        raise _error("The incoming migration has already been started")
    from fakeqemu.migration.incoming import Incoming

    incoming = Incoming(machine)
    reply = _listen(machine, session, incoming, arguments["uri"])
    migration.incoming = incoming
    return reply


def _listen(machine: FakeQemu, session: Session, incoming: Incoming, uri: str) -> Deferred:
    """Listen; the event ``setup`` comes whatever the URI is."""
    from fakeqemu.descriptors import descriptors_of
    from fakeqemu.migration.incoming import target_of

    migration_of(machine).announce("setup")
    target = target_of(uri)
    fd = descriptors_of(machine).take_or_number(session, target.text) if target.kind == "fd" else None
    return incoming.begin(target, fd)


@command("x-colo-lost-heartbeat")
def colo_lost_heartbeat(machine: FakeQemu, session: Session) -> None:
    """COLO is never on."""
    del machine, session
    raise _error("The feature 'colo' is not enabled")


@command("query-colo-status")
def query_colo_status(machine: FakeQemu, session: Session) -> dict[str, str]:
    """COLO is never on."""
    del machine, session
    return {"mode": "none", "last-mode": "none", "reason": "none"}


@command("query-xen-replication-status")
def query_xen_replication_status(machine: FakeQemu, session: Session) -> dict[str, bool]:
    """Nothing is replicated, so nothing is wrong."""
    del machine, session
    return {"error": False}
