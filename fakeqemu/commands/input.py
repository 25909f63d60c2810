"""Keys and pointers."""

from __future__ import annotations

from fakeqemu.registry import CommandError, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session

__all__ = ["input_send_event", "query_mice", "send_key"]


@command("query-mice")
def query_mice(machine: FakeQemu, session: Session) -> list[dict[str, Any]]:
    """The mice and tablets."""
    del session
    from fakeqemu.displays.pointers import mice

    return mice(machine)


@command("send-key", takes=True)
def send_key(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Press keys; one of a PS/2 keyboard wakes a guest that sleeps."""
    del session
    if arguments["keys"]:
        _wake(machine)


def _wake(machine: FakeQemu) -> None:
    if machine.runstate == "suspended":
        from fakeqemu.displays.pointers import handlers
        from fakeqemu.runstate import wake_up

        if any(name == "QEMU PS/2 Keyboard" for _, name, _ in handlers(machine)):
            wake_up(machine)


@command("input-send-event", takes=True)
def input_send_event(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Press keys, move and click; somebody must take each kind of event."""
    del session
    if "device" in arguments:
        from fakeqemu.commands.display import find_head

        find_head(machine, arguments["device"], arguments.get("head", 0))
    if machine.runstate not in ("running", "suspended"):
        raise CommandError("GenericError", "VM not running")
    from fakeqemu.displays.pointers import understood

    for event in arguments["events"]:
        if not understood(machine, event["type"]):
            raise CommandError("GenericError", f"Input handler not found for event type {event['type']}")
    if any(event["type"] == "key" for event in arguments["events"]):
        _wake(machine)
