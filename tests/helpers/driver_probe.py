"""A machine that asks its driver for streams and says what becomes of each: the same under either driver.

The guest's name chooses what it does; what happens is written to standard error, a line each. Run as a
program, it is a process of its own: ``python driver_probe.py ARGV...``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from fakeqemu import actions as do
from fakeqemu import frontends
from fakeqemu.channel import Acceptor, Channel, close_all
from fakeqemu.machine import FakeQemu

__all__ = ["DEEDS", "install"]


class Ear(Channel):
    """Says what it hears; sends it back when told to."""

    __slots__ = ("echo", "label", "total")

    def __init__(self, label, conn=0, *, echo=False):
        super().__init__(conn)
        self.label, self.echo, self.total = label, echo, 0

    def say(self, machine, text):
        machine.do(0, do.Stderr(f"{self.label}: {text}\n"))

    def opened(self, machine, reason):
        self.say(machine, f"opened {reason}")

    def received(self, machine, data, fds):
        self.total += len(data)
        if fds:
            self.say(machine, f"{len(fds)} descriptors")
            close_all(machine, fds)
        if self.echo:
            machine.do(0, do.Send(self.conn, data.upper()))
        elif data.endswith(b"."):
            self.say(machine, f"received {self.total}")

    def drained(self, machine):
        self.say(machine, "drained")

    def closed(self, machine):
        self.say(machine, f"closed after {self.total}")


class Door(Acceptor):
    __slots__ = ("echo", "first")

    def __init__(self, *, echo=True, first=b""):
        self.echo, self.first = echo, first

    def accepted(self, machine, conn):
        machine.do(0, do.Stderr("door: accepted\n"))
        if self.first:
            machine.do(0, do.Send(conn, self.first))
            machine.do(0, do.Drain(conn))
        return Ear("door", conn, echo=self.echo)

    def refused(self, machine, reason):
        machine.do(0, do.Stderr(f"door: {reason.replace(where(machine), '@')}\n"))


def where(machine):
    return next(found.path for found in machine.line.chardevs.values() if found.path).rpartition("/")[0]


def channel(machine, label, **more):
    ear = Ear(label, **more)
    return machine.open_channel(ear)


def listen(machine, **more):
    machine.acceptors["door"] = Door(**more)
    machine.do(0, do.Listen("door", path=f"{where(machine)}/door"))
    machine.do(0, do.Accept("door"))


def pty(machine):
    machine.do(0, do.OpenPty("terminal"))


def door(machine):
    listen(machine)


def slow_reader(machine):
    listen(machine, echo=False, first=b"x" * 3_000_000)


def refused(machine):
    machine.acceptors["door"] = Door()
    machine.do(0, do.Listen("door", path=f"{where(machine)}/none/door"))
    machine.do(0, do.Connect(channel(machine, "nowhere"), f"{where(machine)}/nowhere"))
    machine.do(0, do.Adopt(channel(machine, "no fd"), 999, reading=True))
    machine.do(0, do.CloseFd(998))


def itself(machine):
    """Both ends of a connection."""
    listen(machine)
    conn = channel(machine, "caller")
    machine.do(0, do.Send(conn, b"said before it was there. "))
    machine.do(0, do.Connect(conn, f"{where(machine)}/door"))
    machine.do(0, do.Send(conn, b"and then."))
    machine.do(50_000_000, do.Close(conn))


def tcp(machine):
    machine.acceptors["door"] = Door()
    machine.do(0, do.Listen("door", address=("127.0.0.1", PORT)))
    machine.do(0, do.Accept("door"))
    conn = channel(machine, "caller")
    machine.do(0, do.Connect(conn, ("127.0.0.1", PORT)))
    machine.do(0, do.Send(conn, b"over tcp."))
    machine.do(50_000_000, do.Close(conn))
    machine.do(0, do.Connect(channel(machine, "nobody"), ("127.0.0.1", PORT + 1)))


def paced(machine):
    listen(machine, echo=False)
    conn = channel(machine, "caller")
    machine.do(0, do.Connect(conn, f"{where(machine)}/door"))
    machine.do(0, do.Pace(conn, rate=40_000))
    machine.do(0, do.Send(conn, b"x" * 3_999 + b"."))
    machine.do(0, do.Drain(conn))
    begun = machine.now_ns
    machine.later(50_000_000, lambda: halfway(machine, begun))
    machine.do(300_000_000, do.Close(conn))


def halfway(machine, begun):
    total = sum(ear.total for ear in machine.channels.values() if isinstance(ear, Ear))
    machine.do(0, do.Stderr(f"halfway: {0 < total < 4_000}\n"))


def deaf(machine):
    """A client is not read for a while; then it is."""
    listen(machine, echo=False)
    machine.later(20_000_000, lambda: pause(machine))


def pause(machine):
    conn = next(conn for conn, ear in machine.channels.items() if isinstance(ear, Ear))
    machine.do(0, do.Pace(conn, reading=False))
    machine.later(40_000_000, lambda: machine.do(0, do.Stderr("still deaf\n")))
    machine.do(80_000_000, do.Pace(conn, reading=True))


def file(machine):
    machine.do(0, do.OpenFile("f", "file", f"{where(machine)}/f"))
    machine.do(0, do.Send(1, b"one "))
    machine.do(0, do.Send(1, b"two"))


def adopted(machine):
    """Whatever descriptor comes with a message becomes a channel."""
    machine.acceptors["door"] = Taker()
    machine.do(0, do.Listen("door", path=f"{where(machine)}/door"))
    machine.do(0, do.Accept("door"))


class Taker(Acceptor):
    __slots__ = ()

    def accepted(self, machine, conn):
        return Given("given", conn)


class Given(Ear):
    __slots__ = ()

    def received(self, machine, data, fds):
        self.say(machine, f"{len(fds)} descriptors")
        for fd in fds:
            conn = channel(machine, "stream", echo=True)
            machine.do(0, do.Adopt(conn, fd, reading=True))
            machine.do(0, do.Send(conn, b"hello"))


DEEDS = {
    deed.__name__: deed for deed in (pty, door, slow_reader, refused, itself, tcp, paced, deaf, file, adopted)
}
PORT = 0


def install(replace, port):
    """Make every machine a probe: ``replace(object, name, value)`` is a test's monkeypatch."""
    start = FakeQemu.start

    def started(self, now_ns):
        steps = start(self, now_ns)
        DEEDS[self.line.name](self)
        return steps + self._take()

    def opened(machine, chardev, conn, name):
        machine.channels[conn] = Ear("terminal", conn, echo=True)
        machine.do(0, do.Stderr(f"terminal {name}\n"))
        machine.do(0, do.Send(conn, b"nobody hears this"))

    replace(FakeQemu, "start", started)
    replace(frontends, "pty_opened", opened)
    replace(sys.modules[__name__], "PORT", port)


if __name__ == "__main__":
    install(setattr, int(os.environ["PROBE_PORT"]))
    from fakeqemu.driver.process import main

    main(sys.argv[1:])
