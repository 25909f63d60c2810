"""Reads a script file with positions, and says every mistake as ``file:line:column: message``.

Knows YAML (ruamel.yaml) and the grammar. Must not know the machine. Imported only by tools and by a process
whose script is not compiled yet.
"""

from __future__ import annotations

import io
import os
import warnings
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedBase
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError

from fakeqemu.scripts.grammar import Path, compile_rules, script_mistakes
from fakeqemu.scripts.script import MAX_FILE, ScriptError

__all__ = ["Mistake", "check_text", "compile_text", "position"]

Mistake = tuple[int, int, str]
#: Deepest nesting of brackets; the loader needs quadratic time for more, and no script has reason for it.
MAX_DEPTH = 100


def check_text(data: bytes, base: str | None = None) -> tuple[Any, list[Mistake]]:  # noqa: PLR0911 - one for each way to be wrong
    """The loaded rules, and every mistake as (line, column, message), both from 1, in order of place.

    Files that rules name are looked for in the folder ``base``.
    """
    if len(data) > MAX_FILE:
        return None, [(1, 1, f"longer than {MAX_FILE} bytes")]
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        return None, [(data.count(b"\n", 0, error.start) + 1, 1, "not UTF-8")]
    deep = _too_deep(text)
    if deep is not None:
        return None, [(deep, 1, f"nested deeper than {MAX_DEPTH}")]
    try:
        with warnings.catch_warnings():  # an anchor that is used again is YAML's business
            warnings.simplefilter("ignore", ReusedAnchorWarning)
            rules = YAML(typ="rt", pure=True).load(io.StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        return None, [(*place, str(error.problem or error.context or "not YAML"))]
    except TypeError:  # what the loader makes of a list as a key, or a merge of what is no mapping
        return None, [(1, 1, "a key is a list or a mapping")]
    except (YAMLError, ValueError, RecursionError) as error:
        return None, [(1, 1, str(error).splitlines()[0] if str(error) else "nested too deeply")]
    try:
        found = script_mistakes(rules, base)
    except RecursionError:
        return None, [(1, 1, "nested too deeply, or an alias that contains itself")]
    return rules, sorted((*position(rules, path), message) for path, message in found)


def compile_text(data: bytes, name: str) -> dict[str, Any]:
    """The compiled form of the text of a script file of that name.

    Raises:
        ScriptError: with mistakes; one line for each.
    """
    base = os.path.dirname(name)  # noqa: PTH120 - a name, which need not be a file's
    rules, mistakes = check_text(data, base)
    if mistakes:
        raise ScriptError("\n".join(f"{name}:{line}:{column}: {text}" for line, column, text in mistakes))
    return compile_rules(rules, base)


def position(node: Any, path: Path) -> tuple[int, int]:
    """Line and column, from 1, of the key or item that ``path`` leads to; as near as the loader knows."""
    place = _own(node) or (1, 1)
    for step in path:
        if not isinstance(node, CommentedBase):
            break
        try:
            line, column = node.lc.item(step) if isinstance(step, int) else node.lc.key(step)
        except (KeyError, TypeError, AttributeError, IndexError):
            break
        place = (line + 1, column + 1)
        node = node[step]  # type: ignore[index]
    return place


def _too_deep(text: str) -> int | None:
    """The line on which brackets are nested too deeply, or None."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.count("[") + line.count("{") - line.count("]") - line.count("}") > MAX_DEPTH:
            return number
    return None


def _own(node: Any) -> tuple[int, int] | None:
    if isinstance(node, CommentedBase) and node.lc.line is not None:
        return node.lc.line + 1, node.lc.col + 1
    return None
