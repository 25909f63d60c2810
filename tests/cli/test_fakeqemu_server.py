"""``fakeqemu server``: listens, forks, reports ends, tidies up."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time

import pytest

COMMAND = [sys.executable, "-c", "from fakeqemu.toolbox import main; main()", "server"]


@pytest.fixture
def server(tmp_path):
    path = tmp_path / "s"
    with subprocess.Popen([*COMMAND, str(path)], stderr=subprocess.PIPE) as process:
        try:
            end = time.monotonic() + 30  # noqa: TID251
            while not path.exists():
                assert process.poll() is None
                assert time.monotonic() < end  # noqa: TID251
                time.sleep(0.01)  # noqa: TID251
            yield process, path
        finally:
            if process.poll() is None:
                process.kill()


def connect(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(30)
    sock.connect(str(path))
    return sock


def test_a_life(server):
    process, path = server
    with connect(path) as sock, connect(path) as other:
        lines = sock.makefile()
        sock.sendall(json.dumps({"id": 1, "argv": ["qemu-system-x86_64", "-uuid", "bad"]}).encode() + b"\n")
        pid = json.loads(lines.readline())["pid"]
        assert json.loads(lines.readline()) == {"exit": pid, "code": 1}
        other.sendall(b"nonsense\n")
        assert "error" in json.loads(other.makefile().readline())
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert not path.exists()


def test_a_path_that_is_served(server):
    _, path = server
    done = subprocess.run([*COMMAND, str(path)], check=False, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "Address already in use" in done.stderr
    connect(path).close()


def test_a_path_that_cannot_be(tmp_path):
    done = subprocess.run(
        [*COMMAND, str(tmp_path / "none" / "s")], check=False, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 1
    assert "No such file or directory" in done.stderr


def test_an_id_that_can_be_read_but_not_said(server):
    process, path = server
    with connect(path) as sock:
        for depth in range(900, 1000):
            sock.sendall(b'{"id": ' + b"[" * depth + b"]" * depth + b', "argv": []}\n')
        answers = sock.makefile()
        assert all('"error": "bad request' in answers.readline() for _ in range(100))
    assert process.poll() is None
