"""Descriptors that monitors were given: by name (getfd), and in sets (add-fd).

Knows monitor/fds.c of QEMU 7.2. Must not know what the descriptors are good for.
"""

from __future__ import annotations

from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session

__all__ = ["Descriptors", "descriptors_of"]

_NONE = "No file descriptor supplied via SCM_RIGHTS"


class _Member:
    """One descriptor of a set."""

    __slots__ = ("fd", "opaque", "removed")

    def __init__(self, fd: int, opaque: str | None) -> None:
        self.fd, self.opaque, self.removed = fd, opaque, False


class Descriptors:
    """The descriptors of one machine; they are the machine's own and do not move with the guest."""

    __slots__ = ("_machine", "_named", "_sets")

    def __init__(self, machine: FakeQemu) -> None:
        self._machine = machine
        #: By monitor, then by name.
        self._named: dict[str, dict[str, int]] = {}
        #: Number of the set -> its descriptors.
        self._sets: dict[int, list[_Member]] = {}
        for number, fd, opaque in machine.line.fdsets:
            self._sets.setdefault(number, []).insert(0, _Member(fd, opaque))

    # -- by name --------------------------------------------------------------------------------------------

    def _names(self, session: Session | None) -> dict[str, int]:
        monitor = "" if session is None else self._machine.conns.get(session.conn, "")
        return self._named.setdefault(monitor, {})

    def keep(self, session: Session, name: str) -> None:
        """Keep the descriptor that came with the message under a name (getfd).

        Raises:
            CommandError: none came, or the name is none.
        """
        fd = _came(session)
        if name[:1].isdigit():
            self._close(fd)
            raise CommandError("GenericError", "Parameter 'fdname' expects a name not starting with a digit")
        names = self._names(session)
        if name in names:
            self._close(names[name])
        names[name] = fd

    def drop(self, session: Session | None, name: str) -> None:
        """Close a named descriptor (closefd).

        Raises:
            CommandError: there is none of that name.
        """
        fd = self._names(session).pop(name, None)
        if fd is None:
            raise CommandError("GenericError", f"File descriptor named '{name}' not found")
        self._close(fd)

    def take(self, session: Session | None, name: str) -> int:
        """Hand out a named descriptor, which is forgotten (monitor_get_fd).

        Raises:
            CommandError: there is none of that name.
        """
        fd = self._names(session).pop(name, None)
        if fd is None:
            raise CommandError("GenericError", f"File descriptor named '{name}' has not been found")
        return fd

    def take_or_number(self, session: Session | None, name: str) -> int:
        """Hand out a named descriptor; a number stands for itself (monitor_fd_param).

        Raises:
            CommandError: there is none of that name.
        """
        if name[:1].isdigit():
            if not name.isdigit():
                raise CommandError("GenericError", f"Invalid file descriptor number '{name}'")
            return int(name)
        return self.take(session, name)

    # -- in sets --------------------------------------------------------------------------------------------

    def add(self, session: Session, number: int | None, opaque: str | None) -> dict[str, int]:
        """Put the descriptor that came with the message into a set, a new one unless told which (add-fd).

        Raises:
            CommandError: none came, or no set may have that number.
        """
        fd = _came(session)
        if number is not None and number < 0:
            self._close(fd)
            raise CommandError("GenericError", "Parameter 'fdset-id' expects a non-negative value")
        if number is None:
            number = next(index for index in range(len(self._sets) + 1) if index not in self._sets)
        self._sets.setdefault(number, []).insert(0, _Member(fd, opaque))
        return {"fdset-id": number, "fd": fd}

    def remove(self, number: int, fd: int | None) -> None:
        """Take one descriptor or all of them out of a set (remove-fd).

        Raises:
            CommandError: no such set, or no such descriptor in it.
        """
        members = self._sets.get(number)
        found = [] if members is None else [one for one in members if fd is None or one.fd == fd]
        if not found:
            what = f"fdset-id:{number}" if fd is None else f"fdset-id:{number}, fd:{fd}"
            raise CommandError("GenericError", f"File descriptor named '{what}' not found")
        for member in found:
            member.removed = True
        self._sweep(number)

    def _sweep(self, number: int) -> None:
        """Close what was removed of a set: only while the guest runs (monitor_fdset_cleanup)."""
        if self._machine.runstate != "running":
            return
        members = self._sets[number]
        for member in members:
            if member.removed:
                self._close(member.fd)
        members[:] = [member for member in members if not member.removed]
        if not members:
            del self._sets[number]

    def sets(self) -> list[dict[str, Any]]:
        """The value of query-fdsets: the highest number first."""
        found = []
        for number in sorted(self._sets, reverse=True):
            fds: list[dict[str, Any]] = []
            for member in reversed(self._sets[number]):
                entry: dict[str, Any] = {"fd": member.fd}
                if member.opaque is not None:
                    entry["opaque"] = member.opaque
                fds.append(entry)
            found.append({"fdset-id": number, "fds": fds})
        return found

    def open(self, path: str) -> int | None:
        """The descriptor behind ``/dev/fdset/N``; None when the path is none or the set is empty."""
        number = path.removeprefix("/dev/fdset/")
        if number == path or not number.isdigit():
            return None
        return next((member.fd for member in self._sets.get(int(number), ()) if not member.removed), None)

    def _close(self, fd: int) -> None:
        from fakeqemu.actions import CloseFd

        self._machine.do(0, CloseFd(fd))


def _came(session: Session) -> int:
    """The descriptor that came with the message."""
    if not session.fds:
        raise CommandError("GenericError", _NONE)
    return session.fds.pop(0)


def descriptors_of(machine: FakeQemu) -> Descriptors:
    """The descriptors of a machine; made when first asked for."""
    found: Descriptors | None = machine.parts.get("descriptors")
    if found is None:
        found = machine.parts["descriptors"] = Descriptors(machine)
    return found
