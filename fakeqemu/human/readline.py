"""The line editor of the monitor for people: bytes in, what the terminal is told out, whole lines at the end.

Knows util/readline.c of QEMU 7.2, escape sequence for escape sequence. Must not know commands but through the
completion that it is given.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["PROMPT", "Editor"]

PROMPT = "(qemu) "
_LONGEST, _HISTORY = 4095, 64
_BACK, _FORWARD, _CLEAR = "\x1b[D", "\x1b[C", "\x1b[K"


class Editor:
    """One line being typed.

    Attributes:
        history: lines that were entered, the last one at the end.
    """

    __slots__ = (
        "_complete",
        "_cursor",
        "_escape",
        "_line",
        "_parameter",
        "_position",
        "_shown",
        "_shown_at",
        "history",
    )

    def __init__(self, complete: Callable[[str], Iterable[str]]) -> None:
        self._complete = complete
        self._line, self._cursor = "", 0
        self._shown, self._shown_at = "", 0
        self._escape, self._parameter = "", 0
        self._position: int | None = None
        self.history: list[str] = []

    def prompt(self) -> str:
        """A new prompt, and what has been typed so far."""
        self._shown, self._shown_at = "", 0
        return PROMPT + self._update()

    def byte(self, value: int) -> tuple[str, str | None]:
        """One byte was typed: what the terminal is told, and the line when it is whole."""
        char = chr(value)
        if self._escape:
            self._sequence(char)
            return self._update(), None
        if char in "\r\n":
            line, self._line, self._cursor, self._position = self._line, "", 0, None
            self._remember(line)
            return "\n", line
        if char == "\t":
            return self._completed(), None
        if char == "\x1b" or value == 0x9B:
            self._escape = "\x1b" if char == "\x1b" else "["
            return "", None
        act = _KEYS.get(char)
        if act is not None:
            act(self)
        elif value >= 32 and len(self._line) < _LONGEST:
            self._insert(char)
        return self._update(), None

    # -- what keys do ---------------------------------------------------------------------------------------

    def _insert(self, char: str) -> None:
        self._line = self._line[: self._cursor] + char + self._line[self._cursor :]
        self._cursor += 1

    def home(self) -> None:
        """To the beginning."""
        self._cursor = 0

    def end(self) -> None:
        """To the end."""
        self._cursor = len(self._line)

    def backward(self) -> None:
        """One to the left."""
        self._cursor = max(0, self._cursor - 1)

    def forward(self) -> None:
        """One to the right."""
        self._cursor = min(len(self._line), self._cursor + 1)

    def delete(self) -> None:
        """The character under the cursor goes."""
        self._line = self._line[: self._cursor] + self._line[self._cursor + 1 :]

    def backspace(self) -> None:
        """The character before the cursor goes."""
        if self._cursor:
            self.backward()
            self.delete()

    def delete_word(self) -> None:
        """The word before the cursor goes."""
        start = self._cursor
        while start and self._line[start - 1].isspace():
            start -= 1
        while start and not self._line[start - 1].isspace():
            start -= 1
        self._line = self._line[:start] + self._line[self._cursor :]
        self._cursor = start

    def up(self) -> None:
        """The line of the history before."""
        position = len(self.history) if self._position is None else self._position
        if position > 0:
            self._position = position - 1
            self._take(self.history[self._position])

    def down(self) -> None:
        """The next line of the history."""
        if self._position is None:
            return
        self._position += 1
        if self._position < len(self.history):
            self._take(self.history[self._position])
        else:
            self._position = None
            self._take("")

    def _take(self, line: str) -> None:
        self._line, self._cursor = line, len(line)

    def _sequence(self, char: str) -> None:
        """The rest of an escape sequence."""
        if self._escape == "\x1b":
            self._escape = char if char in "[O" else ""
            self._parameter = 0
            return
        if char in "0123456789" and len(str(self._parameter)) < 6:
            self._parameter = self._parameter * 10 + int(char)
            return
        single, self._escape = self._escape == "O", ""
        if single and char not in "FH":
            return
        name = f"{self._parameter}~" if char == "~" else char
        act = _SEQUENCES.get(name)
        if act is not None:
            act(self)

    def _remember(self, line: str) -> None:
        if not line:
            return
        if line in self.history:
            self.history.remove(line)
        self.history.append(line)
        del self.history[:-_HISTORY]

    # -- completion, and what is shown ----------------------------------------------------------------------

    def _completed(self) -> str:
        head = self._line[: self._cursor]
        prefix = head[len(head.rstrip()) :] if head.endswith(" ") else head.split(" ")[-1]
        prefix = prefix.strip()
        found = sorted({word for word in self._complete(head) if word.startswith(prefix)})
        if not found:
            return ""
        common = found[0]
        for word in found[1:]:
            while not word.startswith(common):
                common = common[:-1]
        for char in common[len(prefix) :]:
            self._insert(char)
        if len(found) == 1:
            if common and not common.endswith("/"):
                self._insert(" ")
            return self._update()
        width = min(max(max(map(len, found)) + 2, 10), 80)
        columns = 80 // width
        text = "\n"
        for index, word in enumerate(found, 1):
            text += word.ljust(width)
            if index % columns == 0 or index == len(found):
                text += "\n"
        return text + self.prompt()

    def _update(self) -> str:
        """Bring the terminal to what the line is (readline_update)."""
        text = ""
        if self._line != self._shown:
            text = _BACK * self._shown_at + self._line + _CLEAR
            self._shown, self._shown_at = self._line, len(self._line)
        if self._cursor != self._shown_at:
            step = self._cursor - self._shown_at
            text += _FORWARD * step if step > 0 else _BACK * -step
            self._shown_at = self._cursor
        return text


_KEYS: dict[str, Callable[[Editor], None]] = {
    "\x01": Editor.home, "\x04": Editor.delete, "\x05": Editor.end, "\x08": Editor.backspace,
    "\x17": Editor.delete_word, "\x7f": Editor.backspace,
}  # fmt: skip
_SEQUENCES: dict[str, Callable[[Editor], None]] = {
    "A": Editor.up, "B": Editor.down, "C": Editor.forward, "D": Editor.backward, "F": Editor.end,
    "H": Editor.home, "1~": Editor.home, "3~": Editor.delete, "4~": Editor.end,
}  # fmt: skip
