"""The monitor: one command at a time, events as they come, and a name for every way it can fail."""

from __future__ import annotations

import asyncio

import pytest

from tests.helpers.monitors import PATH, World
from virtsim.errors import ErrorCode, InternalError, OperationFailed, OperationTimeout
from virtsim.host.context import CURRENT_CALL
from virtsim.qemu import monitor as module
from virtsim.qemu.monitor import CommandError, MonitorEOF, MonitorReadError
from virtsim.sim.loop import run
from virtsim.wire.errors import InvalidJSON, LocalProtocolError, MessageTooLarge, UnexpectedReply
from virtsim.wire.qmp import ErrorReply, Event


def on_monitor(test):
    """Run ``test(world, monitor, peer)`` with a monitor that is through the negotiation."""

    def wrapped() -> None:
        async def main() -> None:
            world = World()
            monitor, peer = await world.connected()
            world.journal.records.clear()
            peer.commands.clear()
            await test(world, monitor, peer)
            monitor.close()
            assert asyncio.all_tasks() == {asyncio.current_task()}

        run(main())

    wrapped.__name__, wrapped.__doc__ = test.__name__, test.__doc__
    return wrapped


def names(peer):
    return [command.name for command in peer.commands]


async def settle():
    await asyncio.sleep(0.001)


async def outcome(future):
    return (await asyncio.gather(future, return_exceptions=True))[0]


# -- commands


@on_monitor
async def test_a_command_returns_what_qemu_returns(world, monitor, peer):
    peer.answer = lambda command: {"status": "running"}

    assert await monitor.execute("query-status") == {"status": "running"}
    assert await monitor.execute("qom-get", {"path": "/machine", "property": "type"}) == {"status": "running"}
    assert [(command.id, command.arguments) for command in peer.commands] == [
        ("libvirt-2", None),
        ("libvirt-3", {"path": "/machine", "property": "type"}),
    ]


@on_monitor
async def test_commands_are_noted_with_their_call(world, monitor, peer):
    CURRENT_CALL.set(7)
    await monitor.execute("stop")
    CURRENT_CALL.set(8)
    peer.answer = lambda command: ErrorReply(error_class="GenericError", desc="no")
    await outcome(monitor.execute("balloon", {"value": 1}))

    assert world.noted("qmp.command", "id", "name", "args", "call") == [
        ("libvirt-2", "stop", None, 7),
        ("libvirt-3", "balloon", {"value": 1}, 8),
    ]
    assert world.noted("qmp.reply", "id", "name", "error", "call") == [
        ("libvirt-2", "stop", None, 7),
        ("libvirt-3", "balloon", "GenericError", 8),
    ]


@on_monitor
async def test_an_error_reply_is_an_internal_error_with_qemus_words(world, monitor, peer):
    peer.answer = lambda command: ErrorReply(
        error_class="CommandNotFound", desc="The command x has not been found"
    )

    error = await outcome(monitor.execute("x"))

    assert isinstance(error, CommandError)
    assert error.code == ErrorCode.VIR_ERR_INTERNAL_ERROR
    assert (
        str(error) == "internal error: unable to execute QEMU command 'x': The command x has not been found"
    )
    assert (error.command, error.error_class) == ("x", "CommandNotFound")
    assert error.desc == "The command x has not been found"


@on_monitor
async def test_one_command_is_outstanding_at_a_time(world, monitor, peer):
    waiting = []
    peer.answer = waiting.append
    futures = [monitor.execute(name) for name in ("a", "b", "c")]
    await settle()
    assert names(peer) == ["a"]
    for _ in range(3):
        peer.transport.write(b'{"return": {}, "id": "%s"}' % waiting[-1].id.encode())
        await settle()

    assert names(peer) == ["a", "b", "c"]
    assert await asyncio.gather(*futures) == [{}, {}, {}]


def test_nothing_is_sent_before_the_greeting():
    async def main():
        world = World()
        world.serve(greet=False)
        _, monitor = await asyncio.get_running_loop().create_unix_connection(world.monitor, PATH)
        future = monitor.execute("qmp_capabilities")
        await asyncio.sleep(60)
        assert names(world.peers[0]) == []
        world.peers[0].say_hello()
        assert await future == {}
        assert world.now_ms() == 60_000
        assert world.noted("qmp.greeting", "version") == ["7.2.0"]
        assert (await monitor.wait_greeting()).capabilities == ("oob",)
        monitor.close()

    run(main())


@on_monitor
async def test_busy_since_tells_when_the_command_was_sent(world, monitor, peer):
    assert monitor.busy_since_ns is None
    peer.answer = lambda command: None
    await asyncio.sleep(1)
    future = monitor.execute("query-block")
    sent_ns = world.context.now_ns()
    await asyncio.sleep(5)

    assert monitor.busy_since_ns == sent_ns
    future.cancel()


@on_monitor
async def test_arguments_that_are_no_json_are_refused_and_harm_nobody(world, monitor, peer):
    with pytest.raises(LocalProtocolError):
        monitor.execute("a", {"x": object()})

    assert await monitor.execute("b") == {}


@on_monitor
async def test_queued_arguments_that_are_no_json_fail_alone(world, monitor, peer):
    futures = [monitor.execute("a"), monitor.execute("b", {"x": object()}), monitor.execute("c")]
    results = await asyncio.gather(*futures, return_exceptions=True)

    assert results[0] == results[2] == {}
    assert isinstance(results[1], LocalProtocolError)


# -- giving up


@on_monitor
async def test_a_timeout_is_the_callers_and_its_late_reply_is_dropped(world, monitor, peer):
    peer.answer = lambda command: None if command.name == "slow" else {"of": command.name}
    begin_ms = world.now_ms()
    error = await outcome(monitor.execute("slow", timeout=5))
    assert isinstance(error, OperationTimeout)
    assert str(error) == "Timed out during operation: no reply to QEMU command 'slow' within 5 s"
    assert world.now_ms() - begin_ms == 5000

    later = monitor.execute("next")
    peer.transport.write(b'{"return": {"of": "slow"}, "id": "libvirt-2"}\r\n')
    assert await later == {"of": "next"}
    await settle()
    assert sorted(world.noted("qmp.reply", "id", "name")) == [("libvirt-2", "slow"), ("libvirt-3", "next")]
    assert monitor.usable


@on_monitor
async def test_a_command_given_up_makes_way_for_those_behind_it(world, monitor, peer):
    peer.answer = lambda command: None if command.name == "hang" else {}
    first = monitor.execute("hang")
    second = monitor.execute("stop")
    third = monitor.execute("cont")
    await settle()
    assert names(peer) == ["hang"]
    first.cancel()

    assert await asyncio.gather(second, third) == [{}, {}]
    assert names(peer) == ["hang", "stop", "cont"]


@on_monitor
async def test_a_timeout_makes_way_too(world, monitor, peer):
    peer.answer = lambda command: None if command.name == "hang" else {}
    first = monitor.execute("hang", timeout=1)
    second = monitor.execute("stop")

    assert isinstance(await outcome(first), OperationTimeout)
    assert await second == {}


@on_monitor
async def test_waiting_for_its_turn_counts_for_the_timeout_and_it_is_never_sent(world, monitor, peer):
    peer.answer = lambda command: None
    first = monitor.execute("hang")
    assert isinstance(await outcome(monitor.execute("later", timeout=1)), OperationTimeout)
    first.cancel()
    await settle()

    assert names(peer) == ["hang"]


@on_monitor
async def test_a_cancelled_caller_in_the_middle(world, monitor, peer):
    peer.answer = lambda command: None if command.name == "hang" else {}
    task = asyncio.get_running_loop().create_task(asyncio.wait_for(monitor.execute("hang"), 3))
    await asyncio.sleep(1)
    task.cancel()
    await outcome(task)

    assert await monitor.execute("stop") == {}


@on_monitor
async def test_an_error_without_id_is_for_the_command_under_way(world, monitor, peer):
    peer.answer = lambda command: None
    peer_error = b'{"error": {"class": "GenericError", "desc": "JSON parse error"}}\r\n'
    given_up = monitor.execute("a", timeout=1)
    await outcome(given_up)
    future = monitor.execute("b")
    await settle()
    peer.transport.write(peer_error)
    assert "unable to execute QEMU command 'b': JSON parse error" in str(await outcome(future))
    peer.transport.write(peer_error)  # with nothing under way: for the one that was given up
    await settle()
    assert monitor.usable


@on_monitor
async def test_a_hung_qemu_does_not_collect_commands_for_ever(world, monitor, peer):
    peer.answer = lambda command: None
    for _ in range(module.MAX_GIVEN_UP):
        await outcome(monitor.execute("query-status", timeout=0.1))

    with pytest.raises(OperationFailed, match="unanswered"):
        monitor.execute("query-status")


@on_monitor
async def test_the_queue_is_bounded(world, monitor, peer):
    peer.answer = lambda command: None
    futures = [monitor.execute("a") for _ in range(module.MAX_QUEUED + 1)]
    with pytest.raises(OperationFailed, match="too many"):
        monitor.execute("a")
    for future in futures:
        future.cancel()


# -- events


@on_monitor
async def test_events_arrive_in_order_also_between_command_and_reply(world, monitor, peer):
    def answer(command):
        peer.send(Event(name="STOP", timestamp=(12, 34)))
        return {}

    peer.answer = answer
    await monitor.execute("stop")
    peer.send(Event(name="SHUTDOWN", data={"guest": True, "reason": "guest-shutdown"}))
    await settle()

    assert world.events == [
        ("STOP", {}, {"seconds": 12, "microseconds": 34}),
        (
            "SHUTDOWN",
            {"guest": True, "reason": "guest-shutdown"},
            {"seconds": -1, "microseconds": -1},
        ),
    ]
    assert world.noted("qmp.event", "name", "data") == [
        ("STOP", None),
        ("SHUTDOWN", {"guest": True, "reason": "guest-shutdown"}),
    ]


def test_callbacks_are_nobodys_call():
    async def main():
        world = World()
        calls = []
        CURRENT_CALL.set(3)
        monitor, peer = await world.connected()
        monitor.on_event = lambda *_: calls.append(CURRENT_CALL.get())
        monitor.on_closed = lambda *_: calls.append(CURRENT_CALL.get())
        peer.send(Event(name="STOP"))
        peer.transport.close()
        await settle()
        assert calls == [0, 0]
        assert world.noted("qmp.event", "call") == [None]

    run(main())


# -- the end


@on_monitor
async def test_eof_fails_what_waits_and_what_comes_later(world, monitor, peer):
    peer.answer = lambda command: peer.transport.close()
    results = await asyncio.gather(monitor.execute("a"), monitor.execute("b"), return_exceptions=True)

    for error in results:
        assert isinstance(error, MonitorEOF)
        assert str(error) == "internal error: End of file from qemu monitor (vm='vm')"
    with pytest.raises(MonitorEOF):
        monitor.execute("c")
    assert world.closed == ["eof"]
    assert world.noted("qmp.closed", "reason") == ["eof"]


@on_monitor
async def test_a_broken_connection_says_so(world, monitor, peer):
    future = monitor.execute("a")
    monitor.connection_lost(ConnectionResetError(104, "Connection reset by peer"))
    error = await outcome(future)

    assert isinstance(error, MonitorReadError)
    assert str(error) == "Unable to read from monitor: Connection reset by peer"
    assert world.closed == ["eof"]


@on_monitor
async def test_eof_in_the_middle_of_a_message_is_eof(world, monitor, peer):
    peer.answer = lambda command: (peer.transport.write(b'{"return": {"sta'), peer.transport.close())[0]

    assert isinstance(await outcome(monitor.execute("a")), MonitorEOF)


@pytest.mark.parametrize(
    ("garbage", "kind", "text"),
    [
        (b"hello\r\n", InvalidJSON, "cannot parse json hello: "),
        (b'{"return": {}, "id": "x"}', UnexpectedReply, "Unexpected JSON reply '"),
        (
            b'{"return": "' + b"x" * (10 * 1024 * 1024) + b'"}\r\n',
            MessageTooLarge,
            "QEMU monitor reply exceeds buffer size (10485760 bytes)",
        ),
    ],
    ids=["no json", "no command", "10 MiB"],
)
def test_garbage_is_the_end_of_the_monitor_but_not_of_qemu(garbage, kind, text):
    async def main():
        world = World()
        monitor, peer = await world.connected()
        peer.answer = lambda command: peer.transport.write(garbage)
        error = await outcome(monitor.execute("query-status"))
        assert isinstance(error, kind)
        assert isinstance(error, InternalError)
        assert text in str(error)
        with pytest.raises(kind):
            monitor.execute("query-status")
        peer.send(Event(name="STOP"))  # not listened to any more
        await settle()
        assert not monitor.usable
        assert (world.closed, world.events) == (["error"], [])
        peer.transport.close()
        await settle()
        assert world.closed == ["error", "eof"]
        assert world.noted("qmp.closed", "reason") == ["error", "eof"]
        with pytest.raises(kind):
            monitor.execute("query-status")

    run(main())


@on_monitor
async def test_closing_fails_what_waits_and_tells_nobody(world, monitor, peer):
    peer.answer = lambda command: None
    futures = [monitor.execute("a"), monitor.execute("b")]
    await settle()
    monitor.close()
    for error in await asyncio.gather(*futures, return_exceptions=True):
        assert isinstance(error, OperationFailed)
        assert str(error) == "operation failed: QEMU monitor was closed"
    with pytest.raises(OperationFailed):
        monitor.execute("c")
    await settle()

    assert peer.lost
    assert world.closed == []
    assert world.noted("qmp.closed", "reason") == ["closed"]


def test_closing_before_the_connection_is_made_closes_it_then():
    async def main():
        world = World()
        world.serve()
        monitor = world.monitor()
        monitor.close()
        await asyncio.get_running_loop().create_unix_connection(lambda: monitor, PATH)
        await settle()
        assert world.peers[0].lost
        assert isinstance(await outcome(monitor.wait_greeting()), OperationFailed)

    run(main())


def test_a_greeting_without_qemus_version_is_taken():
    async def main():
        world = World()
        world.serve(greet=False)
        _, monitor = await asyncio.get_running_loop().create_unix_connection(world.monitor, PATH)
        await settle()
        world.peers[0].transport.write(b'{"QMP": {"version": {}, "capabilities": []}}')
        await monitor.wait_greeting()
        assert world.noted("qmp.greeting", "version") == [""]
        monitor.close()

    run(main())
