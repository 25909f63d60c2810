"""Reads the journals of a run and checks each record, so that the rest of the room may trust them.

Knows which fields of a record are numbers and how a journal may be damaged. Must not know what is shown.
Whatever lies in a folder called ``journal.jsonl`` gives a `Source`, never an exception: what is wrong with it
is said in one sentence (`Source.problem`), and the records before the damage are kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from virtsim.journal import KINDS, JournalError, Record, read_journal

__all__ = ["MAX_JOURNAL_BYTES", "Source", "clean", "number", "read_source", "text"]

#: Larger journals are not read: the report would not fit in a browser, and a run of 10,000 domains writes a
#: tenth of it.
MAX_JOURNAL_BYTES = 1 << 30

#: Time and counters beyond this are damage; 2^63 ns are 292 years.
_LARGEST = 1 << 63

#: Levels of lists and objects that `text` writes out.
_DEEPEST = 8

_NUMBERS = frozenset({"t", "pid", "n", "nap_ns", "call", "elapsed_ns", "waited_ns", "limit_ns", "line"})

#: Characters that neither XML 1.0 nor a page can hold: controls, lone surrogates, the two non-characters.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Source:
    """One journal as it was found.

    Attributes:
        folder: path of its folder below the run's folder, with ``/``; ``.`` for the run's folder itself.
        records: the usable records, in order.
        problem: what is wrong with the file, in one sentence, or None.
    """

    folder: str
    records: tuple[Record, ...]
    problem: str | None = None


def clean(value: str) -> str:
    """Text without the characters that XML 1.0 and UTF-8 cannot hold; each becomes U+FFFD."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", value)


def text(value: Any, depth: int = 0) -> str:
    """Any JSON value as printable text: strings without quotes, None is empty, deep nesting is cut off."""
    if value is None:
        return "null" if depth else ""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        if depth > _DEEPEST:
            return "\N{HORIZONTAL ELLIPSIS}"
        inner = _items(value, depth + 1)
        return inner if not depth else f"[{inner}]" if isinstance(value, list) else f"{{{inner}}}"
    return clean(str(value))


def _items(value: list[Any] | dict[str, Any], depth: int) -> str:
    if isinstance(value, list):
        return ", ".join(text(item, depth) for item in value)
    return ", ".join(f"{clean(key)}: {text(item, depth)}" for key, item in value.items())


def number(value: Any) -> int | None:
    """A JSON value as a whole number, or None where it is absent or something else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not abs(value) < _LARGEST:  # also false for NaN
        return None
    return int(value)


def read_source(path: Path, run_dir: Path) -> Source:
    """Read one journal; never raises for what stands in the file or for a file that cannot be read."""
    folder = clean(path.parent.relative_to(run_dir).as_posix())
    kept: list[Record] = []
    problem = _read_into(kept, path)
    return Source(folder, tuple(kept), problem)


def _read_into(kept: list[Record], path: Path) -> str | None:
    """Append the usable records; returns what stopped the reading, or None at a clean end."""
    try:
        return _read_usable(kept, path) or (None if kept else "the journal ends within its first record")
    except JournalError as error:
        # The path is said beside it; the line number and the reason are kept.
        return clean(str(error).removeprefix(f"{path}:").strip())
    except UnicodeDecodeError as error:
        return f"not a journal: not UTF-8 text ({error.reason})"
    except RecursionError:
        return "a record is nested too deeply; what follows is left out"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"


def _read_usable(kept: list[Record], path: Path) -> str | None:
    if path.stat().st_size > MAX_JOURNAL_BYTES:
        return f"the journal is larger than {MAX_JOURNAL_BYTES >> 20} MiB and was not read"
    for line, record in enumerate(read_journal(path), 1):
        damage = _damage(record) or _misplaced(record, line)
        if damage is not None:
            return f"line {line}: {damage}; what follows is left out"
        kept.append(record)
    return None


def _misplaced(record: Record, line: int) -> str | None:
    if (record["kind"] == "header") == (line == 1):
        return None
    return "the first record is not a header" if line == 1 else "a second header"


def _damage(record: Record) -> str | None:
    """What makes a record unusable, or None."""
    kind = record["kind"]
    if not isinstance(record.get("actor"), str):
        return f"the {kind} record names no actor"
    for field in ("t", *KINDS[kind]):
        name = field.removesuffix("?")
        if name not in record:
            if field != name:
                continue
            return f"the {kind} record has no {name}"
        if name in _NUMBERS and not _usable(name, record[name]):
            return f"the {name} of the {kind} record is not a number"
    return "the record lies before the start of the run" if record["t"] < 0 else None


def _usable(name: str, value: Any) -> bool:
    return number(value) is not None or (value is None and name != "t")
