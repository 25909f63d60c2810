"""What the words of a rule do.

Knows the words of ``do:``. Must not know when a rule acts.
"""

from __future__ import annotations

from fakeqemu.actions import Close, Send

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.script import OnRule

__all__ = ["act_now", "at_step", "emitted", "ends"]


def ends(do: dict[str, Any]) -> bool:
    """Whether the machine does not survive this."""
    return "exit" in do or "kill" in do


def act_now(machine: FakeQemu, do: dict[str, Any], conn: int | None = None) -> None:
    """Carry out every word but those about a reply and the delay.

    Args:
        machine: the machine it happens to.
        do: the rule's words.
        conn: the connection it is about; None for all of them.
    """
    conns = list(machine.sessions) if conn is None else [conn]
    if "emit" in do:
        machine.emit(do["emit"]["event"], do["emit"].get("data"))
    if "guest" in do:
        from fakeqemu import guest

        {"poweroff": guest.power_off, "reset": guest.reset, "panic": guest.panic}[do["guest"]](machine)
    if "garbage" in do:
        for number in conns:
            machine.do(0, Send(number, f"{do['garbage']}\r\n".encode()))
    if "close" in do:
        for number in conns:
            machine.do(0, Close(number))
    if "exit" in do:
        machine.exit(do["exit"]["code"], stderr=do["exit"]["stderr"], clean=False)
    elif "kill" in do:
        machine.kill(do["kill"]["signal"], stderr=do["kill"]["stderr"])


def at_step(
    machine: FakeQemu, rule: OnRule, act: Callable[[], None], fail: Callable[[str], None] | None = None
) -> None:
    """Take a step under a rule: wait, then the rule's words before or after the step itself.

    ``drop`` leaves the step out; a rule that ends the machine does so instead of the step, unless it says
    ``when: after``.
    """
    do = rule.do

    def go() -> None:
        if rule.after:
            act()
            act_now(machine, do)
            return
        act_now(machine, do)
        if ends(do) or "drop" in do:
            return
        if "error" not in do:
            act()
        elif fail is not None:
            fail(do["error"]["desc"])

    if do.get("delay"):
        machine.later(do["delay"], go)
    else:
        go()


def emitted(machine: FakeQemu, event: str, data: dict[str, Any] | None) -> None:
    """An event happens under a script."""
    rule = machine.pick("event", event, data)
    if rule is None:
        machine.tell(event, data)
    else:
        at_step(machine, rule, lambda: machine.tell(event, data))
