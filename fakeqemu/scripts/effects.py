"""What the words of a rule do.

Knows the words of ``do:``. Must not know when a rule acts.
"""

from __future__ import annotations

from fakeqemu.actions import Close, Pace, Send

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.scripts.script import OnRule

__all__ = ["act_now", "at_step", "connection", "emitted", "ends", "take", "within"]


#: A guest takes so long to do something because of what it has done: else it could do so for ever at one
#: instant.
GUEST_NS = 1_000_000
_ECHOES = ("event", "guest")


def ends(do: dict[str, Any]) -> bool:
    """Whether the machine does not survive this."""
    return "exit" in do or "kill" in do


def act_now(
    machine: FakeQemu, do: dict[str, Any], conn: int | None = None, rule: OnRule | None = None
) -> None:
    """Carry out every word but those about a message, the delay and the stall.

    Args:
        machine: the machine it happens to.
        do: the rule's words.
        conn: the connection it is about; None for all of them.
        rule: the rule, which does not act upon what it does itself.
    """
    rules = machine.rules
    if rule is None or rules is None:
        _act(machine, do, list(machine.sessions) if conn is None else [conn], None)
        return
    with rules.asleep(rule):
        _act(machine, do, list(machine.sessions) if conn is None else [conn], rule)


def _act(machine: FakeQemu, do: dict[str, Any], conns: list[int], rule: OnRule | None) -> None:
    if "emit" in do:
        _emit(machine, do["emit"])
    if "guest" in do:
        _guest(machine, do["guest"], rule)
    if "io_error" in do:
        from fakeqemu.scripts.trouble import io_error

        io_error(machine, do["io_error"])
    for number in conns:
        _to_connection(machine, do, number)
    if "exit" in do:
        machine.finish(do["exit"]["code"], do["exit"]["stderr"])
    elif "kill" in do:
        machine.kill(do["kill"]["signal"], stderr=do["kill"]["stderr"])
    elif "signal" in do:
        _signal(machine, do["signal"], rule)


def _guest(machine: FakeQemu, word: str, rule: OnRule | None) -> None:
    """The guest does something; because of its own doing a little later, and only once at a time."""
    from fakeqemu.runstate import ACTS

    if rule is None or rule.step not in _ECHOES:
        ACTS[word](machine)
        return
    echoes: set[int] = machine.parts.setdefault("echoes", set())
    if rule.number in echoes:
        return
    echoes.add(rule.number)

    def echo() -> None:
        echoes.discard(rule.number)
        ACTS[word](machine)

    machine.later(GUEST_NS, echo)


def _emit(machine: FakeQemu, words: Any) -> None:
    for event in words if isinstance(words, list) else [words]:
        name, data = event["event"], event.get("data")
        if event.get("after"):
            _emit_later(machine, event["after"], name, data)
        else:
            machine.emit(name, data)


def _emit_later(machine: FakeQemu, wait: int, event: str, data: dict[str, Any] | None) -> None:
    machine.later(wait, lambda: machine.emit(event, data))


def _to_connection(machine: FakeQemu, do: dict[str, Any], conn: int) -> None:
    if "garbage" in do:
        machine.do(0, Send(conn, f"{do['garbage']}\r\n".encode()))
    if "slow" in do or "stop_reading" in do:
        _pace(machine, do, conn)
    if "close" in do:
        machine.do(0, Close(conn))


def _pace(machine: FakeQemu, do: dict[str, Any], conn: int) -> None:
    """Bytes leave slowly from now on, or none come in for a while; the one does not end the other."""
    rates: dict[int, int] = machine.parts.setdefault("slow", {})
    if "slow" in do:
        for gone in rates.keys() - machine.channels.keys() - machine.conns.keys():
            del rates[gone]
        rates[conn] = do["slow"]
    rate = rates.get(conn)
    machine.do(0, Pace(conn, reading="stop_reading" not in do, rate=rate))
    span = do.get("stop_reading")
    if span:
        machine.later(span, lambda: machine.do(0, Pace(conn, reading=True, rate=rates.get(conn))))


def connection(machine: FakeQemu, step: str, name: str) -> int | None:
    """The connection that a step is about: the agent's, or None for all the monitors'."""
    if step != "guest" or not name.startswith("guest-"):
        return None
    agent = getattr(machine.parts.get("guest"), "agent", None)
    conn: int | None = getattr(getattr(agent, "backend", None), "conn", None)
    return conn


def _signal(machine: FakeQemu, signum: int, rule: OnRule | None) -> None:
    """As if somebody had sent it; the second time that one rule does so at an instant, a little later."""
    if signum == 9:
        machine.kill(signum)
        return
    from fakeqemu.ending import signalled

    if rule is not None:
        # When each rule sent one last; a time to come while one is on its way.
        sent: dict[int, int] = machine.parts.setdefault("signals", {})
        last = sent.get(rule.number, -1)
        if last >= machine.now_ns:
            if last == machine.now_ns:
                sent[rule.number] = last + GUEST_NS
                machine.later(GUEST_NS, lambda: signalled(machine, signum, None))
            return
        sent[rule.number] = machine.now_ns
    signalled(machine, signum, None)


def within(machine: FakeQemu, rule: OnRule, rest: Callable[[], None], name: str = "") -> None:
    """Let the rule's delay and stall pass, and then do the rest."""
    from fakeqemu.scripts.delays import wait_ns

    def stalls() -> None:
        from fakeqemu.scripts.stall import stall

        stall(machine, rule.do["stall"])
        machine.later(0, rest)

    then = stalls if "stall" in rule.do and not rule.after else rest
    wait = wait_ns(machine, rule, name)
    if wait:
        machine.later(wait, then)
    else:
        then()


def take(
    machine: FakeQemu,
    rule: OnRule,
    act: Callable[[], None],
    fail: Callable[[str], None] | None = None,
    conn: int | None = None,
    *,
    do: dict[str, Any] | None = None,
) -> None:
    """Take a step under a rule whose delay is over.

    ``drop`` leaves the step out, ``error`` lets it fail; a rule that ends the machine does so instead of the
    step, unless it says ``when: after``. ``do`` stands for the rule's own words where it is given.
    """
    do = rule.do if do is None else do

    def step() -> None:
        if "error" in do and fail is not None:
            fail(do["error"]["desc"])
            return
        if "drop" not in do:
            from fakeqemu.scripts.outlet import bent

            bent(machine, rule.name, do, act)

    if not rule.after:
        act_now(machine, do, conn, rule)
        if not ends(do) and not machine.dead:
            step()
        return
    step()
    if machine.dead:
        return
    act_now(machine, do, conn, rule)
    if "stall" in do:
        from fakeqemu.scripts.stall import stall

        stall(machine, do["stall"])


def at_step(  # noqa: PLR0917 - the kernel's order
    machine: FakeQemu,
    rule: OnRule,
    act: Callable[[], None],
    fail: Callable[[str], None] | None = None,
    conn: int | None = None,
    name: str = "",
) -> None:
    """Take a step under a rule: wait, then the rule's words before or after the step itself.

    Args:
        machine: the machine.
        rule: the rule.
        act: the step.
        fail: takes the step's failure; without it a rule's ``error`` is the business of ``act``.
        conn: the connection it is about; None for all of them.
        name: what the step is about, for delays that depend on it.
    """
    within(machine, rule, lambda: take(machine, rule, act, fail, conn), name)


def emitted(machine: FakeQemu, event: str, data: dict[str, Any] | None) -> None:
    """An event happens under a script."""
    rule = machine.pick("event", event, data)
    if rule is None:
        machine.tell(event, data)
    else:
        at_step(machine, rule, lambda: machine.tell(event, data), name=event)
