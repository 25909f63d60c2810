"""The fake as a process: sockets, signals and exit statuses as the kernel shows them."""

from __future__ import annotations

import errno
import os
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.processes import BOOT, QEMU, Program, fake_argv, terminate

ROOT = str(Path(BOOT).parent.parent)
WORDS = ["-S", "-machine", "pc", "-accel", "tcg", "-display", "none", "-name", "guest=vm"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "m"


def start(path, *words, **more):
    return Program(fake_argv(*WORDS, *words, "-qmp", f"unix:{path},server=on,wait=off"), path.parent, **more)


def test_a_conversation(path):
    with start(path) as program, program.client(path).negotiate() as client:
        assert client.ask("query-status")["return"]["status"] == "prelaunch"
        client.send(b'{"execute":"cont"}')
        assert client.message()["event"] == "RESUME"
        assert client.message() == {"return": {}}
        pids = {cpu["thread-id"] for cpu in client.ask("query-cpus-fast")["return"]}
        assert all(pid > program.process.pid for pid in pids)
        client.send(b'{"execute":"quit"}')
        assert client.message()["data"]["reason"] == "host-qmp-quit"
        assert client.message() == {"return": {}}
        assert client.line() == b""
        assert program.ended() == (0, "")
        assert not path.exists()


def test_sigterm(path):
    with start(path) as program, program.client(path).negotiate() as client:
        program.signal(signal.SIGTERM)
        assert client.message()["data"] == {"guest": False, "reason": "host-signal"}
        code, words = program.ended()
        assert code == 0
        assert words.startswith(f"{QEMU}: terminating on signal 15 from pid {os.getpid()} (")
        assert not path.exists()


def test_sigterm_before_anything_is_set_up(path):
    with start(path, script="- {at: start, socket: {never: true}}") as program:
        assert terminate(program)[0] in (0, -signal.SIGTERM)


def test_sigkill_leaves_the_socket_file(path):
    with start(path) as program:
        program.client(path).sock.close()
        program.signal(signal.SIGKILL)
        assert program.ended()[0] == -signal.SIGKILL
        assert path.exists()
    with start(path) as program, program.client(path).negotiate():
        assert terminate(program)[0] == 0


def test_reconnecting_to_the_same_socket(path):
    with start(path) as program:
        for _ in range(3):
            with program.client(path).negotiate() as client:
                assert client.ask("query-name") == {"return": {"name": "vm"}}


def test_one_client_is_served_and_two_wait(path):
    with start(path) as program, program.client(path).negotiate() as first:
        waiting = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(3)]
        try:
            for sock in waiting:
                sock.setblocking(False)
            assert [sock.connect_ex(str(path)) for sock in waiting] == [0, 0, errno.EAGAIN]
        finally:
            for sock in waiting:
                sock.close()
        assert first.ask("query-name") == {"return": {"name": "vm"}}


@pytest.mark.parametrize("closed", [False, True])
def test_an_inherited_listener(path, closed):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen(1)
        fd = listener.fileno()
        argv = fake_argv(
            "-S", "-chardev", f"socket,id=m,fd={fd},server=on,wait=off", "-mon", "chardev=m,mode=control"
        )
        with Program(argv, path.parent, fds=[fd]) as program:
            if closed:
                listener.close()
            for _ in range(2):
                program.client(path).negotiate().sock.close()


def test_a_descriptor_that_is_no_socket(path):
    with Program(fake_argv("-chardev", "socket,id=a,fd=77,server=on,wait=off"), path.parent) as program:
        code, words = program.ended()
    assert code == 1
    assert (
        words
        == f"{QEMU}: -chardev socket,id=a,fd=77,server=on,wait=off: File descriptor '77' is not a socket\n"
    )


def test_a_socket_that_cannot_be_bound(tmp_path):
    where, words = f"unix:{tmp_path}/none/m,server=on,wait=off", os.strerror(errno.ENOENT)
    with Program(fake_argv("-S", "-qmp", where), tmp_path) as program:
        assert program.ended() == (
            1,
            f"{QEMU}: -qmp {where}: Failed to bind socket to {tmp_path}/none/m: {words}\n",
        )


def test_a_disk_that_is_not_there(path):
    option = "driver=file,filename=/nonexistent/x,node-name=a"
    with start(path, "-blockdev", option) as program:
        assert program.ended() == (
            1,
            f"{QEMU}: -blockdev {option}: Could not open '/nonexistent/x': No such file or directory\n",
        )


def test_the_size_of_a_disk_is_read_from_its_image(path):
    (path.parent / "d.raw").write_bytes(b"\0" * 4096)
    # magic, version, backing file, cluster bits, size, encryption, L1 and refcount tables, snapshots
    header = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 0, 0, 16, 1 << 30, 0, 2, 3 << 16, 1 << 16, 1, 0, 0)
    (path.parent / "d.qcow2").write_bytes(header.ljust(4 << 16, b"\0"))
    nodes = []
    for kind in ("raw", "qcow2"):
        nodes += [
            "-blockdev",
            f"driver={kind},node-name={kind},file.driver=file,file.filename={path.parent}/d.{kind}",
        ]
    with start(path, *nodes) as program, program.client(path).negotiate() as client:
        found = {
            node["node-name"]: node["image"]["virtual-size"]
            for node in client.ask("query-named-block-nodes")["return"]
            if not node["node-name"].startswith("#")
        }
    assert found == {"raw": 4096, "qcow2": 1 << 30}


def test_daemonize(path):
    pidfile = path.parent / "pid"
    with start(path, "-daemonize", "-pidfile", str(pidfile)) as program:
        assert program.ended() == (0, "")
        # Its parent has gone with 0: everything is set up, and the daemon is another process.
        pid = int(pidfile.read_text())
        assert pid != program.process.pid
        with program.client(path).negotiate() as client:
            assert os.getsid(pid) != os.getsid(0)
            client.ask("quit")
            assert client.line() == b""
    for _ in range(2000):
        if not pidfile.exists():
            break
        subprocess.run(["/bin/true"], check=True)
    assert not pidfile.exists()


def test_daemonize_that_fails_is_told_to_the_one_who_waits(path):
    with start(path, "-daemonize", "-pidfile", "/nonexistent/pid") as program:
        code, words = program.ended()
    assert code == 1
    assert (
        words
        == f"{QEMU}: cannot create PID file: Could not create '/nonexistent/pid': No such file or directory\n"
    )


def test_a_slow_reader_gets_everything(path):
    with start(path) as program, program.client(path).negotiate() as client:
        for _ in range(40):
            client.send(b'{"execute":"query-qmp-schema"}')
        sizes = {len(client.line()) for _ in range(40)}
        assert len(sizes) == 1
        assert sizes.pop() > 200_000


def test_a_client_that_vanishes_in_the_middle(path):
    with start(path) as program:
        for _ in range(3):
            client = program.client(path).negotiate()
            client.send(b'{"execute":"query-qmp-schema"}' * 20)
            client.sock.close()
        with program.client(path).negotiate() as client:
            assert client.ask("query-name")["return"] == {"name": "vm"}


# -- scripts -----------------------------------------------------------------------------------------------


def test_the_socket_comes_late_after_a_stale_one(path):
    script = "- {at: start, socket: {stale: true, delay: 150ms}}"
    with start(path, script=script) as program:
        program.errno_until(path, errno.ECONNREFUSED)
        program.client(path).negotiate().sock.close()


def test_bound_but_not_listening(path):
    with start(path, script="- {at: start, socket: {listen_after: 150ms}}") as program:
        program.errno_until(path, errno.ECONNREFUSED)
        program.client(path).negotiate().sock.close()


def test_a_refused_client(path):
    with start(path, script="- {at: start, accept: {refuse: true, delay: 20ms}}") as program:
        program.errno_until(path, errno.ECONNREFUSED)


def test_the_mode_of_the_socket(path):
    with start(path, script="- {at: start, socket: {mode: 0}}") as program:
        program.errno_until(path, 0 if os.geteuid() == 0 else errno.EACCES)
        assert path.stat().st_mode & 0o777 == 0


def test_garbage_and_last_words(path):
    script = """
- {at: start, greeting: {garbage: "hello?"}}
- {on: capabilities, do: {exit: {code: 7, stderr: "out of memory"}}}
"""
    with start(path, script=script) as program, program.client(path) as client:
        assert client.line() == b"hello?"
        client.send(b'{"execute":"qmp_capabilities"}')
        assert client.line() == b""
        assert program.ended() == (7, "out of memory\n")


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV", "SIGABRT", "SIGTERM"])
def test_dying_by_a_signal(path, name):
    script = f"- {{at: 20ms, do: {{kill: {{signal: {name}, stderr: words}}}}}}"
    with start(path, script=script) as program:
        assert program.ended() == (-signal.Signals[name], "words\n")


def test_lingering(path):
    script = "- {at: start, linger: 100ms}\n- {on: greeting, do: {exit: {code: 1}}}"
    with start(path, script=script) as program, program.client(path) as client:
        assert client.line() == b""
        assert program.process.poll() is None
        assert program.ended() == (1, "")


def test_an_ignored_signal_and_a_delayed_command(path):
    script = "- {at: start, ignore: [SIGTERM]}\n- {on: command, match: query-name, do: {delay: 60ms}}"
    with start(path, script=script) as program, program.client(path).negotiate() as client:
        program.signal(signal.SIGTERM)
        assert client.ask("query-name") == {"return": {"name": "vm"}}
        assert program.process.poll() is None


def by_hand(path, script, **env):
    file = path.parent / "script.yaml"
    file.write_text(script)
    argv = fake_argv(*WORDS, "-qmp", f"unix:{path},server=on,wait=off")
    return subprocess.run(
        argv,
        env={"FAKEQEMU_SCRIPT": str(file), **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )


def test_a_script_of_rules_is_compiled_on_the_way(path):
    done = by_hand(path, "- {at: 10ms, do: {exit: {code: 9, stderr: bye}}}")
    assert (done.returncode, done.stderr) == (9, "bye\n")


def test_a_script_with_mistakes_is_told_on_one_line_each(path):
    done = by_hand(path, "- {at: start, memroy: 1}\n- {on: x, do: {drop: true}}")
    assert done.returncode == 1
    first, second = done.stderr.splitlines()
    assert first.startswith(f"fakeqemu: {path.parent}/script.yaml:1:15: unknown word 'memroy'")
    assert second.startswith(f"{path.parent}/script.yaml:2:4: unknown value 'x'")


def test_a_bug_inside_is_one_line(tmp_path):
    code = "import sys; sys.path.insert(0, sys.argv[1]); import fakeqemu.driver.process as p; p.main(None)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, ROOT], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("fakeqemu: internal error: TypeError: ")
    assert len(done.stderr.splitlines()) == 1


def test_nothing_heavy_is_imported_before_the_socket_listens(tmp_path):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import fakeqemu.driver.process as p; "
        "m = p.FakeQemu(['q', '-S', '-qmp', 'unix:/x,server=on,wait=off'], host=p.RealHost()); m.start(0); "
        "print(*sorted(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, ROOT], capture_output=True, text=True, check=True
    )
    heavy = {
        "asyncio",
        "json",
        "dataclasses",
        "re",
        "typing",
        "enum",
        "socket",
        "os",
        "pathlib",
        "collections",
        "functools",
    }
    assert not heavy & set(done.stdout.split())


def test_python_m_fakeqemu():
    argv = [sys.executable, "-m", "fakeqemu", "-version"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.startswith("QEMU emulator version 7.2.22")


@pytest.mark.parametrize("kind", ["wheel", "editable", "symlink", "unknown"])
def test_the_executable_finds_the_package(tmp_path, kind):
    site = tmp_path / "lib" / "python3.11" / "site-packages"
    bin_dir = tmp_path / "bin"
    site.mkdir(parents=True)
    bin_dir.mkdir()
    (bin_dir / "python3").symlink_to(sys.executable)
    program = bin_dir / "fakeqemu-system-x86_64"
    program.write_bytes((Path(ROOT) / "fakeqemu" / "bin" / program.name).read_bytes())
    program.chmod(0o755)
    if kind == "wheel":
        (site / "fakeqemu").symlink_to(Path(ROOT) / "fakeqemu")
    elif kind != "unknown":
        (site / "_editable_impl_virtsim.pth").write_text(ROOT)
    if kind == "symlink":
        link = tmp_path / "fakeqemu-system-x86_64"
        link.symlink_to(program)
        program = link
    env = {"PATH": os.environ["PATH"], **({"PYTHONPATH": ROOT} if kind == "unknown" else {})}
    done = subprocess.run([program, "-version"], capture_output=True, text=True, check=True, env=env, cwd="/")
    assert done.stdout.startswith("QEMU emulator version 7.2.22")
