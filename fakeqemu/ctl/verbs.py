"""What may be asked through the control socket.

Knows the verbs and what each takes. Must not know lines and sockets.
"""

from __future__ import annotations

from fakeqemu.ctl.line import PROTOCOL, Later, Refusal, Turn, fits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fakeqemu.ctl.control import Control
    from fakeqemu.machine import FakeQemu
    from fakeqemu.scripts.script import OnRule

__all__ = ["STATE", "VERBS", "Verb", "perform"]

#: Names the form of a saved state.
STATE = "fakeqemu/state@1"
#: Words that had their time at the start; nothing reads them any more.
_OVER = ("memory", "nics", "hostdevs", "socket", "accept", "images", "preset", "profile", "ctl")


class Verb:
    """One thing that can be asked: what it takes (member -> type's name), and what it does."""

    __slots__ = ("about", "needs", "run", "takes")

    def __init__(
        self, run: Callable[[FakeQemu, dict[str, Any]], Any], about: str, needs: str = "", takes: str = ""
    ) -> None:
        self.run, self.about = run, about
        self.needs = dict(word.split(":") for word in needs.split())
        self.takes = self.needs | dict(word.split(":") for word in takes.split())


_TYPES: dict[str, Callable[[Any], bool]] = {
    "text": lambda value: isinstance(value, str),
    "number": lambda value: type(value) is int and 0 <= value < 1 << 63,
    "object": lambda value: isinstance(value, dict),
    "list": lambda value: isinstance(value, list),
    "flag": lambda value: isinstance(value, bool),
    "duration": lambda value: isinstance(value, str),
}


def perform(machine: FakeQemu, request: dict[str, Any]) -> Any:
    """Do what is asked.

    Returns:
        The value of the reply, or a `fakeqemu.ctl.line.Later`.

    Raises:
        Refusal: it cannot be done; the text says why.
    """
    name = request.get("do")
    verb = VERBS.get(name) if isinstance(name, str) else None
    if verb is None:
        from difflib import get_close_matches

        near = get_close_matches(str(name), VERBS, n=1, cutoff=0.5)
        hint = f", did you mean {near[0]!r}?" if near else ""
        raise Refusal(f"unknown verb {str(name)[:40]!r}{hint}; known: {', '.join(VERBS)}")
    for word in verb.needs:
        if word not in request:
            raise Refusal(f"`{word}` is missing")
    for word, value in request.items():
        if word in ("do", "id"):
            continue
        kind = verb.takes.get(word)
        if kind is None:
            known = ", ".join(verb.takes) or "nothing"
            raise Refusal(f"unknown member {word[:40]!r}; {name} takes {known}")
        if not _TYPES[kind](value):
            raise Refusal(f"`{word}` is no {kind}")
    return verb.run(machine, request)


def _control(machine: FakeQemu) -> Control:
    control: Control = machine.parts["ctl"]
    return control


def _hello(machine: FakeQemu, _request: dict[str, Any]) -> Any:
    verbs = {
        name: {"about": verb.about, "needs": list(verb.needs), "takes": list(verb.takes)}
        for name, verb in VERBS.items()
    }
    return {"protocol": PROTOCOL, "pid": machine.pid, "name": machine.line.name or "", "verbs": verbs}


def _state(machine: FakeQemu, _request: dict[str, Any]) -> Any:
    script = machine.script.start if machine.script is not None else {}
    words = {**script, **(machine.words or {})}
    words.pop("rules", None)
    monitors = [
        {"monitor": machine.conns.get(conn, ""), "negotiated": session.negotiated}
        for conn, session in machine.sessions.items()
    ]
    control = _control(machine)
    return {
        "runstate": machine.runstate,
        "now_ns": machine.now_ns,
        "pid": machine.pid,
        "name": machine.line.name or "",
        "stalled": _stalled(machine),
        "words": words,
        "monitors": monitors,
        "calls": control.numbers["command"],
        "events": control.numbers["event"],
    }


def _stalled(machine: FakeQemu) -> bool:
    if "stall" not in machine.parts:
        return False
    from fakeqemu.scripts.stall import stalled

    return stalled(machine)


def _unstall(machine: FakeQemu, _request: dict[str, Any]) -> Any:
    from fakeqemu.scripts.stall import unstall

    if not _stalled(machine):
        raise Refusal("nothing hangs")
    machine.afterwards(Turn(lambda: unstall(machine)))
    return {}


def _set(machine: FakeQemu, request: dict[str, Any]) -> Any:
    words: dict[str, Any] = request["words"]
    for word in words:
        if word in _OVER:
            raise Refusal(f"`{word}` counts at the start only, and that is over")
    if not words:
        raise Refusal("`words` is empty")
    start = dict(_compiled([{"at": "start", **words}])["start"])
    start.pop("rules", None)
    mine: dict[str, Any] = dict(machine.words or {})
    rules = dict(machine.word("rules") or {})
    for word, value in start.items():
        old = machine.word(word)
        both = isinstance(old, dict) and isinstance(value, dict)
        mine[word] = {**old, **value} if both else value
        rules[word] = "ctl"
    mine["rules"] = rules
    machine.words = mine
    return {"words": {word: mine[word] for word in start}}


def _emit(machine: FakeQemu, request: dict[str, Any]) -> Any:
    event, data = request["event"], request.get("data")
    if not event:
        raise Refusal("`event` is empty")
    if "after" in request:
        machine.later(_duration(request["after"]), lambda: machine.emit(event, data))
    else:
        machine.emit(event, data)
    return {"events": _control(machine).numbers["event"]}


def _do(machine: FakeQemu, request: dict[str, Any]) -> Any:
    words: dict[str, Any] = request["words"]
    do = _compiled([{"at": "0", "do": words}])["timed"][0]["do"]
    machine.note("ctl", "time: " + ", ".join(do))

    def act() -> None:
        from fakeqemu.scripts.effects import act_now

        act_now(machine, do)
        if "stall" in do and not machine.dead:
            from fakeqemu.scripts.stall import stall

            stall(machine, do["stall"])

    machine.afterwards(Turn(act))
    return {}


def _listed(found: Any, key: str, request: dict[str, Any]) -> list[dict[str, Any]]:
    since, match, limit = request.get("since", 0), request.get("match", ""), request.get("limit", 1000)
    entries = [entry for entry in found if entry["number"] > since and fits(match, entry[key])]
    return [dict(entry) for entry in entries[:limit]]


def _calls(machine: FakeQemu, request: dict[str, Any]) -> Any:
    control = _control(machine)
    found = _listed(control.calls, "command", request)
    if request.get("clear"):
        control.calls.clear()
    return {"calls": found, "last": control.numbers["command"]}


def _events(machine: FakeQemu, request: dict[str, Any]) -> Any:
    control = _control(machine)
    found = _listed(control.events, "event", request)
    if request.get("clear"):
        control.events.clear()
    return {"events": found, "last": control.numbers["event"]}


def _rules(machine: FakeQemu, request: dict[str, Any]) -> Any:
    added: list[dict[str, Any]] = []
    if "add" in request:
        compiled = _compiled(request["add"])
        if compiled["start"]:
            raise Refusal("the start is over: only rules `on:` a step can be added; `set` changes words")
        if compiled["timed"]:
            raise Refusal("a time after exec may be over: `do` acts now")
        added = [rule | {"name": f"ctl {rule['name']}"} for rule in compiled["on"]]
    remove = request.get("remove")
    if added or remove is not None:
        _change(machine, added, remove)
    rules = machine.rules
    if rules is None:
        return {"rules": []}
    return {
        "rules": [
            _described(step, rule, rules.met.get(rule.number, 0))
            for step, found in rules.steps.items()
            for rule in found
        ]
    }


def _described(step: str, rule: OnRule, met: int) -> dict[str, Any]:
    found = {"name": rule.name, "on": step, "met": met, "do": rule.do}
    return found | {key: getattr(rule, key) for key in ("match", "count") if getattr(rule, key) is not None}


def _change(machine: FakeQemu, added: list[dict[str, Any]], remove: str | None) -> None:
    """Rules that come in go before the others; those whose name fits ``remove`` go."""
    from fakeqemu.scripts.script import VERSION, Rules, Script

    if machine.rules is None:
        empty = Script({"version": VERSION, "start": {}, "timed": [], "on": []})
        machine.rules = Rules(machine.script or empty, machine.seed)
    total = sum(map(len, machine.rules.steps.values()))
    if total + len(added) > 1000:
        raise Refusal("more than 1000 rules")
    machine.rules.change(added, lambda rule: remove is not None and fits(remove, rule.name))


def _crash(machine: FakeQemu, request: dict[str, Any]) -> Any:
    import signal

    name = request.get("signal", "SIGSEGV")
    if name not in signal.Signals.__members__:
        raise Refusal(f"unknown signal {name[:40]!r}")
    number, stderr = int(signal.Signals[name]), request.get("stderr")
    machine.afterwards(Turn(lambda: machine.kill(number, stderr=stderr)))
    return {}


def _exit(machine: FakeQemu, request: dict[str, Any]) -> Any:
    code, stderr = request.get("code", 1), request.get("stderr")
    if code > 255:
        raise Refusal("`code` is at most 255")
    machine.afterwards(Turn(lambda: machine.finish(code, stderr)))
    return {}


#: What the state of a stranger may raise in a part that takes it.
_BAD = (TypeError, KeyError, ValueError, AttributeError, IndexError, OverflowError, RecursionError)


def _save(machine: FakeQemu, _request: dict[str, Any]) -> Any:
    from fakeqemu.migration.state import saved

    state = {
        "format": STATE,
        "name": machine.line.name or "",
        "runstate": machine.runstate,
        "parts": saved(machine),
    }
    return {"state": state}


def _load(machine: FakeQemu, request: dict[str, Any]) -> Any:
    from fakeqemu.migration.state import restored
    from fakeqemu.registry import CommandError

    state: dict[str, Any] = request["state"]
    parts, runstate = state.get("parts"), state.get("runstate")
    if state.get("format") != STATE or not isinstance(parts, dict):
        raise Refusal(f"no state: `format` is not {STATE}")
    if not isinstance(runstate, str) or runstate not in _runstates(machine):
        raise Refusal("`runstate` of the state is none")
    left: list[str] = []
    for name, value in parts.items():
        try:
            if not restored(machine, name, value):
                left.append(name)
        except CommandError as error:
            raise Refusal(f"{name[:40]}: {error.desc}") from error
        except _BAD as error:
            raise Refusal(f"{name[:40]}: a damaged state: {type(error).__name__}") from error
    if runstate != machine.runstate:
        machine.change(runstate)
    return {"runstate": runstate, "unknown": left}


def _runstates(machine: FakeQemu) -> tuple[str, ...]:
    del machine
    return (
        "debug", "inmigrate", "internal-error", "io-error", "paused", "postmigrate", "prelaunch",
        "finish-migrate", "restore-vm", "running", "save-vm", "shutdown", "suspended", "watchdog",
        "guest-panicked", "colo",
    )  # fmt: skip


def _wait(machine: FakeQemu, request: dict[str, Any]) -> Any:
    from fakeqemu.ctl.control import Waiter

    kind, match = request["for"], request.get("match", "")
    timeout = _duration(request.get("timeout", "10s"))
    control = _control(machine)
    if kind not in ("command", "event", "runstate"):
        raise Refusal("`for` is command, event or runstate")
    if kind == "runstate" and fits(match, machine.runstate):
        return {"runstate": machine.runstate, "at_ns": machine.now_ns}
    if "since" in request and kind != "runstate":
        found = control.calls if kind == "command" else control.events
        for entry in _listed(found, kind, {"since": request["since"], "match": match, "limit": 1}):
            return entry
    later = Later()
    waiter = Waiter(kind, match, lambda entry: machine.later(0, Turn(lambda: later.done(machine, entry))))
    if not control.add(waiter):
        raise Refusal("too many wait already")

    def over() -> None:
        if waiter in control.waiters:
            control.waiters.remove(waiter)
            later.done(machine, error=f"no {kind} {match} within the time".replace("  ", " "))

    machine.later(timeout, Turn(over))
    return later


def _duration(text: str) -> int:
    from fakeqemu.scripts.units import parse_duration_ns

    try:
        return parse_duration_ns(text)
    except ValueError as error:
        raise Refusal(str(error)) from error


def _compiled(rules: Any) -> dict[str, Any]:
    """Rules by the grammar; every mistake with the way to it."""
    from fakeqemu.scripts.script import ScriptError, grammar

    try:
        law = grammar()
        mistakes = law.script_mistakes(rules)
        if mistakes:
            raise Refusal("; ".join(f"{'.'.join(map(str, path))}: {text}" for path, text in mistakes[:20]))
        compiled: dict[str, Any] = law.compile_rules(rules)
    except ScriptError as error:
        raise Refusal(str(error)) from error
    except RecursionError as error:
        raise Refusal("nested too deeply") from error
    return compiled


VERBS: dict[str, Verb] = {
    "hello": Verb(_hello, "who is there, and what can be asked"),
    "state": Verb(_state, "run state, clients, words and counters"),
    "set": Verb(_set, "change words of `at: start` while the machine runs", "words:object"),
    "emit": Verb(_emit, "send an event", "event:text", "data:object after:duration"),
    "do": Verb(_do, "do now what a rule may do at a time", "words:object"),
    "unstall": Verb(_unstall, "let a main loop go on that hangs"),
    "calls": Verb(_calls, "the commands that came", "", "match:text since:number limit:number clear:flag"),
    "events": Verb(_events, "the events that left", "", "match:text since:number limit:number clear:flag"),
    "rules": Verb(_rules, "list, add and remove rules `on:` a step", "", "add:list remove:text"),
    "wait": Verb(
        _wait,
        "until a command, an event or a run state",
        "for:text",
        "match:text since:number timeout:duration",
    ),
    "save": Verb(_save, "the state of the machine"),
    "load": Verb(_load, "take over a state that was saved", "state:object"),
    "crash": Verb(_crash, "die by a signal", "", "signal:text stderr:text"),
    "exit": Verb(_exit, "leave with a status", "", "code:number stderr:text"),
}
