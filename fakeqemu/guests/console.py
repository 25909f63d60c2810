"""A console with a login: echoes what is typed, asks who is there, and has a small shell.

Knows the line discipline of a terminal. Must not know what a command does: that is `fakeqemu.guests.shell`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.chardevs import Backend
    from fakeqemu.guests.inside import Guest

__all__ = ["Console"]

#: The longest line that the terminal takes (N_TTY_BUF_SIZE); the rest of it is lost.
MAX_LINE = 4095


class Console:
    """One terminal.

    Attributes:
        backend: the character device it is on.
        name: what the guest calls it, such as ``ttyS0``.
    """

    __slots__ = ("_line", "_state", "_user", "backend", "guest", "name")

    def __init__(self, guest: Guest, backend: Backend, name: str) -> None:
        self.guest, self.backend, self.name = guest, backend, name
        self._line = bytearray()
        self._state = "off"
        self._user = ""

    @property
    def fresh(self) -> bool:
        """Whether nobody has asked yet who is there."""
        return self._state == "off"

    def say(self, text: str) -> None:
        """Write text, whose lines end as a terminal wants them."""
        self.backend.write(self.guest.machine, text.encode())

    def off(self) -> None:
        """Nobody is there to answer any more."""
        self._state, self._user = "off", ""
        self._line.clear()

    def login(self, *, silent: bool = False) -> None:
        """Ask who is there.

        Args:
            silent: it has been asked before, and nothing is to be repeated.
        """
        self._state, self._user = "login", ""
        self._line.clear()
        if not silent:
            system = self.guest.system
            text = f"\r\n{system.os['pretty-name']} {system.hostname} {self.name}\r\n\r\n"
            self.say(text)
            self._prompt()
            if self is self.guest.consoles[0]:
                self.guest.show(text.replace(self.name, "tty1") + f"{system.hostname} login: \n")

    def saved(self) -> list[str]:
        """What moves with the guest: who is there, and what stands on the line."""
        return [self._state, self._user, self._line.decode("latin-1")]

    def restored(self, value: list[Any]) -> None:
        """Take over what came with the guest."""
        state, user, line = value
        if state in ("off", "login", "password", "shell"):
            self._state, self._user = state, str(user)[:MAX_LINE]
            self._line[:] = str(line)[:MAX_LINE].encode("latin-1", "replace")

    def heard(self, data: bytes) -> None:
        """Somebody types."""
        if self._state == "off" or not self.guest.awake:
            return
        echo = bytearray()
        for byte in data:
            if byte in b"\r\n\x03\x04":
                echo += b"^C\r\n" if byte == 3 else b"\r\n" if byte != 4 else b""
                self.backend.write(self.guest.machine, bytes(echo))
                echo.clear()
                line = self._line.decode("utf-8", "replace")
                self._line.clear()
                self._ended(byte, line)
            elif byte in b"\x08\x7f":
                if self._line:
                    self._line.pop()
                    echo += b"" if self._state == "password" else b"\b \b"
            elif byte >= 0x20 and len(self._line) < MAX_LINE:
                self._line.append(byte)
                echo += b"" if self._state == "password" else bytes((byte,))
        if echo:
            self.backend.write(self.guest.machine, bytes(echo))

    def _ended(self, byte: int, line: str) -> None:
        """A line was ended: entered, given up (^C), or with it the session (^D)."""
        if byte in b"\r\n":
            self._entered(line)
        elif byte == 4 or self._state != "shell":
            self.login()
        else:
            self._prompt()

    def _prompt(self) -> None:
        host = self.guest.system.hostname
        if self._state == "login":
            self.say(f"{host} login: ")
        elif self._state == "password":
            self.say("Password: ")
        else:
            sign = "#" if self._user == "root" else "$"
            self.say(f"{self._user}@{host}:~{sign} ")

    def _entered(self, line: str) -> None:
        system = self.guest.system
        if self._state == "login":
            if line.strip():
                self._user, self._state = line.strip(), "password"
        elif self._state == "password":
            if system.admits(self._user, line):
                self._state = "shell"
                self.say(f"Linux {system.hostname} {system.os['kernel-release']} {system.os['machine']}\r\n")
            else:
                self._state = "login"
                self.say("\r\nLogin incorrect\r\n")
        elif self._run(line):
            return
        self._prompt()

    def _run(self, line: str) -> bool:
        """Carry a line out; whether somebody else may log in now."""
        if line.strip() in ("exit", "logout"):
            self.login()
            return True
        from fakeqemu.guests.shell import run

        result = run(self.guest.system, line, user=self._user)
        text = (result.out + result.err).decode("utf-8", "replace")
        if text:
            self.say(text.replace("\r\n", "\n").replace("\n", "\r\n"))
        if result.then is not None:
            result.then()
        return self._state != "shell"
