"""The guest: boot, console, agent, sleep, panic, watchdog."""

from __future__ import annotations

import base64
import json

import pytest

from tests.helpers.puppet import ARGV, MS, SECOND, Puppet

CONSOLE = ("-chardev", "pty,id=tty", "-device", '{"driver":"isa-serial","chardev":"tty","id":"serial0"}')
AGENT = (
    "-device", '{"driver":"virtio-serial-pci","id":"vs0"}',
    "-chardev", "socket,id=channel,path=/run/agent,server=on,wait=off",
    "-device", "virtserialport,bus=vs0.0,chardev=channel,id=port0,name=org.qemu.guest_agent.0",
)  # fmt: skip


class Vm(Puppet):
    """A machine with a console and an agent, and a client on its monitor."""

    def __init__(self, *rules, more=(), argv=(*ARGV, *CONSOLE, *AGENT)):
        super().__init__(*rules, argv=[*argv, *more])
        self.start()
        self.conn = self.open()
        self.channel = 0

    def q(self, command, **arguments):
        return self.ask(self.conn, command, **arguments)

    def heard(self, command=None, **arguments):
        """Names of the events that a command brings, None for its reply."""
        if command is not None:
            self.write(self.conn, json.dumps({"execute": command, "arguments": arguments}).encode())
        return [message.get("event") for message in self.messages(self.conn)]

    def up(self):
        """It has booted, so long ago that no event of a port is held back (one a second)."""
        self.q("cont")
        self.run(2 * SECOND)
        self.printed()
        self.heard()

    def data(self, event):
        return [message["data"] for message in self.messages(self.conn) if message.get("event") == event]

    def agent(self, command, **arguments):
        if not self.channel:
            self.channel = self.connect("channel")
        members = {name.replace("__", "-"): value for name, value in arguments.items()}
        self.write(self.channel, json.dumps({"execute": command, "arguments": members}).encode() + b"\n")
        text = self.take(self.channel)
        if not text:
            return None
        reply = json.loads(text)
        return reply.get("return", reply.get("error"))

    def typed(self, text):
        self.write(self.ptys["tty"], text.encode())
        return self.printed()

    def printed(self):
        return self.take(self.ptys["tty"]).decode()


def of(**words):
    return {"at": "start", "guest": words}


@pytest.fixture
def vm():
    return Vm()


def test_a_terminal_is_opened_and_said(vm):
    assert vm.stdout == "char device redirected to /dev/pts/0 (label tty)\n"
    assert {"frontend-open": True, "filename": "pty:/dev/pts/0", "label": "tty"} in vm.q("query-chardev")


def test_it_boots_and_opens_its_agent(vm):
    assert vm.heard("cont") == ["RESUME", None, "VSERPORT_CHANGE"]
    text = vm.printed()
    assert text.startswith("[    0.000000] Linux version ")
    assert text.endswith("vm login: ")
    assert {entry["label"]: entry["frontend-open"] for entry in vm.q("query-chardev")}["channel"] is True


def test_the_boot_log_is_spread_over_the_boot():
    vm = Vm(of(boot="10s"))
    assert vm.heard("cont") == ["RESUME", None]
    first = vm.printed()
    vm.run(5 * SECOND)
    middle = vm.printed()
    assert "Linux version" in first
    assert "Reached target Local File Systems." in middle
    assert "login" not in first + middle
    assert vm.agent("guest-ping") is None
    vm.run(5 * SECOND)
    assert vm.printed().endswith("login: ")
    assert vm.heard() == ["VSERPORT_CHANGE"]
    # What waited in the port is answered now.
    assert vm.take(vm.channel) == b'{"return": {}}\n'


def test_a_boot_stands_still_while_the_machine_does():
    vm = Vm(of(boot="2s", log=["one", "two"]))
    vm.q("cont")
    assert vm.printed() == "one\r\n"
    vm.q("stop")
    vm.run(5 * SECOND)
    assert vm.printed() == ""
    vm.q("cont")
    vm.run(SECOND)
    assert vm.printed().startswith("two\r\n")


def test_somebody_logs_in_and_out(vm):
    vm.q("cont")
    vm.printed()
    assert vm.typed("roo\x7fot\r") == "roo\b \bot\r\nPassword: "
    assert vm.typed("secret\r") == "\r\nLinux vm 6.1.0-18-amd64 x86_64\r\nroot@vm:~# "
    assert vm.typed("hostname\r") == "hostname\r\nvm\r\nroot@vm:~# "
    assert vm.typed("echo a > /tmp/x; cat /tmp/x && false && echo no\r").splitlines()[1] == "a"
    assert "command not found" in vm.typed("nonsense\r")
    assert vm.typed("abc\x03") == "abc^C\r\nroot@vm:~# "
    assert vm.typed("exit\r").endswith("vm login: ")
    assert "Login incorrect" in vm.typed("nobody-here\rx\r")


def test_the_power_button_ends_the_agent_first(vm):
    vm.up()
    assert vm.heard("system_powerdown") == ["POWERDOWN", None, "VSERPORT_CHANGE", "SHUTDOWN", "STOP"]
    assert vm.printed().endswith("reboot: Power down\r\n")
    assert vm.typed("x") == ""
    vm.run(SECOND)
    assert vm.heard("system_reset") == ["RESET", None]
    assert vm.heard("cont") == ["RESUME", None, "VSERPORT_CHANGE"]
    assert vm.printed().endswith("vm login: ")


def test_a_reset_closes_the_port_and_boots_again(vm):
    vm.up()
    vm.write(vm.conn, b'{"execute":"system_reset"}')
    vm.run(SECOND)
    said = vm.messages(vm.conn)
    assert [message.get("event") for message in said] == ["VSERPORT_CHANGE", "RESET", None, "VSERPORT_CHANGE"]
    assert [message["data"]["open"] for message in said if message.get("event") == "VSERPORT_CHANGE"] == [
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("mode", "events"),
    [
        ("powerdown", ["VSERPORT_CHANGE", "SHUTDOWN", "STOP"]),
        ("reboot", ["VSERPORT_CHANGE", "RESET", "VSERPORT_CHANGE"]),
        ("halt", ["VSERPORT_CHANGE"]),
    ],
)
def test_the_agent_shuts_down_without_a_reply(vm, mode, events):
    vm.up()
    assert vm.agent("guest-shutdown", mode=mode) is None
    vm.run(SECOND)
    assert vm.heard() == events


def test_what_the_agent_knows():
    vm = Vm(
        of(
            hostname="web-1", os={"id": "other", "pretty-name": "Other 1"},
            users=[{"user": "ann", "login-time": 5}],
            interfaces=[{"name": "eth7", "mac": "52:54:00:00:00:01", "addresses": ["192.0.2.7/28"]}],
            timezone={"zone": "CET", "offset": 3600}, files={"/etc/motd": "hi\n"},
            exec={"/opt/tool": {"out": "done", "exitcode": 3, "takes": "2s"}},
        ),
        more=("-smp", "2,maxcpus=4,sockets=4"),
    )  # fmt: skip
    vm.q("cont")
    assert vm.agent("guest-get-host-name") == {"host-name": "web-1"}
    osinfo = vm.agent("guest-get-osinfo")
    assert osinfo.items() >= {"id": "other", "pretty-name": "Other 1", "machine": "x86_64"}.items()
    assert vm.agent("guest-get-users") == [{"user": "ann", "login-time": 5.0}]
    loopback, eth7 = vm.agent("guest-network-get-interfaces")
    assert loopback["name"] == "lo"
    assert eth7["ip-addresses"] == [{"ip-address": "192.0.2.7", "ip-address-type": "ipv4", "prefix": 28}]
    assert vm.agent("guest-get-timezone") == {"zone": "CET", "offset": 3600}
    assert vm.agent("guest-file-open", path="/etc/motd") == 1000
    assert vm.agent("guest-file-read", handle=1000) == {"count": 3, "buf-b64": "aGkK", "eof": True}
    pid = vm.agent("guest-exec", path="/opt/tool", capture__output=True)["pid"]
    assert vm.agent("guest-exec-status", pid=pid) == {"exited": False}
    vm.run(2 * SECOND)
    assert vm.agent("guest-exec-status", pid=pid) == {
        "exited": True, "exitcode": 3, "out-data": base64.b64encode(b"done").decode(), "out-truncated": False,
    }  # fmt: skip
    assert [cpu["logical-id"] for cpu in vm.agent("guest-get-vcpus")] == [0, 1]
    assert vm.agent("guest-set-vcpus", vcpus=[{"logical-id": 1, "online": False}]) == 1
    assert vm.agent("guest-get-vcpus")[1]["online"] is False
    assert vm.agent("guest-get-time") == 1_700_000_002 * SECOND


def test_frozen_file_systems_disable_most_commands(vm):
    vm.q("cont")
    assert vm.agent("guest-fsfreeze-freeze") == 1
    assert vm.agent("guest-fsfreeze-status") == "frozen"
    refusal = {
        "class": "CommandNotFound",
        "desc": "Command guest-get-users has been disabled: the agent is in frozen state",
    }
    assert vm.agent("guest-get-users") == refusal
    enabled = {entry["name"] for entry in vm.agent("guest-info")["supported_commands"] if entry["enabled"]}
    assert "guest-ping" in enabled
    assert "guest-exec" not in enabled
    assert vm.agent("guest-fsfreeze-thaw") == 1
    assert vm.agent("guest-get-users") == []


def test_accounts(vm):
    vm.q("cont")
    word = base64.b64encode(b"new").decode()
    assert vm.agent("guest-set-user-password", username="root", password=word, crypted=False) == {}
    assert vm.agent("guest-ssh-add-authorized-keys", username="root", keys=["ssh-rsa A", "ssh-rsa B"]) == {}
    assert vm.agent("guest-ssh-remove-authorized-keys", username="root", keys=["ssh-rsa A"]) == {}
    assert vm.agent("guest-ssh-get-authorized-keys", username="root") == {"keys": ["ssh-rsa B"]}
    vm.printed()
    assert "Login incorrect" in vm.typed("root\rold\r")
    assert "root@vm" in vm.typed("root\rnew\r")


def test_an_agent_that_is_late_slow_silent_or_not_there():
    late = Vm(of(agent={"after": "3s", "delay": "500ms", "disabled": ["guest-exec"]}))
    late.q("cont")
    assert late.heard() == []
    late.run(3 * SECOND)
    assert late.heard() == ["VSERPORT_CHANGE"]
    assert late.agent("guest-ping") is None
    late.run(500 * MS)
    assert late.take(late.channel) == b'{"return": {}}\n'
    late.agent("guest-exec", path="x")
    late.run(500 * MS)
    assert b"Command guest-exec has been disabled: the command is not allowed" in late.take(late.channel)

    silent = Vm(of(agent={"unresponsive": True}))
    assert silent.heard("cont") == ["RESUME", None, "VSERPORT_CHANGE"]
    assert silent.agent("guest-ping") is None

    none = Vm(of(agent=False))
    assert none.heard("cont") == ["RESUME", None]
    assert none.agent("guest-ping") is None


def test_the_script_answers_for_the_agent():
    vm = Vm(
        of(
            agent={
                "commands": {
                    "guest-get-users": {"return": [1]},
                    "guest-get-time": {"error": {"desc": "no clock"}},
                }
            }
        ),
        {"on": "agent", "match": "guest-ping", "count": 1, "do": {"error": {"desc": "not now"}}},
        {"on": "agent", "match": "guest-info", "do": {"drop": True}},
    )
    vm.q("cont")
    assert vm.agent("guest-get-users") == [1]
    assert vm.agent("guest-get-time") == {"class": "GenericError", "desc": "no clock"}
    assert vm.agent("guest-ping")["desc"] == "not now"
    assert vm.agent("guest-ping") == {}
    assert vm.agent("guest-info") is None


def test_steps_of_the_guest_can_be_late_or_left_out():
    vm = Vm(
        {"on": "guest", "match": "booted", "do": {"delay": "1s"}},
        {"on": "guest", "match": "agent", "do": {"drop": True}},
    )
    vm.q("cont")
    assert "login" not in vm.printed()
    vm.run(SECOND)
    assert vm.printed().endswith("login: ")
    assert vm.heard() == []


def test_it_sleeps_and_is_woken(vm):
    vm.up()
    assert vm.agent("guest-suspend-ram") is None
    assert vm.heard() == ["SUSPEND"]
    assert vm.q("query-status") == {"status": "suspended", "singlestep": False, "running": False}
    assert vm.heard("stop") == [None]
    assert vm.heard("cont") == [None]
    assert vm.heard("system_powerdown") == ["POWERDOWN", None]
    assert vm.agent("guest-ping") is None
    # The button that was pressed meanwhile is seen on waking.
    assert vm.heard("system_wakeup") == ["WAKEUP", None, "VSERPORT_CHANGE", "SHUTDOWN", "STOP"]


def test_a_key_wakes_it(vm):
    vm.q("cont")
    vm.agent("guest-suspend-ram")
    vm.heard()
    assert vm.heard("send-key", keys=[{"type": "qcode", "data": "a"}]) == ["WAKEUP", None]
    assert vm.agent("guest-ping") == {}


def test_it_hibernates(vm):
    vm.q("cont")
    vm.heard()
    vm.agent("guest-suspend-disk")
    assert vm.heard() == ["SUSPEND_DISK", "SHUTDOWN", "STOP"]


@pytest.mark.parametrize(
    ("action", "events", "status"),
    [
        ("reset", ["WATCHDOG", "VSERPORT_CHANGE", "RESET", "VSERPORT_CHANGE"], "running"),
        ("shutdown", ["WATCHDOG", "POWERDOWN", "VSERPORT_CHANGE", "SHUTDOWN", "STOP"], "shutdown"),
        ("pause", ["WATCHDOG", "STOP"], "watchdog"),
        ("debug", ["WATCHDOG"], "running"),
        ("none", ["WATCHDOG"], "running"),
        ("inject-nmi", ["WATCHDOG"], "running"),
    ],
)
def test_the_watchdog_fires(action, events, status):
    vm = Vm(of(watchdog="5s"), more=("-device", "i6300esb,id=dog"))
    assert vm.q("watchdog-set-action", action=action) == {}
    vm.q("cont")
    vm.heard()
    vm.run(5 * SECOND)
    vm.run(SECOND)
    assert vm.heard() == events
    assert vm.q("query-status")["status"] == status


def test_a_watchdog_that_powers_off_says_nothing_more():
    vm = Vm(of(watchdog="5s"), more=("-device", "i6300esb,id=dog", "-action", "watchdog=poweroff"))
    vm.q("cont")
    vm.heard()
    vm.run(5 * SECOND)
    assert vm.heard() == ["WATCHDOG"]
    assert vm.ended is not None


def test_without_a_watchdog_nothing_fires():
    vm = Vm(of(watchdog="5s"))
    vm.q("cont")
    vm.heard()
    vm.run(9 * SECOND)
    assert vm.heard() == []


def test_it_panics_at_its_time():
    vm = Vm(of(panic="3s"), more=("-action", "panic=pause"))
    vm.q("cont")
    vm.heard()
    vm.run(3 * SECOND)
    assert vm.heard() == ["GUEST_PANICKED", "STOP"]
    assert "Kernel panic" in vm.printed()
    vm.q("cont")
    assert vm.agent("guest-ping") is None
    assert vm.heard("system_powerdown") == ["POWERDOWN", None]


def test_a_guest_that_hangs_answers_nothing():
    vm = Vm(of(hang="1s"))
    vm.q("cont")
    vm.printed()
    vm.run(SECOND)
    assert vm.typed("x\r") == ""
    assert vm.agent("guest-ping") is None
    assert vm.q("query-status")["status"] == "running"


def test_the_guest_sets_the_hardware_clock(vm):
    vm.q("cont")
    vm.heard()
    assert vm.agent("guest-set-time", time=1_700_000_060 * SECOND) == {}
    (data,) = vm.data("RTC_CHANGE")
    assert data["offset"] == 60
    assert vm.agent("guest-get-time") == 1_700_000_060 * SECOND


def test_its_state_moves():
    one, two = Vm(), Vm()
    one.q("cont")
    one.agent("guest-set-user-password", username="root", password="YQ==", crypted=False)
    one.agent("guest-fsfreeze-freeze")
    value = json.loads(json.dumps(one.machine.parts["guest"].saved()))
    from fakeqemu.guests import guest_of

    guest_of(two.machine).restored(two.machine, value)
    assert two.heard("cont") == ["RESUME", None, "VSERPORT_CHANGE"]
    assert two.agent("guest-fsfreeze-status") == "frozen"
    for odd in (None, 1, [], {"state": 5, "screen": {}, "left": "x", "system": {"files": [], "keys": 1}}):
        guest_of(two.machine).restored(two.machine, odd)


@pytest.mark.parametrize("way", ["parts", "ctl"])
def test_what_clients_have_open_in_it_moves(way):
    words = of(panic="1h", hostname="moved", files={"/etc/gone": "x"})
    one, two = Vm(words), Vm(words)
    one.up()
    one.typed("root\rsecret\r")
    one.typed("hal")
    handle = one.agent("guest-file-open", path="/tmp/log", mode="w+")
    one.agent("guest-file-write", handle=handle, buf__b64="aGVsbG8=")
    one.agent("guest-file-seek", handle=handle, offset=1, whence="set")
    ended = one.agent("guest-exec", path="/bin/echo", arg=["out"], capture__output=True)["pid"]
    running = one.agent("guest-exec", path="/bin/sleep", arg=["60"])["pid"]
    one.run(10 * SECOND)
    one.q("query-status")  # it looks at the clock
    from fakeqemu.guests import guest_of
    from fakeqemu.migration.state import restored, saved

    del guest_of(one.machine).system.files["/etc/gone"]

    if way == "parts":
        guest_of(two.machine).restored(
            two.machine, json.loads(json.dumps(one.machine.parts["guest"].saved()))
        )
    else:
        for name, value in json.loads(json.dumps(saved(one.machine))).items():
            restored(two.machine, name, value)
    two.q("cont")
    two.run(SECOND)
    assert two.typed("f\x7f\x7f\x7f\x7fhostname\r").endswith("hostname\r\nmoved\r\nroot@moved:~# ")
    assert two.agent("guest-file-read", handle=handle)["buf-b64"] == "ZWxsbw=="
    assert two.agent("guest-file-open", path="/tmp/log") == handle + 1
    assert two.agent("guest-exec-status", pid=ended)["out-data"] == "b3V0Cg=="
    assert two.agent("guest-exec-status", pid=running) == {"exited": False}
    two.run(50 * SECOND)
    assert two.agent("guest-exec-status", pid=running) == {"exited": True, "exitcode": 0}
    assert "No such file" in two.agent("guest-file-open", path="/etc/gone")["desc"]
    left = 3600 * SECOND - 12 * SECOND - 51 * SECOND
    two.run(left - MS)
    two.heard()
    two.run(2 * MS)
    assert "GUEST_PANICKED" in two.heard()


def test_a_damaged_state_of_its_clients_is_left_out():
    one = Vm()
    one.up()
    from fakeqemu.guests import guest_of

    value = guest_of(one.machine).saved()
    for odd in (
        {"agent": {"open": True, "handles": {"next": "x"}}}, {"consoles": {"ttyS0": [1]}},
        {"agent": {"processes": {"next": 5, "programs": [[1]]}}}, {"fates": {"hang": "x", "other": 5}},
    ):  # fmt: skip
        guest_of(one.machine).restored(one.machine, {**value, **odd})
    assert one.q("query-status")["status"] == "running"


def test_what_waits_in_a_closed_port_is_bounded(vm):
    conn = vm.connect("channel")
    for _ in range(40):
        vm.write(conn, b"x" * 4096)
    agent = vm.machine.parts.get("guest")
    assert agent is None or agent.agent is None or len(agent.agent._waiting) <= 65536
    vm.q("cont")
    assert vm.q("query-status")["running"] is True


def test_a_guest_that_nobody_can_notice_is_not_there():
    vm = Vm(argv=ARGV)
    vm.q("cont")
    assert "guest" not in vm.machine.parts


def test_an_agent_that_is_plugged_in_while_it_runs():
    vm = Vm(argv=(*ARGV, "-device", "virtio-serial-pci,id=vs0"))
    vm.q("cont")
    vm.run(SECOND)
    vm.heard()
    assert (
        vm.q(
            "chardev-add",
            id="late",
            backend={
                "type": "socket",
                "data": {"addr": {"type": "unix", "data": {"path": "/l"}}, "wait": False},
            },
        )
        == {}
    )
    port = {
        "driver": "virtserialport",
        "bus": "vs0.0",
        "chardev": "late",
        "id": "p1",
        "name": "org.qemu.guest_agent.0",
    }
    assert vm.heard("device_add", **port) == [None, "VSERPORT_CHANGE"]
    conn = vm.connect("late")
    vm.write(conn, b'{"execute":"guest-ping"}')
    assert vm.take(conn) == b'{"return": {}}\n'
    assert {entry["label"]: entry["frontend-open"] for entry in vm.q("query-chardev")}["late"] is True


def test_disks_have_the_addresses_that_a_manager_gave_them():
    blocks = [("-blockdev", f"null-co,node-name=n{number},size=1M") for number in range(3)]
    vm = Vm(
        more=(
            *(word for pair in blocks for word in pair),
            "-device", "virtio-blk-pci,drive=n0,id=d0,bus=pci.0,addr=0x5,serial=abc",
            "-device", "virtio-scsi-pci,id=scsi0,bus=pci.0,addr=0x6",
            "-device", "scsi-hd,drive=n1,bus=scsi0.0,scsi-id=1,lun=2",
            "-device", "ide-hd,drive=n2,bus=ide.1",
        )
    )  # fmt: skip
    vm.q("cont")
    addresses = {disk["name"]: disk["address"] for disk in vm.agent("guest-get-disks")}
    assert addresses["/dev/vda"]["pci-controller"] == {"domain": 0, "bus": 0, "slot": 5, "function": 0}
    assert addresses["/dev/vda"]["serial"] == "abc"
    assert addresses["/dev/sda"].items() >= {"bus-type": "scsi", "target": 1, "unit": 2}.items()
    assert addresses["/dev/sda"]["pci-controller"]["slot"] == 6
    assert addresses["/dev/sdb"].items() >= {"bus-type": "sata", "unit": 1}.items()
    assert vm.agent("guest-get-fsinfo")[0]["disk"][0]["dev"] == "/dev/vda1"
    assert [entry["name"] for entry in vm.agent("guest-get-diskstats")] == ["vda", "sda", "sdb"]
