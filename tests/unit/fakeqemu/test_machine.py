"""Every word of ``at: start``, every timed action and every step, on the machine alone."""

from __future__ import annotations

import signal

import pytest

from fakeqemu.actions import (
    Accept,
    Bind,
    Close,
    CloseListener,
    Exit,
    Kill,
    Listen,
    Stderr,
    Unlink,
    WritePidfile,
)
from fakeqemu.host import Host
from tests.helpers.puppet import ARGV, MS, SECOND, Puppet

EXIT = {"exit": {"code": 3, "stderr": "last words"}}


def fd_argv(*more):
    words = " ".join(ARGV).replace("path=/run/m", "fd=22").split(" ")
    return [*words, *more]


def test_an_honest_start_listens_and_accepts_at_once():
    puppet = Puppet().start()
    assert [type(action) for _, action in puppet.log] == [Listen, Accept]
    assert puppet.log[0][1] == Listen("charmonitor", path="/run/m")
    conn = puppet.connect()
    [greeting] = puppet.messages(conn)
    assert greeting["QMP"]["capabilities"] == ["oob"]
    assert greeting["QMP"]["version"]["qemu"] == {"major": 7, "minor": 2, "micro": 22}


def test_an_inherited_listener_is_used():
    puppet = Puppet(argv=fd_argv()).start()
    assert puppet.log[0][1] == Listen("charmonitor", fd=22)


def test_a_wrong_command_line_ends_with_qemus_words():
    puppet = Puppet(argv=["qemu-system-x86_64", "-foo"]).start()
    assert puppet.ended == Exit(1)
    assert puppet.stderr == "qemu-system-x86_64: -foo: invalid option\n"


def test_an_unknown_machine_is_looked_up_in_the_profile():
    assert Puppet(argv=[*ARGV, "-machine", "pc-i440fx-6.2"]).start().ended is None
    assert Puppet(argv=[*ARGV, "-machine", "pc-i440fx-9.9"]).start().ended == Exit(1)


def test_version_is_printed():
    puppet = Puppet(argv=["qemu-system-x86_64", "-version"]).start()
    assert puppet.ended == Exit(0)
    assert puppet.log[0][1].text.startswith("QEMU emulator version 7.2.22 (Debian")


def test_the_pidfile_is_written_and_removed():
    puppet = Puppet(argv=[*ARGV, "-pidfile", "/run/pid"]).start()
    assert puppet.log[0][1] == WritePidfile("/run/pid")
    puppet.signal(signal.SIGTERM)
    assert [action.path for _, action in puppet.log if isinstance(action, Unlink)] == ["/run/m", "/run/pid"]


def test_what_the_driver_cannot_do_ends_the_machine():
    puppet = Puppet().start()
    steps = puppet.machine.bind_failed(0, "charmonitor", "/run/m", "No such file or directory")
    assert steps[0][1] == Stderr(
        "qemu-system-x86_64: -chardev socket,id=charmonitor,path=/run/m,server=on,wait=off:"
        " Failed to bind socket to /run/m: No such file or directory\n"
    )
    assert steps[-1][1] == Exit(1)
    steps = Puppet(argv=fd_argv()).start().machine.adopt_failed(0, "charmonitor", 22, "Bad file descriptor")
    assert "File descriptor '22' is not a socket\n" in steps[0][1].text
    steps = Puppet().start().machine.pidfile_failed(0, "/p", "Permission denied")
    assert steps[0][1].text.endswith("cannot create PID file: Could not create '/p': Permission denied\n")


# -- at: start ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "ns"),
    [
        ({"memory": {"zeroing": "512MiB/s"}}, 2 * SECOND),
        ({"memory": {"per_page": "4ms", "page": "2MiB"}}, 512 * 4 * MS),
        ({"nics": {"each": "450ms"}}, 900 * MS),
        ({"hostdevs": {"each": "12s"}}, 12 * SECOND),
        ({"socket": {"delay": "105s"}}, 105 * SECOND),
        (
            {
                "memory": {"zeroing": "1GiB/s"},
                "nics": {"each": "1s"},
                "hostdevs": {"each": "1s"},
                "socket": {"delay": "1s"},
            },
            5 * SECOND,
        ),
    ],
)
@pytest.mark.parametrize("inherited", [False, True])
def test_what_delays_the_socket(words, ns, inherited):
    devices = []
    for number in range(2):
        devices += [
            "-netdev",
            f"user,id=n{number}",
            "-device",
            f"virtio-net-pci,netdev=n{number},mac=52:54:00:0:0:{number}",
        ]
    argv = [*(fd_argv() if inherited else ARGV), *devices, "-device", "vfio-pci,host=1"]
    puppet = Puppet({"at": "start", **words}, argv=argv).start()
    puppet.run(ns - 1)
    assert not puppet.done(Listen)
    puppet.run(1)
    assert puppet.done(Listen) == puppet.done(Accept) == [ns]
    assert len(puppet.notes) == len(words)


def test_a_socket_that_never_shows_up():
    for argv in (ARGV, fd_argv()):
        puppet = Puppet({"at": "start", "socket": {"never": True}}, argv=argv).start()
        puppet.run(3600 * SECOND)
        assert not puppet.done(Bind)
        assert not puppet.done(Listen)


def test_bound_but_not_listening():
    puppet = Puppet({"at": "start", "socket": {"delay": "1s", "listen_after": "700ms"}}).start()
    puppet.run(10 * SECOND)
    assert puppet.done(Bind) == [SECOND]
    assert puppet.done(Listen) == [SECOND + 700 * MS]


def test_a_mode_that_keeps_clients_out():
    puppet = Puppet({"at": "start", "socket": {"mode": 0}}).start()
    assert [action for _, action in puppet.log if isinstance(action, Bind)] == [
        Bind("charmonitor", "/run/m", 0)
    ]


def test_a_stale_socket_lies_there_first():
    puppet = Puppet({"at": "start", "socket": {"stale": True, "delay": "700ms"}}).start()
    assert [type(action) for _, action in puppet.log if type(action).__name__ != "Note"] == [
        Bind,
        CloseListener,
    ]
    puppet.run(SECOND)
    assert puppet.done(Listen) == [700 * MS]


def test_scripts_are_about_monitors_and_not_about_other_sockets():
    argv = [*ARGV, "-chardev", "socket,id=agent,path=/run/agent,server=on,wait=off"]
    never = {
        "at": "start",
        "socket": {"never": True},
        "nics": {"each": "1s"},
        "memory": {"zeroing": "1GiB/s"},
    }
    puppet = Puppet(never, {"on": "listen", "do": EXIT}, {"on": "eof", "do": EXIT}, argv=argv).start()
    puppet.run(10 * SECOND)
    assert [(at, action.chardev) for at, action in puppet.log if isinstance(action, Listen)] == [
        (SECOND, "agent")
    ]
    puppet.hang_up(puppet.connect("agent"))
    assert puppet.ended is None


def test_accept_can_be_late_or_refused_or_never():
    puppet = Puppet({"at": "start", "accept": {"delay": "1s"}}).start()
    puppet.run(5 * SECOND)
    assert puppet.done(Accept) == [SECOND]
    puppet = Puppet({"at": "start", "accept": {"refuse": True, "delay": "1s"}}).start()
    puppet.run(5 * SECOND)
    assert (puppet.done(Accept), puppet.done(CloseListener)) == ([], [SECOND])
    puppet = Puppet({"at": "start", "accept": {"never": True}}).start()
    puppet.run(5 * SECOND)
    assert (puppet.done(Listen), puppet.done(Accept), puppet.done(CloseListener)) == ([0], [], [])


def test_a_late_greeting_and_what_was_asked_before_it():
    puppet = Puppet({"at": "start", "greeting": {"delay": "1s"}}).start()
    conn = puppet.connect()
    puppet.write(conn, b'{"execute":"qmp_capabilities"}')
    puppet.run(999 * MS)
    assert puppet.take(conn) == b""
    puppet.run(1 * MS)
    greeting, reply = puppet.messages(conn)
    assert "QMP" in greeting
    assert reply == {"return": {}}


def test_a_greeting_that_never_comes():
    puppet = Puppet({"at": "start", "greeting": {"never": True}}).start()
    conn = puppet.connect()
    puppet.write(conn, b'{"execute":"qmp_capabilities"}')
    puppet.run(3600 * SECOND)
    assert puppet.take(conn) == b""


def test_a_garbled_greeting():
    puppet = Puppet({"at": "start", "greeting": {"garbage": "hello?"}}).start()
    assert puppet.take(puppet.connect()) == b"hello?\r\n"


def test_lingering_between_the_sockets_and_the_exit():
    puppet = Puppet({"at": "start", "linger": "50ms"}).start()
    conn = puppet.open()
    puppet.signal(signal.SIGTERM)
    assert puppet.done(Close) == puppet.done(CloseListener) == [0]
    assert puppet.ended is None
    assert puppet.machine.linger_ns == 50 * MS
    puppet.run(50 * MS)
    assert puppet.ended == Exit(0)
    assert puppet.done(Exit) == [50 * MS]
    del conn


def test_an_ignored_signal():
    puppet = Puppet({"at": "start", "ignore": ["SIGTERM"]}).start()
    puppet.signal(signal.SIGTERM)
    puppet.run(3600 * SECOND)
    assert puppet.ended is None
    assert "ignore signal 15" in puppet.notes[-1]
    puppet.signal(signal.SIGINT)
    assert puppet.ended == Exit(0)


def test_uninterruptible_until_the_device_lets_go():
    puppet = Puppet({"at": "start", "uninterruptible": "100s"}).start()
    puppet.run(SECOND)
    assert puppet.machine.uninterruptible_until(puppet.now) == 100 * SECOND
    puppet.signal(signal.SIGTERM)
    puppet.run(98 * SECOND)
    assert puppet.ended is None
    puppet.run(SECOND)
    assert puppet.done(Exit) == [100 * SECOND]
    assert puppet.machine.uninterruptible_until(100 * SECOND) is None


@pytest.mark.parametrize(
    ("words", "at"), [({"powerdown": "2s"}, 2 * SECOND), ({}, 0), ({"powerdown": "ignore"}, None)]
)
def test_how_the_guest_answers_the_power_button(words, at):
    rules = [{"at": "start", "guest": words}] if words else []
    puppet = Puppet(*rules).start()
    conn = puppet.open()
    puppet.ask(conn, "cont")
    puppet.write(conn, b'{"execute":"system_powerdown"}')
    puppet.run(10 * SECOND)
    events = [message["event"] for message in puppet.messages(conn) if "event" in message]
    assert events == (["POWERDOWN"] if at is None else ["POWERDOWN", "SHUTDOWN", "STOP"])
    assert puppet.ask(conn, "query-status")["status"] == ("running" if at is None else "shutdown")


def test_a_booting_guest_ignores_the_power_button():
    puppet = Puppet({"at": "start", "guest": {"boot": "5s"}}).start()
    conn = puppet.open()
    puppet.ask(conn, "cont")
    puppet.run(4 * SECOND)
    puppet.ask(conn, "system_powerdown")
    assert puppet.ask(conn, "query-status")["status"] == "running"
    puppet.run(SECOND)
    puppet.write(conn, b'{"execute":"system_powerdown"}')
    assert [message.get("event") for message in puppet.messages(conn)] == [
        "POWERDOWN",
        None,
        "SHUTDOWN",
        "STOP",
    ]


def test_images_are_looked_at_only_by_an_honest_process():
    class World(Host):
        def file_error(self, path):
            return "No such file or directory"

    argv = [*ARGV, "-blockdev", "driver=file,filename=/no/disk,node-name=a"]
    puppet = Puppet(argv=argv, host=World()).start()
    assert puppet.ended == Exit(1)
    assert puppet.stderr.endswith("node-name=a: Could not open '/no/disk': No such file or directory\n")
    assert Puppet({"at": "start", "linger": "1s"}, argv=argv, host=World()).start().ended is None
    assert Puppet({"at": "start", "images": "real"}, argv=argv, host=World()).start().ended == Exit(1)
    assert Puppet(argv=argv).start().ended is None


# -- at a time ---------------------------------------------------------------------------------------------


def test_leaving_at_a_time():
    puppet = Puppet({"at": "300ms", "do": EXIT}).start()
    puppet.run(SECOND)
    assert (puppet.ended, puppet.done(Exit)) == (Exit(3), [300 * MS])
    assert puppet.stderr == "last words\n"
    assert not puppet.done(Unlink)


def test_dying_at_a_time_before_the_socket_is_there():
    puppet = Puppet(
        {"at": "start", "socket": {"delay": "1s"}}, {"at": "300ms", "do": {"kill": {"signal": "SIGSEGV"}}}
    ).start()
    puppet.run(10 * SECOND)
    assert puppet.ended == Kill(signal.SIGSEGV)
    assert not puppet.done(Listen)


@pytest.mark.parametrize(
    ("what", "events"),
    [
        ("poweroff", ["SHUTDOWN", "STOP"]),
        ("reset", ["RESET"]),
        ("panic", ["GUEST_PANICKED", "STOP"]),
    ],
)
def test_what_the_guest_does_at_a_time(what, events):
    puppet = Puppet({"at": "1s", "do": {"guest": what}}).start()
    conn = puppet.open()
    puppet.ask(conn, "cont")
    puppet.run(2 * SECOND)
    assert [message["event"] for message in puppet.messages(conn)] == events


def test_an_event_at_a_time_has_the_time_of_day():
    puppet = Puppet(
        {"at": "1500ms", "do": {"emit": {"event": "BLOCK_IO_ERROR", "data": {"device": "x"}}}}
    ).start()
    conn = puppet.open()
    puppet.run(2 * SECOND)
    assert puppet.messages(conn) == [
        {
            "timestamp": {"seconds": 1_700_000_001, "microseconds": 500_000},
            "event": "BLOCK_IO_ERROR",
            "data": {"device": "x"},
        }
    ]


def test_garbage_and_a_closed_monitor_at_a_time():
    puppet = Puppet({"at": "1s", "do": {"garbage": "%&"}}, {"at": "2s", "do": {"close": True}}).start()
    conn = puppet.open()
    puppet.run(3 * SECOND)
    assert puppet.take(conn) == b"%&\r\n"
    assert puppet.done(Close) == [2 * SECOND]


# -- at a step ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["bind", "listen", "accept", "greeting", "capabilities", "eof"])
@pytest.mark.parametrize("end", [EXIT, {"kill": {"signal": "SIGABRT", "stderr": "last words"}}])
def test_dying_at_a_named_step(step, end):
    puppet = Puppet({"on": step, "do": end}).start()
    if step in ("accept", "greeting", "capabilities", "eof"):
        conn = puppet.connect()
        if step == "accept":
            assert puppet.take(conn) == b""
        if step == "capabilities":
            assert puppet.messages(conn)[0].keys() == {"QMP"}
            puppet.write(conn, b'{"execute":"qmp_capabilities"}')
            assert puppet.take(conn) == b""
        if step == "eof":
            puppet.hang_up(conn)
    assert puppet.ended == (Exit(3) if "exit" in end else Kill(signal.SIGABRT))
    assert puppet.stderr == "last words\n"
    assert bool(puppet.done(Listen)) == (step not in ("bind", "listen"))


@pytest.mark.parametrize("step", ["bind", "listen", "accept", "greeting", "capabilities", "eof", "signal"])
def test_delaying_a_named_step(step):
    puppet = Puppet({"on": step, "do": {"delay": "1s"}}).start()
    puppet.run(SECOND if step in ("bind", "listen") else 0)
    conn = puppet.connect()
    before = puppet.now
    if step in ("accept", "greeting"):
        assert puppet.take(conn) == b""
        puppet.run(SECOND)
    assert puppet.messages(conn)[0].keys() == {"QMP"}
    puppet.write(conn, b'{"execute":"qmp_capabilities"}')
    if step == "capabilities":
        assert puppet.take(conn) == b""
        puppet.run(SECOND)
    assert puppet.messages(conn) == [{"return": {}}]
    if step == "signal":
        puppet.signal(signal.SIGTERM)
        assert puppet.ended is None
        puppet.run(SECOND)
        assert puppet.ended == Exit(0)
    elif step == "eof":
        puppet.hang_up(conn)
        assert puppet.accepting.count("charmonitor") == 1
        puppet.run(SECOND)
        assert puppet.done(Accept)[-1] == SECOND
    else:
        assert max(before, puppet.now) == SECOND


def test_closing_at_accept_and_at_the_greeting():
    for step in ("accept", "greeting"):
        puppet = Puppet({"on": step, "count": 1, "do": {"close": True}}).start()
        conn = puppet.connect()
        assert puppet.done(Close) == [0]
        puppet.hang_up(conn)
        assert puppet.messages(puppet.connect())[0].keys() == {"QMP"}


def test_a_greeting_dropped_or_garbled_once():
    puppet = Puppet({"on": "greeting", "count": 1, "do": {"drop": True}}).start()
    assert puppet.take(puppet.connect()) == b""
    puppet = Puppet({"on": "greeting", "count": 1, "do": {"garbage": "?"}}).start()
    conn = puppet.connect()
    assert puppet.take(conn) == b"?\r\n"
    assert puppet.ask(conn, "qmp_capabilities") == {}


def test_a_signal_that_is_dropped_once():
    puppet = Puppet({"on": "signal", "match": "SIGTERM", "count": 1, "do": {"drop": True}}).start()
    puppet.signal(signal.SIGTERM)
    assert puppet.ended is None
    puppet.signal(signal.SIGTERM)
    assert puppet.ended == Exit(0)


def test_a_rule_may_act_after_the_step():
    puppet = Puppet({"on": "greeting", "when": "after", "do": EXIT}).start()
    conn = puppet.connect()
    assert puppet.messages(conn)[0].keys() == {"QMP"}
    assert puppet.ended == Exit(3)


# -- commands ----------------------------------------------------------------------------------------------


def play(rule, command="stop", negotiate=True):
    puppet = Puppet(rule).start()
    conn = puppet.open()
    puppet.ask(conn, "cont")
    puppet.write(conn, f'{{"execute":"{command}","id":7}}'.encode())
    return puppet, conn


def test_a_command_that_takes_its_time():
    puppet, conn = play({"on": "command", "match": "stop", "do": {"delay": "29999ms"}})
    puppet.write(conn, b'{"execute":"query-name","id":8}')
    puppet.run(29_998 * MS)
    assert puppet.take(conn) == b""
    puppet.run(1 * MS)
    stop, reply, later = puppet.messages(conn)
    assert stop["event"] == "STOP"
    assert (stop["timestamp"]["seconds"], stop["timestamp"]["microseconds"]) == (1_700_000_029, 999_000)
    assert reply == {"return": {}, "id": 7}
    assert later["id"] == 8


def test_an_error_instead_of_running():
    puppet, conn = play(
        {"on": "command", "match": "stop", "do": {"error": {"class": "GenericError", "desc": "no"}}}
    )
    assert puppet.messages(conn) == [{"error": {"class": "GenericError", "desc": "no"}, "id": 7}]
    assert puppet.ask(conn, "query-status")["status"] == "running"


def test_a_dropped_reply():
    puppet, conn = play({"on": "command", "match": "stop", "do": {"drop": True}})
    assert [message["event"] for message in puppet.messages(conn)] == ["STOP"]
    assert puppet.ask(conn, "query-status")["status"] == "paused"


def test_garbage_for_a_reply():
    puppet, conn = play({"on": "command", "match": "stop", "do": {"garbage": "}{"}})
    assert puppet.take(conn).endswith(b'"event": "STOP"}\r\n}{\r\n')


def test_an_oversize_reply_has_exactly_that_size():
    puppet, conn = play(
        {"on": "command", "match": "query-name", "do": {"oversize": 10_485_761}}, "query-name"
    )
    data = puppet.take(conn)
    assert len(data.removesuffix(b"\r\n")) == 10_485_761  # the message, without its line end
    assert data.startswith(b'{"return": "xxx')
    assert data.endswith(b'", "id": 7}\r\n')


def test_a_lie_for_a_reply():
    puppet, conn = play(
        {"on": "command", "match": "query-status", "do": {"reply": {"status": "postmigrate"}}}, "query-status"
    )
    assert puppet.messages(conn) == [{"return": {"status": "postmigrate"}, "id": 7}]


@pytest.mark.parametrize("when", ["before", "after"])
def test_dying_before_or_after_a_reply(when):
    puppet, conn = play({"on": "command", "match": "query-name", "when": when, "do": EXIT}, "query-name")
    assert puppet.ended == Exit(3)
    assert bool(puppet.take(conn)) == (when == "after")


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_event_before_or_after_a_reply(when):
    rule = {"on": "command", "match": "query-name", "when": when, "do": {"emit": {"event": "X"}}}
    puppet, conn = play(rule, "query-name")
    kinds = ["event" if "event" in message else "reply" for message in puppet.messages(conn)]
    assert kinds == (["event", "reply"] if when == "before" else ["reply", "event"])


def test_closing_instead_of_answering():
    puppet, conn = play({"on": "command", "match": "query-name", "do": {"close": True}}, "query-name")
    assert puppet.take(conn) == b""
    assert puppet.done(Close) == [0]


def test_a_rule_does_not_apply_to_what_qemu_refuses_first():
    puppet, conn = play({"on": "command", "match": "nons*", "do": EXIT}, "nonsense")
    assert puppet.ended is None
    assert puppet.messages(conn)[0]["error"]["class"] == "CommandNotFound"


# -- signals and ends --------------------------------------------------------------------------------------


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_shuts_down_in_order(signum):
    puppet = Puppet().start()
    conn = puppet.open()
    puppet.signal(signum)
    assert [message["event"] for message in puppet.messages(conn)] == ["SHUTDOWN"]
    assert puppet.stderr == f"qemu-system-x86_64: terminating on signal {signum} from pid 77 (/sbin/init)\n"
    assert [type(action) for _, action in puppet.log][-5:] == [Stderr, Close, CloseListener, Unlink, Exit]


@pytest.mark.parametrize(
    ("signum", "end"),
    [(signal.SIGSEGV, Kill(11)), (signal.SIGUSR2, Kill(12)), (signal.SIGUSR1, None), (0, None)],
)
def test_other_signals(signum, end):
    puppet = Puppet().start()
    puppet.signal(signum)
    assert puppet.ended == end


def test_nothing_happens_after_the_end():
    puppet = Puppet({"at": "1s", "do": {"guest": "reset"}}).start()
    conn = puppet.open()
    puppet.signal(signal.SIGTERM)
    machine = puppet.machine
    assert machine.dead
    assert machine.received(1, conn, b'{"execute":"stop"}') == []
    assert machine.signalled(1, 15) == []
    assert machine.connected(1, "charmonitor", 9) == []
    assert machine.woken(1, lambda: machine.exit(9)) == []
    assert machine.disconnected(1, conn) == []


def test_the_next_client_is_served_after_the_first_has_gone():
    puppet = Puppet().start()
    first = puppet.connect()
    assert len(puppet.done(Accept)) == 1
    puppet.hang_up(first)
    assert len(puppet.done(Accept)) == 2
    assert puppet.messages(puppet.connect())[0].keys() == {"QMP"}


def test_the_same_calls_give_the_same_steps():
    def log():
        puppet = Puppet({"on": "command", "probability": 0.5, "do": {"delay": "1s"}}, seed="s").start()
        conn = puppet.connect()
        for command in ("qmp_capabilities", "cont", "stop", "query-name", "cont"):
            puppet.write(conn, f'{{"execute":"{command}"}}'.encode())
            puppet.run(SECOND)
        return puppet.log, puppet.sent

    assert log() == log()
