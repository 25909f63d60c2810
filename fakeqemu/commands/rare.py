"""What QEMU is able to say no to: hardware, modes and friends that this machine does not have.

Knows the refusals of record/replay, rocker switches, SEV, Xen and storage keys, as QEMU 7.2 words them. Must
not know the things themselves: there are none.
"""

from __future__ import annotations

from fakeqemu.registry import CommandError, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session

__all__ = ["REFUSALS", "dumpdtb", "query_rocker", "query_sgx", "xen_load", "xen_save", "xen_set_replication"]

#: Commands that can only be refused here, with QEMU's words.
REFUSALS = {
    "replay-break": "setting the breakpoint is allowed only in play mode",
    "replay-delete-break": "replay breakpoints are allowed only in play mode",
    "replay-seek": "replay must be enabled to seek",
    "query-sev-attestation-report": "SEV is not enabled",
    "query-sev-launch-measure": "SEV launch measurement is not available",
    "sev-inject-launch-secret": "SEV not enabled for guest",
    "set-numa-node": "The command is permitted only before the machine has been created",
    "dump-skeys": "This guest is not using storage keys - nothing to dump",
    "x-query-profile": "Internal profiler not compiled",
}
_PLAIN = ("replay-delete-break", "query-sev-launch-measure", "x-query-profile")


def _refuse(name: str, text: str) -> None:
    @command(name, takes=name not in _PLAIN)
    def refused(machine: FakeQemu, session: Session, arguments: dict[str, Any] | None = None) -> None:
        del machine, session, arguments
        raise CommandError("GenericError", text)


for _name, _text in REFUSALS.items():
    _refuse(_name, _text)


def _rocker(name: str) -> None:
    @command(name, takes=True)
    def refused(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
        query_rocker(machine, session, arguments)


@command("query-rocker", takes=True)
def query_rocker(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """A rocker switch: none is modelled, so there is none of that name."""
    del session
    name = arguments["name"]
    if machine.profile.arch == "s390x":
        # No PCI boards with one: stubs/rocker.c.
        raise CommandError("GenericError", "The feature 'rocker' is not enabled")
    if any(device.kind == "rocker" for device in machine.line.devices):
        raise CommandError("CommandNotFound", "The command query-rocker has not been found")
    raise CommandError("GenericError", f"rocker {name} not found")


for _name in ("query-rocker-ports", "query-rocker-of-dpa-flows", "query-rocker-of-dpa-groups"):
    _rocker(_name)


@command("query-sgx")
def query_sgx(machine: FakeQemu, session: Session) -> None:
    """SGX: on PC machines only, and there without memory for it (hw/i386/sgx.c)."""
    del session
    from fakeqemu.hardware import registry_of

    if registry_of(machine).family in ("pc", "q35"):
        raise CommandError("GenericError", "No EPC regions defined, SGX not available")
    refusal = machine.profile.refusal("query-sgx") or {}
    raise CommandError("GenericError", refusal.get("desc", "SGX is only supported on PC machines"))


@command("dumpdtb", takes=True)
def dumpdtb(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """The device tree; boards that have one keep it to themselves here."""
    del session, arguments
    if machine.profile.arch in ("x86_64", "i386", "s390x") or machine.line.machine == "none":
        raise CommandError("GenericError", "This machine doesn't have a FDT")
    raise CommandError("CommandNotFound", "The command dumpdtb has not been found")


# -- Xen and COLO -------------------------------------------------------------------------------------------


@command("xen-set-global-dirty-log", takes=True)
def xen_set_global_dirty_log(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """A global dirty log: nobody reads it."""
    del machine, session, arguments


@command("xen-colo-do-checkpoint")
def xen_colo_do_checkpoint(machine: FakeQemu, session: Session) -> None:
    """A checkpoint of the replicated disks: there are none."""
    del machine, session


@command("xen-set-replication", takes=True)
def xen_set_replication(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Start or stop replication of the disks that replicate: none does."""
    del machine, session
    if arguments["enable"] and "failover" in arguments:
        raise CommandError("GenericError", "Parameter 'failover' is only for stopping replication")


@command("xen-save-devices-state", takes=True)
def xen_save(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Save the devices, without the memory: a stream of this program's own."""
    del session
    from fakeqemu.migration import stream

    path = arguments["filename"]
    reason = machine.host.write(path, stream.MAGIC, truncate=True)
    if reason is not None:
        raise CommandError("GenericError", f"Unable to open {path}: {reason}")


@command("xen-load-devices-state", takes=True)
def xen_load(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Load the devices: only that the file can be opened is looked at."""
    del session
    path = arguments["filename"]
    reason = machine.host.file_error(path)
    if reason is not None:
        raise CommandError("GenericError", f"Unable to open {path}: {reason}")
    raise CommandError("CommandNotFound", "The command xen-load-devices-state has not been found")
