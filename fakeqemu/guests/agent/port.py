"""The agent's end of its virtio-serial port: opening, listening, answering.

Knows qga/main.c and the dispatch of qapi/qmp-dispatch.c as qemu-ga uses it. Must not know what a command
does.

The ``agent`` of a script's ``guest:`` word: ``after`` (from the end of the boot to the open port), ``delay``
(before each answer), ``unresponsive`` (the port is open, nobody answers), ``disabled`` (commands that are not
allowed), ``commands`` (``name: {return: ...}`` or ``{error: {class, desc}}``).
"""

from __future__ import annotations

from fakeqemu.actions import Pace
from fakeqemu.protocol.qjson import JSONReader, encode, in_order
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.chardevs import Backend
    from fakeqemu.guests.agent.execs import Processes
    from fakeqemu.guests.agent.files import Handles
    from fakeqemu.guests.inside import Guest

__all__ = ["NO_REPLY", "Agent", "Silent"]

#: What waits unread in a port that the guest has not opened, or while it stands still.
MAX_WAITING = 65536
#: Commands that work while the file systems are frozen (ga_freeze_allowlist of qga/main.c).
WHEN_FROZEN = frozenset(
    {
        "guest-ping", "guest-info", "guest-sync", "guest-sync-delimited", "guest-fsfreeze-status",
        "guest-fsfreeze-thaw",
    }
)  # fmt: skip
#: Commands that say nothing when all is well.
NO_REPLY = frozenset({"guest-shutdown", "guest-suspend-disk", "guest-suspend-ram", "guest-suspend-hybrid"})


class Silent:
    """What a command returns that gets no reply."""


class Agent:
    """The agent of one guest.

    Attributes:
        backend: the character device of its port.
        device: the id of the port's device, or None.
        open: whether the guest has opened the port.
        handles: the files that clients have open.
        processes: the programs that clients started.
    """

    __slots__ = (
        "_handles", "_processes", "_reader", "_waiting", "backend", "device", "guest", "open",
    )  # fmt: skip

    def __init__(self, guest: Guest, backend: Backend, device: str | None) -> None:
        self.guest, self.backend, self.device = guest, backend, device
        self.open = False
        self._reader = JSONReader()
        self._waiting = bytearray()
        self._handles: Handles | None = None
        self._processes: Processes | None = None

    @property
    def words(self) -> dict[str, Any]:
        """The script's words about the agent."""
        words = self.guest.words.get("agent")
        return words if isinstance(words, dict) else {}

    @property
    def after_ns(self) -> int:
        """From the end of the boot to the open port."""
        return int(self.words.get("after") or 0)

    @property
    def handles(self) -> Handles:
        """The open files; made when first asked for."""
        if self._handles is None:
            from fakeqemu.guests.agent.files import Handles

            self._handles = Handles(self.guest.system)
        return self._handles

    @property
    def processes(self) -> Processes:
        """The programs; made when first asked for."""
        if self._processes is None:
            from fakeqemu.guests.agent.execs import Processes

            self._processes = Processes(self.guest)
        return self._processes

    # -- the port -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """The guest starts its agent, which opens the port."""
        if not self.open:
            self._port(opened=True)
            self.awake()

    def end(self) -> None:
        """The agent has ended, or the guest under it: the port closes, and everything is forgotten."""
        if self.open:
            self._port(opened=False)
        self._reader = JSONReader()
        self._handles = self._processes = None

    def saved(self) -> dict[str, Any]:
        """What moves with the guest: what clients have open and running."""
        return {
            "open": self.open,
            "handles": None if self._handles is None else self._handles.saved(),
            "processes": None if self._processes is None else self._processes.saved(),
        }

    def restored(self, value: dict[str, Any]) -> None:
        """Take over what came with the guest."""
        if isinstance(value.get("handles"), dict):
            self.handles.restored(value["handles"])
        if isinstance(value.get("processes"), dict):
            self.processes.restored(value["processes"])

    def _port(self, *, opened: bool) -> None:
        from fakeqemu.chardevs import chardevs_of

        machine = self.guest.machine
        self.open = opened
        ports = chardevs_of(machine).open_ports
        (ports.add if opened else ports.discard)(self.backend.id)
        if self.device is not None:
            machine.emit("VSERPORT_CHANGE", {"open": opened, "id": self.device})

    def heard(self, data: bytes) -> None:
        """Bytes came from the host; they wait while nobody in the guest reads."""
        if self.open and self.guest.awake and not self._waiting:
            self._read(data)
            return
        self._waiting += data[: MAX_WAITING - len(self._waiting)]
        if len(self._waiting) >= MAX_WAITING and self.backend.conn:
            self.guest.machine.do(0, Pace(self.backend.conn, reading=False))

    def awake(self) -> None:
        """The guest reads again."""
        if self.open and self.guest.awake and self._waiting:
            data = bytes(self._waiting)
            self._waiting.clear()
            if len(data) >= MAX_WAITING and self.backend.conn:
                self.guest.machine.do(0, Pace(self.backend.conn, reading=True))
            self._read(data)

    def _read(self, data: bytes) -> None:
        words = self.words
        if words.get("unresponsive"):
            return
        delay = int(words.get("delay") or 0)
        for message, error in self._reader.feed(data):
            if delay:
                self._later(delay, message, error)
            else:
                self._take(message, error)

    def _later(self, delay_ns: int, message: Any, error: str | None) -> None:
        self.guest.later(delay_ns, lambda: self._take(message, error))

    # -- messages -------------------------------------------------------------------------------------------

    def _take(self, message: Any, error: str | None) -> None:
        """One message, through to its reply."""
        if error is None and not isinstance(message, dict):
            error = "QMP input must be a JSON object"
        if error is not None:
            self._refuse(CommandError("GenericError", error), None, has_id=False)
            return
        ident, has_id = message.get("id"), "id" in message
        try:
            name, arguments = self._understand(message)
        except CommandError as failure:
            self._refuse(failure, ident, has_id=has_id)
            return

        def act() -> None:
            self._run(name, arguments, ident, has_id=has_id)

        def fail(text: str) -> None:
            self._refuse(CommandError("GenericError", text), ident, has_id=has_id)

        self.guest.machine.at("guest", name, act, fail, arguments)

    def _understand(self, message: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The command and its arguments, checked in qemu-ga's order."""
        for key in in_order(tuple(message)):
            value = message[key]
            if key == "execute":
                if not isinstance(value, str):
                    raise CommandError("GenericError", "QMP input member 'execute' must be a string")
            elif key == "arguments":
                if not isinstance(value, dict):
                    raise CommandError("GenericError", "QMP input member 'arguments' must be an object")
            elif key != "id":
                raise CommandError("GenericError", f"QMP input member '{key}' is unexpected")
        if "execute" not in message:
            raise CommandError("GenericError", "QMP input lacks member 'execute'")
        name: str = message["execute"]
        from fakeqemu.guests.agent.arguments import ARGUMENTS, check

        if name not in ARGUMENTS:
            raise CommandError("CommandNotFound", f"The command {name} has not been found")
        why = self.disabled(name)
        if why is not None:
            raise CommandError("CommandNotFound", f"Command {name} has been disabled{why}")
        arguments = message.get("arguments") or {}
        check(name, arguments)
        return name, arguments

    def disabled(self, name: str) -> str | None:
        """Why a command may not be used, as qemu-ga appends it; None when it may."""
        if name == "guest-get-devices":  # there is none but on Windows
            return ""
        if name in (self.words.get("disabled") or ()):
            return ": the command is not allowed"
        if self.guest.system.frozen and name not in WHEN_FROZEN:
            return ": the agent is in frozen state"
        return None

    def _run(self, name: str, arguments: dict[str, Any], ident: Any, *, has_id: bool) -> None:
        own = (self.words.get("commands") or {}).get(name)
        try:
            if own is None:
                from fakeqemu.guests.agent.commands import COMMANDS

                value = COMMANDS[name](self, arguments)
            elif "error" in own:
                error = own["error"]
                raise CommandError(error.get("class", "GenericError"), error["desc"])
            else:
                value = own.get("return", {})
        except CommandError as failure:
            self._refuse(failure, ident, has_id=has_id)
            return
        if value is Silent:
            return
        text = encode({} if value is None else value)
        tail = f', "id": {encode(ident)}' if has_id else ""
        mark = b"\xff" if name == "guest-sync-delimited" else b""
        self._say(mark + f'{{"return": {text}{tail}}}'.encode())

    def _refuse(self, failure: CommandError, ident: Any, *, has_id: bool) -> None:
        head = f'"id": {encode(ident)}, ' if has_id else ""
        self._say(
            f'{{{head}"error": {{"class": "{failure.kind}", "desc": {encode(failure.desc)}}}}}'.encode()
        )

    def _say(self, data: bytes) -> None:
        if self.open:
            self.backend.write(self.guest.machine, data + b"\n")
