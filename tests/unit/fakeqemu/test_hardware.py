"""Devices, CPUs and memory that come and go while a guest runs: what no real guest is here to show."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fakeqemu.hardware import registry_of
from fakeqemu.hardware.calendar import broken_down
from fakeqemu.hardware.checks import identifier
from fakeqemu.hardware.hashing import Table
from fakeqemu.hardware.slots import devfn_of
from fakeqemu.registry import CommandError
from tests.helpers.puppet import ARGV, MS, SECOND, Puppet

Q35 = tuple(word.replace("pc", "q35") if word == "pc" else word for word in ARGV)
PORTS = ("-device", "pcie-root-port,id=rp1,chassis=1", "-device", "pcie-root-port,id=rp2,chassis=2")
MEMORY = tuple("1024,slots=4,maxmem=8G" if word == "1024" else word for word in ARGV)
CPUS = tuple("2,maxcpus=4,sockets=4" if word == "2,sockets=2" else word for word in ARGV)


class Machine:
    """A puppet with a client that keeps events."""

    def __init__(self, *rules: dict[str, Any], argv: tuple[str, ...] = ARGV) -> None:
        self.puppet = Puppet(*rules, argv=argv).start()
        self.conn = self.puppet.open()

    def say(self, command: str, **arguments: Any) -> list[Any]:
        """Everything a command brings: events as (name, data), the reply as its value or error."""
        named = {name.rstrip("_").replace("__", "-"): value for name, value in arguments.items()}
        self.puppet.write(self.conn, json.dumps({"execute": command, "arguments": named}).encode())
        return self.heard()

    def heard(self) -> list[Any]:
        found = []
        for message in self.puppet.messages(self.conn):
            if "event" in message:
                found.append((message["event"], message.get("data")))
            else:
                found.append(message.get("return", message.get("error")))
        return found

    def q(self, command: str, **arguments: Any) -> Any:
        [reply] = [it for it in self.say(command, **arguments) if not isinstance(it, tuple)]
        return reply

    def run(self, ns: int) -> list[Any]:
        self.puppet.run(ns)
        return self.heard()

    @property
    def plugged(self) -> set[str]:
        return {entry["name"] for entry in self.q("qom-list", path="/machine/peripheral")} - {"type"}


def deleted(ident: str) -> tuple[str, dict[str, str]]:
    return "DEVICE_DELETED", {"device": ident, "path": f"/machine/peripheral/{ident}"}


def inner(path: str) -> tuple[str, dict[str, str]]:
    return "DEVICE_DELETED", {"path": f"/machine/peripheral/{path}"}


def test_a_guest_that_has_booted_gives_a_device_back_at_once() -> None:
    vm = Machine()
    vm.q("cont")
    vm.q("device_add", driver="virtio-net-pci", id="n")
    assert vm.say("device_del", id="n") == [{}, inner("n/virtio-backend"), deleted("n")]
    assert vm.plugged == {"balloon0"}
    assert vm.q("device_add", driver="virtio-net-pci", id="n") == {}


def test_behind_root_ports_as_well() -> None:
    vm = Machine(argv=Q35 + PORTS)
    vm.q("cont")
    assert vm.q("device_add", driver="e1000e", id="n", bus="rp1") == {}
    assert vm.say("device_del", id="n") == [{}, deleted("n")]


def test_a_guest_that_has_not_booted_answers_once_it_has() -> None:
    vm = Machine({"at": "start", "guest": {"boot": "5s"}})
    vm.q("device_add", driver="e1000", id="n")
    vm.q("cont")
    assert vm.say("device_del", id="n") == [{}]
    assert vm.say("device_del", id="n") == [
        {"class": "GenericError", "desc": "Device n is already in the process of unplug"}
    ]
    assert vm.run(4 * SECOND) == []
    assert vm.plugged == {"balloon0", "n"}
    assert vm.run(1 * SECOND) == [deleted("n")]


def test_a_paused_guest_answers_when_it_goes_on() -> None:
    vm = Machine()
    vm.q("device_add", driver="e1000", id="n")
    vm.q("cont")
    vm.q("stop")
    assert vm.say("device_del", id="n") == [{}]
    assert vm.say("cont") == [("RESUME", None), {}, deleted("n")]


def test_the_script_delays_the_answer() -> None:
    vm = Machine({"at": "start", "unplug": {"after": "200ms"}})
    vm.q("device_add", driver="e1000", id="n")
    vm.q("cont")
    assert vm.say("device_del", id="n") == [{}]
    assert vm.run(199 * MS) == []
    assert vm.run(1 * MS) == [deleted("n")]


def test_a_guest_that_refuses_keeps_the_device_and_may_be_asked_again() -> None:
    vm = Machine({"at": "start", "unplug": {"refuse": True}})
    vm.q("device_add", driver="e1000", id="n")
    vm.q("cont")
    assert vm.say("device_del", id="n") == [{}]
    assert vm.run(999 * MS) == []
    assert "already" in vm.q("device_del", id="n")["desc"]
    vm.run(2 * MS)
    assert vm.q("device_del", id="n") == {}
    assert "n" in vm.plugged
    assert vm.say("system_reset")[-1] == deleted("n")


def test_a_guest_that_cannot_says_so() -> None:
    vm = Machine({"at": "start", "unplug": {"error": True}}, argv=MEMORY)
    vm.q("device_add", driver="e1000", id="n")
    vm.q("cont")
    error = {"device": "n", "path": "/machine/peripheral/n"}
    assert vm.say("device_del", id="n") == [{}, ("DEVICE_UNPLUG_GUEST_ERROR", error)]
    assert vm.say("device_del", id="n")[0] == {}
    vm.q("object-add", qom__type="memory-backend-ram", id="m", size=1 << 28)
    vm.q("device_add", driver="pc-dimm", id="d", memdev="m")
    [reply, event] = vm.say("device_del", id="d")
    assert reply == {}
    assert event[0] == "ACPI_DEVICE_OST"
    assert event[1]["info"]["device"] == "d"
    assert {"n", "d"} <= vm.plugged


def test_what_sits_on_a_controller_goes_with_it() -> None:
    vm = Machine()
    vm.q("cont")
    vm.q("device_add", driver="virtio-scsi-pci", id="s")
    vm.q("device_add", driver="scsi-cd", id="c1")
    vm.q("device_add", driver="scsi-cd", id="c2")
    assert vm.say("device_del", id="s") == [
        {}, deleted("c2"), deleted("c1"), inner("s/virtio-backend"), deleted("s")
    ]  # fmt: skip


def test_neighbours_hear_and_may_refuse() -> None:
    vm = Machine()
    registry = registry_of(vm.puppet.machine)
    heard: list[str] = []
    registry.on_plug.append(lambda thing: heard.append(f"+{thing.id}"))
    registry.on_unplug.append(lambda thing: heard.append(f"-{thing.id}"))
    vm.q("cont")
    vm.q("device_add", driver="e1000", id="n")
    vm.q("device_del", id="n")
    assert heard == ["+n", "-n"]

    def never(thing: object) -> None:
        raise CommandError("GenericError", "no")

    registry.on_plug.append(never)
    assert vm.q("device_add", driver="e1000", id="m") == {"class": "GenericError", "desc": "no"}
    assert "m" not in vm.plugged
    assert registry.device("m") is None


def test_cpus_come_and_go() -> None:
    vm = Machine(argv=CPUS)
    vm.q("cont")
    place = {"socket__id": 2, "core__id": 0, "thread__id": 0}
    assert vm.q("device_add", driver="qemu64-x86_64-cpu", id="vcpu2", **place) == {}
    assert [cpu["qom-path"] for cpu in vm.q("query-cpus-fast")][-1] == "/machine/peripheral/vcpu2"
    assert vm.say("device_del", id="vcpu2") == [{}, inner("vcpu2/lapic"), deleted("vcpu2")]
    assert len(vm.q("query-cpus-fast")) == 2
    assert "qom-path" not in vm.q("query-hotpluggable-cpus")[1]
    assert vm.q("device_add", driver="qemu64-x86_64-cpu", id="vcpu2", **place) == {}


def test_memory_comes_and_goes_with_its_backend() -> None:
    vm = Machine(argv=MEMORY)
    vm.q("cont")
    vm.q("object-add", qom__type="memory-backend-ram", id="m", size=1 << 28)
    assert vm.q("device_add", driver="pc-dimm", id="d", memdev="m") == {}
    assert vm.q("query-memory-size-summary")["plugged-memory"] == 1 << 28
    assert "in use" in vm.q("object-del", id="m")["desc"]
    assert vm.say("device_del", id="d") == [{}, deleted("d")]
    assert vm.q("object-del", id="m") == {}
    assert vm.q("query-memory-devices") == []


def test_a_guest_follows_the_requested_size() -> None:
    vm = Machine(argv=MEMORY)
    vm.q("object-add", qom__type="memory-backend-ram", id="m", size=1 << 28)
    vm.q("device_add", driver="virtio-mem-pci", id="v", memdev="m", requested__size=1 << 27)
    change = "MEMORY_DEVICE_SIZE_CHANGE"
    path = "/machine/peripheral/v"
    assert vm.say("cont")[-1] == (change, {"id": "v", "size": 1 << 27, "qom-path": path})
    vm.run(SECOND)
    assert vm.say("qom-set", path="v", property="requested-size", value=1 << 28)[-1] == (
        change, {"id": "v", "size": 1 << 28, "qom-path": path}
    )  # fmt: skip
    [device] = vm.q("query-memory-devices")
    assert device["data"]["size"] == 1 << 28
    assert vm.q("query-balloon") == {"actual": (1 << 30) + (1 << 28)}


def test_statistics_move_with_the_polling_interval() -> None:
    vm = Machine()
    vm.q("cont")
    vm.q("qom-set", path="balloon0", property="guest-stats-polling-interval", value=5)
    first = vm.q("qom-get", path="balloon0", property="guest-stats")
    vm.run(4 * SECOND)
    assert vm.q("qom-get", path="balloon0", property="guest-stats") == first
    vm.run(2 * SECOND)
    later = vm.q("qom-get", path="balloon0", property="guest-stats")
    assert later["last-update"] == first["last-update"] + 5
    assert later["stats"]["stat-minor-faults"] > first["stats"]["stat-minor-faults"]


def test_a_failed_device_leaves_nothing() -> None:
    vm = Machine()
    before = vm.q("qom-list", path="/machine/peripheral")
    for options in ({"driver": "virtio-blk-pci", "id": "d"}, {"driver": "e1000", "id": "d", "addr": "0"}):
        assert "desc" in vm.q("device_add", **options)
    assert vm.q("qom-list", path="/machine/peripheral") == before
    assert registry_of(vm.puppet.machine).device("d") is None


def test_find_knows_paths_ids_and_ends_of_paths() -> None:
    vm = Machine()
    registry = registry_of(vm.puppet.machine)
    balloon = registry.device("balloon0")
    assert balloon is not None
    assert balloon.bus == "pci.0"
    for path in (
        "balloon0",
        "/machine/peripheral/balloon0",
        "peripheral/balloon0",
        "/machine//peripheral/balloon0/",
    ):
        assert registry.find(path) is balloon
    assert registry.find("/machine/unattached/device[0]") is registry.cpus[0]
    assert registry.find("pc.ram") is registry.objects["pc.ram"]
    assert registry.find("nope") is None
    assert "guest-stats" in balloon.properties


def test_a_script_that_does_nothing_says_that_the_guest_keeps_the_device() -> None:
    vm = Machine({"at": "start", "unplug": {"refuse": True}})
    vm.q("device_add", driver="e1000", id="n")
    vm.q("cont")
    vm.q("device_del", id="n")
    assert any("keeps n" in note for note in vm.puppet.notes)


@pytest.mark.parametrize(
    ("text", "devfn"),
    [
        ("3", 24),
        ("0x3", 24),
        ("1f.7", 255),
        ("a.1", 81),
        (4, 32),
        ("20", None),
        ("1.8", None),
        ("", None),
        ("x", None),
    ],
)
def test_addresses_are_hexadecimal(text: object, devfn: int | None) -> None:
    assert devfn_of(text) == devfn


@pytest.mark.parametrize("good", ["a", "Net-0", "x.y_z9"])
def test_identifiers(good: str) -> None:
    assert identifier(good)
    assert not any(identifier(bad) for bad in ("", "1a", "a b", "é", "a/b", "-a", 5, None))


def test_the_calendar() -> None:
    assert broken_down(0) == (1970, 1, 1, 0, 0, 0)
    assert broken_down(951_782_399) == (2000, 2, 28, 23, 59, 59)
    assert broken_down(951_782_400) == (2000, 2, 29, 0, 0, 0)
    assert broken_down(1_795_391_247) == (2026, 11, 22, 23, 47, 27)


def test_a_table_forgets_what_was_removed() -> None:
    table = Table(f"n{index}" for index in range(40))
    for index in range(0, 40, 2):
        table.remove(f"n{index}")
    table.add("n1")
    table.remove("nope")
    table.remove("")
    assert sorted(table) == sorted(f"n{index}" for index in range(1, 40, 2))
