"""The behaviour script at run time: compiled rules, and which of them acts now.

Knows the compiled form that `fakeqemu.grammar` makes. Must not know the grammar (it imports it late, for a
script that is not compiled yet) nor what the actions do. Standard library only: this module may stand on the
start-up path.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

__all__ = ["OnRule", "Rules", "Script", "ScriptError"]

#: Version of the compiled form; the same number as `fakeqemu.grammar.COMPILED_VERSION`.
VERSION = 1
#: A script file longer than this is refused.
MAX_FILE = 16 << 20


class ScriptError(Exception):
    """A script that cannot be used; the text is for the person who wrote it."""


class OnRule:
    """One ``on:`` rule; shared by every machine that plays the script."""

    __slots__ = ("after", "count", "data", "do", "match", "name", "number", "probability", "skip", "wild")

    def __init__(self, number: int, words: Mapping[str, Any]) -> None:
        self.number = number
        self.name: str = words["name"]
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


class Script:
    """A compiled script: immutable, shared by any number of machines.

    Attributes:
        start: the words of the ``at: start`` rules, merged.
        timed: ``(nanoseconds after exec, rule's name, what to do)``, in order of time.
        steps: the ``on:`` rules by step.
    """

    __slots__ = ("compiled", "length", "start", "steps", "timed")

    def __init__(self, compiled: Mapping[str, Any]) -> None:
        if compiled.get("version") != VERSION:
            raise ScriptError(f"not a compiled script of version {VERSION}")
        self.compiled = compiled
        self.start: dict[str, Any] = compiled["start"]
        self.timed: list[tuple[int, str, dict[str, Any]]] = sorted(
            ((rule["at"], rule["name"], rule["do"]) for rule in compiled["timed"]), key=lambda rule: rule[0]
        )
        self.steps: dict[str, list[OnRule]] = {}
        self.length = len(compiled["on"])
        for number, words in enumerate(compiled["on"]):
            self.steps.setdefault(words["on"], []).append(OnRule(number, words))

    @classmethod
    def from_compiled(cls, compiled: Mapping[str, Any]) -> Script:
        """A script from what `fakeqemu.grammar.compile_rules` returned.

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
            from fakeqemu.qjson import JSONReader

            found = JSONReader().feed(data)
            if len(found) != 1 or found[0][1] is not None:
                raise ScriptError(f"{path}: {found[0][1] if found else 'cut off'}")
            try:
                return cls.from_compiled(found[0][0])
            except ScriptError as error:
                raise ScriptError(f"{path}: {error}") from error
        return cls(_compiler()(data, path))


def _compiler() -> Callable[[bytes, str], dict[str, Any]]:
    """What compiles a script file; it needs packages, for which the fast way in (-S) has not looked yet."""
    try:
        from fakeqemu.check import compile_text
    except ModuleNotFoundError:
        import site

        site.main()
        try:
            from fakeqemu.check import compile_text
        except ModuleNotFoundError as error:
            text = (
                f"a script of rules needs the package {error.name}; install it, or hand in a compiled script"
            )
            raise ScriptError(text) from error
    return compile_text


class Rules:
    """One machine's progress through a script: how often each ``on:`` rule was met."""

    __slots__ = ("_draw", "_met", "_seed", "script")

    def __init__(self, script: Script, seed: str) -> None:
        self.script = script
        self._seed = seed
        self._met = [0] * script.length
        self._draw: Callable[[], float] | None = None

    def pick(self, step: str, name: str = "", data: Any = None) -> OnRule | None:
        """The rule that acts at this step, if any; counts the meeting."""
        for rule in self.script.steps.get(step, ()):
            if not rule.fits(name, data):
                continue
            met = self._met[rule.number] = self._met[rule.number] + 1
            if met <= rule.skip or (rule.count is not None and met > rule.skip + rule.count):
                continue
            if rule.probability is not None and self._chance() >= rule.probability:
                continue
            return rule
        return None

    def _chance(self) -> float:
        if self._draw is None:
            from random import Random

            self._draw = Random(f"{self._seed}/faults").random  # noqa: S311 - a seeded experiment, not a secret
        return self._draw()
