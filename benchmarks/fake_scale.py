"""How many fakes, how fast, and at what price in memory?

Four measurements, each on its own process or processes:

``server``    starts a second through ``fakeqemu server``, from the first request until every monitor socket
              of the batch listens;
``memory``    private memory (USS) of each of N such processes, all alive, after their first answer;
``inside``    memory of each of N machines in one process, after their first answer;
``commands``  ``query-status`` answered a second by one machine in this process, on one core, without sockets.

    python benchmarks/fake_scale.py [--processes 1000] [--machines 10000] [--starts 2000] [server memory ...]

Exit status 1 when a budget is missed: 500 starts a second, 3 MiB, 100 KiB, 20,000 commands a second.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

PROGRAM = "/usr/bin/qemu-system-x86_64"
#: What libvirt 9.0.0 starts a small guest with.
ARGV = [
    PROGRAM, "-name", "guest=vm,debug-threads=on", "-S", "-machine", "pc", "-accel", "tcg", "-m", "1024",
    "-smp", "2,sockets=2", "-display", "none", "-no-user-config", "-nodefaults", "-no-shutdown",
    "-device", '{"driver":"virtio-balloon-pci","id":"balloon0"}',
]  # fmt: skip
NEGOTIATE = b'{"execute": "qmp_capabilities"}\n'
ASK = b'{"execute": "query-status"}\r\n'
BUDGETS = {"server": 500.0, "memory": 3.0 * 1024, "inside": 100.0, "commands": 20_000.0}


class Server:
    """A ``fakeqemu server`` on a socket pair."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.sock, theirs = socket.socketpair()
        code = (
            "import sys; sys.path[:0] = sys.argv[1:2]\n"
            "from fakeqemu.driver.server import serve_fd; serve_fd(0)"
        )
        with theirs:
            self.process = subprocess.Popen([sys.executable, "-I", "-S", "-c", code, str(ROOT)], stdin=theirs)
        self.answers = self.sock.makefile("rb")
        self.pids: list[int] = []

    def start(self, number: int, first: int = 0) -> None:
        """Ask for processes, all at once; returns when the server has answered each."""
        requests = [
            json.dumps({"id": at, "argv": [*ARGV, "-qmp", f"unix:{self.directory}/{at},server=on,wait=off"]})
            for at in range(first, first + number)
        ]
        for at in range(0, number, 100):
            self.sock.sendall(("\n".join(requests[at : at + 100]) + "\n").encode())
            answered = 0
            while answered < len(requests[at : at + 100]):
                message = json.loads(self.answers.readline())
                if "id" in message:
                    self.pids.append(message["pid"])
                    answered += 1

    def wait_listening(self, number: int, first: int = 0) -> None:
        """Return once every monitor socket can be connected to."""
        for at in range(first, first + number):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
                while client.connect_ex(f"{self.directory}/{at}"):
                    time.sleep(0.0005)  # noqa: TID251 - this waits for real processes

    def close(self) -> None:
        """End what was started, and the server."""
        for pid in self.pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.pids.clear()
        self.answers.close()
        self.sock.close()
        self.process.wait(20)


def server(options: argparse.Namespace) -> float:
    """Starts a second; the best of batches of 250, as the machine has other work, too."""
    rates = []
    with tempfile.TemporaryDirectory(prefix="fq-") as directory:
        for batch in range(max(1, options.starts // 250)):
            serving = Server(directory)
            try:
                serving.start(1, first=batch * 1000)
                serving.wait_listening(1, first=batch * 1000)
                begun = time.perf_counter()
                serving.start(250, first=batch * 1000 + 1)
                serving.wait_listening(250, first=batch * 1000 + 1)
                rates.append(250 / (time.perf_counter() - begun))
            finally:
                serving.close()
    print(
        f"server    {statistics.median(rates):10.0f} starts/s  (median of {len(rates)} batches of 250;"
        f" best {max(rates):.0f}, worst {min(rates):.0f})"
    )
    return statistics.median(rates)


def uss_kib(pid: int) -> int:
    """Private memory of a process, clean and dirty."""
    total = 0
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(("Private_Clean:", "Private_Dirty:")):
            total += int(line.split()[1])
    return total


def memory(options: argparse.Namespace) -> float:
    """Median KiB of private memory of each process."""
    number = options.processes
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, number + 100)), hard))
    with tempfile.TemporaryDirectory(prefix="fq-") as directory:
        serving = Server(directory)
        clients = []
        try:
            serving.start(number)
            serving.wait_listening(number)
            for at in range(number):
                client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                clients.append(client)
                client.connect(f"{directory}/{at}")
                client.recv(4096)
                client.sendall(NEGOTIATE)
                client.recv(4096)
                client.sendall(ASK)
                client.recv(4096)
            found = sorted(uss_kib(pid) for pid in serving.pids)
        finally:
            for client in clients:
                client.close()
            serving.close()
    median = statistics.median(found)
    print(
        f"memory    {median / 1024:10.2f} MiB private each  (median of {number} processes alive;"
        f" greatest {found[-1] / 1024:.2f})"
    )
    return median


def one(index: int) -> object:
    """A machine of this process, started and asked once."""
    from fakeqemu.machine import FakeQemu

    machine = FakeQemu([*ARGV, "-qmp", "unix:/m,server=on,wait=off"], pid=index)
    play(machine, machine.start(0))
    play(machine, machine.connected(0, "compat_monitor0", 1))
    play(machine, machine.received(0, 1, NEGOTIATE))
    play(machine, machine.received(0, 1, ASK))
    return machine


def play(machine: object, steps: list) -> list:
    """Take the steps that have no delay; returns the actions that a driver would carry out."""
    from fakeqemu.actions import Wake

    queue, taken = list(steps), []
    while queue:
        delay, action = queue.pop(0)
        if delay == 0 and type(action) is Wake:
            queue += machine.woken(0, action.token)
        elif delay == 0:
            taken.append(action)
    return taken


def resident_kib() -> int:
    """Memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * (os.sysconf("SC_PAGE_SIZE") // 1024)


def inside(options: argparse.Namespace) -> float:
    """KiB of each machine; in a fresh process, so that nothing else counts."""
    number = options.machines
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        one(0)
        gc.collect()
        before = resident_kib()
        machines = [one(index) for index in range(number)]
        gc.collect()
        os.write(write, f"{(resident_kib() - before) / len(machines)}".encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        each = float(answer.read())
    os.waitpid(pid, 0)
    print(f"inside    {each:10.1f} KiB each  (of {number} machines in one process)")
    return each


def commands(options: argparse.Namespace) -> float:
    """Answers a second; the best of several rounds, as the machine has other work, too."""
    del options
    machine = one(0)
    rates = []
    for _ in range(9):
        begun = time.perf_counter()
        for _ in range(5000):
            steps = machine.received(0, 1, ASK)
            assert b'"status"' in steps[0][1].data
        rates.append(5000 / (time.perf_counter() - begun))
    print(
        f"commands  {statistics.median(rates):10.0f} query-status/s  (median of {len(rates)} rounds of 5000;"
        f" best {max(rates):.0f})"
    )
    return statistics.median(rates)


MEASUREMENTS = {"server": server, "memory": memory, "inside": inside, "commands": commands}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=1000, help="alive at once (default 1000)")
    parser.add_argument("--machines", type=int, default=10_000, help="in one process (default 10000)")
    parser.add_argument("--starts", type=int, default=1000, help="through the server (default 1000)")
    parser.add_argument("which", nargs="*", choices=[[], *MEASUREMENTS], help="all by default")
    options = parser.parse_args()
    missed = []
    for name in options.which or MEASUREMENTS:
        found = MEASUREMENTS[name](options)
        at_least = name in {"server", "commands"}
        if (found < BUDGETS[name]) if at_least else (found > BUDGETS[name]):
            missed.append(name)
    for name in missed:
        print(f"{name}: the budget of {BUDGETS[name]:g} is missed", file=sys.stderr)
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
