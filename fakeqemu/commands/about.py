"""What is said about the program and the machine as a whole; most of it as recorded."""

from __future__ import annotations

from fakeqemu.registry import CommandError, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.qjson import Raw
    from fakeqemu.protocol.session import Session

__all__ = ["RECORDED", "query_command_line_options", "query_kvm", "query_name", "query_target", "query_uuid"]

#: Commands without arguments whose reply is what the real QEMU said, whatever the machine.
RECORDED = (
    "query-version", "query-commands", "query-qmp-schema", "query-machines", "query-tpm-models",
    "query-tpm-types",
    "query-replay", "query-tpm", "query-pr-managers",
)  # fmt: skip


def _register(name: str) -> None:
    @command(name)
    def recorded(machine: FakeQemu, session: Session) -> Raw:
        del session
        found = machine.profile.recorded(name)
        if found is None:
            raise CommandError("CommandNotFound", f"The command {name} has not been found")
        return found


for _name in RECORDED:
    _register(_name)


@command("query-command-line-options", takes=True)
def query_command_line_options(
    machine: FakeQemu, session: Session, arguments: dict[str, Any]
) -> Raw | list[dict[str, Any]] | None:
    """The options that have parameters, as recorded; or one of them."""
    del session
    # That of SPICE is in a module; the profile was recorded with all of them loaded.
    loaded = bool(machine.parts.get("modules")) or machine.line.spice is not None
    if "option" not in arguments and loaded:
        return machine.profile.recorded("query-command-line-options")
    name = arguments.get("option")
    found = [
        entry
        for entry in machine.profile.value("query-command-line-options") or ()
        if name in (None, entry["option"]) and (loaded or entry["option"] != "spice")
    ]
    if not found:
        raise CommandError("GenericError", f"invalid option name: {name}")
    return found


@command("query-cpu-definitions")
def query_cpu_definitions(machine: FakeQemu, session: Session) -> Raw | None:
    """The CPU models, as recorded."""
    del session
    return machine.profile.recorded("query-cpu-definitions")


@command("query-target")
def query_target(machine: FakeQemu, session: Session) -> dict[str, Any]:
    """The architecture."""
    del session
    return {"arch": machine.profile.arch}


@command("query-kvm")
def query_kvm(machine: FakeQemu, session: Session) -> dict[str, Any]:
    """Whether KVM is in use: as the command line asked for it."""
    del session
    return {"enabled": machine.line.accel == "kvm", "present": machine.profile.facts["kvm"]}


@command("query-name")
def query_name(machine: FakeQemu, session: Session) -> dict[str, Any]:
    """The guest's name, if it has one."""
    del session
    return {} if machine.line.name is None else {"name": machine.line.name}


@command("query-uuid")
def query_uuid(machine: FakeQemu, session: Session) -> dict[str, Any]:
    """The machine's UUID; zeros when none was given."""
    del session
    return {"UUID": machine.line.uuid or "00000000-0000-0000-0000-000000000000"}


@command("query-current-machine")
def query_current_machine(machine: FakeQemu, session: Session) -> dict[str, Any]:
    """Whether the machine can be woken up."""
    del session
    from fakeqemu.commands.run import wakes

    return {"wakeup-suspend-support": wakes(machine)}
