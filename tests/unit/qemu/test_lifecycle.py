"""What a start, a stop and QEMU's events do to one domain: states, events and errors to the letter."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable

import pytest

from tests.helpers.hypervisor import XML, Host, Qemu, domain_xml
from virtsim.api import Connection, CreateFlags, DestroyFlags, Domain
from virtsim.errors import (
    ErrorCode,
    HostError,
    InternalError,
    InvalidArgument,
    NoDomain,
    NotSupported,
    OperationFailed,
    OperationInvalid,
    OperationTimeout,
    VirtsimError,
)
from virtsim.sim.loop import run
from virtsim.wire.qmp import ErrorReply

BOOT = ["RESUMED/UNPAUSED", "STARTED/BOOTED"]
#: The commands of a start of the small domain, timing figures of libvirt 8.5.0 (rows that apply).
STARTUP = [
    "qmp_capabilities",
    "query-migrate-capabilities",
    "migrate-set-capabilities",
    "query-chardev",
    "query-hotpluggable-cpus",
    "query-cpus-fast",
    "qom-list",
    "query-iothreads",
    "balloon",
    "query-balloon",
    "qom-list",
    "query-block",
]


def on_virtual(play: Callable[[Host], Awaitable[None]]) -> Host:
    """Play on the virtual clock; whatever happened, nothing may be left once the domains are off."""

    async def main() -> Host:
        host = Host()
        await play(host)
        return host

    return run(main(), end_ns=10_000 * 10**9)


async def defined(
    host: Host, xml: str = XML, policy: str = "eventful", **options: int
) -> tuple[Connection, Domain]:
    connection = await host.open(policy, **options)
    return connection, await connection.defineXML(xml)


async def started(host: Host, xml: str = XML, policy: str = "eventful") -> tuple[Connection, Domain, Qemu]:
    connection, domain = await defined(host, xml, policy)
    await domain.create()
    host.journal.records.clear()
    return connection, domain, host.qemus[-1]


async def refused(awaitable: Awaitable[object], kind: type[VirtsimError]) -> VirtsimError:
    with pytest.raises(kind) as caught:
        await awaitable
    return caught.value


# -- start


@pytest.mark.parametrize("policy", ["eventful", "fdpass", "backoff-adaptive", "poll200"])
def test_a_start_goes_through_starting_up_and_resumes_before_it_has_started(policy: str) -> None:
    async def play(host: Host) -> None:
        connection, domain = await defined(host, policy=policy)
        await domain.create()
        assert host.states() == ["PAUSED/STARTING_UP", "RUNNING/BOOTED"]
        assert host.events() == ["DEFINED/ADDED", *BOOT]
        assert host.qemus[0].commands == [*STARTUP, "cont"]
        assert await domain.state() == (1, 1)
        assert await domain.ID() == 1
        await domain.destroy()
        assert host.leftovers() == []
        await connection.close()

    on_virtual(play)


def test_a_paused_start_says_started_then_suspended_and_never_resumed() -> None:
    async def play(host: Host) -> None:
        _, domain = await defined(host)
        await domain.createWithFlags(CreateFlags.START_PAUSED)
        assert host.states() == ["PAUSED/STARTING_UP", "PAUSED/USER"]
        assert host.events() == ["DEFINED/ADDED", "STARTED/BOOTED", "SUSPENDED/PAUSED"]
        assert host.qemus[0].commands == STARTUP
        await domain.resume()
        assert await domain.state() == (1, 5)
        await domain.destroy()

    on_virtual(play)


def test_starting_what_runs_is_refused_and_leaves_it_running() -> None:
    async def play(host: Host) -> None:
        _, domain, _ = await started(host)
        error = await refused(domain.create(), OperationInvalid)
        assert error.text == "Requested operation is not valid: domain is already running"
        assert await domain.state() == (1, 1)

    on_virtual(play)


@pytest.mark.parametrize(
    ("linger_s", "policy", "text"),
    [
        (0.0, "fdpass", "process exited while connecting to monitor"),
        (0.05, "fdpass", "qemu unexpectedly closed the monitor"),
        (0.0, "backoff-adaptive", "process exited while connecting to monitor"),
        (0.0, "eventful", "process exited while connecting to monitor"),
    ],
)
def test_a_qemu_that_dies_before_it_greets_fails_the_start_without_any_event(
    linger_s: float, policy: str, text: str
) -> None:
    async def play(host: Host) -> None:
        host.plot.greet_after_s = None
        host.plot.socket_after_s = 50.0
        host.plot.exit_after_s = 0.3
        host.plot.linger_s = linger_s
        host.plot.log = b"qemu: no bootable device\n"
        _, domain = await defined(host, policy=policy)
        host.journal.records.clear()
        error = await refused(domain.create(), InternalError)
        assert error.text == f"internal error: {text}: qemu: no bootable device"
        assert host.events() == []
        assert host.states() == ["PAUSED/STARTING_UP", "SHUTOFF/FAILED"]
        assert await domain.state() == (5, 6)
        assert await domain.ID() == -1
        assert host.leftovers() == []

    on_virtual(play)


def test_a_death_while_the_socket_is_awaited_is_noticed_at_the_next_attempt() -> None:
    async def play(host: Host) -> None:
        host.plot.socket_after_s, host.plot.exit_after_s = 50.0, 0.3
        _, domain = await defined(host, policy="backoff-adaptive")
        await refused(domain.create(), InternalError)
        assert host.now_ms() == 511

    on_virtual(play)


def test_a_socket_that_never_comes_gives_libvirts_text_and_ends_qemu() -> None:
    async def play(host: Host) -> None:
        host.plot.socket_after_s = 1000.0
        host.plot.term_after_s = None
        _, domain = await defined(host, policy="backoff-adaptive")
        error = await refused(domain.create(), HostError)
        assert error.text == "monitor socket did not show up: No such file or directory"
        # 30 s of waiting, SIGTERM ignored for 10 s, seen dead at the next look
        assert host.now_ms() == 40_200
        assert await domain.state() == (5, 6)
        assert host.leftovers() == []

    on_virtual(play)


def test_an_error_to_a_startup_command_fails_the_start_with_qemus_words() -> None:
    async def play(host: Host) -> None:
        host.plot.answers["query-block"] = lambda _: ErrorReply(error_class="GenericError", desc="no")
        _, domain = await defined(host)
        error = await refused(domain.create(), InternalError)
        assert error.text == "internal error: unable to execute QEMU command 'query-block': no"
        assert host.leftovers() == []
        assert host.events() == ["DEFINED/ADDED"]

    on_virtual(play)


def test_a_death_late_in_the_start_is_never_called_connecting() -> None:
    def die(qemu: Qemu) -> None:
        qemu.die()

    async def play(host: Host) -> None:
        host.plot.answers["query-block"] = die
        host.plot.log = b"last words\n"
        _, domain = await defined(host)
        error = await refused(domain.create(), InternalError)
        assert error.text == "internal error: qemu unexpectedly closed the monitor: last words"
        assert host.leftovers() == []

    on_virtual(play)


def test_an_emulator_that_cannot_be_executed_fails_the_start() -> None:
    async def play(host: Host) -> None:
        host.plot.spawn_error = FileNotFoundError(errno.ENOENT, "No such file or directory")
        _, domain = await defined(host)
        error = await refused(domain.create(), InternalError)
        assert error.detail.endswith(
            "cannot execute binary /usr/bin/qemu-system-x86_64: No such file or directory"
        )
        assert await domain.state() == (5, 6)
        assert host.leftovers() == []

    on_virtual(play)


@pytest.mark.parametrize(("answers", "ok", "ms"), [(2, True, 500), (3, True, 750), (4, False, 1000)])
def test_cont_is_tried_four_times_while_qemu_expects_a_migration(answers: int, ok: bool, ms: int) -> None:
    left = [answers]

    def cont(qemu: Qemu) -> object:
        left[0] -= 1
        if left[0] >= 0:
            return ErrorReply(error_class="MigrationExpected", desc="expecting an incoming migration")
        qemu.emit("RESUME")
        return {}

    async def play(host: Host) -> None:
        host.plot.answers["cont"] = cont
        _, domain = await defined(host)
        if ok:
            await domain.create()
        else:
            error = await refused(domain.create(), OperationFailed)
            assert error.text == "operation failed: resume operation failed"
        assert host.qemus[0].commands.count("cont") == min(answers + 1, 4)
        assert ms <= host.now_ms() <= ms + 200

    on_virtual(play)


# -- suspend, resume, reset, shutdown, reboot


def test_suspend_and_resume_and_what_they_say_when_there_is_nothing_to_do() -> None:
    async def play(host: Host) -> None:
        _, domain, qemu = await started(host)
        await domain.suspend()
        assert await domain.state() == (3, 1)
        await domain.suspend()
        assert qemu.commands.count("stop") == 1
        await domain.resume()
        assert await domain.state() == (1, 5)
        error = await refused(domain.resume(), OperationInvalid)
        assert error.detail == "domain is already running"
        assert host.events() == ["SUSPENDED/PAUSED", "RESUMED/UNPAUSED"]

    on_virtual(play)


@pytest.mark.parametrize("operation", ["suspend", "resume", "shutdown", "reboot", "reset", "destroy"])
def test_operations_on_a_domain_that_is_off_are_refused(operation: str) -> None:
    async def play(host: Host) -> None:
        _, domain = await defined(host)
        error = await refused(getattr(domain, operation)(), OperationInvalid)
        assert error.text == "Requested operation is not valid: domain is not running"

    on_virtual(play)


def test_a_guest_that_sleeps_can_be_neither_suspended_nor_resumed() -> None:
    async def play(host: Host) -> None:
        _, domain, qemu = await started(host)
        qemu.emit("SUSPEND")
        await asyncio.sleep(0.001)
        assert await domain.state() == (7, 0)
        for operation in (domain.suspend, domain.resume):
            assert (await refused(operation(), OperationInvalid)).detail == "domain is pmsuspended"
        assert (await refused(domain.shutdown(), OperationInvalid)).detail == "domain is not running"
        qemu.emit("WAKEUP")
        await asyncio.sleep(0.001)
        assert await domain.state() == (1, 8)
        assert host.events() == ["PMSUSPENDED/MEMORY", "STARTED/WAKEUP"]

    on_virtual(play)


def test_shutdown_of_a_paused_guest_is_refused_reboot_is_not() -> None:
    async def play(host: Host) -> None:
        host.plot.guest_obeys = False
        _, domain, _ = await started(host)
        await domain.suspend()
        assert (await refused(domain.shutdown(), OperationInvalid)).detail == "domain is not running"
        await domain.reboot()

    on_virtual(play)


def test_a_guest_that_powers_off_gives_shutdown_then_stopped() -> None:
    async def play(host: Host) -> None:
        host.plot.term_after_s = 3.0
        _, domain, qemu = await started(host)
        await domain.shutdown()
        await asyncio.sleep(1)
        # QEMU's own reaction to our SIGTERM is a second SHUTDOWN: it is ignored.
        assert await domain.state() == (4, 0)
        await asyncio.sleep(5)
        assert host.events() == ["SHUTDOWN/GUEST", "STOPPED/SHUTDOWN"]
        assert host.states() == ["SHUTDOWN/UNKNOWN", "SHUTOFF/SHUTDOWN"]
        assert not qemu.alive()
        assert host.leftovers() == []

    on_virtual(play)


def test_an_administrators_sigterm_is_a_shutdown_by_the_host() -> None:
    async def play(host: Host) -> None:
        _, domain, qemu = await started(host)
        qemu.signal(15)
        await asyncio.sleep(1)
        assert host.events() == ["SHUTDOWN/HOST", "STOPPED/SHUTDOWN"]
        assert await domain.state() == (5, 1)

    on_virtual(play)


def test_shutdown_of_an_old_qemu_that_does_not_say_who_asked() -> None:
    async def play(host: Host) -> None:
        _, _, qemu = await started(host)
        qemu.emit("SHUTDOWN")
        await asyncio.sleep(1)
        assert host.events() == ["SHUTDOWN/FINISHED", "STOPPED/SHUTDOWN"]

    on_virtual(play)


@pytest.mark.parametrize("linger_s", [0.0, 0.05, 20.0])
def test_a_crash_is_stopped_failed_and_shutoff_crashed(linger_s: float) -> None:
    async def play(host: Host) -> None:
        host.plot.linger_s = linger_s
        _, domain, qemu = await started(host)
        qemu.die(9)
        await asyncio.sleep(60)
        assert host.events() == ["STOPPED/FAILED"]
        assert host.states() == ["SHUTOFF/CRASHED"]
        assert await domain.state() == (5, 3)
        assert host.leftovers() == []

    on_virtual(play)


def test_a_reboot_hides_shutdown_and_stop_and_says_reboot_only() -> None:
    async def play(host: Host) -> None:
        _, domain, qemu = await started(host)
        await domain.reboot()
        await asyncio.sleep(1)
        assert host.events() == ["REBOOT"]
        assert host.states() == []
        assert qemu.commands[-3:] == ["system_powerdown", "system_reset", "cont"]
        await domain.shutdown()  # the mark is gone: this one is a power-off again
        await asyncio.sleep(1)
        assert host.events() == ["REBOOT", "SHUTDOWN/GUEST", "STOPPED/SHUTDOWN"]

    on_virtual(play)


def test_a_reboot_whose_reset_fails_kills_qemu() -> None:
    async def play(host: Host) -> None:
        host.plot.answers["system_reset"] = lambda _: ErrorReply(error_class="GenericError", desc="no")
        _, domain, _ = await started(host)
        await domain.reboot()
        await asyncio.sleep(60)
        assert await domain.ID() == -1
        assert host.leftovers() == []

    on_virtual(play)


@pytest.mark.parametrize(
    ("extra", "operation", "events"),
    [
        ("<on_poweroff>restart</on_poweroff>", "shutdown", ["REBOOT"]),
        ("<on_reboot>destroy</on_reboot>", "reboot", ["SHUTDOWN/GUEST", "STOPPED/SHUTDOWN"]),
        ("<on_poweroff>destroy</on_poweroff>", "shutdown", ["SHUTDOWN/GUEST", "STOPPED/SHUTDOWN"]),
    ],
)
def test_lifecycle_actions_turn_power_off_and_reboot_into_each_other(
    extra: str, operation: str, events: list[str]
) -> None:
    async def play(host: Host) -> None:
        _, domain, qemu = await started(host, domain_xml(extra=extra))
        assert ("set-action" in qemu.commands) == ("on_reboot" in extra)
        await getattr(domain, operation)()
        await asyncio.sleep(1)
        assert host.events() == events

    on_virtual(play)


def test_reset_says_reboot_and_takes_a_crashed_guest_to_paused_crashed() -> None:
    async def play(host: Host) -> None:
        _, domain, qemu = await started(host, domain_xml(extra="<on_crash>preserve</on_crash>"))
        await domain.reset()
        assert host.events() == ["REBOOT"]
        qemu.emit("STOP")
        qemu.emit("GUEST_PANICKED", {"action": "pause"})
        await asyncio.sleep(0.001)
        assert await domain.state() == (6, 1)
        await domain.reset()
        assert await domain.state() == (3, 10)
        assert host.events() == ["REBOOT", "SUSPENDED/PAUSED", "CRASHED/PANICKED", "REBOOT"]

    on_virtual(play)


def test_a_panic_with_on_crash_destroy_stops_the_domain_as_crashed() -> None:
    async def play(host: Host) -> None:
        _, domain, qemu = await started(host, domain_xml(extra="<on_crash>destroy</on_crash>"))
        qemu.emit("GUEST_PANICKED", {"action": "pause"})
        await asyncio.sleep(1)
        assert host.events() == ["CRASHED/PANICKED", "STOPPED/CRASHED"]
        assert host.states() == ["CRASHED/PANICKED", "SHUTOFF/CRASHED"]
        assert await domain.isActive() is False
        assert host.leftovers() == []

    on_virtual(play)


def test_a_panic_with_on_crash_restart_reboots() -> None:
    async def play(host: Host) -> None:
        _, domain, qemu = await started(host, domain_xml(extra="<on_crash>restart</on_crash>"))
        qemu.running = False
        qemu.emit("GUEST_PANICKED", {"action": "pause"})
        await asyncio.sleep(1)
        assert host.events() == ["CRASHED/PANICKED", "REBOOT", "RESUMED/UNPAUSED"]
        assert await domain.state() == (1, 9)

    on_virtual(play)


def test_watchdog_and_io_errors_pause_once_and_hide_the_stop() -> None:
    async def play(host: Host) -> None:
        _, domain, qemu = await started(host)
        qemu.running = False
        qemu.emit("WATCHDOG", {"action": "pause"})
        qemu.emit("STOP")
        await asyncio.sleep(0.001)
        assert await domain.state() == (3, 6)
        await domain.resume()
        qemu.emit("BLOCK_IO_ERROR", {"action": "stop", "nospace": True, "device": "drive0"})
        qemu.emit("STOP")
        await asyncio.sleep(0.001)
        assert await domain.state() == (3, 5)
        lifecycle = [e for e in host.events() if e.startswith(("SUSPENDED", "RESUMED"))]
        assert lifecycle == ["SUSPENDED/WATCHDOG", "RESUMED/UNPAUSED", "SUSPENDED/IOERROR"]

    on_virtual(play)


def test_garbage_makes_the_monitor_useless_and_leaves_the_guest_alone() -> None:
    async def play(host: Host) -> None:
        _, domain, qemu = await started(host)
        qemu.say(b"this is not JSON\r\n")
        await asyncio.sleep(0.001)
        assert host.events() == ["CONTROL_ERROR"]
        before = host.now_ms()
        with pytest.raises(VirtsimError) as caught:
            await domain.suspend()
        assert caught.value.code is ErrorCode.VIR_ERR_INTERNAL_ERROR
        assert host.now_ms() == before
        assert await domain.state() == (1, 1)
        assert (await domain.controlInfo())[0] == 3
        await domain.destroy()
        assert host.events() == ["CONTROL_ERROR", "STOPPED/DESTROYED"]
        assert host.leftovers() == []

    on_virtual(play)


def test_a_qemu_that_dies_behind_a_broken_monitor_is_noticed_by_its_process() -> None:
    async def play(host: Host) -> None:
        _, domain, qemu = await started(host)
        qemu.say(b"garbage\r\n")
        await asyncio.sleep(0.001)
        qemu.die(11)
        await asyncio.sleep(5)
        assert await domain.state() == (5, 3)
        assert host.events() == ["CONTROL_ERROR", "STOPPED/FAILED"]
        assert host.leftovers() == []

    on_virtual(play)


# -- destroy


def test_destroy_costs_200_ms_and_says_destroyed() -> None:
    async def play(host: Host) -> None:
        _, domain, _ = await started(host)
        before = host.now_ms()
        await domain.destroy()
        assert host.now_ms() - before == 200
        assert host.events() == ["STOPPED/DESTROYED"]
        assert await domain.state() == (5, 2)
        assert host.leftovers() == []

    on_virtual(play)


def test_destroy_of_what_cannot_die_gives_up_after_40_s_and_cleans_up_later() -> None:
    async def play(host: Host) -> None:
        host.plot.term_after_s, host.plot.kill_after_s = None, 45.0
        _, domain, _ = await started(host)
        error = await refused(domain.destroy(), HostError)
        assert host.now_ms() == 40_000
        assert error.text == "Failed to terminate process 1000 with SIGKILL: Device or resource busy"
        assert error.code is ErrorCode.VIR_ERR_SYSTEM_ERROR
        assert await domain.state() == (1, 1)
        await asyncio.sleep(20)
        assert await domain.isActive() is False
        assert host.events() == ["STOPPED/FAILED"]
        assert host.leftovers() == []

    on_virtual(play)


def test_a_graceful_destroy_that_is_ignored_leaves_the_domain_running() -> None:
    async def play(host: Host) -> None:
        host.plot.term_after_s = None
        _, domain, _ = await started(host)
        error = await refused(domain.destroyFlags(DestroyFlags.GRACEFUL), HostError)
        assert host.now_ms() == 15_000
        assert error.text == "Failed to terminate process 1000 with SIGTERM: Device or resource busy"
        assert await domain.state() == (1, 1)
        await domain.suspend()
        assert await domain.state() == (3, 1)

    on_virtual(play)


def test_what_qemu_said_during_a_kill_that_failed_counts_afterwards() -> None:
    async def play(host: Host) -> None:
        host.plot.term_after_s = 20.0
        _, domain, _ = await started(host)
        await refused(domain.destroyFlags(DestroyFlags.GRACEFUL), HostError)
        assert host.events() == ["SHUTDOWN/HOST"]
        await asyncio.sleep(30)
        assert host.events() == ["SHUTDOWN/HOST", "STOPPED/SHUTDOWN"]
        assert host.leftovers() == []

    on_virtual(play)


@pytest.mark.parametrize("policy", ["fdpass", "eventful"])
def test_destroy_during_a_start_that_hangs_works_although_the_start_holds_the_job(policy: str) -> None:
    async def play(host: Host) -> None:
        host.plot.greet_after_s = None
        host.plot.term_after_s = None
        _, domain = await defined(host, domain_xml(memory="1048576"), policy)
        create = asyncio.ensure_future(domain.create())
        await asyncio.sleep(60)
        await domain.destroy()
        assert host.now_ms() == 70_200
        assert create.done()
        error = create.exception()
        assert isinstance(error, InternalError)
        assert error.detail == "process exited while connecting to monitor"
        assert host.events() == ["DEFINED/ADDED"]
        assert await domain.state() == (5, 6)
        assert host.leftovers() == []

    on_virtual(play)


def test_destroy_during_the_wait_for_the_socket_comes_first_and_is_told_so() -> None:
    async def play(host: Host) -> None:
        host.plot.socket_after_s = 1000.0
        _, domain = await defined(host, policy="backoff-adaptive")
        create = asyncio.ensure_future(domain.create())
        await asyncio.sleep(10.5)
        await domain.destroy()
        assert await domain.state() == (5, 2)
        assert host.events() == ["DEFINED/ADDED", "STOPPED/DESTROYED"]
        error = await refused(create, OperationFailed)
        assert error.text == "operation failed: domain is not running"
        assert host.leftovers() == []
        host.plot.socket_after_s = 0.0
        await domain.create()
        assert await domain.ID() == 2

    on_virtual(play)


def test_destroy_in_the_middle_of_the_startup_commands() -> None:
    async def play(host: Host) -> None:
        host.plot.answers["query-block"] = lambda _: None
        _, domain = await defined(host)
        create = asyncio.ensure_future(domain.create())
        await asyncio.sleep(5)
        assert (await domain.controlInfo())[0] == 1
        await domain.destroy()
        await refused(create, InternalError)
        assert host.events() == ["DEFINED/ADDED"]
        assert await domain.state() == (5, 6)
        assert host.leftovers() == []
        host.plot.answers.clear()
        await domain.create()
        assert await domain.ID() == 2

    on_virtual(play)


# -- jobs through the API


@pytest.mark.parametrize("question", ["memoryStats", "XMLDesc"])
def test_questions_during_a_long_start_fail_after_30_s_and_name_the_start(question: str) -> None:
    async def play(host: Host) -> None:
        host.plot.greet_after_s = 277.0
        _, domain = await defined(host, policy="fdpass")
        create = asyncio.ensure_future(domain.create())
        await asyncio.sleep(5)
        error = await refused(getattr(domain, question)(), OperationTimeout)
        assert host.now_ms() == 35_000
        assert error.text == (
            "Timed out during operation: cannot acquire state change lock "
            "(held by monitor=remoteDispatchDomainCreate)"
        )
        assert await domain.state() == (3, 11)
        await create
        assert host.now_ms() == 277_000

    on_virtual(play)


def test_max_queued_refuses_the_third_at_once_but_never_destroy() -> None:
    async def play(host: Host) -> None:
        host.plot.answers["query-balloon"] = lambda q: {"actual": 1} if "cont" not in q.commands else None
        _, domain = await defined(host, max_queued=2)
        await domain.create()
        hung = [asyncio.ensure_future(domain.memoryStats()) for _ in range(2)]
        await asyncio.sleep(1)
        error = await refused(domain.memoryStats(), OperationFailed)
        assert error.detail == (
            "cannot acquire state change lock (held by monitor=remoteDispatchDomainMemoryStats) "
            "due to max_queued limit"
        )
        assert host.now_ms() == 1000
        await domain.destroy()
        results = await asyncio.gather(*hung, return_exceptions=True)
        assert [type(r) for r in results] == [InternalError, OperationInvalid] or all(
            isinstance(r, VirtsimError) for r in results
        )
        assert host.leftovers() == []

    on_virtual(play)


# -- definitions


def test_names_and_uuids_belong_together() -> None:
    async def play(host: Host) -> None:
        connection, domain = await defined(host)
        key = domain.UUIDString()
        same = XML.replace("<memory", f"<uuid>{key}</uuid><memory")
        error = await refused(connection.defineXML(XML), OperationFailed)
        assert error.text == f"operation failed: domain 'vm' already exists with uuid {key}"
        error = await refused(connection.defineXML(same.replace(">vm<", ">other<")), OperationFailed)
        assert error.text == f"operation failed: domain 'vm' is already defined with uuid {key}"
        await connection.defineXML(same)
        assert host.events() == ["DEFINED/ADDED", "DEFINED/UPDATED"]
        await domain.create()
        error = await refused(connection.createXML(same), OperationInvalid)
        assert error.detail == "domain 'vm' is already active"

    on_virtual(play)


def test_an_undefined_active_domain_goes_on_as_transient_and_then_vanishes() -> None:
    async def play(host: Host) -> None:
        connection, domain, _ = await started(host)
        await domain.undefine()
        assert await domain.isPersistent() is False
        assert await domain.isActive() is True
        error = await refused(domain.undefine(), OperationInvalid)
        assert error.detail == "cannot undefine transient domain"
        await domain.destroy()
        assert host.events() == ["UNDEFINED/REMOVED", "STOPPED/DESTROYED"]
        error = await refused(domain.state(), NoDomain)
        assert error.text == (f"Domain not found: no domain with matching uuid '{domain.UUIDString()}' (vm)")
        assert await connection.listAllDomains() == []

    on_virtual(play)


def test_a_transient_domain_lives_as_long_as_it_runs_and_can_be_made_persistent() -> None:
    async def play(host: Host) -> None:
        connection = await host.open()
        domain = await connection.createXML(XML)
        assert await domain.isPersistent() is False
        assert host.events() == BOOT
        with_uuid = XML.replace("<memory", f"<uuid>{domain.UUIDString()}</uuid><memory")
        await connection.defineXML(with_uuid)
        await connection.defineXML(with_uuid)
        assert host.events() == [*BOOT, "DEFINED/ADDED", "DEFINED/UPDATED"]
        await domain.destroy()
        assert await domain.state() == (5, 2)

    on_virtual(play)


def test_a_transient_domain_whose_start_fails_is_forgotten() -> None:
    async def play(host: Host) -> None:
        host.plot.answers["query-block"] = lambda _: ErrorReply(error_class="GenericError", desc="no")
        connection = await host.open()
        await refused(connection.createXML(XML), InternalError)
        assert await connection.listAllDomains() == []
        assert host.leftovers() == []
        host.plot.answers.clear()
        await connection.createXML(XML)

    on_virtual(play)


def test_definitions_are_read_again_at_the_next_open() -> None:
    async def play(host: Host) -> None:
        connection, domain = await defined(host)
        await domain.create()
        await connection.close()
        assert host.qemus[0].alive()
        again = await host.open()
        found = await again.lookupByName("vm")
        assert found.UUIDString() == domain.UUIDString()
        await found.undefine()
        assert [d.name() for d in await (await host.open()).listAllDomains()] == []

    on_virtual(play)


# -- flags and arguments


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda c, d: d.createWithFlags(1 << 20), "0x100000) in function qemuDomainCreateWithFlags"),
        (lambda c, d: d.shutdownFlags(4), "0x4) in function qemuDomainShutdownFlags"),
        (lambda c, d: d.reboot(16), "0x10) in function qemuDomainReboot"),
        (lambda c, d: d.reset(1), "0x1) in function qemuDomainReset"),
        (lambda c, d: d.destroyFlags(4), "0x4) in function qemuDomainDestroyFlags"),
        (lambda c, d: d.state(2), "0x2) in function qemuDomainGetState"),
        (lambda c, d: c.defineXML(XML, 2), "0x2) in function qemuDomainDefineXMLFlags"),
        (lambda c, d: c.createXML(XML, 64), "0x40) in function qemuDomainCreateXML"),
    ],
)
def test_flags_that_libvirt_does_not_take(call: Callable[..., Awaitable[object]], text: str) -> None:
    async def play(host: Host) -> None:
        connection, domain = await defined(host)
        error = await refused(call(connection, domain), InvalidArgument)
        assert error.text == f"unsupported flags ({text}"
        assert error.code is ErrorCode.VIR_ERR_INVALID_ARG

    on_virtual(play)


def test_what_is_not_modelled_says_so() -> None:
    async def play(host: Host) -> None:
        connection, domain = await defined(host)
        await refused(domain.createWithFlags(CreateFlags.START_RESET_NVRAM), NotSupported)
        await refused(connection.defineXML(XML, 1), NotSupported)
        await domain.create()
        error = await refused(domain.shutdownFlags(2), NotSupported)
        assert error.text == "argument unsupported: QEMU guest agent is not configured"

    on_virtual(play)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda c: c.lookupByName("x"), "Domain not found: no domain with matching name 'x'"),
        (lambda c: c.lookupByID(7), "Domain not found: no domain with matching id 7"),
        (
            lambda c: c.lookupByUUIDString("11111111-2222-3333-4444-555555555555"),
            "Domain not found: no domain with matching uuid '11111111-2222-3333-4444-555555555555'",
        ),
    ],
)
def test_what_is_not_there(call: Callable[..., Awaitable[object]], text: str) -> None:
    async def play(host: Host) -> None:
        error = await refused(call(await host.open()), NoDomain)
        assert error.text == text
        assert error.code is ErrorCode.VIR_ERR_NO_DOMAIN

    on_virtual(play)


def test_a_second_destroy_during_the_first_finds_nothing_to_destroy() -> None:
    async def play(host: Host) -> None:
        host.plot.term_after_s = 5.0
        _, domain, _ = await started(host)
        first = asyncio.ensure_future(domain.destroy())
        await asyncio.sleep(1.1)
        error = await refused(domain.destroy(), OperationInvalid)
        assert error.detail == "domain is not running"
        await first
        assert host.events() == ["STOPPED/DESTROYED"]

    on_virtual(play)


def test_a_forced_destroy_beside_a_graceful_one_that_gives_up() -> None:
    async def play(host: Host) -> None:
        host.plot.term_after_s = None
        _, domain, _ = await started(host)
        graceful = asyncio.ensure_future(domain.destroyFlags(DestroyFlags.GRACEFUL))
        await asyncio.sleep(5)
        await domain.destroy()
        await refused(graceful, VirtsimError)
        assert host.events() == ["STOPPED/DESTROYED"]
        assert host.leftovers() == []

    on_virtual(play)


def test_what_an_earlier_manager_left_in_the_way_is_no_obstacle() -> None:
    async def play(host: Host) -> None:
        host.files.make_dirs("/run/domain-1-vm")
        host.net.bind("/run/domain-1-vm/monitor.sock").close()
        _, domain = await defined(host)
        await domain.create()
        assert await domain.state() == (1, 1)

    on_virtual(play)


def test_a_run_directory_that_cannot_be_written_is_an_error_of_the_host() -> None:
    async def play(host: Host) -> None:
        _, domain = await defined(host)
        host.files.write_atomic("/run/log", b"a file where a directory ought to be")
        error = await refused(domain.create(), HostError)
        assert error.text.startswith("cannot prepare '/run/log': ")
        assert await domain.state() == (5, 6)
        assert host.leftovers() == []

    on_virtual(play)
