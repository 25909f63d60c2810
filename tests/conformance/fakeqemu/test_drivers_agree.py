"""One script, two drivers: what a client sees of the process and of the task of the loop is the same."""

from __future__ import annotations

import asyncio
import re

import pytest

from fakeqemu.scripts.check import compile_text
from fakeqemu.scripts.script import Script
from tests.helpers.processes import Program, fake_argv
from virtsim.host.sockets import connect_unix
from virtsim.sim.launcher import SimLauncher
from virtsim.sim.loop import run
from virtsim.sim.net import net_of

WORDS = ["-S", "-name", "guest=vm", "-machine", "pc", "-accel", "tcg", "-no-shutdown"]
NEGOTIATE = b'{"execute":"qmp_capabilities"}'
TALK = [
    NEGOTIATE,
    b'{"execute":"cont","id":1}',
    b'{"execute":"stop","id":2}',
    b'{"execute":"query-status","id":3}',
    b'{"execute":"quit"}',
]

#: script -> what the client says, one thing after each line it hears
SCRIPTS = {
    "honest": "[]",
    "error": "- {on: command, match: stop, do: {error: {desc: no}}}",
    "garbage": "- {on: command, match: stop, do: {garbage: '%&/'}}",
    "lie": "- {on: command, match: query-status, do: {reply: {status: running, running: true}}}",
    "oversize": "- {on: command, match: query-status, do: {oversize: 300000}}",
    "exit before": "- {on: command, match: stop, do: {exit: {code: 3, stderr: last words}}}",
    "exit after": "- {on: command, match: stop, when: after, do: {exit: {code: 3, stderr: last words}}}",
    "killed": "- {on: command, match: stop, do: {kill: {signal: SIGSEGV, stderr: last words}}}",
    "closed": "- {on: command, match: stop, do: {close: true}}\n- {on: eof, do: {exit: {code: 5}}}",
    "greeting garbled": "- {at: start, greeting: {garbage: hello}}",
    "greeting fatal": "- {on: greeting, do: {exit: {code: 1, stderr: cannot allocate memory}}}",
    "delays": "- {on: command, match: stop, do: {delay: 20ms}}\n- {at: start, greeting: {delay: 10ms}}",
    "late socket": "- {at: start, socket: {delay: 20ms, stale: true, listen_after: 10ms}}",
    "guest": "- {on: command, match: cont, when: after, do: {guest: poweroff}}",
    "emit": "- {on: command, match: cont, do: {emit: {event: WATCHDOG, data: {action: reset}}}}",
}  # fmt: skip


class Ear(asyncio.Protocol):
    def __init__(self):
        self.heard = asyncio.Queue()
        self.held = b""

    def data_received(self, data):
        *lines, self.held = (self.held + data).split(b"\r\n")
        for line in lines:
            self.heard.put_nowait(line)

    def connection_lost(self, _):
        self.heard.put_nowait(b"")


def tidy(line):
    return re.sub(rb'"seconds": \d+, "microseconds": \d+', b"", line)


def replies_expected(line):
    """Whether the client should speak next: after a greeting or a reply, not after an event."""
    return line and b'"event"' not in line[:100]


def as_process(script, directory):
    path = directory / "m"
    heard, talk = [], list(TALK)
    with (
        Program(
            fake_argv(*WORDS, "-qmp", f"unix:{path},server=on,wait=off"), directory, script=script
        ) as program,
        program.client(path) as client,
    ):
        while line := client.line():
            heard.append(tidy(line))
            if replies_expected(line) and talk:
                client.send(talk.pop(0))
        client.sock.close()
        code, words = program.ended()
    return heard, code, words


def as_task(script):
    async def main():
        net = net_of(asyncio.get_running_loop())
        net.files.make_dirs("/run")
        compiled = Script.from_compiled(compile_text(script.encode(), "script"))
        launcher = SimLauncher(script_for=lambda _argv: compiled, seed="0", files=net.files)
        argv = ["/usr/bin/qemu-system-x86_64", *WORDS, "-qmp", "unix:/run/m,server=on,wait=off"]
        process = await launcher.spawn(argv, log="/run/log")
        while True:
            try:
                transport, ear = await connect_unix(Ear, "/run/m")
                break
            except (FileNotFoundError, ConnectionRefusedError):
                await asyncio.sleep(0.001)
        heard, talk = [], list(TALK)
        while line := await ear.heard.get():
            heard.append(tidy(line))
            if replies_expected(line) and talk:
                transport.write(talk.pop(0))
        transport.close()
        status = await process.wait()
        code = status.code if status.code is not None else -status.signal
        return heard, code, net.files.read("/run/log").decode()

    return run(main())


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_drivers_agree(name, tmp_path):
    seen = as_task(SCRIPTS[name])
    assert as_process(SCRIPTS[name], tmp_path) == seen
    assert seen[0] or name == "greeting fatal"
