"""Anything that may come in: a machine with everything plugged in, and what is thrown at each of its doors.

Every target is a function of a source of chance: it throws something, and raises when the machine fails
inside, hangs, or says on a monitor what is no line of JSON. ``tools/fuzz.py`` runs them for hours,
``tests/property/fakeqemu/test_fuzz.py`` for seconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

from fakeqemu import actions as do
from fakeqemu.cmdline.argv import ArgvError, CommandLine
from fakeqemu.cmdline.options import FLAGS, WITH_VALUE
from fakeqemu.facts.profile import profile_for
from fakeqemu.scripts.check import check_text
from fakeqemu.scripts.deeds import GUEST
from tests.helpers.fuzz_server import server
from tests.helpers.puppet import ARGV, SECOND, Puppet

__all__ = ["TARGETS", "HangError", "again", "replay"]

#: Steps that one input may lead to at one instant before it counts as a hang.
MAX_STEPS = 20_000
_MANY = [
    "-blockdev", '{"driver":"null-co","node-name":"a","size":1048576,"read-zeroes":true}',
    "-blockdev", '{"driver":"null-co","node-name":"b","size":1048576,"read-zeroes":true}',
    "-device", "virtio-blk-pci,drive=a,id=disk0",
    "-device", "virtio-serial-pci,id=vs0",
    "-chardev", "socket,id=charchannel0,path=/run/agent,server=on,wait=off",
    "-device", "virtserialport,chardev=charchannel0,id=channel0,name=org.qemu.guest_agent.0",
    "-chardev", "socket,id=serial0,path=/run/serial,server=on,wait=off", "-serial", "chardev:serial0",
    "-chardev", "socket,id=people,path=/run/people,server=on,wait=off",
    "-mon", "chardev=people,mode=readline",
    "-netdev", "user,id=hostnet0", "-device", "virtio-net-pci,netdev=hostnet0,id=net0",
    "-object", "iothread,id=io0",
]  # fmt: skip
FULL = [word for word in ARGV if word != "-S"] + _MANY
CTL = {"at": "start", "ctl": "/run/ctl"}
#: Texts that lead further in than chance would.
NAMES = (
    "a", "b", "c", "j", "disk0", "net0", "hostnet0", "balloon0", "vs0", "channel0", "charchannel0", "io0",
    "serial0", "people", "charmonitor", "", "0", "#block001", "/machine", "/machine/peripheral/disk0",
    "/objects/io0", "/machine/unattached/device[0]", "null-co", "raw", "qcow2", "file", "virtio-net-pci",
    "e1000", "iothread", "fd:x", "unix:/run/other", "tcp:127.0.0.1:1", "exec:cat>/dev/null", "defer",
    "auto", "full", "none", "on", "pcie.0", "pci.0", "true", "1", "-1", "9223372036854775808",
    "info status", "savevm x", "quit\n", "\u00fc", "/tmp/x", "x" * 300, "/etc/passwd", "guest-ping",
    "type", "id", "..", "*", "%n%s",
)  # fmt: skip
NUMBERS = (0, 1, -1, 2, 4096, 1 << 20, 1 << 31, (1 << 63) - 1, -(1 << 63), (1 << 64) - 1, 1 << 64, 1.5, 1e300)
#: What ends the machine, which would be the end of the test too.
_LAST = ("quit",)


class HangError(Exception):
    """The machine goes round in circles."""


class Steady(Puppet):
    """A puppet that notices a machine that never comes to rest."""

    def __init__(self, *rules: dict[str, Any], argv: list[str]) -> None:
        super().__init__(*rules, argv=argv)
        self.steps = 0
        self.instant = 0

    def _act(self, action: do.Action) -> None:
        if self.now != self.instant:
            self.instant, self.steps = self.now, 0
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise HangError(f"still at the same instant after {MAX_STEPS} steps: {action!r}")
        if isinstance(action, do.Connect):
            self._plan(self.machine.opened(self.now, action.conn, "Connection refused"))
            return
        if isinstance(action, do.Adopt):
            self._plan(self.machine.opened(self.now, action.conn, None))
            self.sent.setdefault(action.conn, b"")
            return
        if isinstance(action, do.Drain):
            self._plan(self.machine.drained(self.now, action.conn))
            return
        if isinstance(action, do.Send):
            self.sent.setdefault(action.conn, b"")
        super()._act(action)
        del self.log[:-1000]

    def calm(self) -> None:
        """Let time pass after an input."""
        self.steps = 0
        self.run(2 * SECOND)


def machine(*rules: dict[str, Any], argv: list[str] | None = None) -> Steady:
    """A machine with everything plugged in, and a monitor."""
    puppet = Steady(*rules, argv=argv or FULL)
    puppet.start()
    puppet.run(SECOND)
    return puppet


def alive(puppet: Steady, conn: int) -> None:
    """The monitor still answers, unless the machine has ended in good order."""
    if puppet.ended is not None:
        return
    for line in puppet.take(conn).split(b"\r\n"):
        if line:
            json.loads(line)
    puppet.steps = 0
    puppet.write(conn, b'\n\xff\n{"execute": "query-name", "id": "still here"}')
    for _ in range(100):
        if b"still here" in puppet.sent[conn] or puppet.ended is not None:
            break
        puppet.run(60 * SECOND)
    if puppet.ended is None:
        assert b"still here" in puppet.sent[conn], puppet.take(conn)[-400:]
        puppet.take(conn)


# -- what is thrown ----------------------------------------------------------------------------------------


def noise(
    chance: Random, signs: bytes = b"{}[]:,\"'\\ \n\t019-+.eEtrufalsnx%\x00\x01\x7f\x80\xc0\xed\xff"
) -> bytes:
    """Bytes: any, or those that mean something."""
    length = chance.choice((0, 1, 5, 40, 400))
    if chance.random() < 0.5:
        return chance.randbytes(length)
    return bytes(chance.choice(signs) for _ in range(length))


def anything(chance: Random, depth: int = 3) -> Any:
    """A JSON value."""
    kind = chance.randrange(8 if depth else 6)
    if kind < 2:
        return chance.choice(NAMES)
    if kind == 2:
        return chance.choice(NUMBERS)
    if kind < 6:
        return chance.choice((None, True, False, 7, "a"))
    if kind == 6:
        return [anything(chance, depth - 1) for _ in range(chance.randrange(4))]
    return {chance.choice(NAMES): anything(chance, depth - 1) for _ in range(chance.randrange(4))}


class Schema:
    """Arguments that fit the recorded schema, more or less."""

    def __init__(self) -> None:
        profile = profile_for("qemu-system-x86_64")
        puppet = Puppet().start()
        conn = puppet.open()
        entries = puppet.ask(conn, "query-qmp-schema")
        self.types = {entry["name"]: entry for entry in entries}
        self.commands = sorted(profile.commands)

    def message(self, chance: Random) -> dict[str, Any]:
        """A command with arguments."""
        name = chance.choice(self.commands)
        message: dict[str, Any] = {"execute": name, "id": chance.choice((1, "x", None, [2]))}
        arguments = self.value(chance, self.types[name]["arg-type"])
        if arguments or chance.random() < 0.1:
            message["arguments"] = arguments
        return message

    def value(self, chance: Random, kind: str, depth: int = 5) -> Any:  # noqa: PLR0911 - one for each type
        """A value of a type, or once in a while of another."""
        if chance.random() < 0.03:
            return anything(chance)
        entry = self.types.get(kind, {"meta-type": "builtin", "json-type": "value"})
        meta = entry["meta-type"]
        if meta == "builtin":
            sort = entry["json-type"]
            if sort == "int":
                return chance.choice([number for number in NUMBERS if isinstance(number, int)])
            choices: dict[str, Any] = {"number": 1.5, "boolean": chance.random() < 0.5, "null": None}
            if sort == "string":
                return chance.choice(NAMES)
            return choices[sort] if sort in choices else anything(chance)
        if meta == "enum":
            return chance.choice(entry.get("values") or [member["name"] for member in entry["members"]])
        if meta == "array":
            length = chance.randrange(3) if depth else 0
            return [self.value(chance, entry["element-type"], depth - 1) for _ in range(length)]
        if meta == "alternate":
            return self.value(chance, chance.choice(entry["members"])["type"], depth)
        return self._object(chance, entry, depth) if meta == "object" else {}

    def _object(self, chance: Random, entry: dict[str, Any], depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for member in entry["members"]:
            optional = "default" in member
            if optional and (not depth or chance.random() < 0.7):
                continue
            if chance.random() < 0.02:
                continue
            found[member["name"]] = self.value(chance, member["type"], depth - 1)
        tag = found.get(entry.get("tag", ""))
        for variant in entry.get("variants", ()):
            if variant["case"] == tag:
                found |= self._object(chance, self.types[variant["type"]], depth - 1)
        if chance.random() < 0.02:
            found[chance.choice(NAMES)] = anything(chance)
        return found


_SCHEMA: list[Schema] = []


def schema() -> Schema:
    """The recorded schema, read once."""
    if not _SCHEMA:
        _SCHEMA.append(Schema())
    return _SCHEMA[0]


# -- the doors ---------------------------------------------------------------------------------------------


def qmp(chance: Random) -> None:
    """Bytes and commands on a monitor."""
    puppet = machine()
    conn = puppet.open()
    for _ in range(chance.randrange(1, 12)):
        data = noise(chance)
        if chance.random() < 0.9:
            message = schema().message(chance)
            if message["execute"] in _LAST:
                continue
            data = json.dumps(message).encode()
            if chance.random() < 0.05:
                data = data[: chance.randrange(len(data))]
        throw(puppet, conn, chance, data)
        if puppet.ended is not None or conn not in puppet.machine.sessions:
            return
    alive(puppet, conn)


def throw(puppet: Steady, conn: int, chance: Random, data: bytes) -> None:
    """Write it, whole or in two."""
    cut = chance.randrange(len(data) + 1) if chance.random() < 0.2 else len(data)
    for piece in (data[:cut], data[cut:]):
        if piece and puppet.ended is None and conn in puppet.machine.channels:
            puppet.steps = 0
            puppet.write(conn, piece)
    puppet.calm()


AGENT = (
    "guest-sync", "guest-sync-delimited", "guest-ping", "guest-info", "guest-get-time", "guest-set-time",
    "guest-exec", "guest-exec-status", "guest-file-open", "guest-file-read", "guest-file-write",
    "guest-file-seek", "guest-file-flush", "guest-file-close", "guest-fsfreeze-status",
    "guest-fsfreeze-freeze", "guest-fsfreeze-thaw", "guest-network-get-interfaces", "guest-get-users",
    "guest-get-vcpus", "guest-set-vcpus", "guest-get-osinfo", "guest-set-user-password", "guest-get-fsinfo",
    "guest-ssh-add-authorized-keys", "guest-get-disks", "guest-get-timezone", "guest-suspend-ram",
)  # fmt: skip
MEMBERS = (
    "id", "path", "arg", "env", "input-data", "capture-output", "pid", "mode", "handle", "count", "buf-b64",
    "offset", "whence", "time", "vcpus", "username", "password", "crypted", "keys", "reset", "mountpoints",
)  # fmt: skip


def agent(chance: Random) -> None:
    """Bytes and commands on the agent's channel."""
    puppet = machine()
    conn, monitor = puppet.connect("charchannel0"), puppet.open()
    for _ in range(chance.randrange(1, 12)):
        data = noise(chance)
        if chance.random() < 0.85:
            arguments = {
                chance.choice(MEMBERS): chance.choice((1, 1000, "L2V0Yy9ob3N0bmFtZQ==", anything(chance)))
                for _ in range(chance.randrange(4))
            }
            message = {"execute": chance.choice(AGENT), "arguments": arguments, "id": anything(chance, 1)}
            data = json.dumps(message).encode() + b"\n"
        throw(puppet, conn, chance, data)
    alive(puppet, monitor)


WORDS = (
    "info", "status", "block", "qtree", "help", "stop", "cont", "savevm", "loadvm", "delvm", "x",
    "device_add", "device_del", "e1000,id=n1", "net0", "set_link", "off", "balloon", "512", "screendump",
    "/tmp/x", "print", "$rip", "x", "/10i", "0x1000", "sendkey", "ctrl-alt-f1", "migrate", "-d",
    "unix:/x", "commit", "all", "drive_add", "hostfwd_add", "tcp::1-:2", "log", "memsave", "chardev-add",
    "null,id=z", "qom-list", "/machine", "1+", "((",
)  # fmt: skip


def people(chance: Random) -> None:
    """Keys and lines on the monitor for people."""
    puppet = machine()
    conn, monitor = puppet.connect("people"), puppet.open()
    for _ in range(chance.randrange(1, 15)):
        data = noise(chance, b"abcdefgh \t\r\n\x01\x03\x04\x05\x08\x0b\x0c\x17\x1b[]ABCDOHF~;/$0123456789-")
        if chance.random() < 0.7:
            data = " ".join(chance.choice(WORDS) for _ in range(chance.randrange(1, 5))).encode() + b"\r"
        throw(puppet, conn, chance, data)
        puppet.take(conn)
    alive(puppet, monitor)


VERBS = ("hello", "state", "set", "emit", "do", "unstall", "calls", "events", "rules", "wait", "save", "load")


def ctl(chance: Random) -> None:
    """Bytes and requests on the control socket."""
    puppet = machine(CTL)
    monitor, conn = puppet.open(), puppet.connect("fakeqemu-ctl")
    members: dict[str, Callable[[], Any]] = {
        "event": lambda: chance.choice(("STOP", "X", 5)),
        "data": lambda: anything(chance),
        "words": lambda: chance.choice(
            (
                {"guest": {"powerdown": "ignore"}}, {"stall": "1s"}, {"guest": "reset"}, {"slow": "1KiB/s"},
                {"emit": [{"event": "A", "after": "1s"}]}, {"unplug": {"refuse": True}}, anything(chance),
            )
        ),
        "add": lambda: [
            {
                "on": chance.choice(("command", "event", "x")),
                "match": chance.choice(NAMES) or "q*",
                "count": 1,
                "do": chance.choice(({"drop": True}, {"delay": "1s"}, {"lie": {"a": 1}}, anything(chance))),
            }
        ],
        "state": lambda: chance.choice(
            (
                {
                    "format": "fakeqemu/state@1",
                    "runstate": "paused",
                    "parts": {
                        name: anything(chance) for name in ("block", "jobs", "guest", "hardware", "migration")
                    },
                },
                anything(chance),
            )
        ),
        "for": lambda: chance.choice(("event", "command", "runstate", "x")),
        "match": lambda: chance.choice(NAMES), "timeout": lambda: chance.choice(("1s", "0", "x")),
        "since": lambda: chance.choice(NUMBERS), "remove": lambda: chance.choice(("*", "ctl *", "[")),
    }  # fmt: skip
    for _ in range(chance.randrange(1, 10)):
        data = noise(chance)
        if chance.random() < 0.9:
            given = {name: members[name]() for name in members if chance.random() < 0.3}
            data = (
                json.dumps({"do": chance.choice(VERBS), "id": anything(chance, 1), **given}).encode() + b"\n"
            )
        throw(puppet, conn, chance, data)
        for line in puppet.take(conn).split(b"\n"):
            if line:
                json.loads(line)
        if puppet.ended is not None:
            return
    for rule in ([{"do": "unstall"}], [{"do": "rules", "remove": "*"}]):
        throw(puppet, conn, chance, b"".join(json.dumps(line).encode() + b"\n" for line in rule))
    puppet.run(60 * SECOND)
    if conn in puppet.machine.channels and monitor in puppet.machine.sessions:
        alive(puppet, monitor)


def migration(chance: Random) -> None:
    """Bytes where a migration stream should come from: any, or a real one with a few of them wrong."""
    argv = [*FULL, "-incoming", "unix:/run/in"]
    puppet = machine(argv=argv)
    monitor = puppet.open()
    names = [
        name for name in puppet.accepting if name not in ("charmonitor", "charchannel0", "serial0", "people")
    ]
    if not names:
        return
    conn = puppet.connect(names[0])
    data = bytearray(stream())
    kind = chance.randrange(4)
    if kind == 0:
        data = bytearray(noise(chance) * 10)
    elif kind == 1:
        data = data[: chance.randrange(len(data) + 1)]
    elif kind == 2 and data:
        for _ in range(chance.randrange(1, 5)):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    else:
        data = bytearray(resealed(chance, bytes(data)))
    throw(puppet, conn, chance, bytes(data))
    if puppet.ended is None and conn in puppet.machine.channels:
        puppet.hang_up(conn)
        puppet.calm()
    alive(puppet, monitor)


_STREAM: list[bytes] = []


def stream() -> bytes:
    """What a machine sends to a descriptor."""
    if not _STREAM:
        puppet = machine()
        monitor = puppet.open()
        puppet._plan(
            puppet.machine.received(
                puppet.now, monitor, b'{"execute":"getfd","arguments":{"fdname":"x"}}', [9]
            )
        )
        puppet.run(0)
        puppet.write(monitor, b'{"execute":"migrate","arguments":{"uri":"fd:x"}}')
        puppet.run(600 * SECOND)
        _STREAM.append(max((puppet.sent[conn] for conn in puppet.sent if conn < 0), key=len, default=b""))
    return _STREAM[0]


def resealed(chance: Random, data: bytes) -> bytes:
    """A stream in which a section says something else, with a right checksum."""
    from fakeqemu.migration.stream import HEADER, section

    at, found = len(HEADER), []
    while at + 5 <= len(data):
        length = int.from_bytes(data[at + 1 : at + 5], "big")
        found.append((data[at], data[at + 5 : at + 5 + length]))
        at += 5 + length + 4
    out = HEADER
    victim = chance.randrange(len(found)) if found else 0
    for number, (sort, payload) in enumerate(found):
        kind = sort
        try:
            value = json.loads(payload)
        except ValueError:
            value = None
        if number == victim:
            value = mutated(chance, value)
            kind = chance.choice((sort, sort, sort, chance.randrange(256)))
        out += section(kind, value)
    return out


def mutated(chance: Random, value: Any) -> Any:
    """A value with something in it changed."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(list(value))
        return value | {key: mutated(chance, value[key])}
    if isinstance(value, list) and value and chance.random() < 0.9:
        place = chance.randrange(len(value))
        return [*value[:place], mutated(chance, value[place]), *value[place + 1 :]]
    return anything(chance)


OPTIONS = sorted(WITH_VALUE | FLAGS)
VALUES = (
    *NAMES, "{", "{}", "a=b,c=d", "id=x", "socket,id=x", "1G", "pc", "q35", "virt", "unix:/x,server",
    "user,id=x", ",,", "=", '{"driver":"e1000"}', '{"driver":"null-co","node-name":"n"}',
    "cpus=4,sockets=2", "file=/x,if=virtio", "socket,id=c,path=/x,server=on,wait=off",
    "chardev=c,mode=control", "order=cd,menu=on", ":0", "none", "4,maxcpus=2",
)  # fmt: skip


def argv(chance: Random) -> None:
    """Any command line."""
    words = ["qemu-system-x86_64"] if chance.random() < 0.7 else list(FULL)
    for _ in range(chance.randrange(8)):
        words.append(f"-{chance.choice(OPTIONS)}" if chance.random() < 0.6 else chance.choice(VALUES))
        if chance.random() < 0.1:
            words.append(noise(chance).decode("utf-8", "surrogateescape").replace("\0", ""))
    try:
        CommandLine(words)
    except ArgvError as error:
        text = str(error)
    else:
        text = "\n"
    assert text.endswith("\n")
    puppet = Steady(argv=words)
    puppet.start()
    puppet.calm()
    assert puppet.ended is None or isinstance(puppet.ended, do.Exit)
    for chardev in puppet.accepting[:4]:
        if puppet.ended is None:
            puppet.write(puppet.connect(chardev), noise(chance))
            puppet.calm()


def script(chance: Random) -> None:
    """The text of a script, more or less."""
    from fakeqemu.scripts.deeds import STEPS, Do
    from fakeqemu.scripts.words import StartRule

    words = (
        *STEPS,
        *Do.model_fields,
        *StartRule.model_fields,
        "at",
        "on",
        "do",
        "start",
        "1s",
        "5GiB/s",
        "true",
        "*",
    )
    text = "".join(
        chance.choice(
            ("- ", "{", "}", "[", "]", ": ", ", ", "\n", "\n  ", "&a ", "*a", '"', chance.choice(words))
        )
        for _ in range(chance.randrange(60))
    )
    _, mistakes = check_text(text.encode() + (noise(chance) if chance.random() < 0.2 else b""))
    assert all(line >= 1 and column >= 1 and message for line, column, message in mistakes)


#: What a deed may say; the grammar knows which of them fit together.
DEEDS: dict[str, tuple[Any, ...]] = {
    "delay": ("0", "3s", {"uniform": ["0", "2s"]}, {"pareto": {"scale": "1ms", "shape": 1}, "max": "5s"}),
    "stall": ("1ms", "5s"),
    "error": ({"desc": "no"}, {"class": "DeviceNotFound", "desc": ""}),
    "drop": (True,), "garbage": ("}", ""), "oversize": (2, "1KiB"), "reply": (5, [], {"a": None}),
    "id": (7, "none", {}), "lie": ({"a.b": 1}, {"*": None}, {"0.x": "", "running": 5}),
    "omit": (["*"], ["a.b", "0"]), "extra": (True, {"x": 1}), "respell": (True,), "duplicate": (1, 5),
    "reorder": (True, {"after": 3, "within": "1s"}), "split": (True, {"size": 9, "gap": "1ms"}),
    "corrupt": (1, 40), "truncate": (0, 9),
    "emit": ({"event": "STOP"}, [{"event": "RESUME", "after": "1s"}, {"event": "SHUTDOWN"}]),
    "guest": GUEST, "io_error": ({}, {"nospace": True}, {"device": "b", "operation": "read"}),
    "close": (True,), "slow": ("1KiB/s",), "stop_reading": (True, "1s"),
    "signal": ("SIGTERM", "SIGHUP", "SIGUSR1"),
}  # fmt: skip


def rule(chance: Random) -> dict[str, Any]:
    """A rule that the grammar accepts, most of the time."""
    from fakeqemu.scripts.deeds import STEPS, TIMED

    step = chance.choice(("time", *STEPS))
    allowed = [word for word in (TIMED if step == "time" else STEPS[step]) if word in DEEDS]
    words = chance.sample(allowed, min(len(allowed), chance.choice((1, 1, 2, 3))))
    found: dict[str, Any] = {"do": {word: chance.choice(DEEDS[word]) for word in words}}
    if step == "time":
        found["at"] = chance.choice(("0", "1s", "1500ms"))
        if chance.random() < 0.3:
            found |= {"every": "700ms", "count": 4}
        return found
    found["on"] = step
    if chance.random() < 0.4:
        found["skip"] = chance.randrange(4)
    if chance.random() < 0.5:
        found["probability"] = 0.5
    if chance.random() < 0.3:
        found["when"] = "after"
    return found


def deeds(chance: Random) -> None:
    """Rules of any sort, and a conversation under them."""
    from fakeqemu.scripts.grammar import script_mistakes

    rules = [
        one for one in (rule(chance) for _ in range(chance.randrange(1, 5))) if not script_mistakes([one])
    ]
    puppet = Steady(*rules, argv=FULL)
    puppet.start()
    puppet.calm()
    commands = (
        "query-status",
        "stop",
        "cont",
        "system_reset",
        "query-block",
        "system_powerdown",
        "nonsense",
        "quit",
    )
    for _ in range(chance.randrange(1, 15)):
        if puppet.ended is not None:
            return
        waiting = [name for name in puppet.accepting if name in ("charmonitor", "charchannel0")]
        if waiting and chance.random() < 0.5:
            puppet.connect(chance.choice(waiting))
        conns = [conn for conn in puppet.machine.channels if conn > 0]
        puppet.steps = 0
        if conns:
            command = chance.choice(("qmp_capabilities", "guest-ping", *commands))
            puppet.write(chance.choice(conns), json.dumps({"execute": command, "id": 1}).encode() + b"\n")
        puppet.calm()
        if conns and chance.random() < 0.1:
            puppet.hang_up(chance.choice(conns))
        if chance.random() < 0.05:
            puppet.signal(15)


#: Name -> what is thrown.
TARGETS: dict[str, Callable[[Random], None]] = {
    "qmp": qmp, "agent": agent, "people": people, "ctl": ctl, "migration": migration, "argv": argv,
    "script": script, "deeds": deeds, "server": server,
}  # fmt: skip


#: Where the bytes of the corpus go in: a character device; a command line goes in at the start.
_DOORS = {"qmp": "charmonitor", "agent": "charchannel0", "people": "people", "ctl": "fakeqemu-ctl"}


def replay(target: str, seed: str) -> None:
    """One throw again."""
    TARGETS[target](Random(seed))


def again(target: str, entry: dict[str, Any]) -> None:
    """An entry of the corpus: ``{"why", "bytes"}`` (Latin-1), or ``{"why", "argv"}``."""
    if target == "argv":
        puppet = Steady(argv=entry["argv"])
        puppet.start()
        puppet.calm()
        assert puppet.ended is None or isinstance(puppet.ended, do.Exit)
        return
    data = entry["bytes"].encode("latin-1")
    if target == "script":
        check_text(data)
        return
    puppet = machine(CTL, argv=[*FULL, "-incoming", "unix:/run/in"] if target == "migration" else None)
    monitor = puppet.open()
    door = _DOORS.get(target) or next(name for name in puppet.accepting if name.startswith("-incoming"))
    conn = monitor if door == "charmonitor" else puppet.connect(door)
    puppet.write(conn, data)
    puppet.calm()
    if monitor in puppet.machine.sessions:
        alive(puppet, monitor)
