"""What a failed start says: the process's last words, cut and filtered as libvirt does."""

from __future__ import annotations

import errno

import pytest

from virtsim.errors import ErrorCode, HostError, InternalError, OperationTimeout
from virtsim.host.memory import MemoryFiles
from virtsim.qemu.last_words import log_tail, start_failure
from virtsim.qemu.monitor import MonitorEOF, MonitorReadError

LOG = "/vm.log"


def tail(text: str, **options) -> str:
    files = MemoryFiles()
    files.append(LOG, text.encode())
    return log_tail(files, LOG, **options)


def test_a_short_log_is_shown_whole_without_its_last_line_end() -> None:
    assert (
        tail("qemu: could not open disk\nqemu: giving up\n") == "qemu: could not open disk\nqemu: giving up"
    )


def test_no_log_and_an_empty_log_give_nothing() -> None:
    assert log_tail(MemoryFiles(), LOG) == ""
    assert tail("") == ""


def test_a_long_log_is_cut_at_the_beginning_of_a_line() -> None:
    lines = [f"line {number:04}" for number in range(500)]

    shown = tail("\n".join(lines) + "\n")

    assert len(shown) <= 1024
    assert shown.split("\n") == lines[-len(shown.split("\n")) :]
    assert len(shown) + len("line 0000\n") > 1024


def test_a_cut_that_falls_on_a_beginning_loses_no_line() -> None:
    assert tail("old\n" + "x" * 1023 + "\n", size=1023) == "x" * 1023


def test_one_endless_line_is_cut_anyway() -> None:
    assert tail("a" * 5000) == "a" * 1024
    assert tail("a" * 5000 + "\n") == "a" * 1024


def test_lines_that_explain_nothing_are_dropped_before_the_cut() -> None:
    noise = (
        "char device redirected to /dev/pts/3 (label charserial0)\n"
        "2024-01-02 03:04:05.678+0000: 4242: debug : virCommandHandshakeChild:424 : Notifying parent\n"
    )

    assert tail("first\n" + noise * 100 + "second\n") == "first\nsecond"
    assert tail("2024-01-02 03:04:05.678+0000: starting up\n") == "2024-01-02 03:04:05.678+0000: starting up"


def test_only_this_starts_output_counts() -> None:
    assert tail("older start\nthis start\n", since=len("older start\n")) == "this start"


def test_bytes_that_are_no_text_are_shown_somehow() -> None:
    files = MemoryFiles()
    files.append(LOG, b"bad \xff byte\n")

    assert log_tail(files, LOG) == "bad � byte"


ERRORS = [
    HostError("failed to connect to monitor socket", errno.ESRCH),
    MonitorEOF("End of file from qemu monitor (vm='vm')"),
    MonitorReadError("Unable to read from monitor", errno.ECONNRESET),
    OperationTimeout("no greeting from the monitor within 30 s"),
]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize(
    ("words", "shown"), [("", ""), ("qemu: no memory", ": qemu: no memory")], ids=["silent", "log"]
)
def test_a_dead_process_replaces_every_failure(error, words: str, shown: str) -> None:
    said = start_failure(error, alive=False, tail=words)

    assert isinstance(said, InternalError)
    assert said.code == ErrorCode.VIR_ERR_INTERNAL_ERROR
    assert str(said) == f"internal error: process exited while connecting to monitor{shown}"
    assert said.__cause__ is error


@pytest.mark.parametrize("error", ERRORS[1:3])
def test_a_lingering_process_closed_the_monitor_unexpectedly(error) -> None:
    said = start_failure(error, alive=True, tail="qemu: no memory")

    assert str(said) == "internal error: qemu unexpectedly closed the monitor: qemu: no memory"


@pytest.mark.parametrize("error", [ERRORS[0], ERRORS[3]])
def test_other_failures_of_a_live_process_stay(error) -> None:
    assert start_failure(error, alive=True, tail="noise") is error
