"""From a QEMU that was just exec'ed to a monitor that has greeted: runs a waiting policy.

Knows how each policy of `virtsim.qemu.schedules` is carried out and what its failures are called. Must not
know the log, the domain's state, or what comes after the greeting.

Three ways:

* **Polling** (``poll200``, ``backoff-uncapped``, ``backoff-adaptive``): nap, try, look whether the process
  lives. The limit is for the connection; for the greeting there is none, as in libvirt. ``fdpass`` with a
  QEMU that cannot take a descriptor is ``backoff-adaptive`` with its own limit, as in libvirt 4.5.0 to 8.2.0.
* **fdpass**: one connect to the listening socket that QEMU inherited; the greeting is awaited without a
  limit. QEMU's death shows as the end of the connection.
* **eventful**: the same with a deadline on the greeting, and QEMU's death is told by the process. Where QEMU
  cannot take a descriptor the socket's directory is watched, and the connect comes at the instant at which
  the socket appears. It appears by bind(), though, and can be connected to only after listen(), which nothing
  reports: so a refused connect is tried again after 1, 2, 4 ... 64, 64 ms until the deadline. A real QEMU
  listens within a fraction of a millisecond.
"""

from __future__ import annotations

import asyncio
import errno
import types
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any, Final

from virtsim.errors import HostError, OperationTimeout, VirtsimError
from virtsim.host.abc import Process
from virtsim.host.context import CURRENT_CALL, Context, ignore
from virtsim.host.sockets import Listener, absence_probe, connect_unix
from virtsim.host.watch import wait_for_path
from virtsim.qemu.monitor import Monitor
from virtsim.qemu.schedules import POLICIES, GuestSize, Policy

__all__ = ["MonitorFactory", "open_monitor"]

MonitorFactory = Callable[[], Monitor]

#: The only failures after which the socket may still come (8.5.0 qemuMonitorOpenUnix).
_TRIED_AGAIN: Final = (errno.ENOENT, errno.ECONNREFUSED)

#: Longest nap of eventful after a refused connect, milliseconds.
_REFUSED_NAP_MS_MAX: Final = 64

#: What happens at the very instant of eventful's deadline still counts, as an attempt at the limit does. On
#: the virtual clock a greeting needs some turns of the loop from QEMU's timer to us, all at the same instant.
_TURNS_OF_GRACE: Final = 10

_NS_PER_MS: Final = 1_000_000


async def open_monitor(
    context: Context,
    *,
    actor: str,
    policy: Policy,
    guest: GuestSize,
    path: str,
    listener: Listener | None,
    process: Process,
    monitor_factory: MonitorFactory,
) -> Monitor:
    """Connect to the monitor of ``process`` and wait until it has greeted.

    When it fails or is cancelled, nothing is left behind: no task, no connection, and ``listener`` is closed;
    the process is the caller's to end. Notes the kinds "wait.begin", "attempt" (each connect, with the
    error's name or None) and "wait.end" (outcome "greeted", "timeout", "died", "lost", "failed" or
    "cancelled").

    Args:
        context: where the wait is noted.
        actor: the domain's name.
        policy: how to wait.
        guest: what the policy's limit depends on.
        path: the monitor's socket.
        listener: the manager's copy of the listening socket that the process inherited, or None when QEMU
            makes its own. It is closed first of all: as long as a copy of ours is open, a connect to a dead
            QEMU would succeed.
        process: the QEMU.
        monitor_factory: makes the monitor; called once for each connection that comes about.

    Raises:
        HostError: ENOENT or ECONNREFUSED "monitor socket did not show up": the limit of a polling policy is
            over; ESRCH "failed to connect to monitor socket": the process is gone; any other errno of a
            connect at once.
        OperationTimeout: eventful's deadline is over.
        MonitorEOF: QEMU closed the connection before it greeted.
        MonitorReadError: the connection broke before QEMU greeted.
        ProtocolError: QEMU's first words were no greeting.
        InternalError: the path is too long for a socket.
    """
    if listener is not None:
        listener.close()
    elif policy.fd_pass and policy.limit is None:
        policy = POLICIES["backoff-adaptive"]
    wait = _Wait(
        context,
        actor=actor,
        policy=policy,
        guest=guest,
        path=path,
        process=process,
        monitor_factory=monitor_factory,
    )
    context.note("wait.begin", actor, policy=policy.name, limit_ns=wait.limit_ns, path=path)
    try:
        if policy.naps is not None:
            monitor = await wait.poll()
        elif wait.limit_ns is None:
            monitor = await wait.connect_and_wait()
        else:
            monitor = await wait.watch(wait.limit_ns, handed_in=listener is not None)
    except asyncio.CancelledError:
        wait.outcome = "cancelled"
        raise
    else:
        wait.outcome = "greeted"
        return monitor
    finally:
        if wait.outcome != "greeted":
            wait.abandon()
        context.note("wait.end", actor, n=wait.tries, outcome=wait.outcome)


class _Wait:
    """One wait for one monitor, whichever way it is done."""

    def __init__(
        self,
        context: Context,
        *,
        actor: str,
        policy: Policy,
        guest: GuestSize,
        path: str,
        process: Process,
        monitor_factory: MonitorFactory,
    ) -> None:
        limit_ms = policy.limit_ms(guest)
        self.limit_ns = None if limit_ms is None else limit_ms * _NS_PER_MS
        self.tries = 0
        self.outcome = "failed"
        self._observer = context.observer
        self._call = CURRENT_CALL.get()
        self._now_ns: Callable[[], int] = getattr(asyncio.get_running_loop(), "time_ns", context.now_ns)
        self._actor = actor
        self._countdown = policy.begin(guest)
        self._path = path
        self._process = process
        self._factory = monitor_factory
        self._monitor: Monitor | None = None
        self._connected = False
        # Of polling only.
        self._begin_ns = 0
        self._nap_ms = 0
        self._absent = absence_probe(path)
        self._last = errno.ENOENT
        self._turn: asyncio.Future[object]  # done when the task has something to do
        self._timer: asyncio.TimerHandle | None = None
        self._dial: Coroutine[Any, Any, Any] | None = None  # a connect that is under way

    async def poll(self) -> Monitor:
        """Nap and try by the policy until the limit."""
        loop = asyncio.get_running_loop()
        self._begin_ns = self._now_ns()
        try:
            while True:
                self._turn = loop.create_future()
                self._nap(loop)
                number = await self._finish(await self._turn)
                if number is None:
                    return await self._greeted()
                self._last = self._or_give_up(number)
        finally:
            if self._timer is not None:
                self._timer.cancel()
            if self._dial is not None:
                self._dial.close()

    def _nap(self, loop: asyncio.AbstractEventLoop) -> None:
        """Set the timer of the next attempt, or give up at the limit."""
        nap_ms = self._countdown.nap_ms((self._now_ns() - self._begin_ns) // _NS_PER_MS)
        if nap_ms is None:
            self.outcome = "timeout"
            raise HostError("monitor socket did not show up", self._last)
        self._nap_ms = nap_ms
        self._timer = loop.call_later(nap_ms / 1000, self._attempt, loop)

    def _attempt(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin a connect. It mostly fails at once; then the next nap begins without waking the task.

        A start of 105 s takes 114 attempts, of 4 TiB some thousands: a task's turn for each would cost as
        much again.
        """
        if self._turn.done():  # cancelled
            return
        self.tries += 1
        if self._absent is not None and self._absent():
            self._failed(loop, errno.ENOENT)
            return
        dial = connect_unix(self._make, self._path)
        try:
            waits_for = dial.send(None)
        except OSError as error:
            self._failed(loop, error.errno or errno.EIO)
        except Exception as error:  # noqa: BLE001 - not ours to judge: it goes to whoever waits
            self._turn.set_exception(error)
        else:
            self._dial = dial
            self._turn.set_result(waits_for)

    def _failed(self, loop: asyncio.AbstractEventLoop, number: int) -> None:
        """An attempt failed at once: begin the next nap, or give up."""
        if self._observer is not ignore:
            self._note_attempt(self._nap_ms, number)
        try:
            if number not in _TRIED_AGAIN or not self._process.alive():
                self._or_give_up(number)  # it raises
            self._last = number
            self._nap(loop)
        except HostError as failure:
            self._turn.set_exception(failure)

    async def _finish(self, waits_for: object) -> int | None:
        """See the connect through that `_attempt` began; returns the errno, or None when connected."""
        dial, number = self._dial, None
        if dial is None:
            raise RuntimeError("no connect was begun")
        try:
            await _go_on(dial, waits_for)
            self._connected = True
        except OSError as error:
            number = error.errno or errno.EIO
        self._dial = None
        self._note_attempt(self._nap_ms, number)
        return number

    def _or_give_up(self, number: int) -> int:
        """The errno of a failed attempt, if another attempt may succeed.

        Raises:
            HostError: it may not.
        """
        if number not in _TRIED_AGAIN:
            raise HostError("failed to connect to monitor socket", number)
        if not self._process.alive():
            raise self._died()
        return number

    async def connect_and_wait(self) -> Monitor:
        """Connect once, to a socket that is there already, and wait for the greeting."""
        number = await self._try(0)
        if number is not None:
            raise HostError("failed to connect to monitor socket", number)
        return await self._greeted()

    async def watch(self, limit_ns: int, *, handed_in: bool) -> Monitor:
        """Wait for the greeting, the process's end or the deadline, whichever comes first."""
        loop = asyncio.get_running_loop()
        meeting = loop.create_task(
            self.connect_and_wait() if handed_in else self._connect_when_there(),
            name=f"{self._actor}: monitor",
        )
        death = loop.create_task(self._process.wait(), name=f"{self._actor}: death")
        try:
            await asyncio.wait((meeting, death), timeout=limit_ns / 1e9, return_when=asyncio.FIRST_COMPLETED)
            turns = _TURNS_OF_GRACE
            while turns and not (meeting.done() or death.done()):
                await asyncio.sleep(0)
                turns -= 1
            if meeting.done():
                return meeting.result()
            if death.done():
                raise self._died()
        finally:
            for task in (meeting, death):
                task.cancel()
            await asyncio.gather(meeting, death, return_exceptions=True)
        self.outcome = "timeout"
        what = "no greeting from the monitor" if self._connected else "monitor socket did not show up"
        raise OperationTimeout(f"{what} within {limit_ns / 1e9:.12g} s")

    def abandon(self) -> None:
        """Close the connection, if there is one."""
        if self._monitor is not None:
            self._monitor.close()

    async def _connect_when_there(self) -> Monitor:
        """Connect as soon as the socket is there."""
        nap_ms = 0
        while True:
            await wait_for_path(self._path)
            number = await self._try(nap_ms)
            if number is None:
                return await self._greeted()
            if number not in _TRIED_AGAIN:
                raise HostError("failed to connect to monitor socket", number)
            nap_ms = min(2 * nap_ms, _REFUSED_NAP_MS_MAX) or 1
            await asyncio.sleep(nap_ms / 1000)

    async def _try(self, nap_ms: int) -> int | None:
        """Connect once; returns the errno, or None when connected."""
        self.tries += 1
        number: int | None = None
        try:
            await connect_unix(self._make, self._path)
            self._connected = True
        except OSError as error:
            number = error.errno or errno.EIO
        self._note_attempt(nap_ms, number)
        return number

    def _note_attempt(self, nap_ms: int, number: int | None) -> None:
        if self._observer is ignore:
            return
        name = None if number is None else errno.errorcode.get(number, str(number))
        fields = {"n": self.tries, "nap_ns": nap_ms * _NS_PER_MS, "errno": name}
        if self._call:
            fields["call"] = self._call
        self._observer("attempt", self._actor, fields)

    async def _greeted(self) -> Monitor:
        """Wait until the connected monitor has greeted."""
        monitor = self._monitor
        if monitor is None:
            raise RuntimeError("a connection came about without a monitor")
        try:
            await monitor.wait_greeting()
        except VirtsimError:
            self.outcome = "lost"
            raise
        return monitor

    def _make(self) -> Monitor:
        # Kept from the first moment, so that a connection which is cancelled half-way is closed too.
        self._monitor = self._factory()
        return self._monitor

    def _died(self) -> HostError:
        self.outcome = "died"
        return HostError("failed to connect to monitor socket", errno.ESRCH)


@types.coroutine
def _go_on(begun: Coroutine[Any, Any, Any], waits_for: object) -> Generator[object, Any, Any]:
    """Await a coroutine that was begun by hand, with send(None), and now waits for ``waits_for``."""
    while True:
        try:
            yield waits_for
        except BaseException as error:  # noqa: BLE001 - a cancellation, which belongs to the coroutine
            step = partial(begun.throw, error)
        else:
            step = partial(begun.send, None)
        try:
            waits_for = step()
        except StopIteration as stop:
            return stop.value
