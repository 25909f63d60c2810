"""Character devices, network back ends and screens of a machine without a host around it."""

from __future__ import annotations

import base64
import json
import struct
import zlib

import pytest

from fakeqemu import actions as do
from fakeqemu.displays.picture import png, ppm
from fakeqemu.host import Host
from tests.helpers.puppet import ARGV, SECOND, Puppet


class Files(Host):
    """Files in memory; there is nothing below /nope."""

    __slots__ = ("files",)

    def __init__(self):
        self.files = {}

    def write(self, path, data, *, offset=0, truncate=False):
        if path.startswith("/nope"):
            return "No such file or directory"
        old = b"" if truncate else self.files.get(path, b"")
        self.files[path] = old[:offset].ljust(offset, b"\0") + data
        return None

    def length(self, path):
        return len(self.files[path]) if path in self.files else None


class Vm(Puppet):
    def __init__(self, *more, **others):
        super().__init__(argv=[*ARGV, *more], **others)
        self.start()
        self.conn = self.open()

    def q(self, command, **arguments):
        return self.ask(self.conn, command, **arguments)

    def listed(self):
        return {entry["label"]: entry["filename"] for entry in self.q("query-chardev")}

    def last(self, kind):
        return next(action for _, action in reversed(self.log) if isinstance(action, kind))


def unix(path, **more):
    data = {"addr": {"type": "unix", "data": {"path": path}}, **more}
    return {"type": "socket", "data": data}


@pytest.fixture
def vm():
    return Vm()


def test_a_listener_comes_and_goes(vm):
    assert vm.q("chardev-add", id="c", backend=unix("/run/c", wait=False)) == {}
    assert vm.listed()["c"] == "disconnected:unix:/run/c,server=on"
    conn = vm.connect("c")
    assert vm.listed()["c"] == "unix:/run/c,server=on"
    vm.hang_up(conn)
    vm.connect("c")
    assert vm.q("query-yank")[-1] == {"type": "chardev", "id": "c"}
    assert vm.q("chardev-remove", id="c") == {}
    assert isinstance(vm.last(do.Unlink), do.Unlink)
    assert "c" not in vm.listed()


def test_a_listener_that_cannot_be_had(vm):
    vm.write(vm.conn, b'{"execute":"chardev-add","arguments":{"id":"c","backend":{"type":"socket","data":'
                      b'{"addr":{"type":"unix","data":{"path":"/run/c"}}}}}}')  # fmt: skip
    assert vm.messages(vm.conn) == [{"return": {}}]
    puppet = Puppet()
    puppet.start()
    conn = puppet.open()
    machine = puppet.machine
    message = {"execute": "chardev-add", "arguments": {"id": "d", "backend": unix("/run/d")}}
    machine.received(0, conn, json.dumps(message).encode())
    puppet._plan(machine.bind_failed(0, "d", "/run/d", "Permission denied"))
    puppet.run(0)
    (refusal,) = puppet.messages(conn)
    assert (
        refusal["error"]["desc"]
        == "Failed to add chardev 'd': Failed to bind socket to /run/d: Permission denied"
    )
    assert [entry["label"] for entry in puppet.ask(conn, "query-chardev")] == ["charmonitor"]


@pytest.mark.parametrize("reason", [None, "Connection refused"])
def test_a_client_waits_for_its_connection(vm, reason):
    vm.write(vm.conn, b'{"execute":"chardev-add","arguments":{"id":"c","backend":{"type":"socket","data":'
                      b'{"addr":{"type":"unix","data":{"path":"/run/c"}},"server":false}}}}')  # fmt: skip
    assert vm.messages(vm.conn) == []
    action = vm.last(do.Connect)
    assert action.address == "/run/c"
    vm._plan(vm.machine.opened(vm.now, action.conn, reason))
    vm.run(0)
    (reply,) = vm.messages(vm.conn)
    if reason is None:
        assert reply == {"return": {}}
        assert vm.listed()["c"] == "unix:"
    else:
        text = "Failed to add chardev 'c': Failed to connect to '/run/c': Connection refused"
        assert reply["error"]["desc"] == text
        assert "c" not in vm.listed()


def test_a_client_that_reconnects_tries_again(vm):
    assert vm.q("chardev-add", id="c", backend=unix("/run/c", server=False, reconnect=2)) == {}
    for _ in range(3):
        first = vm.last(do.Connect).conn
        vm._plan(vm.machine.opened(vm.now, first, "Connection refused"))
        vm.run(2 * SECOND)
        assert vm.last(do.Connect).conn != first
    assert vm.stderr.count("Unable to connect character device c") == 1
    vm.q("chardev-remove", id="c")
    before = len(vm.done(do.Connect))
    vm.run(9 * SECOND)
    assert len(vm.done(do.Connect)) == before


def test_the_back_end_of_a_console_is_changed():
    vm = Vm("-chardev", "ringbuf,id=tty", "-device", "isa-serial,chardev=tty")
    vm.q("cont")
    assert vm.q("ringbuf-read", device="tty", size=65536).endswith("login: ")
    assert vm.q("chardev-change", id="tty", backend={"type": "pty", "data": {}}) == {"pty": "/dev/pts/0"}
    vm.write(vm.ptys["tty"], b"root\r")
    assert vm.take(vm.ptys["tty"]) == b"root\r\nPassword: "
    assert vm.q("chardev-remove", id="tty")["desc"] == "Chardev 'tty' is busy"


def test_a_ring_keeps_the_newest(vm):
    vm.q("chardev-add", id="r", backend={"type": "ringbuf", "data": {"size": 4}})
    vm.q("ringbuf-write", device="r", data=base64.b64encode(b"abcdefg").decode(), format="base64")
    assert vm.q("ringbuf-read", device="r", size=2) == "de"
    assert vm.q("ringbuf-read", device="r", size=9) == "fg"


def test_what_is_said_is_logged():
    files = Files()
    files.files["/var/b"] = b"before\n"
    script = {"at": "start", "guest": {"log": ["one line"]}}
    words = (
        "-chardev", "null,id=a,logfile=/var/a", "-device", "isa-serial,chardev=a",
        "-chardev", "null,id=b,logfile=/var/b,logappend=on", "-device", "isa-serial,chardev=b",
    )  # fmt: skip
    puppet = Puppet(script, argv=[*ARGV, *words], host=files).start()
    puppet.ask(puppet.open(), "cont")
    assert files.files["/var/a"].startswith(b"one line\r\n")
    assert files.files["/var/b"].startswith(b"before\n")
    assert files.files["/var/b"].endswith(b"login: ")


def test_a_changed_filter_is_told_once_it_was_asked_for():
    script = {"at": "start", "guest": {"boot": "1s"}}
    puppet = Puppet(
        script, argv=[*ARGV, "-netdev", "user,id=n", "-device", "virtio-net-pci,netdev=n,id=net0"]
    ).start()
    conn = puppet.open()
    (before,) = puppet.ask(conn, "query-rx-filter")
    assert before["promiscuous"] is True
    puppet.ask(conn, "cont")
    puppet.run(SECOND)
    (event,) = puppet.messages(conn)
    assert event["event"] == "NIC_RX_FILTER_CHANGED"
    assert event["data"] == {"name": "net0", "path": "/machine/peripheral/net0/virtio-backend"}
    assert puppet.ask(conn, "query-rx-filter", name="net0")[0]["promiscuous"] is False


def test_a_picture_of_the_screen():
    files = Files()
    vm = Vm("-device", "VGA,id=video0", host=files)
    assert vm.q("screendump", filename="/blank", format="png") == {}
    vm.q("cont")
    assert vm.q("screendump", filename="/text", format="png") == {}
    assert vm.q("screendump", filename="/text.ppm") == {}
    assert (
        vm.q("screendump", filename="/nope/x")["desc"]
        == "failed to open file '/nope/x': No such file or directory"
    )
    assert size(files.files["/blank"]) == (640, 480)
    assert size(files.files["/text"]) == (720, 400)
    assert files.files["/text.ppm"].startswith(b"P6\n720 400\n255\n")
    pixels = unpacked(files.files["/text"])
    assert pixels == files.files["/text.ppm"][len(b"P6\n720 400\n255\n") :]
    assert set(pixels) == {0x00, 0xAA}


def size(data):
    assert data.startswith(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")
    return struct.unpack(">II", data[16:24])


def unpacked(data):
    """The pixels of a PNG; every chunk's checksum is looked at."""
    width, height = size(data)
    position, packed = 8, b""
    while position < len(data):
        (length,) = struct.unpack(">I", data[position : position + 4])
        chunk = data[position + 4 : position + 8 + length]
        assert struct.unpack(">I", data[position + 8 + length : position + 12 + length]) == (
            zlib.crc32(chunk),
        )
        packed += chunk[4:] if chunk.startswith(b"IDAT") else b""
        position += 12 + length
    rows = zlib.decompress(packed)
    step = 3 * width + 1
    assert len(rows) == step * height
    return b"".join(rows[row * step + 1 : (row + 1) * step] for row in range(height))


@pytest.mark.parametrize("lines", [None, [], ["x" * 200] * 40, ["\x00\u20ac\U0001f600"]])
def test_any_text_makes_a_picture(lines):
    assert unpacked(png(lines)) == ppm(lines).split(b"\n255\n", 1)[1]
