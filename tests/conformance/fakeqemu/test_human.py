# ruff: noqa: E501
"""The monitor for people: the same lines to the fake and to a real QEMU, over QMP and key by key on a socket."""

from __future__ import annotations

import json
import re
import select
import time
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.processes import PATIENCE_S, Program, fake_argv, real_argv

pytestmark = pytest.mark.real_qemu

BASE = ("-machine", "pc", "-accel", "tcg", "-m", "64", "-S", "-nodefaults", "-display", "none")
DEVICES = (
    "-name", "n1", "-device", "virtio-balloon-pci,id=b0", "-netdev", "user,id=n0", "-device", "e1000,netdev=n0,id=e0",
    "-chardev", "ringbuf,id=rb",
)  # fmt: skip

LINES = [
    "", "   ", "help", "help stop", "? stop", "help foo", "help info", "help info status", "foo", "foo bar", "info", "info foo", "info status",
    "info name", "info version", "info uuid", "info kvm", "info balloon", "info migrate", "info migrate_capabilities",
    "info migrate_parameters", "info snapshots", "info vnc", "info spice", "info usb", "info iothreads", "info memory_size_summary", "info numa",
    "info block-jobs", "info hotpluggable-cpus", "info memory-devices", "info memdev", "info dump", "info tpm", "info rdma", "info stats",
    "info stats vm", "info stats x", "info rocker", "info rocker x", "info sev", "info sgx", "info blockstats", "info vm-generation-id",
    "info profile", "info replay", "info history", "info dirty_rate", "info vcpu_dirty_limit", "info capture", "info cryptodev",
    "info trace-events xx", "info mem", "info tlb", "info opcount", "info usbhost", "info mice", "info block", "info pci",
    "stop", "cont", "info status", "stop 1", "cont x", "c", "s", "system_wakeup", "balloon", "balloon x", "balloon 64", "balloon 64M", "balloon -1",
    "balloon 0", "set_link", "set_link e0", "set_link e0 off", "set_link e0 bar", "set_link nope on", "device_add", "device_add nope",
    "device_add virtio-balloon-pci,id=b1", "device_add driver=virtio-balloon-pci", "device_del", "device_del nope", "savevm", "savevm a",
    "savevm a b", 'savevm "a b', 'savevm "a\\q"', "loadvm", "loadvm a", "delvm", "delvm a", "eject", "eject x", "eject -x x", "change", "change x y",
    "sendkey", "sendkey ctrl-alt-f1", "sendkey bogus", "sendkey a 1000", "nmi", "boot_set n", "boot_set", "watchdog_action reset", "watchdog_action x",
    "print 1+1", "p 0x10", "print /x 255", "print (1+2)*3", "print -1", "print 1/0", "print 7%0", "print 0b", "print 010", "print 'a'", "print /c 65",
    "print /d -1", "print /o 8", "print /u -1", "print $nope", "print /s 1", "print", "print (1", "print ~0", "print 1|6&3^1", "print 0x", "print 99999999999",
    "x /2gx 0", "x/4 0", "xp /4xb 0", "x /3d 0", "sum 0 10", "info status extra", "log none", "logfile", "gdbserver none", "memsave 0 10",
    "migrate", "migrate bogus:", "migrate -d", "migrate -x y", "migrate -r x", "migrate_set_parameter max-bandwidth 10M", "migrate_set_parameter max-bandwidth 10",
    "migrate_set_parameter max-bandwidth", "migrate_set_parameter foo 1", "migrate_set_parameter downtime-limit x", "migrate_set_parameter downtime-limit 5",
    "migrate_set_parameter compress-level 99", "migrate_set_parameter xbzrle-cache-size 5000", "migrate_set_parameter tls-creds x",
    "migrate_set_parameter cpu-throttle-tailslow on", "info migrate_parameters", "migrate_set_capability events on", "migrate_set_capability events maybe",
    "migrate_set_capability foo on", "info migrate_capabilities", "migrate_set_capability events off", "migrate_cancel", "migrate_incoming x",
    "migrate_recover x", "migrate_pause", "migrate_continue x", "migrate_continue setup", "migrate_start_postcopy", "quit x", "closefd x", "getfd x", "getfd",
    "set_password spice p", "set_password nope p", "screendump", "chardev-add", "chardev-remove nope", "chardev-add ringbuf,id=r1",
    'ringbuf_write r1 "hello x"', "ringbuf_read r1 100", "chardev-remove r1", "chardev-add nope,id=z", "netdev_add", "netdev_add hubport", "netdev_del nope",
    "netdev_add user,id=n9", "netdev_del n9", "object_add", "object_add secret,id=s0,data=x", "object_del s0", "object_del s0", "nbd_server_stop",
    "mouse_move 1 1", "mouse_button 1", "mouse_set 5", "wavcapture", "stopcapture 1", "trace-event foo on", "mce", "ringbuf_read rb 10", "ringbuf_write rb abc",
    "qom-list", "qom-list /machine/peripheral", "qom-get /machine type", "qom-get a", "qom-set / x y", "qom-list /nope", "announce_self", "exit_preconfig",
    "info  status", "  info status", "info\tstatus", "info status # c", "xyz;stop", "stop;cont", "dump-guest-memory", "dump-guest-memory /nonexist/a",
    "dump-guest-memory -z -l /tmp/x", "commit all", "commit x", "block_job_cancel x", "set-action", "info panic", "sync-profile", "q_x",
    "client_migrate_info spice h", "cpu 7", "cpu 0", "calc_dirty_rate 1 10", "set_vcpu_dirty_limit 1", "cancel_vcpu_dirty_limit", "x_colo_lost_heartbeat",
]  # fmt: skip


class People:
    """A machine and the lines that it is told."""

    def __init__(self, argv: Any, directory: Path, name: str) -> None:
        self.path = directory / f"{name}.qmp"
        self.program = Program(
            argv(*BASE, *DEVICES, "-qmp", f"unix:{self.path},server=on,wait=off"), directory
        )
        self.client = self.program.client(self.path).negotiate()

    def __enter__(self) -> People:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.sock.close()
        self.program.__exit__()

    def say(self, line: str) -> str:
        found = self.client.ask("human-monitor-command", **{"command-line": line})
        return found["return"] if "return" in found else json.dumps(found)


def tidy(text: str) -> str:
    return re.sub(r"thread_id=\d+", "thread_id=N", text)


def test_lines(tmp_path: Path) -> None:
    with People(fake_argv, tmp_path, "fake") as fake, People(real_argv, tmp_path, "real") as real:
        different = {}
        for line in LINES:
            ours, theirs = tidy(fake.say(line)), tidy(real.say(line))
            if ours != theirs:
                different[line] = (ours, theirs)
    assert not different, json.dumps(different, indent=1)


KEYS = [
    b"info status\n", b"foo\r", b"stop\r\n", b"in", b"fo name\n", b"sto\x7f\x7fop\n", b"\x03", b"abc\x03", b"\x01x\n", b"info st\t", b"\n", b"\x1b[A",
    b"\n", b"\x15", b"abc\x15info name\n", b"abc\x17\n", b"a b  \x17\n", b"help stop\n", b"\x04", b"i\t\t", b"\n", b"a\x02b\n", b"\x1b[D\x1b[Cx\n", b"x\x08y\n",
    b"abc\x1b[D\x1b[3~\n", b"abc\x1b[1~z\x1b[4~y\n", b"\x1b[A\x1b[A\x1b[B\n", b"\x10\x10\x0e\n", b"info uuid\ninfo kvm\n", b"migrate_set_p\t\n", b"\xc3\xa4\n",
    b"zz\t\n", b"info \x1bOD\x1bOCname\n", b"help sto\t\n", b"quit\n",
]  # fmt: skip


class Terminal:
    """Somebody who types at a monitor, and reads."""

    def __init__(self, program: Program, path: Path) -> None:
        self.sock = program.client(path).sock
        self.said = b""

    def read(self, wait_s: float) -> bool:
        """Take what comes within a time; whether something did."""
        if self.said.endswith(END) or not select.select([self.sock], [], [], wait_s)[0]:
            return False
        self.said += self.sock.recv(1 << 16) or END
        return True


#: What stands for the end of the connection.
END = b"<end>"


def heard(ours: Terminal, theirs: Terminal) -> tuple[bytes, bytes]:
    """What both have said, once it is the same and both are silent; or what one still says after a long time."""
    end = time.monotonic() + PATIENCE_S  # noqa: TID251
    while time.monotonic() < end:  # noqa: TID251
        if not (ours.read(0.02) | theirs.read(0.02)) and ours.said == theirs.said != b"":
            break
    return ours.said, theirs.said


def test_keys(tmp_path: Path) -> None:
    def start(argv: Any, name: str) -> Program:
        return Program(argv(*BASE, "-monitor", f"unix:{tmp_path / name},server=on,wait=off"), tmp_path)

    with start(fake_argv, "fake") as fake, start(real_argv, "real") as real:
        ours, theirs = Terminal(fake, tmp_path / "fake"), Terminal(real, tmp_path / "real")
        with ours.sock, theirs.sock:
            for keys in (b"", *KEYS):
                for terminal in (ours, theirs):
                    terminal.sock.sendall(keys)
                one, other = heard(ours, theirs)
                assert (keys, one) == (keys, other)
