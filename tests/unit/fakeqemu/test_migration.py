"""Migration of a fake machine: states, events, counters, both ends, and what goes wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fakeqemu import actions as do
from fakeqemu.migration import stream
from fakeqemu.migration.memory import PAGE
from tests.helpers.pair import Pair, Wires, argv_with, capabilities
from tests.helpers.puppet import MS, SECOND

RUNNING = argv_with(without=("-S",))
MIB = 1 << 20


def words(**words_: Any) -> dict[str, Any]:
    return {"at": "start", "migration": words_}


def go(pair: Pair, uri: str = "unix:/run/mig") -> list[str]:
    """Ask for the migration: what comes until its reply."""
    pair.here.write(pair.a, json.dumps({"execute": "migrate", "arguments": {"uri": uri}}).encode())
    return pair.said(pair.here, pair.a)


def query(pair: Pair) -> dict[str, Any]:
    found: dict[str, Any] = pair.here.ask(pair.a, "query-migrate")
    return found


def adds_up(report: dict[str, Any]) -> None:
    """The counters of one report agree with each other."""
    ram = report["ram"]
    parts = ram["precopy-bytes"] + ram["downtime-bytes"] + ram["postcopy-bytes"] + ram["multifd-bytes"]
    assert ram["transferred"] == parts
    assert ram["normal-bytes"] == ram["normal"] * ram["page-size"]
    assert 0 <= ram["remaining"] <= ram["total"]


class TestOneThatGoesWell:
    def test_events_and_their_order(self) -> None:
        pair = Pair(argv=RUNNING)
        assert go(pair) == ["MIGRATION setup", "return"]
        assert query(pair) == {"status": "setup"}
        pair.run(300 * MS)
        assert pair.said(pair.here, pair.a) == [
            "MIGRATION_PASS 1", "MIGRATION active", "STOP", "MIGRATION_PASS 2", "MIGRATION completed",
        ]  # fmt: skip
        assert pair.said(pair.there, pair.b) == ["MIGRATION active", "RESUME", "MIGRATION completed"]

    def test_the_guest_is_there_and_not_here(self) -> None:
        pair = Pair(argv=RUNNING)
        go(pair)
        pair.run(300 * MS)
        pair.here.take(pair.a)
        pair.there.take(pair.b)
        assert pair.here.ask(pair.a, "query-status")["status"] == "postmigrate"
        assert pair.there.ask(pair.b, "query-status")["status"] == "running"
        assert pair.there.ask(pair.b, "query-migrate") == {"status": "completed"}
        error = pair.here.ask(pair.a, "migrate", uri="unix:/run/mig")
        assert error["desc"] == "Can't migrate the vm that was paused due to previous migration"

    def test_without_the_capability_no_events(self) -> None:
        pair = Pair(argv=RUNNING, events=False)
        assert go(pair) == ["return"]
        pair.run(300 * MS)
        assert pair.said(pair.here, pair.a) == ["STOP"]

    def test_s_holds_the_guest_back_at_the_other_end(self) -> None:
        pair = Pair(argv=RUNNING, their_argv=argv_with())
        go(pair)
        pair.run(300 * MS)
        pair.there.take(pair.b)
        assert pair.there.ask(pair.b, "query-status")["status"] == "paused"

    def test_the_counters_of_an_idle_machine_are_qemus(self) -> None:
        """-m 64 of machine pc, never started: measured with QEMU 7.2."""
        argv = (*argv_with(without=("-m", "1024", "-device")), "-m", "64")
        argv = tuple(word for word in argv if not word.startswith("{"))
        pair = Pair(argv=argv)
        go(pair)
        pair.run(SECOND)
        pair.here.take(pair.a)
        report = query(pair)
        adds_up(report)
        assert report["ram"] == {
            "total": 67641344, "postcopy-requests": 0, "dirty-sync-count": 2, "multifd-bytes": 0,
            "pages-per-second": 0, "downtime-bytes": 349373, "page-size": 4096, "remaining": 0,
            "postcopy-bytes": 0, "mbps": report["ram"]["mbps"], "transferred": 349373,
            "dirty-sync-missed-zero-copy": 0, "precopy-bytes": 0, "duplicate": 16465, "dirty-pages-rate": 0,
            "skipped": 0, "normal-bytes": 200704, "normal": 49,
        }  # fmt: skip
        assert list(report) == ["status", "setup-time", "downtime", "total-time", "ram"]

    def test_a_guest_of_12_tib_sends_few_bytes_and_takes_long(self) -> None:
        argv = tuple("12T" if word == "1024" else word for word in RUNNING)
        pair = Pair(words(used="1TiB", bandwidth="10GiB/s"), argv=argv)
        big = {"max-bandwidth": 10 << 30}
        assert (
            pair.here.ask(
                pair.a, "migrate-set-parameters", **{k.replace("-", "__"): v for k, v in big.items()}
            )
            == {}
        )
        go(pair)
        pair.run(400 * SECOND, step=SECOND)
        pair.here.take(pair.a)
        report = query(pair)
        adds_up(report)
        assert report["status"] == "active"
        assert 10 << 40 < report["ram"]["total"] < 13 << 40
        assert report["total-time"] == pytest.approx(400_000, abs=10)
        pair.run(600 * SECOND, step=SECOND)
        pair.here.take(pair.a)
        report = query(pair)
        assert report["status"] == "completed"
        assert report["ram"]["normal-bytes"] > 1 << 40
        sent = [action for _, action in pair.here.log if isinstance(action, do.Send)]
        assert sum(len(action.data) for action in sent) < 100_000


class TestMemory:
    def test_progress_between_two_questions(self) -> None:
        pair = Pair(words(used="512MiB", bandwidth="100MiB/s"), argv=RUNNING)
        go(pair)
        before = -1
        for _ in range(8):
            pair.run(500 * MS)
            pair.here.take(pair.a)
            report = query(pair)
            adds_up(report)
            assert report["status"] == "active"
            assert report["ram"]["transferred"] > before
            before = report["ram"]["transferred"]
            assert report["expected-downtime"] == 300

    def test_the_bandwidth_is_what_was_asked_for(self) -> None:
        pair = Pair(words(used="512MiB"), argv=RUNNING)
        pair.here.ask(pair.a, "migrate-set-parameters", max__bandwidth=10 * MIB)
        go(pair)
        pair.run(5 * SECOND)
        pair.here.take(pair.a)
        assert query(pair)["ram"]["transferred"] == pytest.approx(50 * MIB, rel=0.02)
        pair.here.ask(pair.a, "migrate-set-parameters", max__bandwidth=100 * MIB)
        pair.run(5 * SECOND)
        pair.here.take(pair.a)
        assert query(pair)["status"] == "completed"

    def test_pages_that_are_written_go_again(self) -> None:
        pair = Pair(words(used="512MiB", dirty="20MiB/s", bandwidth="100MiB/s"), argv=RUNNING)
        go(pair)
        pair.run(20 * SECOND)
        said = pair.said(pair.here, pair.a)
        assert said[-1] == "MIGRATION completed"
        report = query(pair)
        adds_up(report)
        assert report["ram"]["normal-bytes"] > 512 * MIB
        assert report["ram"]["dirty-sync-count"] == len(
            [one for one in said if one.startswith("MIGRATION_PASS")]
        )
        assert report["downtime"] < 400

    def test_a_guest_that_writes_too_fast_never_arrives(self) -> None:
        pair = Pair(words(used="512MiB", dirty="400MiB/s", bandwidth="100MiB/s"), argv=RUNNING)
        go(pair)
        pair.run(60 * SECOND, step=100 * MS)
        pair.here.take(pair.a)
        report = query(pair)
        assert report["status"] == "active"
        assert report["ram"]["dirty-pages-rate"] > 1000
        assert report["expected-downtime"] > 300

    def test_auto_converge_brings_it_home(self) -> None:
        pair = Pair(words(used="512MiB", dirty="150MiB/s", bandwidth="100MiB/s"), argv=RUNNING)
        pair.set("auto-converge")
        go(pair)
        seen: list[int] = []
        for _ in range(120):
            pair.run(SECOND, step=100 * MS)
            pair.here.take(pair.a)
            report = query(pair)
            seen += [report["cpu-throttle-percentage"]] if "cpu-throttle-percentage" in report else []
            if report["status"] == "completed":
                break
        assert query(pair)["status"] == "completed"
        assert seen[0] == 20
        assert seen == sorted(seen)
        assert "cpu-throttle-percentage" not in query(pair)

    def test_multifd_counts_its_own_bytes(self) -> None:
        pair = Pair(words(used="64MiB"), argv=RUNNING)
        pair.set("multifd")
        go(pair)
        pair.run(5 * SECOND)
        pair.here.take(pair.a)
        report = query(pair)
        adds_up(report)
        assert report["ram"]["multifd-bytes"] > 64 * MIB

    @pytest.mark.parametrize(
        ("capability", "member"), [("xbzrle", "xbzrle-cache"), ("compress", "compression")]
    )
    def test_capabilities_with_members_of_their_own(self, capability: str, member: str) -> None:
        pair = Pair(words(used="64MiB", dirty="30MiB/s", bandwidth="40MiB/s"), argv=RUNNING)
        pair.set(capability)
        go(pair)
        pair.run(10 * SECOND)
        pair.here.take(pair.a)
        report = query(pair)
        adds_up(report)
        assert report[member]["pages"] > 0

    def test_a_stopped_guest_writes_nothing(self) -> None:
        pair = Pair(words(used="512MiB", dirty="400MiB/s", bandwidth="100MiB/s"), argv=RUNNING)
        go(pair)
        pair.run(3 * SECOND)
        pair.here.ask(pair.a, "stop")
        pair.run(20 * SECOND)
        pair.here.take(pair.a)
        assert query(pair)["status"] == "completed"
        pair.there.take(pair.b)
        assert pair.there.ask(pair.b, "query-status")["status"] == "paused"


class TestPauseBeforeSwitchover:
    def test_waits_and_goes_on(self) -> None:
        pair = Pair(argv=RUNNING)
        pair.set("pause-before-switchover")
        go(pair)
        pair.run(300 * MS)
        assert pair.said(pair.here, pair.a)[-2:] == ["STOP", "MIGRATION pre-switchover"]
        assert query(pair)["status"] == "pre-switchover"
        assert pair.here.ask(pair.a, "query-status")["status"] == "finish-migrate"
        error = pair.here.ask(pair.a, "migrate-continue", state="device")
        assert error["desc"] == "Migration not in expected state: pre-switchover"
        pair.run(SECOND)
        assert pair.here.ask(pair.a, "migrate-continue", state="pre-switchover") == {}
        pair.run(300 * MS)
        assert query(pair)["downtime"] >= 1000

    def test_cancelled_there_the_guest_runs_on(self) -> None:
        pair = Pair(argv=RUNNING)
        pair.set("pause-before-switchover")
        go(pair)
        pair.run(300 * MS)
        pair.here.take(pair.a)
        pair.here.write(pair.a, b'{"execute":"migrate_cancel"}')
        assert pair.said(pair.here, pair.a) == ["MIGRATION cancelling", "return"]
        pair.run(100 * MS)
        assert pair.said(pair.here, pair.a) == ["RESUME", "MIGRATION cancelled"]
        assert query(pair) == {"status": "cancelled"}
        assert pair.there.ended == do.Exit(1)
        assert "check_section_footer: Read section footer failed: -5" in pair.there.stderr


class TestPostcopy:
    def pair(self) -> Pair:
        pair = Pair(words(used="512MiB", dirty="400MiB/s", bandwidth="100MiB/s"), argv=RUNNING)
        pair.set("postcopy-ram")
        go(pair)
        pair.run(SECOND)
        pair.here.take(pair.a)
        return pair

    def test_goes_over_and_completes(self) -> None:
        pair = self.pair()
        assert pair.here.ask(pair.a, "migrate-start-postcopy") == {}
        pair.run(MS)
        assert query(pair)["status"] == "postcopy-active"
        pair.there.take(pair.b)
        assert pair.there.ask(pair.b, "query-status")["status"] == "running"
        pair.run(20 * SECOND)
        pair.here.take(pair.a)
        report = query(pair)
        adds_up(report)
        assert report["status"] == "completed"
        assert report["ram"]["postcopy-bytes"] > 100 * MIB

    def test_events(self) -> None:
        pair = self.pair()
        pair.here.write(pair.a, b'{"execute":"migrate-start-postcopy"}')
        pair.run(20 * SECOND)
        assert pair.said(pair.here, pair.a) == [
            "return", "MIGRATION postcopy-active", "STOP", "MIGRATION_PASS 2", "MIGRATION completed",
        ]  # fmt: skip
        assert pair.said(pair.there, pair.b) == [
            "MIGRATION active", "MIGRATION postcopy-active", "RESUME", "MIGRATION completed",
        ]  # fmt: skip

    def test_paused_and_recovered(self) -> None:
        pair = self.pair()
        pair.here.ask(pair.a, "migrate-start-postcopy")
        pair.run(10 * MS)
        assert pair.here.ask(pair.a, "migrate-pause") == {}
        pair.run(10 * MS)
        pair.here.take(pair.a)
        pair.there.take(pair.b)
        left = query(pair)["ram"]["remaining"]
        assert query(pair)["status"] == "postcopy-paused"
        assert pair.there.ask(pair.b, "query-migrate")["status"] == "postcopy-paused"
        pair.run(SECOND)
        assert query(pair)["ram"]["remaining"] == left
        assert (
            pair.there.ask(pair.b, "migrate-recover", uri="bogus")["desc"]
            == "unknown migration protocol: bogus"
        )
        assert pair.there.ask(pair.b, "migrate-recover", uri="unix:/run/again") == {}
        assert pair.here.ask(pair.a, "migrate", uri="unix:/nothing", resume=True) == {}
        pair.run(MS)
        assert "Failed to connect to '/nothing': No such file or directory" in pair.here.stderr
        assert pair.here.ask(pair.a, "migrate", uri="unix:/run/again", resume=True) == {}
        pair.run(20 * SECOND)
        assert query(pair)["status"] == "completed"
        pair.there.take(pair.b)
        assert pair.there.ask(pair.b, "query-migrate") == {"status": "completed"}

    def test_the_other_end_dies(self) -> None:
        pair = self.pair()
        pair.here.ask(pair.a, "migrate-start-postcopy")
        pair.run(10 * MS)
        pair.there.signal(15)
        pair.run(10 * MS)
        pair.here.take(pair.a)
        assert query(pair)["status"] == "postcopy-paused"

    def test_not_without_the_capability(self) -> None:
        pair = Pair()
        text = "Enable postcopy with migrate_set_capability before the start of migration"
        assert pair.here.ask(pair.a, "migrate-start-postcopy")["desc"] == text
        pair.set("postcopy-ram")
        text = "Postcopy must be started after migration has been started"
        assert pair.here.ask(pair.a, "migrate-start-postcopy")["desc"] == text


class TestFailure:
    @pytest.mark.parametrize(
        ("uri", "desc", "reported"),
        [
            ("bogus", "Parameter 'uri' expects a valid migration protocol", False),
            ("fd:x", "File descriptor named 'x' has not been found", True),
            ("unix:", "invalid Unix socket address", True),
            ("tcp:x", "error parsing address 'x'", True),
            ("tcp:127.0.0.1:", "error parsing address '127.0.0.1:'", True),
        ],
    )
    def test_a_uri_that_is_none(self, uri: str, desc: str, reported: bool) -> None:
        pair = Pair()
        assert go(pair, uri) == ["MIGRATION setup", "MIGRATION failed", "error"]
        expected = {"status": "failed", "error-desc": desc} if reported else {"status": "failed"}
        assert query(pair) == expected

    def test_nobody_listens(self) -> None:
        pair = Pair()
        assert go(pair, "unix:/nothing") == ["MIGRATION setup", "return", "MIGRATION failed"]
        desc = "Failed to connect to '/nothing': No such file or directory"
        assert query(pair) == {"status": "failed", "error-desc": desc}
        go(pair)
        pair.run(SECOND)
        pair.here.take(pair.a)
        assert query(pair)["status"] == "completed"

    @pytest.mark.parametrize("step", ["setup", "active", "pass 2", "device", "completed"])
    def test_the_source_fails_at_a_step(self, step: str) -> None:
        rule = {
            "on": "migration", "match": step, "do": {"error": {"class": "GenericError", "desc": "the cable"}},
        }  # fmt: skip
        pair = Pair(words(used="256MiB", dirty="10MiB/s"), rule, argv=RUNNING)
        go(pair)
        pair.run(20 * SECOND)
        pair.here.take(pair.a)
        assert query(pair) == {"status": "failed", "error-desc": "the cable"}
        assert pair.here.ask(pair.a, "query-status")["status"] == "running"

    @pytest.mark.parametrize("step", ["active", "completed"])
    def test_the_destination_fails_at_a_step(self, step: str) -> None:
        rule = {
            "on": "migration",
            "match": step,
            "do": {"error": {"class": "GenericError", "desc": "no room"}},
        }
        pair = Pair(argv=RUNNING, there=(rule,))
        pair.set("return-path")
        go(pair)
        pair.run(5 * SECOND)
        pair.here.take(pair.a)
        assert pair.there.ended == do.Exit(1)
        assert "qemu-system-x86_64: no room\n" in pair.there.stderr
        assert query(pair) == {"status": "failed", "error-desc": "Unable to write to socket: Broken pipe"}
        assert pair.here.ask(pair.a, "query-status")["status"] == "running"

    def test_a_step_that_never_ends(self) -> None:
        rule = {"on": "migration", "match": "device", "do": {"drop": True}}
        pair = Pair(rule, argv=RUNNING)
        go(pair)
        pair.run(60 * SECOND, step=SECOND)
        pair.here.take(pair.a)
        assert query(pair)["status"] == "active"
        assert pair.here.ask(pair.a, "migrate_cancel") == {}
        pair.run(100 * MS)
        pair.here.take(pair.a)
        assert query(pair) == {"status": "cancelled"}
        assert pair.here.ask(pair.a, "query-status")["status"] == "running"

    def test_the_destination_dies(self) -> None:
        pair = Pair(words(used="512MiB", bandwidth="10MiB/s"), argv=RUNNING)
        go(pair)
        pair.run(SECOND)
        pair.there.signal(15)
        pair.run(MS)
        assert pair.said(pair.here, pair.a)[-1] == "MIGRATION failed"
        assert query(pair)["error-desc"] == "Unable to write to socket: Broken pipe"

    def test_the_source_dies(self) -> None:
        pair = Pair(words(used="512MiB", bandwidth="10MiB/s"), argv=RUNNING)
        go(pair)
        pair.run(SECOND)
        pair.here.signal(15)
        pair.run(MS)
        assert pair.there.ended == do.Exit(1)
        assert pair.there.stderr == (
            "qemu-system-x86_64: check_section_footer: Read section footer failed: -5\n"
            "qemu-system-x86_64: load of migration failed: Invalid argument\n"
        )

    @pytest.mark.parametrize(
        ("change", "text"),
        [
            (("1024", "2048"), "Size mismatch: pc.ram: 0x40000000 != 0x80000000: Invalid argument"),
            (("pc", "q35"), "Machine type received is 'pc-i440fx-7.2' and local is 'pc-q35-7.2'"),
            (("2,sockets=2", "1"), "Unknown savevm section or instance 'cpu_common' 1."),
        ],
    )
    def test_another_machine(self, change: tuple[str, str], text: str) -> None:
        theirs = tuple(change[1] if word == change[0] else word for word in RUNNING)
        pair = Pair(argv=RUNNING, their_argv=theirs)
        go(pair)
        pair.run(SECOND)
        assert pair.there.ended == do.Exit(1)
        assert text in pair.there.stderr
        pair.here.take(pair.a)
        assert query(pair)["status"] in ("failed", "completed")

    def test_one_at_a_time(self) -> None:
        pair = Pair(words(used="512MiB", bandwidth="10MiB/s"), argv=RUNNING)
        go(pair)
        desc = "There's a migration process in progress"
        assert pair.here.ask(pair.a, "migrate", uri="unix:/run/mig")["desc"] == desc
        assert (
            pair.here.ask(pair.a, "migrate-set-capabilities", capabilities=capabilities("xbzrle"))["desc"]
            == desc
        )
        assert (
            pair.there.ask(pair.b, "migrate", uri="x")["desc"] == "Guest is waiting for an incoming migration"
        )


class TestSaveAndRestore:
    """As libvirtd does it: a descriptor by name, the guest stopped first."""

    def save(self, *, fd: int = 30, **more: Any) -> tuple[Wires, Any, int]:
        wires = Wires()
        member = wires.member(argv=RUNNING, **more)
        conn = member.open()
        member.ask(conn, "migrate-set-capabilities", capabilities=capabilities("events"))
        member.ask(conn, "stop")
        self.give(member, conn, "getfd", fd)
        return wires, member, conn

    def give(self, member: Any, conn: int, command: str, fd: int) -> Any:
        message = json.dumps({"execute": command, "arguments": {"fdname": "migrate"}}).encode()
        member._plan(member.machine.received(member.now, conn, message, (fd,)))
        member.run(0)
        return member.messages(conn)[-1]

    def test_through_a_file(self) -> None:
        wires, member, conn = self.save()
        member.write(conn, b'{"execute":"migrate","arguments":{"uri":"fd:migrate","detach":true}}')
        assert [one.get("event", "return") for one in member.messages(conn)] == ["MIGRATION", "return"]
        wires.run(SECOND)
        said = [(one["event"], *one["data"].values()) for one in member.messages(conn)]
        assert said == [
            ("MIGRATION_PASS", 1), ("MIGRATION", "active"), ("MIGRATION_PASS", 2), ("MIGRATION", "completed"),
        ]  # fmt: skip
        assert bytes(wires.files[30]).startswith(stream.HEADER)
        other = wires.member(argv=argv_with("-incoming", "defer"))
        monitor = other.open()
        other.ask(monitor, "migrate-set-capabilities", capabilities=capabilities("events"))
        assert other.ask(monitor, "query-status")["status"] == "inmigrate"
        other.write(monitor, b'{"execute":"migrate-incoming","arguments":{"uri":"fd:30"}}')
        said = [one.get("data", {}).get("status", "return") for one in other.messages(monitor)]
        assert said == ["setup", "return", "active", "completed"]
        assert other.ask(monitor, "query-status")["status"] == "paused"
        desc = "The incoming migration has already been started"
        assert other.ask(monitor, "migrate-incoming", uri="fd:30")["desc"] == desc

    def test_a_descriptor_that_is_broken(self) -> None:
        wires, member, conn = self.save()
        wires.broken[30] = "Bad file descriptor"
        member.ask(conn, "migrate", uri="fd:migrate")
        wires.run(10 * MS)
        member.take(conn)
        assert member.ask(conn, "query-migrate") == {
            "status": "failed", "error-desc": "Unable to write to file: Bad file descriptor",
        }  # fmt: skip

    def test_half_a_file(self) -> None:
        wires, member, conn = self.save()
        member.ask(conn, "migrate", uri="fd:migrate")
        wires.run(SECOND)
        del wires.files[30][-10:]
        other = wires.member(argv=argv_with("-incoming", "fd:30"))
        wires.run(MS)
        assert other.ended == do.Exit(1)
        assert other.stderr.endswith("load of migration failed: Invalid argument\n")

    @pytest.mark.parametrize(
        ("data", "text"),
        [
            (b"", "Not a migration stream"),
            (b"QEVM\0\0\0\x03\x07", "Not a migration stream"),
            (b"FAKEQEMU\0\0\0\x02", "Unsupported migration stream version"),
            (b"FAKEQEMU\0\0\0\x01\xee\0\0\0\0", "Unknown savevm section type 238"),
            (b"FAKEQEMU\0\0\0\x01\x01\0\0\0\x02{}\0\0\0\0", "Missing section footer for ram"),
        ],
    )
    def test_a_file_that_is_none(self, data: bytes, text: str) -> None:
        wires = Wires()
        wires.files[7] = bytearray(data)
        member = wires.member(argv=argv_with("-incoming", "fd:7"))
        wires.run(MS)
        assert member.ended == do.Exit(1)
        assert member.stderr.startswith(f"qemu-system-x86_64: {text}\n")

    def test_multifd_does_not_go_into_a_file(self) -> None:
        _, member, conn = self.save()
        member.ask(conn, "migrate-set-capabilities", capabilities=capabilities("multifd"))
        member.write(conn, b'{"execute":"migrate","arguments":{"uri":"fd:migrate"}}')
        said = [one.get("data", {}).get("status", "return") for one in member.messages(conn)]
        assert said == ["setup", "failed", "return"]
        assert member.ask(conn, "query-migrate") == {"status": "failed"}


class TestIncoming:
    @pytest.mark.parametrize(
        ("uri", "text"),
        [
            ("bogus", "-incoming bogus: unknown migration protocol: bogus"),
            ("unix:", "-incoming unix:: invalid Unix socket address"),
            ("tcp:x", "-incoming tcp:x: error parsing address 'x'"),
            ("fd:abc", "-incoming fd:abc: Invalid file descriptor number 'abc'"),
            (
                "unix:/nonexist/z",
                "-incoming unix:/nonexist/z: Failed to bind socket to /nonexist/z: No such file or directory",
            ),
        ],
    )
    def test_nowhere_to_come_from(self, uri: str, text: str) -> None:
        member = Wires().member(argv=argv_with("-incoming", uri))
        assert member.ended == do.Exit(1)
        assert member.stderr == f"qemu-system-x86_64: {text}\n"

    def test_deferred(self) -> None:
        wires = Wires()
        member = wires.member(argv=argv_with("-incoming", "defer"))
        conn = member.open()
        assert member.ask(conn, "query-migrate") == {}
        assert (
            member.ask(conn, "migrate-incoming", uri="bogus")["desc"] == "unknown migration protocol: bogus"
        )
        error = member.ask(conn, "migrate-incoming", uri="unix:/nonexist/a")
        assert error["desc"] == "Failed to bind socket to /nonexist/a: No such file or directory"
        assert member.ask(conn, "query-migrate") == {}
        assert member.ask(conn, "migrate-incoming", uri="tcp:127.0.0.1:4000") == {}
        assert member.ask(conn, "query-migrate") == {
            "socket-address": [{"port": "4000", "ipv4": True, "host": "127.0.0.1", "type": "inet"}]
        }
        member.machine  # noqa: B018 - still alive
        assert member.ended is None

    def test_only_where_it_was_asked_for(self) -> None:
        pair = Pair()
        desc = "'-incoming' was not specified on the command line"
        assert pair.here.ask(pair.a, "migrate-incoming", uri="unix:/x")["desc"] == desc

    def test_the_state_of_the_parts_arrives(self) -> None:
        class Part:
            got: list[Any] = []  # noqa: RUF012

            def saved(self) -> Any:
                return {"pages": [1, 2]}

            def restored(self, machine: Any, value: Any) -> None:
                del machine
                self.got.append(value)

        pair = Pair(argv=RUNNING)
        pair.here.machine.parts["example"] = Part()
        pair.there.machine.parts["example"] = Part()
        go(pair)
        pair.run(SECOND)
        assert Part.got == [{"pages": [1, 2]}]

    def test_a_part_that_is_not_there(self) -> None:
        class Part:
            def saved(self) -> Any:
                return 1

        pair = Pair(argv=RUNNING)
        pair.here.machine.parts["example"] = Part()
        go(pair)
        pair.run(SECOND)
        assert "Unknown savevm section or instance 'example' 0." in pair.there.stderr


class TestOtherWays:
    def test_a_background_snapshot_leaves_the_guest_running(self) -> None:
        member = Wires().member(argv=RUNNING)
        conn = member.open()
        names = capabilities("events", "background-snapshot")
        assert member.ask(conn, "migrate-set-capabilities", capabilities=names) == {}
        assert member.ask(conn, "migrate", uri="exec:cat >/x") == {}
        member.run(SECOND)
        said = [one["event"] + " " + one.get("data", {}).get("status", "") for one in member.messages(conn)]
        assert said == ["MIGRATION active", "STOP ", "RESUME ", "MIGRATION completed"]
        report = member.ask(conn, "query-migrate")
        adds_up(report)
        assert report["ram"]["dirty-sync-count"] == 0
        assert member.ask(conn, "query-status")["status"] == "running"

    def test_tls_without_credentials(self) -> None:
        pair = Pair()
        pair.here.ask(pair.a, "migrate-set-parameters", tls__creds="x")
        go(pair)
        pair.run(SECOND)
        pair.here.take(pair.a)
        assert query(pair) == {"status": "failed", "error-desc": "No TLS credentials with id 'x'"}

    def test_colo_says_that_it_is_not_there(self) -> None:
        pair = Pair()
        pair.set("x-colo")
        assert go(pair)[:2] == ["MIGRATION setup", "MIGRATION failed"]
        assert query(pair)["status"] == "failed"


def test_pages_are_never_sent() -> None:
    pair = Pair(words(used="512MiB"), argv=RUNNING)
    go(pair)
    pair.run(20 * SECOND)
    data = b"".join(action.data for _, action in pair.here.log if isinstance(action, do.Send))
    assert data.startswith(stream.HEADER)
    assert len(data) < 64 * PAGE
