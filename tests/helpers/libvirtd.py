# ruff: noqa: TID251, PLW1510  (real processes are waited for on the real clock)
"""A private libvirtd in session mode, under an ordinary user, with directories of its own.

Knows how to start and end one, to ask it through ``virsh``, and to read from its log what it said to QEMU.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REAPER = str(Path(__file__).with_name("reaper.py"))
#: Who libvirtd is when the tests run as root: every Debian has this user.
USER = "nobody"
PATIENCE_S = 30.0

_CONF = """
security_driver = "none"
stdio_handler = "file"
auto_dump_path = "{base}/dump"
vnc_listen = "127.0.0.1"
max_core = 0
"""
_DAEMON_CONF = """
log_filters = "1:qemu.qemu_monitor 1:util.command 1:qemu.qemu_agent 3:*"
log_outputs = "1:file:{base}/libvirtd.log"
host_uuid = "11111111-2222-4333-8444-555555555555"
"""


@dataclass
class Answer:
    """What a virsh command left: its status and what it printed."""

    words: list[str]
    status: int
    out: str
    seconds: float
    talk: list[tuple[str, Any]] = field(default_factory=list)


class Libvirtd:
    """One daemon; `start` and `stop` it, or use it as a context manager."""

    def __init__(self, env: Mapping[str, str] | None = None) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="lv-", dir="/tmp"))
        self.as_user: list[str] = []
        self.user = pwd.getpwuid(os.geteuid()).pw_name
        if os.geteuid() == 0:
            entry = pwd.getpwnam(USER)
            self.user = USER
            self.as_user = [
                "setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups", "--",
            ]  # fmt: skip
        self.env = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": f"{self.base}/home", "USER": self.user,
            "LOGNAME": self.user, "XDG_RUNTIME_DIR": f"{self.base}/run", "LC_ALL": "C",
            "XDG_CONFIG_HOME": f"{self.base}/config", "XDG_CACHE_HOME": f"{self.base}/cache",
            "XDG_DATA_HOME": f"{self.base}/data", "LIBVIRT_AUTOSTART": "0", **(env or {}),
        }  # fmt: skip
        for name in ("home", "run", "config/libvirt", "cache", "data", "images", "dump", "bin"):
            (self.base / name).mkdir(parents=True)
        (self.base / "run").chmod(0o700)
        (self.base / "config/libvirt/qemu.conf").write_text(_CONF.format(base=self.base))
        (self.base / "config/libvirt/libvirtd.conf").write_text(_DAEMON_CONF.format(base=self.base))
        self.process: subprocess.Popen[bytes] | None = None
        self.read_to = 0
        self.own(self.base)

    def own(self, path: Path) -> None:
        """Give a tree to the daemon's user."""
        if self.as_user:
            subprocess.run(["chown", "-R", f"{USER}:", str(path)], check=True)

    def __enter__(self) -> Libvirtd:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.base, ignore_errors=True)

    def start(self) -> None:
        socket = self.base / "run/libvirt/libvirt-sock"
        with (self.base / "daemon.out").open("ab") as out:
            self.process = subprocess.Popen(
                [
                    sys.executable, REAPER, *self.as_user, "libvirtd", "-f",
                    f"{self.base}/config/libvirt/libvirtd.conf", "-p", f"{self.base}/run/libvirtd.pid",
                ],
                env=self.env, cwd="/", stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                start_new_session=True,
            )  # fmt: skip
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if socket.exists() and self.virsh("version", check=False).status == 0:
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError("libvirtd did not start: " + (self.base / "daemon.out").read_text()[-2000:])

    def stop(self) -> None:
        """End the daemon, and every process that runs in its directories."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def end_machines(self) -> None:
        """End the emulators that outlived the daemon, by the pid files that it wrote."""
        for file in (self.base / "run/libvirt/qemu/run").glob("*.pid"):
            with contextlib.suppress(OSError, ValueError):
                os.kill(int(file.read_text()), signal.SIGKILL)

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def virsh(self, *words: str, check: bool = True, timeout: float = 60.0) -> Answer:
        """Run one virsh command; with ``check`` its status must be 0."""
        began = time.monotonic()
        done = subprocess.run(
            [*self.as_user, "virsh", "-q", "-c", "qemu:///session", *words],
            env=self.env, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
        )  # fmt: skip
        answer = Answer(
            list(words), done.returncode, (done.stdout + done.stderr).strip(), time.monotonic() - began
        )
        if check:
            assert done.returncode == 0, f"virsh {' '.join(words)}: {answer.out}\n{self.domain_logs()}"
        return answer

    def domain_logs(self) -> str:
        """The tails of the domains' logs, for a failure's message."""
        found = (self.base / "cache/libvirt/qemu/log").glob("*.log")
        return "\n".join(f"{path.name}: ...{path.read_text()[-1500:]}" for path in found)

    def talk(self) -> list[tuple[str, Any]]:
        """What libvirtd and QEMU have said since the last call: (">" | "<" | "!", message) each."""
        path = self.base / "libvirtd.log"
        with path.open("rb") as file:
            file.seek(self.read_to)
            data = file.read()
        end = data.rfind(b"\n") + 1
        self.read_to += end
        return list(spoken(data[:end].decode("utf-8", "replace")))


_SEND = re.compile(r"QEMU_MONITOR_SEND_MSG: mon=0x[0-9a-f]+ msg=(\{.*)")
_REPLY = re.compile(r"QEMU_MONITOR_RECV_REPLY: mon=0x[0-9a-f]+ reply=(\{.*\})$")
_EVENT = re.compile(r"QEMU_MONITOR_RECV_EVENT: mon=0x[0-9a-f]+ event=(\{.*\})$")


def spoken(text: str) -> list[tuple[str, Any]]:
    """The QMP conversation in libvirtd's log."""
    found: list[tuple[str, Any]] = []
    for line in text.splitlines():
        for sign, pattern in ((">", _SEND), ("<", _REPLY), ("!", _EVENT)):
            match = pattern.search(line)
            if match is not None:
                # A sent message is followed by its descriptor on a line of its own, or on the same one.
                message, _ = json.JSONDecoder().raw_decode(match[1])
                found.append((sign, message))
    return found


def installed() -> Sequence[str]:
    """The programs that are missing here."""
    return [name for name in ("libvirtd", "virsh", "qemu-img", "setpriv") if shutil.which(name) is None]
