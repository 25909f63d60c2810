"""What a script does to a command on its way: to the message, to the command, to its reply.

Knows the steps ``message``, ``command`` and ``reply``. Must not know the order around them: that is
`fakeqemu.protocol.dispatch`. Nobody comes here without a script.
"""

from __future__ import annotations

from fakeqemu.actions import Send
from fakeqemu.protocol.qjson import encode
from fakeqemu.protocol.session import error_text, reply_text
from fakeqemu.registry import CommandError
from fakeqemu.scripts.effects import act_now, ends, take, within
from fakeqemu.scripts.outlet import bent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.dispatch import Request
    from fakeqemu.protocol.session import Session
    from fakeqemu.scripts.script import OnRule

__all__ = ["commanded", "heard", "replied"]

#: Words of a rule that are not about the reply.
_OTHERS = ("emit", "guest", "io_error", "slow", "stop_reading", "close", "signal", "exit", "kill")
#: Words that put something in the place of the reply; the command is carried out all the same.
_INSTEAD = frozenset({"drop", "garbage", "oversize", "reply"})


def _busy(machine: FakeQemu, session: Session, rule: OnRule, name: str, what: Callable[[], None]) -> None:
    """Let the rule's wait pass, in which the monitor takes nothing more; then go on."""
    session.busy = True
    late: list[bool] = []

    def go() -> None:
        session.busy = False
        if session.conn not in machine.sessions:
            return
        what()
        if late and not machine.dead:
            session.pump(machine)

    within(machine, rule, go, name)
    late.append(True)


def heard(machine: FakeQemu, session: Session, go_on: Callable[[], None]) -> None:
    """A message has come: step ``message``."""
    rule = machine.pick("message")
    if rule is None:
        go_on()
        return

    def taken() -> None:
        for _ in range(1 + rule.do.get("duplicate", 0)):
            if session.conn in machine.sessions and not machine.dead:
                go_on()

    # "duplicate" is about the message here, not about what is said meanwhile.
    do = {word: value for word, value in rule.do.items() if word != "duplicate"}
    _busy(machine, session, rule, "", lambda: take(machine, rule, taken, conn=session.conn, do=do))


def commanded(
    machine: FakeQemu,
    session: Session,
    request: Request,
    answer: Callable[[], None],
    execute: Callable[[], None],
) -> None:
    """A command is understood, and a rule has something to say to it: step ``command``.

    Args:
        machine: the machine.
        session: who asked.
        request: what was asked, with its rule.
        answer: carries it out and replies.
        execute: carries it out, and raises what it fails with.
    """
    rule = request.rule
    if rule is None:
        answer()
        return
    others = {word: rule.do[word] for word in _OTHERS if word in rule.do}

    def run() -> None:
        if not rule.after:
            act_now(machine, others, session.conn, rule)
            if ends(others) or "close" in others or machine.dead:
                return
        _distort(machine, session, request, answer, execute)
        if rule.after and not machine.dead:
            act_now(machine, others, session.conn, rule)
            _stall_after(machine, rule)

    _busy(machine, session, rule, request.name, run)


def _distort(
    machine: FakeQemu,
    session: Session,
    request: Request,
    answer: Callable[[], None],
    execute: Callable[[], None],
) -> None:
    """The reply as the rule wants it."""
    rule = request.rule
    do: dict[str, Any] = rule.do if rule is not None else {}
    if "error" in do:
        replied(machine, session, request, _instead(do, request))
    elif _INSTEAD.isdisjoint(do):
        answer()
    else:
        try:
            execute()
        except CommandError as failure:
            if "drop" not in do:
                text = error_text(failure.kind, failure.desc, request.ident, has_id=request.has_id)
                replied(machine, session, request, text)
            return
        if "garbage" in do:
            machine.do(0, Send(session.conn, f"{do['garbage']}\r\n".encode()))
        elif "drop" not in do:
            replied(machine, session, request, _instead(do, request))


def replied(machine: FakeQemu, session: Session, request: Request, text: str) -> None:
    """There is a reply: step ``reply``."""
    if machine.dead:
        return
    rule = machine.pick("reply", request.name, request.arguments)
    if rule is None:
        _send(machine, session, request, None, text)
        return
    do = rule.do
    others = {word: do[word] for word in _OTHERS if word in do}

    def run() -> None:
        if not rule.after:
            act_now(machine, others, session.conn, rule)
            if ends(others) or "close" in others or machine.dead:
                return
        if "garbage" in do:
            machine.do(0, Send(session.conn, f"{do['garbage']}\r\n".encode()))
        elif "drop" not in do:
            _send(machine, session, request, rule, _instead(do, request) or text)
        if rule.after:
            act_now(machine, others, session.conn, rule)
            _stall_after(machine, rule)

    _busy(machine, session, rule, request.name, run)


def _send(machine: FakeQemu, session: Session, request: Request, rule: OnRule | None, text: str) -> None:
    """Send a reply in the manner of the command's rule and of the reply's."""
    do: dict[str, Any] = {}
    name = ""
    for one in (request.rule, rule):
        if one is not None:
            do |= one.do
            name = one.name
    bent(machine, name, do, lambda: machine.send(session.conn, text))


def _instead(do: dict[str, Any], request: Request) -> str:
    """The text of what a rule replies; empty when it leaves that to the command."""
    if "error" in do:
        error = do["error"]
        return error_text(error["class"], error["desc"], request.ident, has_id=request.has_id)
    if "reply" in do:
        return reply_text(encode(do["reply"]), request.ident, has_id=request.has_id)
    if "oversize" in do:
        bare = reply_text('""', request.ident, has_id=request.has_id)
        padding = "x" * max(0, do["oversize"] - len(bare))
        return reply_text(f'"{padding}"', request.ident, has_id=request.has_id)
    return ""


def _stall_after(machine: FakeQemu, rule: OnRule) -> None:
    if "stall" in rule.do:
        from fakeqemu.scripts.stall import stall

        stall(machine, rule.do["stall"])
