"""The private parts of CPython that the virtual loop is made of are as it expects them.

When one of these fails on a new Python, read its message before anything else: the loop has to follow.
"""

import asyncio
import asyncio.base_events
import asyncio.events
import asyncio.selector_events
import asyncio.unix_events
import collections
import contextvars
import inspect
import itertools
import selectors
import socket
from collections.abc import Iterator

import pytest

from virtsim.sim.handles import QuickHandle, QuickTimer, SimTask
from virtsim.sim.loop import VirtualLoop, run


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.SelectorEventLoop()
    yield loop
    loop.close()


def test_run_forever_turns_the_loop_by_run_once() -> None:
    names = set()
    for function in (asyncio.base_events.BaseEventLoop.run_forever, VirtualLoop.run_forever):
        names |= set(function.__code__.co_names)
    assert {"_run_once", "_stopping"} <= names, (
        "run_forever() no longer calls _run_once(): our clock would not move"
    )


def test_ready_callbacks_wait_in_a_deque(loop: asyncio.AbstractEventLoop) -> None:
    assert type(loop._ready) is collections.deque, "loop._ready is what call_soon() appends to"
    handle = loop.call_soon(print)
    assert list(loop._ready) == [handle]
    loop._ready.clear()
    loop.call_soon_threadsafe(print)
    assert len(loop._ready) == 1, "call_soon_threadsafe() must append to _ready too"


def test_the_flags_of_the_loop(loop: asyncio.AbstractEventLoop) -> None:
    assert loop._stopping is False
    assert loop._closed is False
    assert loop._debug is False
    assert loop._clock_resolution > 0
    assert loop._timer_cancelled_count == 0, "TimerHandle.cancel() counts here"
    assert loop._current_handle is None
    assert loop._default_executor is None
    for name in (
        "_check_closed",
        "_check_thread",
        "_check_callback",
        "_process_events",
        "_child_watcher_callback",
    ):
        assert callable(getattr(loop, name)), name


def test_the_selector_and_its_table_of_descriptors(loop: asyncio.AbstractEventLoop) -> None:
    assert isinstance(loop._selector, selectors.BaseSelector)
    table = loop._selector._fd_to_key
    assert len(table) == 1, "an idle loop polls its self-pipe only; the virtual loop counts on that"
    near, far = socket.socketpair()
    with near, far:
        loop.add_reader(near, print)
        assert table is loop._selector._fd_to_key, "the table must stay the same object"
        assert len(table) == 2
        loop.remove_reader(near)
        assert len(table) == 1


def test_the_fields_of_a_handle(loop: asyncio.AbstractEventLoop) -> None:
    handle = asyncio.Handle(print, (1,), loop)
    assert handle._callback is print
    assert handle._args == (1,)
    assert isinstance(handle._context, contextvars.Context)
    assert handle._cancelled is False
    handle.cancel()
    assert handle._callback is None, "a handle without a callback is a cancelled one"
    assert handle._cancelled is True
    assert set(asyncio.Handle.__slots__) == {
        "_callback", "_args", "_cancelled", "_loop", "_source_traceback", "_repr", "__weakref__", "_context",
    }, "QuickHandle fills in or replaces each of these"  # fmt: skip
    assert set(asyncio.TimerHandle.__slots__) == {"_scheduled", "_when"}


def test_a_cancelled_timer_is_reported_to_the_loop(loop: asyncio.AbstractEventLoop) -> None:
    told = []
    loop._timer_handle_cancelled = told.append
    timer = asyncio.TimerHandle(1, print, (), loop)
    timer.cancel()
    assert told == [timer]


def test_a_task_asks_the_loop_for_call_soon_and_nothing_else() -> None:
    calls = []

    class Watched(VirtualLoop):
        def call_soon(self, callback, *args, context=None):
            calls.append(context)
            return super().call_soon(callback, *args, context=context)

    loop = Watched()
    try:
        loop.run_until_complete(asyncio.sleep(0))
    finally:
        loop.close()
    assert len(calls) >= 2
    assert all(isinstance(context, contextvars.Context) for context in calls), "tasks bring their own context"


def test_a_task_is_hashed_when_it_is_registered_and_by_our_number() -> None:
    async def main() -> None:
        task = asyncio.current_task()
        assert type(task) is SimTask
        assert hash(task) == task.number == 1
        assert asyncio.all_tasks() == {task}
        assert task._log_destroy_pending in {True, False}

    run(main())
    assert issubclass(SimTask, asyncio.Task)
    assert asyncio.Task is not asyncio.tasks._PyTask, "this is the C task: the measured speed is its"


def test_a_waiting_task_shows_what_it_waits_for() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        future = loop.create_future()

        async def wait() -> None:
            await future

        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        assert task._fut_waiter is future
        coroutine = task.get_coro()
        assert coroutine.cr_frame.f_code.co_name == "wait"
        assert coroutine.cr_await is not None
        future.set_result(None)
        await task

    run(main())


def test_asyncio_sleep_asks_for_a_future_and_a_timer() -> None:
    source = inspect.getsource(asyncio.sleep)
    assert "loop.create_future()" in source
    assert "loop.call_later(" in source


def test_quick_handles_can_do_what_asyncios_can() -> None:
    loop = VirtualLoop()
    try:
        handle = QuickHandle(print, (1,), contextvars.copy_context())
        timer = QuickTimer(1_500_000_000, print, (2,), loop, contextvars.copy_context())
        assert timer.when() == 1.5
        for quick in (handle, timer):
            assert not quick.cancelled()
            assert "print" in repr(quick)
            quick.cancel()
            assert quick.cancelled()
            assert "cancelled" in repr(quick)
        assert QuickTimer(1, print, (), loop, contextvars.copy_context()) < timer
    finally:
        loop.close()


def test_a_server_takes_sockets_that_are_not_the_kernels() -> None:
    parameters = list(inspect.signature(asyncio.base_events.Server.__init__).parameters)
    assert parameters[:8] == [
        "self", "loop", "sockets", "protocol_factory", "ssl_context", "backlog", "ssl_handshake_timeout",
        "ssl_shutdown_timeout",
    ]  # fmt: skip
    names = set(asyncio.base_events.Server._start_serving.__code__.co_names)
    assert {"listen", "_start_serving"} <= names, (
        "a server listens and tells the loop; our net waits for both"
    )
    assert "_stop_serving" in asyncio.base_events.Server.close.__code__.co_names
    for method in ("_attach", "_detach"):
        count = getattr(asyncio.base_events.Server, method).__code__.co_argcount
        assert count in {1, 2}, f"Server.{method}() wants something besides the transport"
    parameters = list(
        inspect.signature(asyncio.selector_events.BaseSelectorEventLoop._start_serving).parameters
    )
    assert parameters[1:6] == ["protocol_factory", "sock", "sslcontext", "server", "backlog"]


def test_real_transports_have_a_size_to_read(loop: asyncio.AbstractEventLoop) -> None:
    assert isinstance(asyncio.selector_events._SelectorSocketTransport.max_size, int)
    assert callable(loop._make_socket_transport)


def test_subprocesses_are_made_and_reaped_through_two_methods() -> None:
    base = asyncio.unix_events._UnixSelectorEventLoop
    assert inspect.iscoroutinefunction(base._make_subprocess_transport)
    assert list(inspect.signature(base._child_watcher_callback).parameters) == [
        "self",
        "pid",
        "returncode",
        "transp",
    ]


def test_executors_are_entered_through_one_method() -> None:
    for function in (asyncio.to_thread, asyncio.base_events.BaseEventLoop.getaddrinfo):
        assert "run_in_executor" in inspect.getsource(function)


def test_sets_of_small_integers_are_in_one_order_in_every_process() -> None:
    class Numbered:
        def __init__(self, number: int) -> None:
            self.number = number

        def __hash__(self) -> int:
            return self.number

    numbers = itertools.count(1)
    order = [one.number for one in {Numbered(next(numbers)) for _ in range(1000)}]
    assert order == sorted(order), "a set of objects that hash to 1..n iterates in that order"
