"""A simulated run cannot touch the host: audit hooks watch from below what Python does to it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: Runs every shipped scenario in one process; prints what was done to the host outside of the report's
#: folder.
PROGRAM = """
import os, sys
from pathlib import Path

from virtsim.sim.load import find_scenarios, load_scenario
from virtsim.sim.runner import run_scenario
from virtsim.sim.world import Options

out = sys.argv[1]
loaded = [load_scenario(path, name) for path, name in find_scenarios(["scenarios"])]
loaded.append(load_scenario(sys.argv[2]))
run_scenario(loaded[0], Options(), None)  # whatever is imported late is imported now

ACTS = {
    "os.chmod", "os.chown", "os.exec", "os.fork", "os.forkpty", "os.kill", "os.killpg", "os.link",
    "os.listdir", "os.mkdir", "os.posix_spawn", "os.putenv", "os.remove", "os.rename", "os.rmdir",
    "os.scandir", "os.spawn", "os.symlink", "os.system", "os.truncate", "os.utime", "pty.spawn",
    "shutil.rmtree", "signal.pthread_kill", "socket.bind", "socket.connect", "socket.getaddrinfo",
    "socket.sendmsg", "socket.sendto", "subprocess.Popen", "tempfile.mkdtemp", "tempfile.mkstemp",
    "fcntl.flock",
}
seen = []
watching = False


def hook(event, arguments):
    if not watching:
        return
    if event == "open":
        path = os.fspath(arguments[0]) if not isinstance(arguments[0], int) else ""
        path = path.decode() if isinstance(path, bytes) else path
        # Reading the interpreter's own files is how late imports work; nothing else is read.
        if not path.startswith(out) and not path.endswith((".py", ".pyc", ".so", ".gz", ".json", ".j2")):
            seen.append(f"open {path}")
    elif event in ACTS and not any(isinstance(item, str) and item.startswith(out) for item in arguments):
        # pathlib lists with the one up to Python 3.12 and with the other from 3.13 on.
        if event in {"os.listdir", "os.scandir"} and str(arguments[0]).startswith(
            ("/proc/self/fd", sys.prefix, sys.base_prefix)
        ):
            return  # counting our own descriptors; looking for a module
        seen.append(f"{event} {arguments}")


sys.addaudithook(hook)
for entry in loaded:
    watching = True
    result = run_scenario(entry, Options(), Path(out))
    watching = False
    if result.outcome != "passed" and entry is not loaded[-1]:
        print("outcome", entry.id, result.outcome, result.message)
print(*dict.fromkeys(seen), sep="\\n")
"""

#: A document that names programs and files of the host; /bin/sh is no QEMU, so its start fails.
GREEDY = """name: a document that names files of the host
domains:
  greedy:
    xml: |
      <domain type='qemu'>
        <name>greedy</name>
        <memory unit='MiB'>64</memory>
        <os><type arch='x86_64' machine='pc'>hvm</type></os>
        <devices>
          <emulator>/bin/sh</emulator>
          <disk type='file' device='disk'>
            <source file='/etc/passwd'/><target dev='vda' bus='virtio'/>
          </disk>
          <serial type='file'><source path='/etc/virtsim-was-here'/></serial>
        </devices>
      </domain>
steps:
  - start: greedy
  - destroy: greedy
"""


def test_simulated_runs_do_nothing_to_the_host(tmp_path: Path) -> None:
    greedy = tmp_path / "greedy.yaml"
    greedy.write_text(GREEDY, encoding="utf-8")
    out = tmp_path / "out"

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(out), str(greedy)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stderr == ""
    assert done.stdout.strip() == ""
    assert not Path("/etc/virtsim-was-here").exists()
    written = {path.name for path in out.rglob("*") if path.is_file()}
    assert written == {"journal.jsonl"}
