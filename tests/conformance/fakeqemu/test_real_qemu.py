# ruff: noqa: E501, Q000  (a message or a command line is a line)
"""The same words to the fake and to a real QEMU 7.2: the same words back.

What may differ is listed in `tidy`: times, process and thread ids, what a file takes up on the disk.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from fakeqemu.facts.profile import DIRECTORY, Profile, profile_for
from fakeqemu.facts.record import record, write_profile
from tests.helpers.processes import QEMU, Program, fake_argv, real_argv

pytestmark = pytest.mark.real_qemu

#: Bytes on a monitor that are, or are not, messages.
BYTES = [
    b'{"execute" "query-status"}', b"{x}", b'{"a":}', b"{'execute':'query-status'}", b"}", b"]", b'{"execute":"query-status"]',
    b'{"a":1,"a":2}', b"nul", b"truex", b"null", b'{"a":"\\q"}', b'{"a":"\\ud800"}', b'{"a":"\\u0000"}', b'{"a":"\xff"}',
    b'{"a":"\x01"}', b'{"a":01}', b'{"a":-}', b'{"a":1.}', b'{"a":1e}', b"[1,]", b'{"a":1,}', b"{,}", b"[1 2]", b'["a" "b"]', b"%",
    b"%d", b'{"a":%d}', b"\x00", b"\xff", b"  \n\t\r\n", b'{"a":"abc\n', b"#foo", b"NaN", b"+1", b"1", b"-1", b"1.5", b'"x"', b"[]",
    b"\x1b[A", b":", b",", b'["a":1]', b"{1:2}", b'{"a"}', b'{"a",1}', b'"\\x"', b"'it''s'", b"'a\\'b'", b'{"execute":"query-status"}garbage',
    b'{"a":"\xc0\x80"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\xef\xbf\xbe"}', b'{"a":"\\uFFFF"}', b'{"a":"\\u12"}', b'{"a":"\\ud83d\\u0041"}',
    b"{" * 1025, b"[" * 1100 + b"]" * 1100, b"[[]", b"]]", b"{]", b"[}", b'[{]}', b"{{}:1}", b"[tru]", b"%p{}", b"0e1", b"-0", b"00", b"1e5", b"0.5",
    b"\xfe{}", b"\x80\x81{}", b'"\x80"', b"'\\\"'", b'{"id":1', b"}", b"\x7f", b"'\x7f'", b"@[1]", b"@,{}", b'@"x"', b"AB:cd", b"1-2", b"1a", b"a1", b"_",
    b'{"execute":"query-status","id":0e1}', b'{"execute":"query-status","id":1E+05}', b'{"execute":"query-status","id":-0}',
]  # fmt: skip

#: Messages that are no good commands, or odd ones.
MESSAGES = [
    '{"execute":"nonexist","id":{"a":[1,2.5,null,true,"é"]}}', '{"execute":"query-status","argumens":{}}', '{"execut":"x"}', "[1]",
    '{"execute":1}', '{"execute":"query-status","arguments":1}', '{"execute":"query-status","arguments":{"x":1}}',
    '{"execute":"qom-get","arguments":{"path":"/machine"}}', '{"execute":"qom-get","arguments":{"path":1,"property":"x"}}',
    '{"execute":"qom-get"}', '{"execute":"qom-get","arguments":{"path":"/nope","property":"x"}}', '{"execute":"qom-list","arguments":{"path":"/machine","z":1,"y":2}}',
    '{"execute":"balloon","arguments":{"value":"x"}}', '{"execute":"balloon","arguments":{"value":1.5}}', '{"execute":"balloon","arguments":{"value":0}}',
    '{"execute":"balloon","arguments":{"value":99999999999999999999}}', '{"execute":"set_link","arguments":{"name":"x","up":1}}', '{"execute":"set_link","arguments":{"name":"x","up":true}}',
    '{"execute":"set-action","arguments":{"shutdown":"foo"}}', '{"execute":"migrate-set-capabilities","arguments":{"capabilities":[{"capability":"foo","state":true}]}}',
    '{"execute":"migrate-set-capabilities","arguments":{"capabilities":[{"capability":"events"}]}}', '{"execute":"migrate-set-capabilities","arguments":{"capabilities":{}}}',
    '{"execute":"migrate-set-capabilities","arguments":{"capabilities":[{"capability":"events","state":true,"z":1}]}}', '{"execute":"migrate-set-capabilities","arguments":{"capabilities":[7]}}',
    '{"exec-oob":"query-status"}', '{"execute":"query-status","exec-oob":"x"}', '{"execute":"query-status","id":null}', '{"id":3}', "{}",
    '{"execute":"cont","control":{}}', '{"execute":"query-status","id":"a\\u00e9\\ud83d\\ude00\\u007f\\n\\u0001"}', '{"execute":"query-status","id":1e400}',
    '{"execute":"query-status","id":123456789012345678901234567890}', '{"execute":"query-status","id":[0.1,1e22,-0.0,18446744073709551615,-9223372036854775808]}',
    '{"execute":"qmp_capabilities"}', '{"execute":"device_del"}', '{"execute":"device_del","arguments":{"id":1}}', '{"execute":"blockdev-add","arguments":{"driver":"nope"}}',
    '{"execute":"blockdev-add","arguments":{"node-name":"x"}}', '{"execute":"blockdev-add","arguments":{"driver":"file","filename":7}}', '{"execute":"blockdev-add","arguments":{"driver":"file","filename":"x","bogus":1}}',
    '{"execute":"netdev_add","arguments":{"type":"user"}}', '{"execute":"object-add","arguments":{"qom-type":"iothread"}}', '{"execute":"query-named-block-nodes","arguments":{"flat":1}}',
    '{"execute":"transaction","arguments":{"actions":[{"type":"nope"}]}}', '{"execute":"send-key","arguments":{"keys":[{"type":"qcode","data":"nope"}]}}', '{"execute":"query-stats","arguments":{"target":"x"}}',
    '{"execute":"migrate","arguments":{}}', '{"execute":"block_set_io_throttle","arguments":{"bps":0}}', '{"execute":"expire_password","arguments":{"protocol":"vnc"}}',
    '{"execute":"set_password","arguments":{"protocol":"nope","password":"x"}}', '{"execute":"query-migrate","id":{"b":1,"a":2,"stat-major-faults":0,"stat-minor-faults":0}}',
    '{"execute":"qom-set","arguments":{"path":"/machine/peripheral/balloon0","property":"realized","value":5}}', '{"execute":"qom-get","arguments":{"path":"balloon0","property":"nope"}}',
]  # fmt: skip

#: A conversation with a machine that has a bit of everything, in this order.
CONVERSATION = [
    "query-version", "query-name", "query-uuid", "query-status", "query-target", "query-migrate-capabilities", "query-chardev",
    "query-chardev-backends", "query-hotpluggable-cpus", "query-cpus-fast", "query-iothreads",
    ("qom-list", {"path": "/machine/peripheral"}), ("qom-list", {"path": "/nope"}), ("qom-list", {"path": "/objects"}),
    ("qom-get", {"path": "/machine/peripheral/balloon0", "property": "guest-stats"}), ("qom-get", {"path": "/machine/peripheral/balloon0", "property": "type"}),
    ("qom-set", {"path": "/machine/peripheral/balloon0", "property": "guest-stats-polling-interval", "value": 5}),
    ("qom-get", {"path": "/machine/peripheral/balloon0", "property": "guest-stats-polling-interval"}),
    ("qom-get", {"path": "/machine/unattached/device[0]", "property": "realized"}), ("qom-get", {"path": "/machine/unattached/device[0]", "property": "unavailable-features"}),
    ("balloon", {"value": 268435456}), "query-balloon", "query-memory-devices", "query-memory-size-summary", "query-memdev", "query-block",
    ("query-named-block-nodes", {"flat": True}), "query-vnc", "query-vnc-servers", "query-spice", ("set_password", {"protocol": "vnc", "password": "x"}),
    ("set_password", {"protocol": "spice", "password": "x"}), ("expire_password", {"protocol": "vnc", "time": "never"}), ("set_link", {"name": "net0", "up": False}),
    ("set_link", {"name": "hostnet0", "up": True}), ("block_set_io_throttle", {"id": "virtio-disk0", "bps": 0, "bps_rd": 0, "bps_wr": 0, "iops": 900, "iops_rd": 0, "iops_wr": 0}),
    ("block_set_io_throttle", {"id": "nope", "bps": 0, "bps_rd": 0, "bps_wr": 0, "iops": 0, "iops_rd": 0, "iops_wr": 0}), "query-block",
    ("block_set_io_throttle", {"id": "/machine/peripheral/virtio-disk0/virtio-backend", "bps": 0, "bps_rd": 0, "bps_wr": 0, "iops": 700, "iops_rd": 0, "iops_wr": 0}), "query-block",
    ("block_set_io_throttle", {"id": "sata0-0-0", "bps": 0, "bps_rd": 0, "bps_wr": 0, "iops": 7, "iops_rd": 0, "iops_wr": 0}),
    ("block_set_io_throttle", {"id": "net0", "bps": 0, "bps_rd": 0, "bps_wr": 0, "iops": 7, "iops_rd": 0, "iops_wr": 0}),
    ("block_set_io_throttle", {"id": "/machine/peripheral/virtio-disk0/virtio-backend", "bps": 1, "bps_rd": 1, "bps_wr": 0, "iops": 0, "iops_rd": 0, "iops_wr": 0}),
    "query-current-machine", "query-jobs", "query-block-jobs", "query-migrate", "query-dump", "query-fdsets", "query-replay", "query-sev-capabilities", "query-tpm",
    "query-pr-managers", "query-tpm-models", "query-tpm-types", "query-commands", "query-qmp-schema", "query-machines", "query-cpu-definitions", "qom-list-types",
    ("device-list-properties", {"typename": "virtio-blk-pci"}), ("device-list-properties", {"typename": "nope"}), ("qom-list-types", {"implements": "machine"}),
    ("migrate-set-capabilities", {"capabilities": [{"capability": "events", "state": True}]}), "query-migrate-capabilities",
    "cont", "query-status", "cont", "stop", "stop", "query-status", ("set-action", {"reboot": "shutdown"}), "system_reset", "query-status", "cont",
    "system_reset", "query-status", "cont", ("set-action", {"reboot": "reset"}), "stop", "system_reset", "query-status", "quit",
]  # fmt: skip

#: Command lines that QEMU refuses.
REFUSED = """
-foo
--foo
-m abc
-m -1
-m 512x
-m size=512M,slots=2
-m 512,slots=1,maxmem=256M
-m 512,foo=1
-m 99999999999999999999
-machine foo
-smp abc
-smp 2,maxcpus=1
-smp 3,sockets=2,cores=1,threads=1
-smp 300
-smp 2,foo=1
-uuid xyz
-uuid 3c1b6a3e-58a0-4d4e-9f53-6b1f0a0c7d1
-name guest=a,foo=b
-device foo
-device {"driver":"e1000"
-device {"driver":"foo"}
-device {}
-device e1000,id=a -device e1000,id=a
-device e1000,netdev=nope
-device virtio-blk-pci,drive=nope
-netdev user,id=a -netdev user,id=a
-netdev foo,id=a
-netdev user
-chardev socket,id=a,path=/nonexistent/x,server=on,wait=off
-chardev socket,id=a,fd=77,server=on,wait=off
-chardev foo,id=a
-chardev null
-chardev null,id=a -chardev null,id=a
-mon chardev=nope,mode=control
-mon mode=control
-chardev null,id=a -mon chardev=a,mode=foo
-qmp unix:/nonexistent/a,server=on,wait=off
-qmp foo
-blockdev {"driver":"file","filename":"/nonexistent/x","node-name":"a"}
-blockdev driver=file,filename=/nonexistent/x,node-name=a
-blockdev driver=foo,node-name=a
-blockdev {"driver":"null-co","node-name":"a"} -blockdev {"driver":"null-co","node-name":"a"}
-blockdev {"driver":"null-co"}
-drive file=/nonexistent/d.img,if=virtio
-hda /nonexistent/d.img
-cdrom /nonexistent/d.iso
/nonexistent/d.img
-object foo,id=a
-object iothread
-object iothread,id=a -object iothread,id=a
-object {"qom-type":"iothread"}
-object {"qom-type":"memory-backend-ram","id":"x"}
-pidfile /nonexistent/pid
-cpu foo
-action foo=1
-action shutdown=foo
-incoming foo
-sandbox on,foo=1
-msg foo=1
-overcommit foo=1
-watchdog-action foo
-serial foo
-machine none,memory-backend=nope
-object {"qom-type":"memory-backend-ram","id":"pc.ram","size":1048576} -machine pc,memory-backend=pc.ram -m 512
-m
""".strip().splitlines()


def words_of(directory):
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "d.qcow2", "1G"], cwd=directory, check=True)
    return [
        "-name", "guest=typical,debug-threads=on", "-S", "-machine", "pc-q35-7.2,usb=off,dump-guest-core=off,memory-backend=pc.ram",
        "-accel", "tcg", "-cpu", "qemu64", "-m", "256", "-object", '{"qom-type":"memory-backend-ram","id":"pc.ram","size":268435456}',
        "-smp", "2,sockets=2,cores=1,threads=1", "-uuid", "3c1b6a3e-58a0-4d4e-9f53-6b1f0a0c7d10", "-no-user-config", "-nodefaults", "-display", "none",
        "-chardev", "socket,id=charmonitor,path=m,server=on,wait=off", "-mon", "chardev=charmonitor,id=monitor,mode=control", "-no-shutdown",
        "-device", '{"driver":"virtio-serial-pci","id":"virtio-serial0"}',
        "-blockdev", '{"driver":"file","filename":"d.qcow2","node-name":"libvirt-2-storage","auto-read-only":true,"discard":"unmap"}',
        "-blockdev", '{"node-name":"libvirt-2-format","read-only":false,"driver":"qcow2","file":"libvirt-2-storage"}',
        "-device", '{"driver":"virtio-blk-pci","drive":"libvirt-2-format","id":"virtio-disk0","bootindex":1}', "-device", '{"driver":"ide-cd","bus":"ide.0","id":"sata0-0-0"}',
        "-netdev", '{"type":"user","id":"hostnet0"}', "-device", '{"driver":"virtio-net-pci","netdev":"hostnet0","id":"net0","mac":"52:54:00:11:22:33"}',
        "-chardev", "socket,id=charchannel0,path=agent,server=on,wait=off",
        "-device", '{"driver":"virtserialport","bus":"virtio-serial0.0","nr":1,"chardev":"charchannel0","id":"channel0","name":"org.qemu.guest_agent.0"}',
        "-device", '{"driver":"virtio-balloon-pci","id":"balloon0"}', "-object", '{"qom-type":"iothread","id":"iothread1"}', "-vnc", "unix:vnc.sock",
    ]  # fmt: skip


def tidy(line):
    """One line of a conversation without what differs from one QEMU to the next."""
    text = line.decode("ascii")
    text = re.sub(r'"seconds": \d+, "microseconds": \d+', '"now": 0', text)
    text = re.sub(r'"thread-id": \d{2,}', '"thread-id": 0', text)
    # What a qcow2 file takes up is the file system's business.
    return re.sub(r'"(actual-size|virtual-size)": (20[0-9]{4}|19[0-9]{4})', r'"\1": 0', text)


def both(tmp_path, words):
    for name, make in (("real", real_argv), ("fake", fake_argv)):
        directory = tmp_path / name
        directory.mkdir()
        # In the real one no operating system runs.
        script = "- {at: start, images: real, guest: {boot: 365d, agent: false}}" if name == "fake" else None
        yield name, Program(make(*words(directory)), directory, script=script), directory / "m"


def bare(_directory):
    return [
        "-S",
        "-machine",
        "none",
        "-accel",
        "tcg",
        "-display",
        "none",
        "-nodefaults",
        "-qmp",
        "unix:m,server=on,wait=off",
    ]


def test_any_bytes_bring_the_same_answers(tmp_path):
    heard = {}
    for name, program, path in both(tmp_path, bare):
        with program, program.client(path) as client:
            client.negotiate()
            heard[name] = [(data, client.talk(data)) for data in BYTES]
    for real, fake in zip(heard["real"], heard["fake"], strict=True):
        assert fake == real


def test_odd_messages_bring_the_same_answers(tmp_path):
    heard = {}
    for name, program, path in both(tmp_path, words_of):
        with program, program.client(path) as client:
            client.negotiate()
            heard[name] = [(message, client.talk(message.encode())) for message in MESSAGES]
    for real, fake in zip(heard["real"], heard["fake"], strict=True):
        assert fake == real


def test_before_the_negotiation_the_same_is_refused(tmp_path):
    messages = [b'{"execute":"query-status"}', b'{"execute":"nope"}', b"x ", b'{"execute":"qmp_capabilities","arguments":{"enable":["x"]}}',
                b'{"execute":"qmp_capabilities","arguments":{"y":1}}', b'{"execute":"qmp_capabilities","arguments":{"enable":["oob"]}}',
                b'{"exec-oob":"query-status"}', b'{"exec-oob":"x","execute":"y"}', b'{"exec-oob":"nope"}']  # fmt: skip
    heard = {}
    for name, program, path in both(tmp_path, bare):
        with program, program.client(path) as client:
            lines = [client.line()]
            for message in messages:
                client.send(message)
                lines.append(client.line())
            heard[name] = lines
    assert heard["fake"] == heard["real"]


def test_a_whole_conversation_is_the_same(tmp_path):
    heard = {}
    for name, program, path in both(tmp_path, words_of):
        with program, program.client(path) as client:
            client.negotiate()
            said = []
            for step in CONVERSATION:
                command, arguments = step if isinstance(step, tuple) else (step, {})
                client.send(json.dumps({"execute": command, "arguments": arguments, "id": "x"}).encode())
                while True:
                    line = client.line()
                    said.append((command, tidy(line)))
                    if b'"id": "x"' in line:
                        break
            said.append(("quit", client.line()))
            said.append(("quit", program.ended()))
            heard[name] = said
    for real, fake in zip(heard["real"], heard["fake"], strict=True):
        assert fake == real


@pytest.mark.parametrize("signum", [1, 2, 15])
def test_signals_end_both_alike(tmp_path, signum):
    seen = {}
    for name, program, path in both(tmp_path, bare):
        with program, program.client(path) as client:
            client.negotiate()
            program.signal(signum)
            event, end = tidy(client.line()), client.line()
            seen[name] = event, end, program.ended(), path.exists()
    assert seen["fake"] == seen["real"]


@pytest.mark.parametrize("option", REFUSED)
def test_a_command_line_is_refused_in_the_same_words(tmp_path, option):
    ended = {}
    for name, make in (("real", real_argv), ("fake", fake_argv)):
        words = ["-S", "-display", "none", "-accel", "tcg", *option.split(" ")]
        if option.startswith("-machine none"):
            words.append("-nodefaults")
        with Program(make(*words), tmp_path) as program:
            ended[name] = program.ended()
    assert ended["fake"] == ended["real"]


def test_recording_twice_gives_the_shipped_bytes(tmp_path):
    """The shipped profile is what this QEMU says, when it is the same build."""
    for name in ("one", "two"):
        write_profile(record(QEMU), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    recorded = Profile(str(tmp_path / "one")).provenance
    if recorded["package"] == profile_for(QEMU).provenance["package"]:
        shipped = Path(DIRECTORY, "x86_64-7.2.json.gz").read_bytes()
        assert shipped == (tmp_path / "one").read_bytes()
