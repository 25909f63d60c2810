"""Guests that move between processes of the fake, while somebody kills, cancels, fills or closes."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.processes import Client, Program, fake_argv

ARGV = ("-machine", "pc", "-accel", "tcg", "-m", "512", "-nodefaults", "-display", "none")


class Vm:
    """A fake as a process, and a monitor's client."""

    def __init__(self, directory: Path, name: str, *more: str) -> None:
        self.directory = directory / name
        self.directory.mkdir()
        script = json.dumps([{"at": "start", "migration": {"used": "200MiB", "bandwidth": "100MiB/s"}}])
        argv = fake_argv(*ARGV, *more, "-qmp", "unix:m,server=on,wait=off")
        self.program = Program(argv, self.directory, script=script)
        self.client: Client = self.program.client(self.directory / "m")
        self.client.line()
        self.events: list[str] = []
        self.ask("qmp_capabilities")
        self.capable("events")

    def ask(self, command: str, **arguments: Any) -> Any:
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        self.client.send(json.dumps({"execute": command, "arguments": named}).encode())
        while True:
            message = self.heard()
            if "event" not in message:
                return message.get("return", message.get("error"))

    def heard(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.client.line())
        if "event" in message:
            self.events.append(message.get("data", {}).get("status", message["event"]))
        return message

    def until(self, event: str) -> None:
        while event not in self.events:
            self.heard()

    def capable(self, *names: str) -> None:
        found = [{"capability": name, "state": True} for name in names]
        assert self.ask("migrate-set-capabilities", capabilities=found) == {}

    def status(self) -> str:
        return str(self.ask("query-status")["status"])

    def give(self, fd: int, name: str) -> None:
        message = json.dumps({"execute": "getfd", "arguments": {"fdname": name}}).encode()
        socket.send_fds(self.client.sock, [message], [fd])
        os.close(fd)
        while "event" in (message_ := self.heard()):
            continue
        assert message_ == {"return": {}}

    def end(self) -> None:
        self.program.__exit__()
        self.client.sock.close()


@pytest.fixture
def vms(tmp_path: Path) -> Iterator[Any]:
    made: list[Vm] = []

    def make(name: str, *more: str) -> Vm:
        made.append(Vm(tmp_path, name, *more))
        return made[-1]

    yield make
    for vm in made:
        vm.end()


def door(kind: str, tmp_path: Path) -> str:
    if kind == "unix":
        return f"unix:{tmp_path}/door"
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"tcp:127.0.0.1:{sock.getsockname()[1]}"


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_a_guest_moves(vms: Any, tmp_path: Path, kind: str) -> None:
    uri = door(kind, tmp_path)
    there, here = vms("there", "-incoming", uri), vms("here")
    assert here.ask("migrate", uri=uri) == {}
    here.until("completed")
    there.until("RESUME")
    assert (here.status(), there.status()) == ("postmigrate", "running")
    report = here.ask("query-migrate")
    assert report["ram"]["transferred"] >= 200 << 20
    assert report["total-time"] >= 1900


@pytest.mark.parametrize("kind", ["unix", "tcp"])
@pytest.mark.parametrize("stage", ["setup", "active", "postcopy-active"])
@pytest.mark.parametrize("victim", ["here", "there"])
def test_one_side_is_killed(vms: Any, tmp_path: Path, kind: str, stage: str, victim: str) -> None:
    uri = door(kind, tmp_path)
    there, here = vms("there", "-incoming", uri), vms("here")
    post = stage == "postcopy-active"
    if post:
        for vm in (there, here):
            vm.capable("postcopy-ram")
    assert here.ask("migrate", uri=uri) == {}
    if post:
        here.until("active")
        assert here.ask("migrate-start-postcopy") == {}
    here.until(stage)
    if post:
        there.until(stage)
    killed, left = (here, there) if victim == "here" else (there, here)
    killed.program.signal(signal.SIGKILL)
    killed.program.process.wait()
    if left is here:
        here.until("postcopy-paused" if post else "failed")
        assert here.status() == ("finish-migrate" if post else "running")
    elif post:
        there.until("postcopy-paused")
        assert there.status() == "running"
    else:
        code, words = there.program.ended()
        assert code == 1
        assert words
        assert "Traceback" not in words


@pytest.mark.parametrize("moment", ["setup", "active"])
def test_a_cancel_leaves_the_guest_where_it_was(vms: Any, tmp_path: Path, moment: str) -> None:
    uri = door("unix", tmp_path)
    there, here = vms("there", "-incoming", uri), vms("here")
    assert here.ask("migrate", uri=uri) == {}
    here.until(moment)
    assert here.ask("migrate_cancel") == {}
    here.until("cancelled")
    assert here.status() == "running"
    assert there.program.ended()[0] == 1


def test_into_a_file_and_back_by_descriptor(vms: Any, tmp_path: Path) -> None:
    here = vms("here")
    assert here.ask("stop") == {}
    path = tmp_path / "saved"
    here.give(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "to")
    assert here.ask("migrate", uri="fd:to") == {}
    here.until("completed")
    there = vms("there", "-incoming", "defer")
    there.give(os.open(path, os.O_RDONLY), "from")
    assert there.ask("migrate-incoming", uri="fd:from") == {}
    there.until("completed")
    assert there.status() == "paused"
    assert there.ask("cont") == {}
    assert there.status() == "running"


def test_onto_a_full_disk(vms: Any) -> None:
    here = vms("here")
    here.give(os.open("/dev/full", os.O_WRONLY), "to")
    assert here.ask("migrate", uri="fd:to") == {}
    here.until("failed")
    assert here.status() == "running"
    assert here.ask("query-migrate")["status"] == "failed"


def test_into_a_pipe_that_is_closed_meanwhile(vms: Any) -> None:
    here = vms("here")
    reading, writing = os.pipe()
    here.give(writing, "to")
    assert here.ask("migrate", uri="fd:to") == {}
    here.until("active")
    os.close(reading)
    here.until("failed")
    assert here.status() == "running"
    other = os.open(os.devnull, os.O_WRONLY)
    here.give(other, "to")  # and it can be tried again
    assert here.ask("migrate", uri="fd:to") == {}
    here.events.clear()
    here.until("completed")
    assert here.status() == "postmigrate"


def test_half_of_a_file(vms: Any, tmp_path: Path) -> None:
    here = vms("here")
    path = tmp_path / "saved"
    here.give(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "to")
    assert here.ask("migrate", uri="fd:to") == {}
    here.until("completed")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    there = vms("there", "-incoming", "defer")
    there.give(os.open(path, os.O_RDONLY), "from")
    there.client.send(b'{"execute":"migrate-incoming","arguments":{"uri":"fd:from"}}')
    code, words = there.program.ended()
    assert code == 1
    assert words
    assert "Traceback" not in words
