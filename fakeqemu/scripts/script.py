"""The behaviour script at run time: compiled rules, and which of them acts now.

Knows the compiled form that `fakeqemu.scripts.grammar` makes. Must not know the grammar (it imports it late,
for a script that is not compiled yet) nor what the actions do. Standard library only: this module may stand
on the start-up path.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

__all__ = [
    "OnRule", "Rules", "Script", "ScriptError", "configured", "grammar", "load_preset", "merged",
]  # fmt: skip

#: Version of the compiled form; the same number as `fakeqemu.scripts.grammar.COMPILED_VERSION`.
VERSION = 1
#: A script file longer than this is refused.
MAX_FILE = 16 << 20


class ScriptError(Exception):
    """A script that cannot be used; the text is for the person who wrote it."""


class OnRule:
    """One ``on:`` rule; shared by every machine that plays the script."""

    __slots__ = (
        "after", "count", "data", "do", "match", "name", "number", "probability", "skip", "step", "wild",
    )  # fmt: skip

    def __init__(self, number: int, words: Mapping[str, Any]) -> None:
        self.number = number
        self.name: str = words["name"]
        self.step: str = words["on"]
        self.match: str | None = words.get("match")
        self.wild = self.match is not None and any(sign in self.match for sign in "*?[")
        self.skip: int = words.get("skip", 0)
        self.count: int | None = words.get("count")
        self.probability: float | None = words.get("probability")
        self.after: bool = words.get("when") == "after"
        self.data: dict[str, Any] | None = words.get("with")
        self.do: dict[str, Any] = words["do"]

    def fits(self, name: str, data: Any = None) -> bool:
        """Whether the rule is about the thing called ``name``, which says ``data``."""
        if self.data is not None and not _within(self.data, data):
            return False
        if self.match is None or self.match == name:
            return True
        if not self.wild:
            return False
        from fnmatch import fnmatchcase

        return fnmatchcase(name, self.match)


def _within(part: Any, whole: Any) -> bool:
    """Whether the members of ``part`` are among those of ``whole``, at every depth."""
    if not isinstance(part, dict):
        return bool(part == whole)
    return isinstance(whole, dict) and all(
        key in whole and _within(value, whole[key]) for key, value in part.items()
    )


def _time(rule: dict[str, Any]) -> int:
    at: int = rule["at"]
    return at


def merged(first: dict[str, Any], then: dict[str, Any]) -> dict[str, Any]:
    """Two compiled scripts as one: the words and rules of ``first`` go before those of ``then``."""
    start: dict[str, Any] = {}
    for word, value in {**then["start"], **first["start"]}.items():
        other = then["start"].get(word)
        both = isinstance(value, dict) and isinstance(other, dict) and word != "memory"
        start[word] = {**other, **value} if both else value
    return {
        "version": VERSION,
        "start": start,
        "timed": [*first["timed"], *then["timed"]],
        "on": [*first["on"], *then["on"]],
    }


def load_preset(name: str) -> dict[str, Any]:
    """The compiled form of a shipped character.

    Raises:
        ScriptError: there is none of that name; the text names those that there are.
    """
    import json
    import os

    folder = f"{os.path.dirname(os.path.abspath(__file__))}/presets"  # noqa: PTH100, PTH120 - start-up path
    known = sorted(entry[:-5] for entry in os.listdir(folder) if entry.endswith(".json"))  # noqa: PTH208
    if name not in known:
        import difflib

        close = difflib.get_close_matches(name, known, n=1)
        hint = f", did you mean {close[0]!r}?" if close else ""
        raise ScriptError(f"unknown preset {name!r}{hint}; known: {', '.join(known)}")
    with open(f"{folder}/{name}.json", encoding="utf-8") as file:  # noqa: PTH123
        compiled: dict[str, Any] = json.load(file)
    return compiled


def configured(path: str | None, preset: str | None, ctl: str | None) -> Script | None:
    """The script of a process, from what its environment says; None for an honest QEMU.

    Args:
        path: of a script file (``FAKEQEMU_SCRIPT``).
        preset: a shipped character to begin with (``FAKEQEMU_PRESET``).
        ctl: where the control socket listens (``FAKEQEMU_CTL``).

    Raises:
        ScriptError: one of them cannot be used.
    """
    script = Script.load(path) if path else None
    if not preset and not ctl:
        return script
    compiled: dict[str, Any] | None = dict(script.compiled) if script is not None else None
    if preset:
        known = load_preset(preset)
        compiled = merged(compiled, known) if compiled is not None else known
    if ctl:
        # A control socket alone does not make the world imaginary, as a script does.
        words: dict[str, Any] = {"ctl": ctl, "rules": {"ctl": "FAKEQEMU_CTL"}}
        if compiled is None:
            words["images"] = "real"
        mine = {"version": VERSION, "start": words, "timed": [], "on": []}
        compiled = merged(mine, compiled) if compiled is not None else mine
    return Script.from_compiled(compiled) if compiled is not None else None


class Script:
    """A compiled script: immutable, shared by any number of machines.

    Attributes:
        start: the words of the ``at: start`` rules, merged.
        timed: the rules about a time (``at``, ``name``, ``do``, perhaps ``every`` and ``count``), in order
            of time.
        steps: the ``on:`` rules by step.
    """

    __slots__ = ("compiled", "length", "start", "steps", "timed")

    def __init__(self, compiled: Mapping[str, Any]) -> None:
        if compiled.get("version") != VERSION:
            raise ScriptError(f"not a compiled script of version {VERSION}")
        self.compiled = compiled
        self.start: dict[str, Any] = compiled["start"]
        self.timed: list[dict[str, Any]] = sorted(compiled["timed"], key=_time)
        self.steps: dict[str, list[OnRule]] = {}
        self.length = len(compiled["on"])
        for number, words in enumerate(compiled["on"]):
            self.steps.setdefault(words["on"], []).append(OnRule(number, words))

    @classmethod
    def from_compiled(cls, compiled: Mapping[str, Any]) -> Script:
        """A script from what `fakeqemu.scripts.grammar.compile_rules` returned.

        Raises:
            ScriptError: of another version, or damaged.
        """
        try:
            return cls(compiled)
        except (KeyError, TypeError, AttributeError) as error:
            raise ScriptError(f"a damaged compiled script: {error!r}") from error

    @classmethod
    def load(cls, path: str) -> Script:
        """Read a script file: compiled JSON as it is; YAML or JSON rules through the grammar.

        Raises:
            ScriptError: not readable, or with mistakes: all of them, one a line, with file, line and column.
        """
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - pathlib is too slow for the start-up path
                data = file.read(MAX_FILE + 1)
        except OSError as error:
            raise ScriptError(f"{path}: {error.strerror}") from error
        if len(data) > MAX_FILE:
            raise ScriptError(f"{path}: longer than {MAX_FILE} bytes")
        if data[:12].lstrip().startswith(b'{"version"'):
            from fakeqemu.protocol.qjson import JSONReader

            found = JSONReader().feed(data)
            if len(found) != 1 or found[0][1] is not None:
                raise ScriptError(f"{path}: {found[0][1] if found else 'cut off'}")
            try:
                return cls.from_compiled(found[0][0])
            except ScriptError as error:
                raise ScriptError(f"{path}: {error}") from error
        return cls(_compiler()(data, path))


def grammar() -> Any:
    """The grammar's module; it needs a package, for which the fast way in (-S) has not looked yet.

    Raises:
        ScriptError: the package is not installed.
    """
    return _tool("fakeqemu.scripts.grammar")


def _compiler() -> Callable[[bytes, str], dict[str, Any]]:
    """What compiles a script file."""
    compiler: Callable[[bytes, str], dict[str, Any]] = _tool("fakeqemu.scripts.check").compile_text
    return compiler


def _tool(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ModuleNotFoundError:
        import site

        site.main()
        try:
            return import_module(name)
        except ModuleNotFoundError as error:
            text = (
                f"a script of rules needs the package {error.name}; install it, or hand in a compiled script"
            )
            raise ScriptError(text) from error


class Rules:
    """One machine's progress through its rules: how often each ``on:`` rule was met.

    Attributes:
        script: where the rules come from.
        met: how often each rule was met, by its number.
    """

    __slots__ = ("_asleep", "_draw", "_seed", "met", "script", "steps")

    def __init__(self, script: Script, seed: str) -> None:
        self.script = script
        self._seed = seed
        self.met: dict[int, int] = {}
        self.steps = script.steps
        self._draw: Callable[[], float] | None = None
        self._asleep: set[int] = set()

    def pick(self, step: str, name: str = "", data: Any = None) -> OnRule | None:
        """The rule that acts at this step, if any; counts the meeting."""
        for rule in self.steps.get(step, ()):
            if rule.number in self._asleep or not rule.fits(name, data):
                continue
            met = self.met[rule.number] = self.met.get(rule.number, 0) + 1
            if met <= rule.skip or (rule.count is not None and met > rule.skip + rule.count):
                continue
            if rule.probability is not None and self._chance() >= rule.probability:
                continue
            return rule
        return None

    def asleep(self, rule: OnRule) -> _Asleep:
        """While this is entered, a rule does not act: upon what it does itself."""
        return _Asleep(self._asleep, rule.number)

    def change(self, on: list[dict[str, Any]], drop: Callable[[OnRule], bool]) -> None:
        """Put compiled rules before the others, and take some away; the others keep their counts."""
        number = max((rule.number for rules in self.steps.values() for rule in rules), default=-1)
        number = max(number, *self.met, -1) + 1
        steps: dict[str, list[OnRule]] = {}
        for words in on:
            steps.setdefault(words["on"], []).append(OnRule(number, words))
            number += 1
        for step, rules in self.steps.items():
            steps.setdefault(step, []).extend(rule for rule in rules if not drop(rule))
        self.steps = steps

    def _chance(self) -> float:
        if self._draw is None:
            from random import Random

            self._draw = Random(f"{self._seed}/faults").random  # noqa: S311 - a seeded experiment, not a secret
        return self._draw()


class _Asleep:
    """A rule that does not act for a while; one that sleeps already sleeps on."""

    __slots__ = ("_asleep", "_mine", "_number")

    def __init__(self, asleep: set[int], number: int) -> None:
        self._asleep, self._number = asleep, number
        self._mine = number not in asleep

    def __enter__(self) -> None:
        self._asleep.add(self._number)

    def __exit__(self, *_error: object) -> None:
        if self._mine:
            self._asleep.discard(self._number)
