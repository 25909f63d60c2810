"""What each modelled command answers, on a machine such as a manager starts."""

from __future__ import annotations

import pytest

from fakeqemu.facts.profile import profile_for
from fakeqemu.registry import COMMANDS, load
from tests.helpers.puppet import ARGV, Puppet

TYPICAL = [
    *ARGV,
    "-uuid",
    "3c1b6a3e-58a0-4d4e-9f53-6b1f0a0c7d10",
    "-blockdev",
    '{"driver":"file","filename":"/srv/d.qcow2","node-name":"s"}',
    "-blockdev",
    '{"driver":"qcow2","node-name":"f","file":"s","read-only":false}',
    "-device",
    '{"driver":"virtio-blk-pci","drive":"f","id":"disk0"}',
    "-device",
    '{"driver":"ide-cd","id":"cd0","bus":"ide.0"}',
    "-netdev",
    '{"type":"user","id":"hostnet0"}',
    "-device",
    '{"driver":"virtio-net-pci","netdev":"hostnet0","id":"net0","mac":"52:54:00:11:22:33"}',
    "-chardev",
    "pty,id=charserial0",
    "-chardev",
    "socket,id=agent,path=/run/agent,server=on,wait=off",
    "-object",
    '{"qom-type":"iothread","id":"iothread1"}',
    "-object",
    '{"qom-type":"memory-backend-ram","id":"dimm","size":1073741824}',
    "-device",
    '{"driver":"pc-dimm","id":"dimm0","memdev":"dimm"}',
    "-vnc",
    "127.0.0.1:1,password=on",
]


@pytest.fixture
def vm():
    puppet = Puppet(argv=TYPICAL).start()
    puppet.conn = puppet.open()
    puppet.q = lambda command, **arguments: puppet.ask(puppet.conn, command, **arguments)
    return puppet


def test_the_register_and_the_profile_agree():
    load("")
    unknown = set(COMMANDS)
    for arch in ("x86_64", "i386", "aarch64", "ppc64", "riscv64", "s390x"):
        profile = profile_for(f"qemu-system-{arch}")
        unknown -= set(profile.commands)
        for name in COMMANDS.keys() & profile.commands.keys():
            members = profile.arguments["types"][profile.commands[name]]
            assert COMMANDS[name].takes == bool(members["members"] or members.get("variants")), name
    assert not unknown


def test_who_it_is(vm):
    assert vm.q("query-name") == {"name": "vm"}
    assert vm.q("query-uuid") == {"UUID": "3c1b6a3e-58a0-4d4e-9f53-6b1f0a0c7d10"}
    assert vm.q("query-target") == {"arch": "x86_64"}
    assert vm.q("query-kvm") == {"enabled": False, "present": True}
    assert vm.q("query-version")["qemu"] == {"major": 7, "minor": 2, "micro": 22}
    assert vm.q("query-current-machine") == {"wakeup-suspend-support": True}


def test_the_expansion_of_a_cpu_model(vm):
    def expand(kind, name, **props):
        return vm.q("query-cpu-model-expansion", type=kind, model={"name": name, "props": props})

    static = expand("static", "max")["model"]
    assert static["name"] == "base"
    assert static["props"]["aes"] is True
    assert vm.q("query-cpu-model-expansion", type="static", model={"name": "max"})["model"] == static
    full = expand("full", "base", **{**static["props"], "aes": False})["model"]
    assert full["props"]["aes"] is False
    assert full["props"].keys() > static["props"].keys()
    assert expand("static", "host", migratable=False)["model"]["name"] == "base"
    assert expand("static", "nope")["desc"] == "CPU model 'nope' not found"
    assert expand("static", "max", nope=True)["desc"] == "Property 'max-x86_64-cpu.nope' not found"
    assert expand("full", "qemu64")["model"]["props"]["svm"] is True


def test_what_it_can(vm):
    names = {entry["name"] for entry in vm.q("query-commands")}
    assert {"query-status", "qmp_capabilities", "blockdev-add"} <= names
    assert len(vm.q("query-qmp-schema")) > 500
    assert "pc-q35-7.2" in {entry["name"] for entry in vm.q("query-machines")}
    assert "qemu64" in {entry["name"] for entry in vm.q("query-cpu-definitions")}
    types = {entry["name"] for entry in vm.q("qom-list-types")}
    assert "virtio-blk-pci" in types
    machines = {entry["name"] for entry in vm.q("qom-list-types", implements="machine")}
    assert "pc-q35-7.2-machine" in machines
    assert "virtio-blk-pci" not in machines
    assert {"name": "bootindex"}.items() <= next(
        entry
        for entry in vm.q("device-list-properties", typename="virtio-blk-pci")
        if entry["name"] == "bootindex"
    ).items()
    assert vm.q("device-list-properties", typename="e1000")
    assert vm.q("device-list-properties", typename="nope")["class"] == "DeviceNotFound"
    assert vm.q("qom-list-properties", typename="memory-backend-file")
    assert vm.q("qom-list-properties", typename="nope")["class"] == "DeviceNotFound"
    assert vm.q("query-sev-capabilities") == {"class": "GenericError", "desc": "KVM not enabled"}
    assert vm.q("query-tpm-models")


def test_stop_and_cont(vm):
    assert vm.q("query-status") == {"status": "prelaunch", "singlestep": False, "running": False}
    assert vm.q("stop") == {}
    assert vm.q("query-status")["status"] == "prelaunch"
    vm.write(vm.conn, b'{"execute":"cont"}{"execute":"cont"}{"execute":"stop"}{"execute":"stop"}')
    assert [message.get("event") for message in vm.messages(vm.conn)] == [
        "RESUME",
        None,
        None,
        "STOP",
        None,
        None,
    ]
    assert vm.q("query-status")["status"] == "paused"


def test_reset_of_a_stopped_machine_is_prelaunch_again(vm):
    vm.q("cont")
    vm.q("stop")
    vm.write(vm.conn, b'{"execute":"system_reset"}')
    event, reply = vm.messages(vm.conn)
    assert (event["event"], event["data"]) == ("RESET", {"guest": False, "reason": "host-qmp-system-reset"})
    assert reply == {"return": {}}
    assert vm.q("query-status")["status"] == "prelaunch"


def test_a_reset_that_means_shutdown(vm):
    vm.q("cont")
    assert vm.q("set-action", reboot="shutdown") == {}
    vm.write(vm.conn, b'{"execute":"system_reset"}')
    assert [message.get("event") for message in vm.messages(vm.conn)] == ["SHUTDOWN", "STOP", None]
    assert vm.q("cont") == {"class": "GenericError", "desc": "Resetting the Virtual Machine is required"}
    assert (
        vm.q("set-action", shutdown="sleep")["desc"] == "Parameter 'shutdown' does not accept value 'sleep'"
    )


def test_quit_answers_and_leaves_in_spite_of_no_shutdown(vm):
    vm.write(vm.conn, b'{"execute":"quit"}')
    event, reply = vm.messages(vm.conn)
    assert event["data"] == {"guest": False, "reason": "host-qmp-quit"}
    assert reply == {"return": {}}
    assert vm.ended is not None


def test_without_no_shutdown_the_guests_power_off_is_the_end():
    argv = [word for word in ARGV if word != "-no-shutdown"]
    puppet = Puppet({"at": "1s", "do": {"guest": "poweroff"}}, argv=argv).start()
    conn = puppet.open()
    puppet.ask(conn, "cont")
    puppet.run(10**10)
    assert [message["event"] for message in puppet.messages(conn)] == ["SHUTDOWN"]
    assert puppet.ended is not None


def test_a_machine_that_is_not_held_back_runs_at_once():
    puppet = Puppet(argv=[word for word in ARGV if word != "-S"]).start()
    assert puppet.ask(puppet.open(), "query-status")["status"] == "running"
    puppet = Puppet(argv=[*[word for word in ARGV if word != "-S"], "-incoming", "defer"]).start()
    conn = puppet.open()
    assert puppet.ask(conn, "query-status")["status"] == "inmigrate"
    assert puppet.ask(conn, "cont") == {}


def test_cpus(vm):
    fast = vm.q("query-cpus-fast")
    assert [cpu["qom-path"] for cpu in fast] == [
        "/machine/unattached/device[0]",
        "/machine/unattached/device[2]",
    ]
    assert [cpu["props"]["socket-id"] for cpu in fast] == [0, 1]
    assert len({cpu["thread-id"] for cpu in fast} | {vm.machine.pid}) == 3
    places = vm.q("query-hotpluggable-cpus")
    assert [place["props"]["socket-id"] for place in places] == [1, 0]
    assert all(place["type"] == "qemu64-x86_64-cpu" for place in places)
    [thread] = vm.q("query-iothreads")
    assert (thread["id"], thread["poll-max-ns"]) == ("iothread1", 32768)


def test_an_empty_machine_has_no_cpus():
    puppet = Puppet(
        argv=["qemu-system-x86_64", "-S", "-machine", "none", "-qmp", "unix:/m,server=on,wait=off"]
    ).start()
    conn = puppet.connect("compat_monitor0")
    puppet.take(conn)
    puppet.ask(conn, "qmp_capabilities")
    assert puppet.ask(conn, "query-cpus-fast") == []
    assert (
        puppet.ask(conn, "query-hotpluggable-cpus")["desc"]
        == "The feature 'query-hotpluggable-cpus' is not enabled"
    )
    assert puppet.ask(conn, "query-name") == {}
    assert puppet.ask(conn, "query-uuid") == {"UUID": "00000000-0000-0000-0000-000000000000"}
    assert puppet.ask(conn, "query-balloon")["class"] == "DeviceNotActive"
    assert puppet.ask(conn, "query-vnc") == {"enabled": False}
    assert puppet.ask(conn, "query-spice")["enabled"] is False
    assert puppet.ask(conn, "query-vnc-servers") == []


def test_the_balloon_moves_when_the_guest_runs(vm):
    # What was plugged in counts too.
    assert vm.q("query-balloon") == {"actual": 2 << 30}
    assert vm.q("balloon", value=0)["desc"] == "Parameter 'target' expects a size"
    assert vm.q("balloon", value=1 << 29) == {}
    assert vm.q("query-balloon") == {"actual": 2 << 30}
    vm.write(vm.conn, b'{"execute":"cont"}')
    assert [message.get("event") for message in vm.messages(vm.conn)] == ["RESUME", None, "BALLOON_CHANGE"]
    assert vm.q("query-balloon") == {"actual": 1 << 29}
    vm.run(2_000_000_000)  # QEMU sends such events at most once a second
    vm.write(vm.conn, b'{"execute":"balloon","arguments":{"value":9999999999}}')
    reply, event = vm.messages(vm.conn)
    assert reply == {"return": {}}
    assert event["data"] == {"actual": 2 << 30}


def test_guest_statistics(vm):
    path = "/machine/peripheral/balloon0"
    unknown = vm.q("qom-get", path=path, property="guest-stats")
    assert unknown["last-update"] == 0
    assert set(unknown["stats"].values()) == {(1 << 64) - 1}
    assert vm.q("qom-set", path=path, property="guest-stats-polling-interval", value=5) == {}
    assert vm.q("qom-get", path=path, property="guest-stats-polling-interval") == 5
    vm.q("cont")
    stats = vm.q("qom-get", path=path, property="guest-stats")
    assert 1 << 30 < stats["stats"]["stat-total-memory"] < 2 << 30
    assert stats["last-update"] == 1_700_000_000


def test_memory(vm):
    [dimm] = vm.q("query-memory-devices")
    assert dimm["type"] == "dimm"
    assert (dimm["data"]["id"], dimm["data"]["size"], dimm["data"]["memdev"]) == (
        "dimm0",
        1 << 30,
        "/objects/dimm",
    )
    assert vm.q("query-memory-size-summary") == {"base-memory": 1 << 30, "plugged-memory": 1 << 30}
    assert {backend["id"] for backend in vm.q("query-memdev")} == {"dimm", "pc.ram"}


def test_qom(vm):
    def children(path):
        return {entry["name"] for entry in vm.q("qom-list", path=path)}

    assert children("/") == {"type", "objects", "machine", "chardevs"}
    assert {"balloon0", "disk0", "net0"} <= children("/machine/peripheral")
    assert "device[2]" in children("/machine/unattached")
    assert {"iothread1", "dimm"} <= children("/objects")
    assert (
        children("balloon0")
        == children("/machine/peripheral/balloon0")
        >= {"guest-stats", "realized", "type"}
    )
    assert vm.q("qom-get", path="/machine/peripheral/balloon0", property="type") == "virtio-balloon-pci"
    assert vm.q("qom-get", path="/machine/peripheral/disk0", property="drive") == "f"
    assert vm.q("qom-get", path="/machine/unattached/device[0]", property="unavailable-features") == []
    assert vm.q("qom-get", path="/machine/unattached/device[0]", property="realized") is True
    assert vm.q("qom-get", path="/objects/dimm", property="size") == 1 << 30
    assert vm.q("qom-get", path="/machine", property="peripheral") == "/machine/peripheral"
    assert (
        vm.q("qom-get", path="balloon0", property="x")["desc"] == "Property 'virtio-balloon-pci.x' not found"
    )
    assert vm.q("qom-get", path="/nope", property="x") == {
        "class": "DeviceNotFound",
        "desc": "Device '/nope' not found",
    }
    assert vm.q("qom-set", path="balloon0", property="x", value=1)["class"] == "GenericError"
    wrong = vm.q("qom-set", path="/machine/peripheral/balloon0", property="realized", value=5)
    assert wrong["desc"] == "Invalid parameter type for 'realized', expected: boolean"


def test_blocks(vm):
    disk, cd = vm.q("query-block")
    assert (disk["inserted"]["node-name"], disk["inserted"]["file"]) == ("f", "/srv/d.qcow2")
    assert disk["qdev"] == "/machine/peripheral/disk0/virtio-backend"
    assert (cd["qdev"], cd["removable"], cd["tray_open"]) == ("cd0", True, False)
    assert [node["node-name"] for node in vm.q("query-named-block-nodes", flat=True)] == ["f", "s"]
    limits = {"bps": 0, "bps_rd": 0, "bps_wr": 0, "iops": 1000, "iops_rd": 0, "iops_wr": 0}
    path = "/machine/peripheral/disk0/virtio-backend"
    assert vm.q("block_set_io_throttle", id=path, **limits) == {}
    assert vm.q("query-block")[0]["inserted"]["iops"] == 1000
    assert vm.q("query-block")[0]["inserted"]["group"] == path
    for name, words in (
        ("nope", "Device 'nope' not found"),
        ("disk0", "Device does not have a block device backend"),
        ("net0", "Device does not have a block device backend"),
        ("cd0", "Device has no medium"),
    ):
        assert vm.q("block_set_io_throttle", id=name, **limits)["desc"] == words
    assert "at the same time" in vm.q("block_set_io_throttle", id=path, **(limits | {"iops_rd": 1}))["desc"]
    assert vm.q("block_set_io_throttle", **limits)["desc"] == "Need exactly one of 'device' and 'id'"


def test_character_devices(vm):
    assert {entry["label"]: entry["filename"] for entry in vm.q("query-chardev")} == {
        "charmonitor": "unix:/run/m,server=on",
        "charserial0": "pty:/dev/pts/0",
        "agent": "disconnected:unix:/run/agent,server=on",
    }
    vm.connect("agent")
    assert "unix:/run/agent,server=on" in {entry["filename"] for entry in vm.q("query-chardev")}
    assert vm.stdout == "char device redirected to /dev/pts/0 (label charserial0)\n"


def test_displays(vm):
    assert vm.q("query-vnc")["service"] == "5901"
    assert vm.q("query-vnc-servers")[0]["auth"] == "vnc"
    assert vm.q("set_password", protocol="vnc", password="x") == {}
    assert vm.q("expire_password", protocol="vnc", time="never") == {}
    assert vm.q("set_password", protocol="spice", password="x") == {
        "class": "DeviceNotActive",
        "desc": "SPICE is not in use",
    }
    assert (
        vm.q("set_password", protocol="x", password="x")["desc"]
        == "Parameter 'protocol' does not accept value 'x'"
    )
    puppet = Puppet(argv=[*ARGV, "-vnc", ":0"]).start()
    assert (
        puppet.ask(puppet.open(), "set_password", protocol="vnc", password="x")["desc"]
        == "Could not set password"
    )


def test_links(vm):
    assert vm.q("set_link", name="net0", up=False) == {}
    assert vm.q("set_link", name="hostnet0", up=True) == {}
    assert vm.q("set_link", name="disk0", up=True)["class"] == "DeviceNotFound"
    assert vm.q("set_link", name="net0", up=1)["desc"] == "Invalid parameter type for 'up', expected: boolean"


def test_migration_capabilities(vm):
    assert not any(entry["state"] for entry in vm.q("query-migrate-capabilities"))
    assert vm.q("migrate-set-capabilities", capabilities=[{"capability": "events", "state": True}]) == {}
    assert {entry["capability"] for entry in vm.q("query-migrate-capabilities") if entry["state"]} == {
        "events"
    }
    wrong = vm.q("migrate-set-capabilities", capabilities=[{"capability": "events"}])
    assert wrong["desc"] == "Parameter 'capabilities[0].state' is missing"


def test_what_is_not_modelled_says_so(vm):
    for command in ("nonsense", "query-nonsense"):
        text = f"The command {command} has not been found"
        assert vm.q(command) == {"class": "CommandNotFound", "desc": text}
    assert vm.q("device_del")["desc"] == "Parameter 'id' is missing"
    assert vm.q("query-status", x=1)["desc"] == "Parameter 'x' is unexpected"


def test_negotiation():
    puppet = Puppet(argv=TYPICAL).start()
    conn = puppet.connect()
    puppet.take(conn)
    closed = {
        "class": "CommandNotFound",
        "desc": "Expecting capabilities negotiation with 'qmp_capabilities'",
    }
    assert puppet.ask(conn, "query-status") == closed
    assert puppet.ask(conn, "nonsense") == closed
    assert (
        puppet.ask(conn, "qmp_capabilities", enable=["x"])["desc"]
        == "Parameter 'null' does not accept value 'x'"
    )
    assert puppet.ask(conn, "qmp_capabilities", enable=["oob"]) == {}
    assert "already complete" in puppet.ask(conn, "qmp_capabilities")["desc"]
    puppet.write(conn, b'{"exec-oob":"query-status","id":1}')
    assert puppet.messages(conn) == [
        {"id": 1, "error": {"class": "GenericError", "desc": "The command query-status does not support OOB"}}
    ]
    puppet.write(conn, b'{"exec-oob":"query-status","execute":"query-status"}')
    assert "clashes with" in puppet.messages(conn)[0]["error"]["desc"]


@pytest.mark.parametrize(
    ("message", "desc"),
    [
        (b"[1]", "QMP input must be a JSON object"),
        (b'{"execute":1}', "QMP input member 'execute' must be a string"),
        (b'{"execute":"stop","arguments":1}', "QMP input member 'arguments' must be an object"),
        (b'{"execute":"stop","x":1}', "QMP input member 'x' is unexpected"),
        (b'{"exec-oob":"stop"}', "QMP input member 'exec-oob' is unexpected"),
        (b"{}", "QMP input lacks member 'execute'"),
        (b"{]", "JSON parse error, expecting value"),
    ],
)
def test_messages_that_are_no_commands(vm, message, desc):
    vm.write(vm.conn, message)
    assert vm.messages(vm.conn) == [{"error": {"class": "GenericError", "desc": desc}}]


@pytest.mark.parametrize("ident", [b"1", b'"x"', b"null", b"[1, {}]", b'{"a": true}', b"1.5"])
def test_any_id_comes_back(vm, ident):
    vm.write(vm.conn, b'{"execute":"stop","id":' + ident + b"}")
    assert vm.take(vm.conn) == b'{"return": {}, "id": ' + ident + b"}\r\n"


def test_two_monitors_hear_the_same_events():
    argv = [*ARGV, "-qmp", "unix:/second,server=on,wait=off"]
    puppet = Puppet(argv=argv).start()
    first = puppet.open()
    second, silent = puppet.connect("compat_monitor0"), None
    puppet.take(second)
    puppet.ask(first, "cont")
    assert puppet.take(second) == b""  # not negotiated: no events
    puppet.ask(second, "qmp_capabilities")
    puppet.write(first, b'{"execute":"stop"}')
    assert [message["event"] for message in puppet.messages(second)] == ["STOP"]
    assert silent is None
