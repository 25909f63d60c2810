"""The monitor for people without a real one at hand: lines, keys, snapshots, what takes its time."""

from __future__ import annotations

import pytest

from fakeqemu.facts.profile import profile_for
from fakeqemu.human.line import BadLine, Scanner, arguments
from fakeqemu.human.table import COMMANDS, QMP
from fakeqemu.migration.parameters import CAPABILITIES, DEFAULTS
from tests.helpers.puppet import ARGV, MS, SECOND, Puppet

MONITOR = (*ARGV[:8], "-nodefaults", "-monitor", "unix:/run/h,server=on,wait=off")


def say(puppet: Puppet, conn: int, line: str) -> str:
    found = puppet.ask(conn, "human-monitor-command", command__line=line)
    assert isinstance(found, str), found
    return found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1+1", 2),
        ("(1+2)*3", 9),
        ("-1", (1 << 64) - 1),
        ("010", 8),
        ("0x10", 16),
        ("'a'", 97),
        ("7%4|8", 11),
        ("~0", (1 << 64) - 1),
    ],
)
def test_expressions(text: str, value: int) -> None:
    assert Scanner(text).expression() == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "unexpected end of expression"), ("x", "invalid char 'x' in expression"),
        ("1/0", "division by zero"),
        ("(1", "')' expected"), ("$pc", "unknown register"),
        ("(" * 200, "expression is too deep"),
    ],
)  # fmt: skip
def test_what_is_no_expression(text: str, why: str) -> None:
    with pytest.raises(BadLine, match="^" + why.replace("(", r"\(").replace(")", r"\)").replace("$", r"\$")):
        Scanner(text).expression()


def test_arguments() -> None:
    found = arguments("migrate", COMMANDS["migrate"], '-d "tcp:h:1"', label="migrate")
    assert found == {"detach": True, "uri": "tcp:h:1"}
    with pytest.raises(BadLine, match="migrate: unsupported option -z"):
        arguments("migrate", COMMANDS["migrate"], "-z x", label="migrate")
    with pytest.raises(BadLine, match=r"stop\|s: extraneous characters at the end of line"):
        arguments("stop", "", " x", label="stop|s")


def test_every_simple_command_is_one_of_qmp() -> None:
    known = profile_for("qemu-system-x86_64").commands
    names = {name for entry in COMMANDS for name in entry.split("|")}
    for name, (command, _) in QMP.items():
        assert name in names
        assert command in known


def test_what_is_not_modelled_says_so() -> None:
    puppet = Puppet().start()
    conn = puppet.open()
    assert say(puppet, conn, "info mtree") == "Error: The command info mtree has not been found\r\n"
    assert say(puppet, conn, "o /b 1 1") == "Error: The command o has not been found\r\n"


def test_parameters_are_those_of_the_profile() -> None:
    profile = profile_for("qemu-system-x86_64")
    puppet = Puppet().start()
    conn = puppet.open()
    assert puppet.ask(conn, "query-migrate-parameters") == DEFAULTS
    known = [entry["capability"] for entry in profile.value("query-migrate-capabilities")]
    assert tuple(known) == CAPABILITIES


def test_migrate_without_d_holds_the_prompt() -> None:
    puppet = Puppet(argv=MONITOR).start()
    conn = puppet.connect(puppet.accepting[0])
    puppet.take(conn)
    puppet.write(conn, b"migrate exec:cat>/dev/null\ninfo status\n")
    assert not puppet.take(conn).endswith(b"(qemu) ")
    puppet.run(SECOND)
    assert b"VM status: paused (postmigrate)" in puppet.take(conn)


def test_two_people_have_two_lines() -> None:
    puppet = Puppet(argv=(*MONITOR, "-monitor", "unix:/run/i,server=on,wait=off")).start()
    one, two = (puppet.connect(name) for name in list(puppet.accepting)[:2])
    for conn in (one, two):
        assert puppet.take(conn).endswith(b"(qemu) ")
    puppet.write(one, b"info na")
    puppet.write(two, b"info name\n")
    assert b"vm" in puppet.take(two)
    puppet.write(one, b"me\r")
    assert puppet.take(one).endswith(b"vm\r\n(qemu) ")


def test_what_waits_is_bounded() -> None:
    puppet = Puppet(argv=MONITOR).start()
    conn = puppet.connect(puppet.accepting[0])
    puppet.write(conn, b"dump-guest-memory /x\n")
    before = len(puppet.take(conn))
    for _ in range(10):
        puppet.write(conn, b"\n" * 10_000)
    assert puppet.take(conn) == b""
    puppet.run(100 * SECOND)
    assert before < len(puppet.take(conn)) <= (1 << 14) * 20 + 100


class TestDump:
    def test_events_and_the_reply(self) -> None:
        puppet = Puppet(argv=[word for word in ARGV if word != "-S"]).start()
        conn = puppet.open()
        puppet.write(
            conn, b'{"execute":"dump-guest-memory","arguments":{"paging":false,"protocol":"file:/x"}}'
        )
        assert [one.get("event", "return") for one in puppet.messages(conn)] == ["STOP"]
        puppet.run(SECOND)
        assert [one.get("event", "return") for one in puppet.messages(conn)] == [
            "DUMP_COMPLETED",
            "RESUME",
            "return",
        ]
        total = puppet.ask(conn, "query-dump")["total"]
        assert total == (1024 << 20) + 0x40000

    def test_detached(self) -> None:
        puppet = Puppet().start()
        conn = puppet.open()
        assert puppet.ask(conn, "dump-guest-memory", paging=False, protocol="file:/x", detach=True) == {}
        puppet.run(100 * MS)
        half = puppet.ask(conn, "query-dump")
        assert half["status"] == "active"
        assert 0 < half["completed"] < half["total"]
        desc = "There is a dump in process, please wait."
        assert puppet.ask(conn, "dump-guest-memory", paging=False, protocol="file:/x")["desc"] == desc
        puppet.run(SECOND)
        assert puppet.messages(conn)[0]["data"]["result"]["status"] == "completed"

    def test_more_memory_than_fits_below_4_gib(self) -> None:
        argv = ["8G" if word == "1024" else word for word in ARGV]
        puppet = Puppet(argv=argv).start()
        conn = puppet.open()
        assert puppet.ask(conn, "dump-guest-memory", paging=False, protocol="file:/x", detach=True) == {}
        puppet.run(10 * SECOND)
        puppet.take(conn)
        assert puppet.ask(conn, "query-dump")["completed"] == (8 << 30) + 0x40000


class TestDirtyRate:
    def test_measures_what_the_script_says(self) -> None:
        rule = {"at": "start", "migration": {"dirty": "64MiB/s"}}
        puppet = Puppet(rule, argv=[word for word in ARGV if word != "-S"]).start()
        conn = puppet.open()
        assert puppet.ask(conn, "calc-dirty-rate", calc__time=2) == {}
        assert puppet.ask(conn, "query-dirty-rate")["status"] == "measuring"
        assert (
            puppet.ask(conn, "calc-dirty-rate", calc__time=2)["desc"]
            == "the dirty rate is already being measured."
        )
        puppet.run(2 * SECOND)
        found = puppet.ask(conn, "query-dirty-rate")
        assert (found["status"], found["dirty-rate"]) == ("measured", 64)

    def test_a_guest_that_does_not_run(self) -> None:
        puppet = Puppet({"at": "start", "migration": {"dirty": "64MiB/s"}}).start()
        conn = puppet.open()
        puppet.ask(conn, "calc-dirty-rate", calc__time=1)
        puppet.run(SECOND)
        assert puppet.ask(conn, "query-dirty-rate")["dirty-rate"] == 0


def test_statistics_of_kvm_move_and_never_fall() -> None:
    from fakeqemu.host import Host

    class Capable(Host):
        __slots__ = ()

        def kvm(self) -> bool:
            return True

    argv = ["kvm" if word == "tcg" else word for word in ARGV if word != "-S"]
    puppet = Puppet(argv=argv, host=Capable()).start()
    conn = puppet.open()
    schemas = puppet.ask(conn, "query-stats-schemas")
    assert [one["target"] for one in schemas] == ["vm", "vcpu"]
    names = {entry["name"] for entry in schemas[1]["stats"]}
    before = puppet.ask(conn, "query-stats", target="vcpu")
    assert len(before) == 2
    assert {entry["name"] for entry in before[0]["stats"]} == names
    puppet.run(5 * SECOND)
    after = puppet.ask(conn, "query-stats", target="vcpu")
    pairs = [
        (old["value"], new["value"]) for old, new in zip(before[0]["stats"], after[0]["stats"], strict=True)
    ]
    assert all(new >= old for old, new in pairs)
    assert any(new > old for old, new in pairs)
    wanted = [{"provider": "kvm", "names": ["halt_poll_success_ns"]}]
    only = puppet.ask(conn, "query-stats", target="vcpu", providers=wanted)
    assert [entry["name"] for entry in only[0]["stats"]] == ["halt_poll_success_ns"]
