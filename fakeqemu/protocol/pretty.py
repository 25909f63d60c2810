r"""Messages as ``-qmp-pretty`` writes them: four spaces a level, each line with its own end.

Knows qobject/json-writer.c and monitor/monitor.c (every newline leaves as ``\r\n``) of QEMU 7.2. Must not
know QMP.
"""

from __future__ import annotations

__all__ = ["prettified"]


def prettified(text: str) -> str:
    """A message that was encoded on one line (``", "`` and ``": "``), pretty; without its last newline."""
    out: list[str] = []
    depth, position, start, end = 0, 0, 0, len(text)
    while position < end:
        sign = text[position]
        if sign == '"':
            position += 1
            while text[position] != '"':
                position += 2 if text[position] == "\\" else 1
        elif sign in "{[":
            depth += 1
            out += (text[start : position + 1], _line(depth) if text[position + 1] not in "}]" else "")
            start = position + 1
        elif sign in "}]":
            depth -= 1
            out += (text[start:position], _line(depth))
            start = position
        elif sign == "," and text[position + 1] == " ":
            out += (text[start : position + 1], _line(depth))
            position += 1
            start = position + 1
        position += 1
    out.append(text[start:])
    return "".join(out)


def _line(depth: int) -> str:
    return "\r\n" + "    " * depth
