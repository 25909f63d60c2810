"""The face: events for callers, lists, closing, and what is noted of each call."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.helpers.hypervisor import XML, Host, domain_xml
from virtsim.api import (
    Connection,
    CreateFlags,
    DomainEvent,
    DomainEventID,
    LifecycleEvent,
    ListFlags,
    StartedDetail,
    XMLFlags,
    native_argv,
    parse_domain,
    validate_domain,
)
from virtsim.errors import InvalidArgument, OperationError, OperationInvalid
from virtsim.sim.loop import run


def on_virtual(play: Callable[[Host, Connection], Awaitable[None]]) -> None:
    async def main() -> None:
        host = Host()
        await play(host, await host.open())

    run(main(), end_ns=10_000 * 10**9)


def test_callbacks_get_what_libvirts_get_in_order_of_registration() -> None:
    async def play(host: Host, connection: Connection) -> None:
        heard: list[tuple[Any, ...]] = []
        vm = await connection.defineXML(XML)
        other = await connection.defineXML(domain_xml("other"))

        def lifecycle(conn: Any, dom: Any, event: int, detail: int, opaque: Any) -> None:
            assert conn is connection
            heard.append((dom.name(), event, detail, opaque))

        def reboot(conn: Any, dom: Any, opaque: Any) -> None:
            heard.append((dom.name(), "reboot", opaque))

        both = connection.domainEventRegisterAny(None, DomainEventID.LIFECYCLE, lifecycle, "all")
        connection.domainEventRegisterAny(vm, DomainEventID.LIFECYCLE, lifecycle, "vm")
        connection.domainEventRegisterAny(vm, DomainEventID.REBOOT, reboot, 7)
        await vm.create()
        await vm.reset()
        await other.create()
        connection.domainEventDeregisterAny(both)
        await vm.suspend()
        await other.suspend()
        assert heard == [
            ("vm", 4, 0, "all"),
            ("vm", 4, 0, "vm"),
            ("vm", 2, 0, "all"),
            ("vm", 2, 0, "vm"),
            ("vm", "reboot", 7),
            ("other", 4, 0, "all"),
            ("other", 2, 0, "all"),
            ("vm", 3, 0, "vm"),
        ]
        with pytest.raises(InvalidArgument, match="could not find event callback 0 for deletion"):
            connection.domainEventDeregisterAny(both)
        with pytest.raises(InvalidArgument, match="must be less than 27"):
            connection.domainEventRegisterAny(None, 99, lifecycle)

    on_virtual(play)


def test_a_callback_that_raises_disturbs_nobody_and_is_not_swallowed() -> None:
    async def play(host: Host, connection: Connection) -> None:
        reported: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        heard: list[int] = []

        def bad(*_: Any) -> None:
            raise ValueError("a bug")

        connection.domainEventRegisterAny(None, DomainEventID.LIFECYCLE, bad)
        connection.domainEventRegisterAny(
            None, DomainEventID.LIFECYCLE, lambda c, d, event, detail, o: heard.append(event)
        )
        domain = await connection.defineXML(XML)
        await domain.create()
        assert heard == [0, 4, 2]
        assert [str(context["exception"]) for context in reported] == ["a bug"] * 3

    on_virtual(play)


def test_the_iterator_has_what_happened_since_it_was_entered() -> None:
    async def play(host: Host, connection: Connection) -> None:
        domain = await connection.defineXML(XML)
        async with connection.lifecycle_events("vm") as events:
            await connection.defineXML(domain_xml("other"))
            await asyncio.sleep(1)
            await domain.create()
            first, second = await anext(events), await anext(events)
            assert (first.domain, first.event) == ("vm", DomainEvent.RESUMED)
            assert second == LifecycleEvent("vm", DomainEvent.STARTED, StartedDetail.BOOTED, second.at_ns)
            assert second.at_ns == 10**9
            waiting = asyncio.ensure_future(anext(events))
            await asyncio.sleep(1)
            assert not waiting.done()
            await domain.suspend()
            assert (await waiting).event is DomainEvent.SUSPENDED
        with pytest.raises(StopAsyncIteration):
            await anext(events)

    on_virtual(play)


def test_raw_events_reach_whoever_asked_for_them_also_unknown_ones() -> None:
    async def play(host: Host, connection: Connection) -> None:
        heard: list[tuple[Any, ...]] = []
        domain = await connection.defineXML(XML)
        number = connection.qemuMonitorEventRegister(
            domain, None, lambda c, d, *rest: heard.append(rest), "opaque"
        )
        connection.qemuMonitorEventRegister(None, "STOP", lambda c, d, *rest: heard.append(rest[:1]))
        await domain.create()
        host.qemus[0].emit("FROM_THE_FUTURE", {"x": 1})
        await asyncio.sleep(0.001)
        await domain.suspend()
        assert heard == [
            ("RESUME", 1, 2, {}, "opaque"),
            ("FROM_THE_FUTURE", 1, 2, {"x": 1}, "opaque"),
            ("STOP", 1, 2, {}, "opaque"),
            ("STOP",),
        ]
        connection.qemuMonitorEventDeregister(number)

    on_virtual(play)


def test_events_with_values_go_to_callbacks() -> None:
    async def play(host: Host, connection: Connection) -> None:
        heard: list[tuple[Any, ...]] = []
        wanted = [e for e in DomainEventID if e is not DomainEventID.LIFECYCLE]
        for event in wanted:
            connection.domainEventRegisterAny(
                None, event, lambda c, d, *rest, event=event: heard.append((event.name, *rest[:-1]))
            )
        disk = "<disk type='file'><source file='/d.img'/><target dev='vda' bus='virtio'/></disk>"
        agent = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
        domain = await connection.defineXML(domain_xml(devices=disk + agent))
        await domain.create()
        qemu = host.qemus[0]
        qemu.emit("RTC_CHANGE", {"offset": 5, "qom-path": "/rtc"})
        qemu.emit("BALLOON_CHANGE", {"actual": 32 << 20})
        qemu.emit("WATCHDOG", {"action": "none"})
        qemu.emit(
            "BLOCK_IO_ERROR",
            {"qom-path": "/machine/peripheral/virtio-disk0/virtio-backend", "action": "report"},
        )
        qemu.emit("SUSPEND_DISK")
        qemu.emit("WAKEUP")
        await asyncio.sleep(0.001)
        assert heard == [
            ("AGENT_LIFECYCLE", 2, 1),
            ("RTC_CHANGE", 5),
            ("BALLOON_CHANGE", 32 << 10),
            ("WATCHDOG", 0),
            ("IO_ERROR", "/d.img", "virtio-disk0", 2),
            ("IO_ERROR_REASON", "/d.img", "virtio-disk0", 2, ""),
            ("PMSUSPEND_DISK", 0),
            ("PMWAKEUP", 0),
        ]

    on_virtual(play)


def test_lists_and_their_flags() -> None:
    async def play(host: Host, connection: Connection) -> None:
        running = await connection.defineXML(domain_xml("running"))
        await running.create()
        paused = await connection.createXML(domain_xml("paused"), CreateFlags.START_PAUSED)
        off = await connection.defineXML(domain_xml("off"))

        async def names(flags: int) -> list[str]:
            return [domain.name() for domain in await connection.listAllDomains(flags)]

        assert await names(0) == ["running", "paused", "off"]
        assert await names(ListFlags.ACTIVE) == ["running", "paused"]
        assert await names(ListFlags.ACTIVE | ListFlags.INACTIVE) == ["running", "paused", "off"]
        assert await names(ListFlags.TRANSIENT) == ["paused"]
        assert await names(ListFlags.ACTIVE | ListFlags.PERSISTENT) == ["running"]
        assert await names(ListFlags.PAUSED | ListFlags.SHUTOFF) == ["paused", "off"]
        assert await names(ListFlags.HAS_SNAPSHOT) == []
        assert await names(ListFlags.NO_MANAGEDSAVE | ListFlags.NO_AUTOSTART) == ["running", "paused", "off"]
        assert await connection.listDomainsID() == [1, 2]
        assert await connection.numOfDomains() == 2
        assert await connection.listDefinedDomains() == ["off"]
        assert await connection.numOfDefinedDomains() == 1
        assert await connection.lookupByID(2) == paused
        assert await connection.lookupByUUID(off.UUID()) == off
        assert await connection.lookupByUUIDString(off.UUIDString().upper()) == off
        assert len({off, await connection.lookupByName("off")}) == 1
        assert await running.info() == (1, 65536, 65536, 1, 0)
        assert await running.memoryStats() == {"actual": 65536}
        assert await running.controlInfo() == (0, 0, 0)
        with pytest.raises(InvalidArgument):
            await connection.listAllDomains(1 << 20)

    on_virtual(play)


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.lookupByUUIDString("nonsense"),
        lambda c: c.lookupByUUIDString(None),
        lambda c: c.lookupByUUID(b"short"),
        lambda c: c.lookupByID(-1),
        lambda c: c.listAllDomains(-1),
        lambda c: c.listAllDomains("all"),
        lambda c: c.domainXMLToNative("xen-xl", XML),
    ],
)
def test_arguments_that_cannot_be(call: Callable[[Connection], Awaitable[object]]) -> None:
    async def play(host: Host, connection: Connection) -> None:
        with pytest.raises(InvalidArgument):
            await call(connection)

    on_virtual(play)


@pytest.mark.parametrize("options", [{"policy": "backof"}, {"accel": "xen"}])
def test_a_connection_that_cannot_be_opened(options: dict[str, str]) -> None:
    async def play(host: Host, connection: Connection) -> None:
        with pytest.raises(InvalidArgument):
            await Connection.open(host.context, **options)

    on_virtual(play)


def test_closing_leaves_qemu_running_and_nothing_of_ours() -> None:
    async def play(host: Host, connection: Connection) -> None:
        async with connection:
            domain = await connection.defineXML(XML)
            await domain.create()
        await connection.close()
        assert connection.isAlive() is False
        assert host.qemus[0].alive()
        assert [line for line in host.leftovers() if line.startswith("task")] == []
        with pytest.raises(OperationError, match="the connection is closed"):
            await domain.state()

    on_virtual(play)


def test_a_client_that_goes_takes_its_autodestroy_domains_along() -> None:
    async def play(host: Host, connection: Connection) -> None:
        await connection.createXML(XML, CreateFlags.START_AUTODESTROY)
        kept = await connection.createXML(domain_xml("kept"))
        await connection.close()
        assert [qemu.alive() for qemu in host.qemus] == [False, True]
        assert host.events()[-1] == "STOPPED/DESTROYED"
        assert kept.name() == "kept"

    on_virtual(play)


def test_the_xml_of_a_live_domain_has_its_id() -> None:
    async def play(host: Host, connection: Connection) -> None:
        domain = await connection.defineXML(XML)
        assert "<domain type='qemu'>" in await domain.XMLDesc()
        await domain.create()
        assert parse_domain(await domain.XMLDesc()).domain.id == 1
        assert parse_domain(await domain.XMLDesc(XMLFlags.INACTIVE)).domain.id is None
        await domain.destroy()
        assert parse_domain(await domain.XMLDesc()).domain.id is None

    on_virtual(play)


def test_passwords_are_for_those_who_ask_for_them() -> None:
    async def play(host: Host, connection: Connection) -> None:
        screen = "<graphics type='vnc' port='5901' passwd='secret'/>"
        domain = await connection.defineXML(domain_xml(devices=screen))
        assert "secret" not in await domain.XMLDesc()
        assert "secret" in await domain.XMLDesc(XMLFlags.SECURE)

    on_virtual(play)


def test_every_call_is_noted_with_its_number_and_its_outcome() -> None:
    async def play(host: Host, connection: Connection) -> None:
        domain = await connection.defineXML(XML)
        await domain.create()
        with pytest.raises(OperationInvalid):
            await domain.create()
        calls = [r for r in host.journal.records if r["kind"].startswith("api.")]
        assert [(r["kind"], r["call"], r["actor"], r["api"]) for r in calls[2:]] == [
            ("api.call", 2, "vm", "virDomainCreate"),
            ("api.return", 2, "vm", "virDomainCreate"),
            ("api.call", 3, "vm", "virDomainCreate"),
            ("api.return", 3, "vm", "virDomainCreate"),
        ]
        assert "error" not in calls[3]
        assert calls[5]["error"] == {
            "code": 55,
            "domain": 10,
            "text": "Requested operation is not valid: domain is already running",
        }
        # What follows from a call carries its number, also where QEMU's event brought it about.
        caused = {r["call"] for r in host.journal.records if r["kind"] in {"state", "spawn", "attempt"}}
        assert caused == {2}
        before = len(host.journal.records)
        host.qemus[0].emit("STOP")
        await asyncio.sleep(0.001)
        assert all("call" not in r for r in host.journal.records[before:])

    on_virtual(play)


def test_definitions_that_cannot_be_read_again_are_noted_and_left_alone() -> None:
    async def play(host: Host, connection: Connection) -> None:
        await connection.defineXML(XML)
        host.files.write_atomic("/run/config/broken.xml", b"<domain")
        host.files.write_atomic("/run/config/notes.txt", b"not ours")
        again = await host.open()
        assert [domain.name() for domain in await again.listAllDomains()] == ["vm"]
        noted = [r["detail"] for r in host.journal.records if r["kind"] == "host"]
        assert len(noted) == 1
        assert noted[0].startswith("broken.xml: ")

    on_virtual(play)


def test_a_command_line_without_a_start() -> None:
    async def play(host: Host, connection: Connection) -> None:
        line = await connection.domainXMLToNative("qemu-argv", XML)
        assert line.startswith("/usr/bin/qemu-system-x86_64 -name guest=vm,debug-threads=on -S ")
        assert line == await connection.domainXMLToNative("qemu-argv", XML)

    on_virtual(play)
    assert native_argv(XML) == native_argv(XML.encode())
    key = native_argv(XML)[native_argv(XML).index("-uuid") + 1]
    assert uuid.UUID(key).version == 4


def test_validation_names_line_and_column() -> None:
    assert validate_domain(XML) == []
    assert validate_domain(XML.replace("<vcpu", "\n  <vcpus>1</vcpus><vcpu"))[0].startswith("2:")
    assert validate_domain("<domain")[0].split(":")[0] == "1"
