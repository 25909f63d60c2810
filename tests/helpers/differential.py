# ruff: noqa: TID251, SIM905  (real processes are waited for on the real clock)
"""The same conversation with two QEMUs: what differs in replies and events.

A conversation is a list of lines as a client sends them. The machine is started with the same command line,
in a directory of its own that holds the same files, and the clock is the real one: times, process ids and
amounts of work are left out of the comparison.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PATIENCE_S = 20.0


@dataclass
class Turn:
    """One message of the client, the reply, and the events that came before the next reply."""

    sent: Any
    reply: Any
    events: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Conversation:
    """A machine and what is said to it. ``{dir}`` in both is the directory; files: name -> qemu-img words."""

    name: str
    argv: Sequence[str]
    lines: Sequence[Any]
    files: Sequence[Sequence[str]] = ()


class Talk:
    """A QEMU that was started for a conversation."""

    def __init__(self, program: Sequence[str], argv: Sequence[str], files: Iterable[Sequence[str]]) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="dq-", dir="/tmp"))
        for words in files:
            subprocess.run([word.replace("{dir}", str(self.directory)) for word in words], check=True)
        path = f"{self.directory}/q"
        self.process = subprocess.Popen(
            [
                *program, *(word.replace("{dir}", str(self.directory)) for word in argv),
                "-qmp", f"unix:{path},server=on,wait=off",
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.socket = self._connect(path)
        self.lines = self.socket.makefile("rb")

    def _connect(self, path: str) -> socket.socket:
        end = time.monotonic() + PATIENCE_S
        while True:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.settimeout(PATIENCE_S)
            try:
                sock.connect(path)
            except OSError:
                sock.close()
                if self.process.poll() is not None or time.monotonic() > end:
                    assert self.process.stdout is not None
                    self.process.kill()
                    raise AssertionError(self.process.stdout.read().decode()) from None
                time.sleep(0.01)
            else:
                return sock

    def say(self, message: Any, settle_s: float) -> Turn:
        """Send one message (text as it is, else as JSON), and wait for its reply."""
        text = message if isinstance(message, str) else json.dumps(message)
        self.socket.sendall(text.replace("{dir}", str(self.directory)).encode() + b"\n")
        turn = Turn(message, None)
        while True:
            line = self.lines.readline()
            if not line:
                turn.reply = "closed"
                return turn
            value = json.loads(line)
            if "event" in value:
                turn.events.append(value)
            else:
                turn.reply = value
                break
        if settle_s:
            turn.events += self.overheard(settle_s)
        return turn

    def overheard(self, seconds: float) -> list[Any]:
        """Events that come without being asked for."""
        found: list[Any] = []
        self.socket.settimeout(seconds)
        with contextlib.suppress(TimeoutError):
            while line := self.lines.readline():
                found.append(json.loads(line))
        # A buffered reader that has timed out reads no more: a new one goes on where it was.
        self.lines = self.socket.makefile("rb")
        self.socket.settimeout(PATIENCE_S)
        return found

    def close(self) -> str:
        """End it; what it printed."""
        self.lines.close()
        self.socket.close()
        self.process.kill()
        assert self.process.stdout is not None
        text = self.process.stdout.read().decode("utf-8", "replace")
        self.process.stdout.close()
        self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)
        return text


def hold(program: Sequence[str], conversation: Conversation, settle_s: float = 0.0) -> list[Turn]:
    """Hold a conversation; a line that is ``{"wait": seconds}`` only listens."""
    talk = Talk(program, conversation.argv, conversation.files)
    turns = []
    try:
        greeting = json.loads(talk.lines.readline())
        assert "QMP" in greeting
        turns.append(talk.say({"execute": "qmp_capabilities"}, 0))
        for line in conversation.lines:
            if isinstance(line, dict) and "wait" in line:
                turns.append(Turn(line, None, talk.overheard(line["wait"])))
                continue
            turns.append(talk.say(line, settle_s))
            if turns[-1].reply == "closed":
                break
    finally:
        place = str(talk.directory)
        talk.close()
    for turn in turns:
        turn.reply = json.loads(json.dumps(turn.reply).replace(place, "{dir}"))
        turn.events = json.loads(json.dumps(turn.events).replace(place, "{dir}"))
    return turns


#: Values that tell a time, a process or an amount of work.
LIVE = frozenset(
    "timestamp thread-id pid actual-size wr_highest_offset idle_time_ns total-time setup-time downtime"
    " expected-downtime mbps pages-per-second transferred precopy-bytes downtime-bytes normal normal-bytes"
    " duplicate start-time vm-clock-nsec date-nsec date-sec vm-state-size rd_total_time_ns wr_total_time_ns"
    " flush_total_time_ns remaining dirty-rate last-update free-space time-begin".split()
)
#: Names that are drawn or counted by the whole host.
_DRAWN = (
    (re.compile(r"/dev/pts/\d+"), "/dev/pts/N"),
    (re.compile(r"#block\d+"), "#blockN"),
    (re.compile(r"#net\d+"), "#netN"),
    (re.compile(r"thread_id=\d+"), "thread_id=N"),
)


def settled(value: Any) -> Any:
    """A message without what varies."""
    if isinstance(value, str):
        for pattern, word in _DRAWN:
            value = pattern.sub(word, value)
        return value
    if isinstance(value, list):
        return [settled(item) for item in value]
    if isinstance(value, dict):
        return {key: "LIVE" if key in LIVE else settled(item) for key, item in value.items()}
    return value


def places(place: str, left: Any, right: Any) -> Iterator[tuple[str, Any, Any]]:
    """Where two values differ; the order of members counts."""
    if isinstance(left, dict) and isinstance(right, dict):
        if list(left) != list(right):
            yield f"{place} keys", list(left), list(right)
        for key in left:
            if key in right:
                yield from places(f"{place} {key}", left[key], right[key])
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for index, (one, other) in enumerate(zip(left, right, strict=True)):
            yield from places(f"{place} {index}", one, other)
    elif left != right:
        yield place, left, right


def differences(real: Sequence[Turn], fake: Sequence[Turn]) -> Iterator[tuple[Any, str, Any, Any]]:
    """Every difference: (message, place, real, fake)."""
    for one, other in zip(real, fake, strict=False):
        for place, left, right in places("reply", settled(one.reply), settled(other.reply)):
            yield one.sent, place, left, right
        left, right = ([settled(event) for event in turn.events] for turn in (one, other))
        if left != right:
            yield one.sent, "events", left, right
    if len(real) != len(fake):
        yield None, "length", len(real), len(fake)
