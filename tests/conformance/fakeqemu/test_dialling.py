"""Character devices that are no Unix listeners, beside a real QEMU: TCP, outgoing, standard streams."""

from __future__ import annotations

import json
import socket
import subprocess

import pytest

from tests.helpers.processes import Client, fake_argv, real_argv

WORDS = ["-S", "-machine", "none", "-display", "none", "-name", "guest=vm"]
PROGRAMS = {"fake": fake_argv, "real": real_argv}


@pytest.fixture(params=[pytest.param("fake"), pytest.param("real", marks=pytest.mark.real_qemu)])
def program(request):
    return PROGRAMS[request.param]


def words_of(argv, directory):
    done = subprocess.run(
        argv, cwd=directory, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL, check=False
    )
    return done.returncode, done.stderr


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@pytest.mark.real_qemu
@pytest.mark.parametrize(
    "words",
    [
        ["-qmp", "unix:/nonexistent/x"],
        ["-qmp", "tcp:127.0.0.1:{free}"],
        ["-qmp", "tcp:127.0.0.1:{taken},server=on,wait=off"],
        ["-chardev", "socket,id=a,host=127.0.0.1,port={free}"],
        ["-chardev", "socket,id=a,host=127.0.0.1,port={taken},server=on,wait=off"],
        ["-chardev", "socket,id=a,host=127.0.0.1"],
        ["-chardev", "socket,id=a,path=/nonexistent/x"],
        ["-chardev", "file,id=a,path=/nonexistent/x"],
        ["-chardev", "pipe,id=a,path=/nonexistent/x"],
    ],
    ids=lambda words: words[1],
)
def test_what_cannot_be_opened_is_said_in_the_same_words(words, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = {"free": free_port(), "taken": taken.getsockname()[1]}
        words = [*WORDS, *(word.format(**ports) for word in words)]
        real = words_of(real_argv(*words), tmp_path)
        assert words_of(fake_argv(*words), tmp_path) == real
    assert real[0] == 1


def talk(client):
    with client:
        assert client.negotiate().ask("query-name") == {"return": {"name": "vm"}}


@pytest.mark.timeout(60)
def test_a_monitor_on_a_port(program, tmp_path):
    port = free_port()
    argv = program(*WORDS, "-qmp", f"tcp:127.0.0.1:{port},server=on,wait=off")
    with subprocess.Popen(argv, cwd=tmp_path, stdin=subprocess.DEVNULL) as process:
        try:
            for _ in range(2):
                talk(Client(connected(process, port)))
        finally:
            process.kill()


def connected(process, port):
    while True:
        sock = socket.socket()
        if not sock.connect_ex(("127.0.0.1", port)):
            return sock
        sock.close()
        assert process.poll() is None


@pytest.mark.timeout(60)
def test_a_monitor_that_calls(program, tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.settimeout(30)
        listener.bind(str(tmp_path / "l"))
        listener.listen()
        chardev = ["-chardev", f"socket,id=m,path={tmp_path}/l,reconnect=1", "-mon", "chardev=m,mode=control"]
        with subprocess.Popen(program(*WORDS, *chardev), stdin=subprocess.DEVNULL) as process:
            try:
                for _ in range(2):
                    talk(Client(listener.accept()[0]))
            finally:
                process.kill()


@pytest.mark.timeout(60)
def test_a_monitor_on_standard_streams(program, tmp_path):
    with subprocess.Popen(
        program(*WORDS, "-qmp", "stdio"), cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            assert "QMP" in json.loads(process.stdout.readline())
            for command in ("qmp_capabilities", "query-name", "quit"):
                process.stdin.write(json.dumps({"execute": command}).encode() + b"\n")
                process.stdin.flush()
                answer = json.loads(process.stdout.readline())
                assert "return" in answer or "event" in answer
            assert process.wait(30) == 0
        finally:
            process.kill()
