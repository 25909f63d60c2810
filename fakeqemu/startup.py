"""From exec to the first client: when the sockets show up, and what goes wrong on the way.

Knows the order of a start and the ``at: start`` words. Must not know the protocol spoken afterwards. On the
start-up path.

The delays of memory, network interfaces, host devices and ``socket`` add up in this order. A socket that was
handed in as a descriptor listens already; the same delay then postpones the first accept instead.
"""

from __future__ import annotations

from fakeqemu.actions import Accept, Bind, CloseListener, Daemonize, Listen, OpenPty, Unlink, WritePidfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fakeqemu.cmdline.parts import Chardev
    from fakeqemu.machine import FakeQemu

__all__ = ["closed", "plan", "refused", "start_delay_ns"]


def plan(machine: FakeQemu) -> None:
    """Plan the whole start: timed rules, monitor sockets, pidfile, the running guest."""
    if machine.script is not None:
        for rule in machine.script.timed:
            machine.later(rule["at"], _timed(machine, rule, rule.get("count")))
        if machine.word("ctl") is not None:
            from fakeqemu.ctl import listen

            listen(machine)
    machine.at("exec", "", lambda: _plan(machine))


def _plan(machine: FakeQemu) -> None:
    line = machine.line
    if line.pidfile is not None:
        machine.do(0, WritePidfile(line.pidfile))
    delay_ns = start_delay_ns(machine)
    monitors = {monitor.chardev for monitor in line.monitors if monitor.control}
    for chardev in line.chardevs.values():
        if chardev.listens and chardev.id in monitors:
            _plan_socket(machine, chardev, delay_ns)
        elif chardev.listens:
            _after(machine, delay_ns, _plainly(machine, chardev))
        elif chardev.backend in ("pty", "file", "pipe", "stdio"):
            _open(machine, chardev)
        elif chardev.backend == "socket":
            from fakeqemu.cmdline.dialling import open_socket

            open_socket(machine, chardev)
    machine.later(delay_ns, lambda: machine.at("ready", "", lambda: _ready(machine)))


def _open(machine: FakeQemu, chardev: Chardev) -> None:
    """Open what is no socket."""
    if chardev.backend == "pty":
        machine.do(0, OpenPty(chardev.id))
    else:
        from fakeqemu.actions import OpenFile

        append = chardev.options.get("append") in ("on", "yes", "true", "y")
        path = chardev.options.get("path", "")
        if path.startswith("/dev/fdset/"):
            from fakeqemu.descriptors import descriptors_of

            fd = descriptors_of(machine).open(path)
            # A descriptor that was opened for us is written to where it is.
            path, append = (path, append) if fd is None else (f"/proc/self/fd/{fd}", True)
        machine.do(0, OpenFile(chardev.id, chardev.backend, path, append=append))


def start_delay_ns(machine: FakeQemu) -> int:
    """How long the machine is busy before its monitor socket shows up."""
    script, line = machine.script, machine.line
    if script is None:
        return 0
    start, total = script.start, 0
    memory = start.get("memory")
    if memory is not None:
        if "zeroing" in memory:
            total += line.ram * 1_000_000_000 // memory["zeroing"]
        else:
            total += -(-line.ram // memory["page"]) * memory["per_page"]
        _say(machine, "memory")
    for word, number in (("nics", line.nics), ("hostdevs", line.hostdevs)):
        if word in start:
            total += number * start[word]["each"]
            _say(machine, word)
    socket = start.get("socket")
    if socket is not None:
        total += socket.get("delay", 0)
        _say(machine, "socket")
    return int(total)


def _say(machine: FakeQemu, word: str) -> None:
    start = machine.script.start if machine.script is not None else {}
    words = start.get(word)
    detail = (
        ", ".join(f"{key}: {value}" for key, value in words.items()) if isinstance(words, dict) else words
    )
    machine.note(start.get("rules", {}).get(word, "script"), f"start {word}: {detail}")


def _timed(machine: FakeQemu, rule: dict[str, Any], left: int | None) -> Callable[[], None]:
    def act() -> None:
        from fakeqemu.scripts.effects import act_now

        do = rule["do"]
        machine.note(rule["name"], "time: " + ", ".join(do))
        if "every" in rule and left != 1:
            machine.later(rule["every"], _timed(machine, rule, left and left - 1))
        act_now(machine, do)
        if "stall" in do:
            from fakeqemu.scripts.stall import stall

            stall(machine, do["stall"])

    return act


def _plan_socket(machine: FakeQemu, chardev: Chardev, delay_ns: int) -> None:
    socket: dict[str, Any] = machine.word("socket") or {}
    if chardev.path is not None and socket.get("stale"):
        # What a predecessor that was killed left behind: a file to which nobody listens.
        machine.do(0, Bind(chardev.id, chardev.path))
        machine.do(0, CloseListener(chardev.id))
    if socket.get("never"):
        return
    wait_ns = delay_ns
    if chardev.path is not None and (
        "listen_after" in socket or "mode" in socket or machine.rules is not None
    ):
        _step(machine, "bind", chardev.id, wait_ns, lambda: _bind(machine, chardev, socket))
    else:
        wait_ns += socket.get("listen_after", 0)
        _step(machine, "listen", chardev.id, wait_ns, lambda: _listen(machine, chardev))


def _bind(machine: FakeQemu, chardev: Chardev, socket: dict[str, Any]) -> None:
    """Create the socket file, then listen: at once in an honest QEMU."""
    path = chardev.path
    if path is not None and ("listen_after" in socket or "mode" in socket):
        machine.do(0, Unlink(path))
        machine.do(0, Bind(chardev.id, path, socket.get("mode")))
    wait_ns = socket.get("listen_after", 0)
    _step(machine, "listen", chardev.id, wait_ns, lambda: _listen(machine, chardev))


def _step(machine: FakeQemu, step: str, name: str, wait_ns: int, act: Callable[[], None]) -> None:
    """Take a named step after a wait, with the rules of the script about it; at once when nothing waits."""

    def reached() -> None:
        machine.at(step, name, act)

    if wait_ns == 0:
        reached()
    else:
        machine.later(wait_ns, reached)


def _listen(machine: FakeQemu, chardev: Chardev) -> None:
    machine.do(0, Listen(chardev.id, path=chardev.path, fd=chardev.fd))
    machine.listeners.append(chardev)
    accept: dict[str, Any] = machine.word("accept") or {}
    if accept:
        _say(machine, "accept")
    if accept.get("never"):
        return
    if accept.get("refuse"):
        _after(machine, accept.get("delay", 0), lambda: machine.do(0, CloseListener(chardev.id)))
        return
    _after(machine, accept.get("delay", 0), lambda: machine.do(0, Accept(chardev.id)))


def _after(machine: FakeQemu, wait_ns: int, act: Callable[[], None]) -> None:
    if wait_ns == 0:
        act()
    else:
        machine.later(wait_ns, act)


def _plainly(machine: FakeQemu, chardev: Chardev) -> Callable[[], None]:
    """Serve a socket that is no monitor's, such as an agent's channel: scripts are about monitors."""

    def act() -> None:
        machine.do(0, Listen(chardev.id, path=chardev.path, fd=chardev.fd))
        machine.listeners.append(chardev)
        machine.do(0, Accept(chardev.id))

    return act


def closed(machine: FakeQemu, chardev: str, *, monitor: bool) -> None:
    """A client has gone: QEMU waits for the next one on the same listener, or connects again."""
    found = machine.line.chardevs.get(chardev)
    if found is not None and not found.listens and found.backend == "socket":
        from fakeqemu.cmdline.dialling import hung_up, is_client

        if is_client(found):
            hung_up(machine, found)
            return
    plain = machine.line.chardevs.get(chardev)
    if plain is not None and plain.backend != "socket" and chardev not in machine.acceptors:
        return  # a file or a pipe has no next one
    if monitor:
        machine.at("eof", chardev, lambda: machine.do(0, Accept(chardev)))
    else:
        machine.do(0, Accept(chardev))


def refused(machine: FakeQemu, name: str, reason: str) -> None:
    """A socket could not be had: the end of a start; whoever opened it by name later is told instead."""
    from fakeqemu.cmdline.dialling import port_words

    reason = port_words(reason)
    acceptor = machine.acceptors.pop(name, None)
    if acceptor is not None:
        acceptor.refused(machine, reason)
    else:
        text = machine.line.chardevs[name].text
        machine.finish(1, f"{machine.line.program}: {text}: {reason}", linger=False)


def _loaded(machine: FakeQemu, name: str) -> bool:
    """Go back to a snapshot (``-loadvm``): False when that was the end of the start."""
    from fakeqemu.jobs.snapshots import load
    from fakeqemu.registry import CommandError

    try:
        load(machine, name)
    except CommandError as error:
        machine.finish(1, f"{machine.line.program}: {error.desc}", linger=False)
        return False
    return True


def _ready(machine: FakeQemu) -> None:
    """The machine is set up: the daemon's parent may go, and the guest runs unless -S was given."""
    line = machine.line
    if line.daemonize:
        machine.do(0, Daemonize())
    if line.loadvm is not None and not _loaded(machine, line.loadvm):
        return
    if not line.freeze and line.incoming is None:
        from fakeqemu.runstate import resume

        resume(machine)
    elif line.incoming is not None:
        machine.change("inmigrate")
        if line.incoming != "defer":
            from fakeqemu.migration.incoming import start

            start(machine, line.incoming)
