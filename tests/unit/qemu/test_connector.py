"""The connector runs each policy to the millisecond, says libvirt's words and leaves nothing behind."""

from __future__ import annotations

import asyncio
import errno

import pytest

from tests.helpers.monitors import PATH, World
from virtsim.errors import ErrorCode, HostError, InternalError, OperationTimeout, VirtsimError
from virtsim.qemu.connector import open_monitor
from virtsim.qemu.monitor import MonitorEOF, MonitorReadError
from virtsim.qemu.schedules import GuestSize, attempts, policy
from virtsim.sim.loop import run
from virtsim.wire.errors import ProtocolError

GIB = 1024 * 1024
SMALL = GuestSize(512 * 1024)


class Opened:
    """What came of one wait."""

    def __init__(self, world: World, monitor, error) -> None:
        self.world, self.monitor, self.error = world, monitor, error
        self.end_ms = world.now_ms()
        self.attempts_ms = world.attempts_ms()
        self.errnos = world.noted("attempt", "errno")
        self.outcome = world.noted("wait.end", "n", "outcome")


def wait(name, arrange, *, limit_ms=None, guest=SMALL, hand_in=False, path=PATH):
    """Run one wait on the virtual clock; ``arrange(world)`` says what QEMU does."""

    async def main():
        world = World()
        listener = world.net.listen_unix(PATH, 1) if hand_in else None
        world.adopted = world.net.adopt(listener.fd) if hand_in else None
        arrange(world)
        monitor = error = None
        try:
            monitor = await open_monitor(
                world.context,
                actor="vm",
                policy=policy(name, limit_ms),
                guest=guest,
                path=path,
                listener=listener,
                process=world.process,
                monitor_factory=world.monitor,
            )
        except VirtsimError as caught:
            error = caught
        opened = Opened(world, monitor, error)
        await asyncio.sleep(0.001)
        if monitor is None:
            assert all(peer.lost for peer in world.peers)
        else:
            monitor.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        if hand_in:
            assert listener.fd not in world.net.open_descriptors()
        return opened

    return run(main())


def comes_at(milliseconds, **options):
    return lambda world: world.after(milliseconds, lambda: world.serve(**options))


# -- polling


@pytest.mark.parametrize(
    ("ready_ms", "met_ms", "attempt"),
    [(20, 31, 5), (520, 1023, 10), (1024, 2047, 11), (2048, 3047, 12), (105_000, 105_047, 114)],
)
def test_adaptive_meets_the_socket_at_its_next_attempt(ready_ms: int, met_ms: int, attempt: int) -> None:
    opened = wait("backoff-adaptive", comes_at(ready_ms), guest=GuestSize(402 * GIB))

    assert opened.end_ms == met_ms
    assert len(opened.attempts_ms) == attempt
    assert opened.attempts_ms[:5] == [1, 3, 7, 15, 31]
    assert opened.errnos == ["ENOENT"] * (attempt - 1) + [None]
    assert opened.outcome == [(attempt, "greeted")]
    assert opened.world.noted("wait.begin", "policy", "limit_ns", "path") == [
        ("backoff-adaptive", 432_000_000_000, PATH)
    ]


@pytest.mark.parametrize("name", ["poll200", "backoff-uncapped", "backoff-adaptive"])
@pytest.mark.parametrize("limit_ms", [0, 1, 500, 1000, 3000, 5000, 30_000])
def test_polling_tries_when_its_schedule_says_so_and_gives_up_at_the_limit(name: str, limit_ms: int) -> None:
    opened = wait(name, lambda world: None, limit_ms=limit_ms)

    assert opened.attempts_ms == [attempt.at_ms for attempt in attempts(policy(name, limit_ms), SMALL)]
    assert opened.end_ms == limit_ms
    assert isinstance(opened.error, HostError)
    assert opened.error.code == ErrorCode.VIR_ERR_SYSTEM_ERROR
    assert str(opened.error) == "monitor socket did not show up: No such file or directory"
    assert opened.outcome == [(len(opened.attempts_ms), "timeout")]


@pytest.mark.parametrize(("ready_ms", "met"), [(29_999, True), (30_000, True), (30_001, False)])
def test_a_socket_that_comes_at_the_limit_is_met_by_the_last_attempt(ready_ms: int, met: bool) -> None:
    opened = wait("backoff-adaptive", comes_at(ready_ms))

    assert (opened.monitor is not None) is met
    assert opened.attempts_ms[-1] == 30_000
    assert len(opened.attempts_ms) == 39


def test_a_stale_socket_refuses_until_somebody_listens() -> None:
    def arrange(world):
        stale = world.serve(listen=False)
        world.after(700, lambda: world.listen(stale))

    opened = wait("backoff-adaptive", arrange)

    assert opened.end_ms == 1023
    assert opened.errnos == ["ECONNREFUSED"] * 9 + [None]


def test_refused_to_the_end_is_what_the_text_says() -> None:
    opened = wait("poll200", lambda world: world.serve(listen=False), limit_ms=3000)

    assert str(opened.error) == "monitor socket did not show up: Connection refused"
    assert len(opened.attempts_ms) == 16


def test_any_other_errno_ends_the_wait_at_once() -> None:
    opened = wait(
        "backoff-adaptive", lambda world: world.after(5, lambda: world.net.bind(PATH, mode=0).listen(1))
    )

    assert str(opened.error) == "failed to connect to monitor socket: Permission denied"
    assert opened.attempts_ms == [1, 3, 7]
    assert opened.errnos == ["ENOENT", "ENOENT", "EACCES"]
    assert opened.outcome == [(3, "failed")]


@pytest.mark.parametrize(("dies_ms", "noticed_ms"), [(300, 511), (5048, 6047)])
def test_a_death_is_noticed_after_the_next_failed_attempt(dies_ms: int, noticed_ms: int) -> None:
    opened = wait("backoff-adaptive", lambda world: world.after(dies_ms, world.process.end))

    assert opened.end_ms == noticed_ms
    assert str(opened.error) == "failed to connect to monitor socket: No such process"
    assert opened.error.errno == errno.ESRCH
    assert opened.outcome[0][1] == "died"


def test_a_polling_policy_waits_for_the_greeting_without_a_limit() -> None:
    def arrange(world):
        def say_hello():
            world.peers[0].say_hello()

        world.serve(greet=False)
        world.after(3_600_000, say_hello)

    assert wait("backoff-adaptive", arrange).end_ms == 3_600_000


def test_a_path_too_long_is_refused() -> None:
    opened = wait("backoff-adaptive", lambda world: None, path="/" + "x" * 108)

    assert isinstance(opened.error, InternalError)
    assert opened.error.detail.endswith("too big for destination")


# -- fdpass


def adopts_at(milliseconds, **options):
    return lambda world: world.after(milliseconds, lambda: world.accept(world.adopted, **options))


def test_fdpass_connects_at_once_and_waits_for_the_greeting() -> None:
    opened = wait("fdpass", adopts_at(277_000), hand_in=True)

    assert opened.attempts_ms == [0]
    assert opened.end_ms == 277_000
    assert opened.world.noted("wait.begin", "limit_ns") == [None]


def test_fdpass_sees_the_death_of_a_listener() -> None:
    opened = wait("fdpass", lambda world: world.after(300, world.adopted.close), hand_in=True)

    assert opened.end_ms == 300
    assert isinstance(opened.error, MonitorEOF | MonitorReadError)
    assert opened.outcome == [(1, "lost")]


def test_fdpass_with_a_dead_qemu_is_refused() -> None:
    opened = wait("fdpass", lambda world: world.adopted.close(), hand_in=True)

    assert str(opened.error) == "failed to connect to monitor socket: Connection refused"
    assert opened.attempts_ms == [0]


def test_fdpass_without_a_descriptor_is_the_adaptive_back_off() -> None:
    opened = wait("fdpass", comes_at(20))

    assert opened.attempts_ms == [1, 3, 7, 15, 31]
    assert opened.world.noted("wait.begin", "policy") == ["backoff-adaptive"]


# -- eventful


def test_eventful_is_there_when_the_greeting_is() -> None:
    opened = wait("eventful", adopts_at(20_123), hand_in=True)

    assert (opened.end_ms, opened.attempts_ms, opened.outcome) == (20_123, [0], [(1, "greeted")])


def test_eventful_gives_up_on_a_silent_qemu() -> None:
    opened = wait("eventful", lambda world: None, hand_in=True)

    assert isinstance(opened.error, OperationTimeout)
    assert str(opened.error) == "Timed out during operation: no greeting from the monitor within 30 s"
    assert (opened.end_ms, opened.outcome) == (30_000, [(1, "timeout")])


@pytest.mark.parametrize(("ready_ms", "met"), [(29_999, True), (30_000, True), (30_001, False)])
@pytest.mark.parametrize("hand_in", [True, False])
def test_eventful_takes_a_greeting_at_the_deadline(ready_ms: int, met: bool, hand_in: bool) -> None:
    opened = wait("eventful", (adopts_at if hand_in else comes_at)(ready_ms), hand_in=hand_in)

    assert (opened.monitor is not None) is met
    assert opened.end_ms == min(ready_ms, 30_000)


@pytest.mark.parametrize("hand_in", [True, False])
def test_eventful_sees_a_death_at_once(hand_in: bool) -> None:
    opened = wait("eventful", lambda world: world.after(300.5, world.process.end), hand_in=hand_in)

    assert opened.end_ms == 300.5
    assert str(opened.error) == "failed to connect to monitor socket: No such process"
    assert opened.outcome[0][1] == "died"


def test_eventful_watches_for_a_socket_of_qemus_own() -> None:
    opened = wait("eventful", comes_at(1234))

    assert opened.end_ms == 1234
    assert opened.errnos == [None]


def test_eventful_tries_again_between_bind_and_listen() -> None:
    def arrange(world):
        def bind():
            server = world.serve(listen=False)
            world.after(10, lambda: world.listen(server))

        world.after(100, bind)

    opened = wait("eventful", arrange)

    assert opened.attempts_ms == [100, 101, 103, 107, 115]
    assert opened.errnos == ["ECONNREFUSED"] * 4 + [None]


def test_eventful_gives_up_when_no_socket_comes() -> None:
    opened = wait("eventful", lambda world: None, limit_ms=1500)

    assert str(opened.error) == "Timed out during operation: monitor socket did not show up within 1.5 s"
    assert opened.end_ms == 1500


def test_eventful_ends_at_once_on_another_errno() -> None:
    opened = wait("eventful", lambda world: world.after(5, lambda: world.net.bind(PATH, mode=0).listen(1)))

    assert str(opened.error) == "failed to connect to monitor socket: Permission denied"
    assert opened.end_ms == 5


# -- all of them


@pytest.mark.parametrize("name", ["backoff-adaptive", "fdpass", "eventful"])
def test_garbage_instead_of_a_greeting(name: str) -> None:
    def arrange(world):
        def greet_wrongly():
            world.serve(greet=False)
            world.after(50, lambda: world.peers[0].transport.write(b"QEMU says hello\r\n"))

        greet_wrongly()

    opened = wait(name, arrange)

    assert isinstance(opened.error, ProtocolError)
    assert opened.outcome[0][1] == "lost"


@pytest.mark.parametrize("name", ["poll200", "backoff-adaptive", "fdpass", "eventful"])
@pytest.mark.parametrize("hand_in", [True, False])
@pytest.mark.parametrize("at_ms", [0, 0.5, 10, 60_000])
def test_a_cancelled_wait_leaves_nothing(name: str, hand_in: bool, at_ms: float) -> None:
    async def main():
        world = World()
        listener = world.net.listen_unix(PATH, 1) if hand_in else None
        if hand_in:
            world.accept(world.net.adopt(listener.fd), greet=False)
        else:
            world.after(5, lambda: world.serve(greet=False))
        task = asyncio.get_running_loop().create_task(
            open_monitor(
                world.context,
                actor="vm",
                policy=policy(name) if name == "fdpass" else policy(name, 120_000),
                guest=SMALL,
                path=PATH,
                listener=listener,
                process=world.process,
                monitor_factory=world.monitor,
            )
        )
        await asyncio.sleep(at_ms / 1000)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.01)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert all(peer.lost for peer in world.peers)
        assert world.noted("wait.end", "outcome") in ([], ["cancelled"])

    run(main())
