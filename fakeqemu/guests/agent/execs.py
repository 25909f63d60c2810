"""The programs that clients of the agent started.

Knows qmp_guest_exec() and qmp_guest_exec_status() of qga/commands.c. Must not know what a program does.
"""

from __future__ import annotations

from fakeqemu.chardevs.base64 import decode, encode
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.guests.inside import Guest
    from fakeqemu.guests.shell import Result

__all__ = ["Processes"]

#: Programs whose end nobody has asked for; the oldest are forgotten.
MAX_KEPT = 256
#: What is kept of a program's output (GUEST_EXEC_MAX_OUTPUT).
MAX_OUTPUT = 16 << 20
FIRST_PID = 801


class Processes:
    """The programs by their process ids."""

    __slots__ = ("_all", "_guest", "_next")

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._all: dict[int, tuple[int, Result, bool]] = {}
        self._next = FIRST_PID

    def start(self, arguments: dict[str, Any]) -> int:
        """Start a program; its process id.

        Raises:
            CommandError: there is no such program, or its input is no base64.
        """
        from fakeqemu.guests.shell import found, start

        system, path = self._guest.system, arguments["path"]
        given = decode(arguments["input-data"]) if "input-data" in arguments else b""
        reason = found(system, path)
        if reason is not None:
            text = f"Failed to execute child process “{path}” ({reason})"
            raise CommandError("GenericError", f"Guest agent command failed, error was '{text}'")
        result = start(system, path, arguments.get("arg") or [], given)
        if len(self._all) >= MAX_KEPT:
            del self._all[next(iter(self._all))]
        pid, self._next = self._next, self._next + 2
        ends = self._guest.machine.now_ns + result.takes_ns
        self._all[pid] = (ends, result, bool(arguments.get("capture-output")))
        if result.then is not None:
            result.then()
        return pid

    def saved(self) -> dict[str, Any]:
        """What moves with the guest: how long each still runs, and how it will have ended."""
        now = self._guest.machine.now_ns
        kept = [
            [pid, ends - now, captured, one.code, one.signal, encode(one.out), encode(one.err)]
            for pid, (ends, one, captured) in self._all.items()
        ]
        return {"next": self._next, "programs": kept}

    def restored(self, value: dict[str, Any]) -> None:
        """Take over what came with the guest."""
        from fakeqemu.guests.shell import Result

        self._next, now = int(value["next"]), self._guest.machine.now_ns
        for pid, left, captured, code, number, out, err in value["programs"][:MAX_KEPT]:
            one = Result(decode(out), decode(err), int(code))
            one.signal = int(number)
            self._all[int(pid)] = (now + int(left), one, captured is True)

    def status(self, pid: int) -> dict[str, Any]:
        """How a program fares; one that has ended is forgotten with the answer.

        Raises:
            CommandError: there is no such program.
        """
        if pid not in self._all:
            raise CommandError("GenericError", "Invalid parameter 'pid'")
        ends, result, captured = self._all[pid]
        if ends > self._guest.machine.now_ns:
            return {"exited": False}
        del self._all[pid]
        answer: dict[str, Any] = {"exited": True}
        answer |= {"signal": result.signal} if result.signal else {"exitcode": result.code}
        for name, data in (("out", result.out), ("err", result.err)):
            if captured and data:
                answer |= {
                    f"{name}-data": encode(data[:MAX_OUTPUT]),
                    f"{name}-truncated": len(data) > MAX_OUTPUT,
                }
        return answer
