# ruff: noqa: E501
"""Two real QEMUs, two fakes, and one of each: the same events in the same order, the same members, the same words."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.processes import Client, Program, fake_argv, real_argv

pytestmark = pytest.mark.real_qemu

MAKERS = {"real": real_argv, "fake": fake_argv}
#: What depends on the time it took, or on what firmware wrote meanwhile.
TIMES = {"setup-time", "downtime", "total-time", "expected-downtime"}
MOVING = {
    "mbps", "pages-per-second", "transferred", "precopy-bytes", "downtime-bytes", "postcopy-bytes", "multifd-bytes",
    "pages", "bytes", "cache-miss", "cache-miss-rate", "encoding-rate", "duplicate", "normal", "normal-bytes", "remaining", "dirty-sync-count", "dirty-pages-rate", "postcopy-requests",
}  # fmt: skip


class Machine:
    """A QEMU, real or not, and a monitor on it."""

    def __init__(self, kind: str, directory: Path, name: str, *more: str, ram: str = "64") -> None:
        self.path = directory / f"{name}.qmp"
        words = ("-machine", "pc", "-accel", "tcg", "-m", ram, "-S", "-nodefaults", "-display", "none")
        self.program = Program(
            MAKERS[kind](*words, "-qmp", f"unix:{self.path},server=on,wait=off", *more), directory
        )
        self.client: Client = self.program.client(self.path).negotiate()
        self.events: list[str] = []

    def ask(self, command: str, fd: int | None = None, **arguments: Any) -> Any:
        """A reply; events go where the others are, and so does a mark for the reply to migrate."""
        message: dict[str, Any] = {"execute": command}
        if arguments:
            message["arguments"] = {name.replace("_", "-"): value for name, value in arguments.items()}
        data = json.dumps(message).encode()
        if fd is None:
            self.client.send(data)
        else:
            socket.send_fds(self.client.sock, [data], [fd])
        while True:
            found = self.client.message()
            if found is None:
                return None
            if "event" in found:
                self.note(found)
                continue
            if command == "migrate":
                self.events.append("reply")
            return found.get("return", found.get("error"))

    def note(self, event: dict[str, Any]) -> None:
        value = list(event.get("data", {}).values())
        self.events.append(" ".join([event["event"], *map(str, value[:1])]))

    def until(self, *wanted: str, patience_s: float = 20.0) -> None:
        """Take events until one of these has come, or the end."""
        end = time.monotonic() + patience_s  # noqa: TID251
        while not any(one in self.events for one in wanted):
            left = end - time.monotonic()  # noqa: TID251
            assert left > 0, self.events
            if b"\r\n" not in self.client.held:
                ready, _, _ = select.select([self.client.sock], [], [], left)
                if not ready:
                    continue
            found = self.client.message()
            if found is None:
                return
            if "event" in found:
                self.note(found)

    def settled(self) -> Any:
        """The run state once the thread of the migration has gone."""
        end = time.monotonic() + 20  # noqa: TID251
        while (found := self.ask("query-status"))["status"] == "finish-migrate":
            assert time.monotonic() < end  # noqa: TID251
        return found

    def on(self, *names: str) -> None:
        entries = [{"capability": name, "state": True} for name in names]
        assert self.ask("migrate-set-capabilities", capabilities=entries) == {}

    def close(self) -> tuple[int, str]:
        self.client.sock.close()
        if self.program.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self.program.signal(15)
        return self.program.ended()


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Callable[..., Machine]]:
    made: list[Machine] = []

    def make(kind: str, *more: str, **others: Any) -> Machine:
        made.append(Machine(kind, tmp_path, f"m{len(made)}", *more, **others))
        return made[-1]

    yield make
    for machine in made:
        machine.client.sock.close()
        if machine.program.process.poll() is None:
            machine.program.process.kill()
        machine.program.process.communicate()


def shape(value: Any) -> Any:
    """What must be the same: every member in its order; values but those that move."""
    if isinstance(value, dict):
        return [(key, "" if key in TIMES | MOVING else shape(one)) for key, one in value.items()]
    return [shape(one) for one in value] if isinstance(value, list) else value


def both(play: Callable[[str], Any]) -> None:
    """Play it with real machines and with fakes: the same comes of it."""
    assert play("fake") == play("real")


def adds_up(report: dict[str, Any]) -> None:
    ram = report["ram"]
    assert ram["transferred"] == sum(
        ram[f"{name}-bytes"] for name in ("precopy", "downtime", "postcopy", "multifd")
    )
    assert ram["normal-bytes"] == ram["normal"] * ram["page-size"]


def test_a_machine_that_never_ran_says_the_very_same(
    machines: Callable[..., Machine], tmp_path: Path
) -> None:
    def play(kind: str) -> Any:
        uri = f"unix:{tmp_path}/{kind}.mig"
        here, there = machines(kind), machines(kind, "-incoming", uri)
        for one in (here, there):
            one.on("events")
        waiting = there.ask("query-migrate"), there.settled(), there.ask("migrate", uri="unix:/x")
        assert here.ask("migrate", uri=uri) == {}
        here.until("MIGRATION completed")
        there.until("MIGRATION completed")
        report = here.ask("query-migrate")
        adds_up(report)
        for name in ("mbps", *TIMES):
            report.pop(name, None) if name in TIMES else report["ram"].pop(name)
        said = [here.events, there.events, report, there.ask("query-migrate")]
        said += [here.settled(), there.settled(), here.ask("migrate", uri=uri)]
        return json.dumps([waiting, said, Path(uri[5:]).exists()]).replace(f"{kind}.mig", "mig")

    both(play)


def test_a_guest_that_runs_and_goes_over(machines: Callable[..., Machine], tmp_path: Path) -> None:
    def play(kind: str) -> Any:
        uri = f"unix:{tmp_path}/{kind}.mig"
        here, there = machines(kind), machines(kind, "-incoming", "defer")
        for one in (here, there):
            one.on("events", "return-path", "xbzrle")
        here.ask("cont")
        there.ask("cont")  # it may run as soon as it is there
        failed = [
            there.ask("migrate-incoming", uri="bogus"),
            there.ask("migrate-incoming", uri="unix:/nonexist/a"),
        ]
        failed += [
            there.ask("query-migrate"),
            there.ask("migrate-incoming", uri=uri),
            there.ask("migrate-incoming", uri=uri),
        ]
        assert here.ask("migrate", uri=uri) == {}
        here.until("MIGRATION completed")
        there.until("MIGRATION completed")
        report = here.ask("query-migrate")
        adds_up(report)
        return [
            failed,
            here.events,
            there.events,
            shape(report),
            here.settled(),
            there.settled(),
        ]

    both(play)


def test_slowly_asked_and_cancelled(machines: Callable[..., Machine], tmp_path: Path) -> None:
    def play(kind: str) -> Any:
        uri = f"unix:{tmp_path}/{kind}.mig"
        here, there = machines(kind, ram="256"), machines(kind, "-incoming", uri, ram="256")
        for one in (here, there):
            one.on("events")
        here.ask("cont")
        here.ask("migrate-set-parameters", max_bandwidth=20000)
        here.ask("migrate", uri=uri)
        assert here.ask("query-migrate")["status"] in ("setup", "active")
        here.until("MIGRATION active")
        there.until("MIGRATION active")
        select.select([], [], [], 0.25)
        report = here.ask("query-migrate")
        adds_up(report)
        said = [shape(report), here.ask("migrate", uri=uri), here.ask("migrate-pause")]
        said += [here.ask("migrate-set-capabilities", capabilities=[{"capability": "xbzrle", "state": True}])]
        waiting = there.ask("query-migrate")
        waiting.pop("socket-address")
        said += [waiting, here.ask("migrate_cancel"), shape(here.ask("query-migrate"))]
        here.until("MIGRATION cancelled")
        said += [here.ask("query-migrate"), here.ask("query-status"), here.events]
        there.until("MIGRATION failed")
        return [*said, there.events, *there.close()]

    both(play)


def test_pause_before_switchover(machines: Callable[..., Machine], tmp_path: Path) -> None:
    def play(kind: str) -> Any:
        uri = f"unix:{tmp_path}/{kind}.mig"
        here, there = machines(kind), machines(kind, "-incoming", uri)
        here.on("events", "pause-before-switchover")
        here.ask("cont")
        here.ask("migrate", uri=uri)
        here.until("MIGRATION pre-switchover")
        report = here.ask("query-migrate")
        adds_up(report)
        said = [
            shape(report),
            here.ask("query-status"),
            here.ask("cont"),
            here.ask("migrate-continue", state="device"),
        ]
        said.append(here.ask("migrate-continue", state="pre-switchover"))
        here.until("MIGRATION completed")
        return [*said, shape(here.ask("query-migrate")), here.events, there.ask("query-status")]

    both(play)


def test_postcopy_interrupted_and_mended(machines: Callable[..., Machine], tmp_path: Path) -> None:
    def play(kind: str) -> Any:
        uri, again = f"unix:{tmp_path}/{kind}.mig", f"unix:{tmp_path}/{kind}.again"
        here, there = machines(kind, ram="256"), machines(kind, "-incoming", uri, ram="256")
        said = [here.ask("migrate-start-postcopy")]
        for one in (here, there):
            one.on("events", "postcopy-ram")
        said.append(here.ask("migrate-start-postcopy"))
        here.ask("cont")
        here.ask("migrate-set-parameters", max_bandwidth=20000, max_postcopy_bandwidth=5000)
        here.ask("migrate", uri=uri)
        here.until("MIGRATION active")
        select.select([], [], [], 0.15)
        said.append(here.ask("migrate-start-postcopy"))
        here.until("MIGRATION_PASS 2")
        there.until("MIGRATION postcopy-active")
        select.select([], [], [], 0.3)
        said += [
            shape(here.ask("query-migrate")),
            here.ask("query-status"),
            there.ask("query-status"),
            here.ask("migrate-pause"),
        ]
        here.until("MIGRATION postcopy-paused")
        there.until("MIGRATION postcopy-paused")
        said += [shape(here.ask("query-migrate")), there.ask("query-status"), here.ask("cont")]
        said += [
            there.ask("migrate-recover", uri="bogus"),
            there.ask("migrate-recover", uri=again),
            here.ask("migrate", uri=again),
        ]
        here.ask("migrate", uri=again, resume=True)
        here.until("MIGRATION postcopy-recover")
        select.select([], [], [], 0.3)
        here.ask("migrate-set-parameters", max_postcopy_bandwidth=0)
        here.until("MIGRATION completed")
        there.until("MIGRATION completed")
        said += [
            shape(here.ask("query-migrate")),
            there.ask("query-migrate")["status"],
            here.events,
            there.events,
        ]
        return [*said, here.ask("query-status"), there.settled()]

    both(play)


def test_into_a_file_and_back(machines: Callable[..., Machine], tmp_path: Path) -> None:
    def play(kind: str) -> Any:
        path = tmp_path / f"{kind}.save"
        here = machines(kind)
        here.on("events")
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.write(fd, b"as libvirtd does".ljust(64))
        said = [
            here.ask("cont"),
            here.ask("stop"),
            here.ask("getfd", fd=fd, fdname="migrate"),
            here.ask("migrate", uri="fd:migrate"),
        ]
        os.close(fd)
        here.until("MIGRATION completed")
        report = here.ask("query-migrate")
        adds_up(report)
        said += [shape(report), here.events]
        there = machines(kind, "-incoming", "defer")
        there.on("events")
        fd = os.open(path, os.O_RDONLY)
        os.lseek(fd, 64, 0)
        said += [there.ask("getfd", fd=fd, fdname="m"), there.ask("migrate-incoming", uri="fd:m")]
        os.close(fd)
        there.until("MIGRATION completed")
        return [
            *said,
            there.events,
            there.ask("query-migrate"),
            there.ask("query-status"),
            there.ask("migrate-incoming", uri="fd:m"),
        ]

    both(play)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "bogus",
        "fd:x",
        "fd:99",
        "unix:",
        "unix:/nonexist/x",
        "tcp:",
        "tcp:x",
        "tcp:127.0.0.1:",
        "defer",
        "exec:false",
    ],
)
def test_words_for_a_uri_that_leads_nowhere(machines: Callable[..., Machine], uri: str) -> None:
    def play(kind: str) -> Any:
        here = machines(kind)
        here.on("events")
        said = [here.ask("migrate", uri=uri)]
        here.until("MIGRATION failed")
        report = here.ask("query-migrate")
        if uri.startswith("exec:"):  # broken pipe, or bad descriptor: who is first
            report.pop("error-desc")
        return [said, here.events, report, here.settled()]

    both(play)


def test_a_pipe_that_nobody_reads_and_one_that_cannot_be_written(machines: Callable[..., Machine]) -> None:
    def play(kind: str) -> Any:
        here = machines(kind)
        here.on("events")
        said = []
        for end in (1, 0):
            here.events.clear()
            ends = os.pipe()
            if end == 1:
                os.close(ends[0])
            here.ask("getfd", fd=ends[end], fdname="m")
            os.close(ends[end])
            said.append(here.ask("migrate", uri="fd:m"))
            here.until("MIGRATION failed")
            said += [here.ask("query-migrate"), list(here.events)]
            if end == 0:
                os.close(ends[1])
        return said

    both(play)


def test_neither_takes_the_others_stream(machines: Callable[..., Machine], tmp_path: Path) -> None:
    for source, target in (("real", "fake"), ("fake", "real")):
        uri = f"unix:{tmp_path}/{source}.mig"
        here, there = machines(source), machines(target, "-incoming", uri)
        here.on("events")
        there.on("events")
        here.ask("migrate", uri=uri)
        here.until("MIGRATION failed")
        there.until("MIGRATION failed")
        status, words = there.close()
        assert status == 1
        assert (
            words
            == "qemu-system-x86_64: Not a migration stream\nqemu-system-x86_64: load of migration failed: Invalid argument\n"
        )
        # What is small has left before the other end is found to be gone, or not.
        assert here.ask("query-status")["status"] in ("prelaunch", "postmigrate")
        assert here.ask("query-migrate") == {
            "status": "failed",
            "error-desc": "Unable to write to socket: Broken pipe",
        }


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (("-m", "64"), ("-m", "96")),
        (("-machine", "q35"), ()),
        (("-device", "virtio-balloon-pci"), ()),
        ((), ("-device", "virtio-balloon-pci")),
    ],
)
def test_words_for_another_machine(
    machines: Callable[..., Machine], tmp_path: Path, ours: tuple[str, ...], theirs: tuple[str, ...]
) -> None:
    def play(kind: str) -> Any:
        uri = f"unix:{tmp_path}/{kind}.mig"
        here, there = machines(kind, *ours), machines(kind, *theirs, "-incoming", uri)
        here.on("events")
        there.on("events")
        here.ask("migrate", uri=uri)
        here.until("MIGRATION failed", "MIGRATION completed")
        there.until("MIGRATION failed", "MIGRATION completed")
        return [there.events, *there.close()]

    both(play)


@pytest.mark.parametrize("uri", ["bogus", "unix:", "tcp:x", "fd:abc", "unix:/nonexist/z", ""])
def test_words_for_nowhere_to_come_from(tmp_path: Path, uri: str) -> None:
    said = []
    for argv in MAKERS.values():
        words = ("-machine", "pc", "-accel", "tcg", "-S", "-nodefaults", "-display", "none", "-incoming", uri)
        with Program(argv(*words), tmp_path) as program:
            said.append(program.ended())
    assert said[0] == said[1]


PARAMETERS = [
    {"compress-level": 10}, {"compress-level": -1}, {"compress-threads": 0}, {"compress-threads": 256}, {"decompress-threads": 0},
    {"throttle-trigger-threshold": 0}, {"cpu-throttle-initial": 100}, {"cpu-throttle-increment": 0}, {"max-bandwidth": -1},
    {"max-bandwidth": (1 << 64) - 1}, {"downtime-limit": 2000001}, {"downtime-limit": -1}, {"x-checkpoint-delay": 1 << 40},
    {"multifd-channels": 0}, {"multifd-channels": 255}, {"multifd-zlib-level": 10}, {"xbzrle-cache-size": 5000}, {"xbzrle-cache-size": 0},
    {"max-cpu-throttle": 100}, {"max-cpu-throttle": 5}, {"announce-initial": 100001}, {"announce-rounds": 1001}, {"announce-step": 0},
    {"multifd-compression": "zip"}, {"multifd-compression": "zlib"}, {"tls-creds": None}, {"tls-creds": "x"}, {"tls-hostname": ""},
    {"block-bitmap-mapping": [{"node-name": "a", "alias": "b", "bitmaps": [{"name": "x", "alias": "y"}]}]}, {"block-incremental": True},
    {"cpu-throttle-initial": 50, "max-cpu-throttle": 40}, {"downtime-limit": 2000000}, {"bogus": 1}, {},
]  # fmt: skip
PAIRS = [
    (), ("xbzrle",), ("zero-copy-send",), ("zero-copy-send", "multifd"), ("postcopy-preempt",), ("postcopy-preempt", "postcopy-ram"),
    ("postcopy-ram", "x-ignore-shared"), ("multifd", "compress"), ("multifd", "xbzrle"), ("background-snapshot", "postcopy-ram"),
    ("background-snapshot", "multifd"), ("background-snapshot", "events"), ("background-snapshot", "auto-converge"),
    ("background-snapshot", "validate-uuid", "xbzrle"), ("zero-copy-send", "multifd", "compress"),
]  # fmt: skip


def test_parameters_and_capabilities(machines: Callable[..., Machine]) -> None:
    def play(kind: str) -> Any:
        here = machines(kind)
        said = [here.ask("query-migrate-parameters")]
        for given in PARAMETERS:
            said.append(here.ask("migrate-set-parameters", **given))
        said.append(here.ask("query-migrate-parameters"))
        here.ask("migrate-set-parameters", multifd_compression="none", tls_creds="")
        for names in PAIRS:
            here.ask(
                "migrate-set-capabilities",
                capabilities=[{"capability": name, "state": False} for pair in PAIRS for name in pair],
            )
            said.append(
                here.ask(
                    "migrate-set-capabilities",
                    capabilities=[{"capability": name, "state": True} for name in names],
                )
            )
            said.append(here.ask("query-migrate-capabilities"))
        return json.dumps(said)

    both(play)


ODDS: list[tuple[str, dict[str, Any]]] = [
    ("migrate-continue", {"state": "setup"}), ("migrate-continue", {"state": "none"}), ("migrate-pause", {}), ("migrate-recover", {"uri": "x"}),
    ("migrate_cancel", {}), ("migrate-incoming", {"uri": "tcp:x"}), ("migrate", {"uri": "tcp:127.0.0.1:1", "resume": True}), ("query-migrate", {}),
    ("closefd", {"fdname": "x"}), ("getfd", {"fdname": "x"}), ("getfd", {"fdname": "1x"}), ("add-fd", {}), ("remove-fd", {"fdset-id": 9}),
    ("remove-fd", {"fdset-id": 0, "fd": 3}), ("query-fdsets", {}), ("calc-dirty-rate", {"calc-time": 0}), ("calc-dirty-rate", {"calc-time": 61}),
    ("calc-dirty-rate", {"calc-time": 1, "sample-pages": 10}), ("query-dirty-rate", {}), ("set-vcpu-dirty-limit", {"dirty-rate": 10}),
    ("cancel-vcpu-dirty-limit", {"cpu-index": 0}), ("query-vcpu-dirty-limit", {}), ("query-stats", {"target": "vm"}), ("query-stats", {"target": "x"}),
    ("query-stats", {"target": "vcpu", "providers": [{"provider": "kvm"}]}), ("query-stats-schemas", {}), ("query-stats-schemas", {"provider": "x"}),
    ("query-dump", {}), ("dump-guest-memory", {"paging": False, "protocol": "bogus"}), ("dump-guest-memory", {"paging": False, "protocol": "fd:x"}),
    ("dump-guest-memory", {"paging": False, "protocol": "file:/nonexist/x"}), ("dump-guest-memory", {"paging": False, "protocol": "file:"}),
    ("dump-guest-memory", {"paging": False, "protocol": "file:x", "format": "kdump-lzo"}), ("dump-guest-memory", {"paging": True, "protocol": "file:x", "format": "kdump-zlib"}),
    ("dump-guest-memory", {"paging": False, "protocol": "file:x", "begin": 0}), ("dump-guest-memory", {"paging": False, "protocol": "file:x", "length": 0}),
    ("dump-guest-memory", {"paging": False, "protocol": "file:x", "begin": 1 << 40, "length": 4096}), ("dump-guest-memory", {"paging": False, "protocol": "file:w", "format": "win-dmp"}),
    ("dump-guest-memory", {"paging": False, "protocol": "file:x"}), ("query-dump", {}), ("query-dump-guest-memory-capability", {}),
    ("memsave", {"val": 0, "size": 100, "filename": "m", "cpu-index": 4}), ("memsave", {"val": 1 << 50, "size": 100, "filename": "m"}),
    ("pmemsave", {"val": 0, "size": 100, "filename": "/nonexist/m"}), ("human-monitor-command", {"command-line": "info status", "cpu-index": 7}),
]  # fmt: skip


def test_odd_questions(machines: Callable[..., Machine]) -> None:
    def play(kind: str) -> Any:
        here = machines(kind)
        here.on("events")
        said = [(name, here.ask(name, **given)) for name, given in ODDS]
        return json.dumps([said, here.events])

    both(play)


def test_descriptors(machines: Callable[..., Machine], tmp_path: Path) -> None:
    def play(kind: str) -> Any:
        here = machines(kind)
        with (tmp_path / "file").open("w") as file:
            fd = file.fileno()
            said: list[Any] = [
                here.ask("getfd", fd=fd, fdname="1x"), here.ask("getfd", fd=fd, fdname="a"), here.ask("getfd", fd=fd, fdname="a"),
                here.ask("closefd", fdname="a"), here.ask("closefd", fdname="a"), here.ask("getfd", fd=fd, fdname=""),
                here.ask("add-fd", fd=fd, fdset_id=-1),
            ]  # fmt: skip
            made = [
                here.ask("add-fd", fd=fd, opaque="hi"), here.ask("add-fd", fd=fd, fdset_id=1), here.ask("add-fd", fd=fd, fdset_id=7, opaque="x:y"),
                here.ask("add-fd", fd=fd), here.ask("add-fd", fd=fd, fdset_id=7),
            ]  # fmt: skip
        numbers = {one["fd"]: index for index, one in enumerate(made)}

        def sets() -> Any:
            return [
                (one["fdset-id"], [(numbers[member["fd"]], member.get("opaque")) for member in one["fds"]])
                for one in here.ask("query-fdsets")
            ]

        said += [[one["fdset-id"] for one in made], sets(), here.ask("remove-fd", fdset_id=7), sets()]
        said += [here.ask("cont"), here.ask("remove-fd", fdset_id=1), sets()]
        return said

    both(play)


#: Dumps that fail, before and after their descriptor has an owner.
REFUSED_DUMPS: tuple[dict[str, Any], ...] = (
    {"format": "win-dmp"}, {"format": "win-dmp", "detach": True}, {"begin": 1 << 40, "length": 4096},
    {"begin": 1 << 40, "length": 4096, "detach": True}, {"format": "kdump-lzo"}, {"begin": 0},
)  # fmt: skip


@pytest.mark.parametrize("asked", REFUSED_DUMPS, ids=str)
def test_the_descriptor_of_a_dump_that_fails_is_closed(machines: Callable[..., Machine], asked: Any) -> None:
    def play(kind: str) -> Any:
        here = machines(kind)
        here.ask("cont")
        here.events.clear()
        out, given = os.pipe()
        said: list[Any] = [here.ask("getfd", fd=given, fdname="d")]
        os.close(given)
        said.append(here.ask("dump-guest-memory", paging=False, protocol="fd:d", **asked))
        ended = bool(select.select([out], [], [], 1.0)[0]) and os.read(out, 1) == b""
        os.close(out)
        said += [ended, here.ask("query-dump"), here.ask("closefd", fdname="d")]
        if "STOP" in here.events:
            here.until("RESUME")
        return [said, here.events]

    both(play)


def test_a_descriptor_that_is_no_socket_is_closed(machines: Callable[..., Machine]) -> None:
    def play(kind: str) -> Any:
        here = machines(kind)
        out, given = os.pipe()
        said: list[Any] = [here.ask("getfd", fd=given, fdname="s")]
        os.close(given)
        backend = {"type": "socket", "data": {"addr": {"type": "fd", "data": {"str": "s"}}, "wait": False}}
        said.append(here.ask("chardev-add", id="c", backend=backend))
        said.append(bool(select.select([out], [], [], 1.0)[0]) and os.read(out, 1) == b"")
        os.close(out)
        return [*said, here.ask("closefd", fdname="s"), len(here.ask("query-chardev"))]

    both(play)


def test_core_files_are_the_same_but_for_registers(machines: Callable[..., Machine], tmp_path: Path) -> None:
    def play(kind: str) -> Any:
        here = machines(kind, "-smp", "2")
        path = tmp_path / f"{kind}.core"
        here.ask("dump-guest-memory", paging=False, protocol=f"file:{path}")
        data = path.read_bytes()
        return [here.events, len(data), data[:0x210], data[0x210:0x21C], data[-11:]]

    both(play)
