"""``fakeqemu measure``: how long a real QEMU takes over what a manager asks, for a script's ``recorded:``.

Knows processes, sockets and the clock. Must not know scripts. It measures the host as much as the QEMU: that
is what it is for.
"""

from __future__ import annotations

import json
import platform
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from fakeqemu.scripts.delays import SCHEMA

__all__ = ["MeasureError", "measure", "quantiles", "sample"]

#: What is asked, round after round.
QUERIES = (
    "query-status", "query-name", "query-chardev", "query-cpus-fast", "query-block", "query-blockstats",
    "query-named-block-nodes", "query-balloon", "query-iothreads", "query-hotpluggable-cpus", "query-pci",
    "query-migrate", "query-vnc", "query-machines", "query-cpu-definitions", "query-qmp-schema",
    "query-command-line-options", "stop", "cont",
)  # fmt: skip
#: So many quantiles are kept, the least and the greatest among them.
KEPT = 33
_WAIT_S = 30.0


class MeasureError(Exception):
    """The QEMU cannot be measured; the text says why."""


class _Monitor:
    """A monitor, and the bytes that came and are not read yet."""

    def __init__(self, path: Path, process: subprocess.Popen[bytes]) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(_WAIT_S)
        self._rest = b""
        end = time.monotonic() + _WAIT_S  # noqa: TID251 - a tool that measures
        while True:
            try:
                self._socket.connect(str(path))
                break
            except OSError as error:
                if process.poll() is not None or time.monotonic() > end:  # noqa: TID251
                    raise MeasureError(f"no monitor: {error.strerror}") from error
                time.sleep(0.0005)  # noqa: TID251
        self._line()

    def ask(self, command: str) -> Any:
        """Ask, and wait for the reply; events are passed over."""
        self._socket.sendall(json.dumps({"execute": command}).encode() + b"\n")
        while True:
            answer = json.loads(self._line())
            if "event" not in answer:
                return answer

    def _line(self) -> bytes:
        while b"\n" not in self._rest:
            data = self._socket.recv(1 << 20)
            if not data:
                raise MeasureError("the QEMU has gone")
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def sample(qemu: str, *, rounds: int, starts: int, extra: tuple[str, ...] = ()) -> dict[str, list[int]]:
    """Nanoseconds that each question took, by name; ``start`` is from exec until the greeting.

    Args:
        qemu: the program.
        rounds: how often each question is asked, in each of the starts.
        starts: how often it is started.
        extra: further arguments of its command line.

    Raises:
        MeasureError: it cannot be started, or ends.
    """
    found: dict[str, list[int]] = {name: [] for name in ("start", "qmp_capabilities", *QUERIES)}
    for _ in range(starts):
        with tempfile.TemporaryDirectory() as folder:
            _one(qemu, Path(folder) / "m", rounds, extra, found)
    return {name: values for name, values in found.items() if values}


def _one(qemu: str, path: Path, rounds: int, extra: tuple[str, ...], found: dict[str, list[int]]) -> None:
    argv = [qemu, "-machine", "q35", "-accel", "tcg", "-S", "-nodefaults", "-display", "none", "-m", "256"]
    argv += ["-device", "virtio-balloon-pci", "-qmp", f"unix:{path},server=on,wait=off", *extra]
    began = time.monotonic_ns()
    try:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)  # noqa: S603
    except OSError as error:
        raise MeasureError(f"{qemu}: {error.strerror}") from error
    try:
        monitor = _Monitor(path, process)
        found["start"].append(time.monotonic_ns() - began)
        for name in ("qmp_capabilities", *QUERIES * rounds):
            began = time.monotonic_ns()
            answer = monitor.ask(name)
            took = time.monotonic_ns() - began
            if "return" in answer:
                found[name].append(took)
        monitor.close()
    finally:
        process.kill()
        process.communicate()


def quantiles(values: list[int], kept: int = KEPT) -> list[int]:
    """Quantiles at equal steps, from the least to the greatest."""
    values = sorted(values)
    last = len(values) - 1
    return [values[round(last * step / (kept - 1))] for step in range(kept)] if last else values


@click.command()
@click.option("--qemu", required=True, metavar="PATH", help="The QEMU to measure, by its path.")
@click.option("-o", "--output", required=True, metavar="FILE", help="Where to write the measurements.")
@click.option(
    "--rounds",
    default=50,
    show_default=True,
    type=click.IntRange(1, 10_000),
    help="How often each question is asked at each start.",
)
@click.option(
    "--starts", default=5, show_default=True, type=click.IntRange(1, 1000), help="How often it is started."
)
def measure(qemu: str, output: str, rounds: int, starts: int) -> None:
    """Measure how long a real QEMU takes on this host.

    A script plays it back (`delay: {recorded: FILE}`).
    """
    if not Path(output).absolute().parent.is_dir():
        raise click.BadParameter(f"{output}: no such folder", param_hint="--output")
    try:
        found = sample(qemu, rounds=rounds, starts=starts)
        version = subprocess.run([qemu, "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S603
    except (MeasureError, OSError, subprocess.CalledProcessError) as error:
        raise click.ClickException(str(error)) from error
    answers = [value for name, values in found.items() if name != "start" for value in values]
    document = {
        "schema": SCHEMA,
        "provenance": {
            "program": Path(qemu).name,
            "version": version.splitlines()[0] if version else "",
            "system": f"{platform.system()} {platform.machine()}",
            "rounds": rounds,
            "starts": starts,
        },
        "latency_ns": {name: quantiles(found[name]) for name in sorted(found)} | {"*": quantiles(answers)},
    }
    try:
        Path(output).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{output}: {error.strerror}") from error
    click.echo(f"{output}: {len(found)} names, {sum(map(len, found.values()))} measurements")
