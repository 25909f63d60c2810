"""The texts are those of qemu-system-x86_64 7.2; tests/conformance compares them again with the real one."""

from __future__ import annotations

import pytest

from fakeqemu.cmdline.argv import ArgvError, CommandLine
from fakeqemu.cmdline.keyval import OptionError, flag, number, parse, size, unflatten

SIZE_HELP = "Parameter 'size' expects a non-negative number below 2^64\nOptional suffix"


def line(*words):
    return CommandLine(["/usr/bin/qemu-system-x86_64", *words])


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["-foo"], "-foo: invalid option"),
        (["--foo"], "--foo: invalid option"),
        (["-m"], "-m: requires an argument"),
        (["-m", "abc"], f"-m abc: {SIZE_HELP}"),
        (["-m", "512x"], f"-m 512x: {SIZE_HELP}"),
        (["-m", "99999999999999999999"], "Value '99999999999999999999' is out of range for parameter 'size'"),
        (["-m", "512,foo=1"], "-m 512,foo=1: Invalid parameter 'foo'"),
        (["-m", "size=512M,slots=2"], "slots specified but no max-size"),
        (["-m", "512,slots=1,maxmem=256M"], "invalid value of maxmem: maximum memory size (0x10000000)"),
        (["-smp", "abc"], "Parameter 'smp.cpus' expects integer"),
        (["-smp", "2,foo=1"], "Parameter 'smp.foo' is unexpected"),
        (["-smp", "2,maxcpus=1"], "maxcpus must be equal to or greater than smp: sockets (1)"),
        (["-smp", "3,sockets=2,cores=1,threads=1"], "product of the hierarchy must match maxcpus"),
        (["-smp", "300"], "Invalid SMP CPUs 300. The max CPUs supported by machine 'pc-i440fx-7.2' is 255"),
        (["-uuid", "xyz"], "-uuid xyz: failed to parse UUID string: wrong format"),
        (["-name", "a,foo=b"], "-name a,foo=b: Invalid parameter 'foo'"),
        (["-accel", "nope"], "-accel nope: invalid accelerator nope"),
        (["-chardev", "socket,id=a"], "-chardev socket,id=a: Unable to parse FD number"),
        (["-qmp", "unix:"], "-qmp unix:: Unable to parse FD number"),
        (["-device", "{}"], "-device {}: Parameter 'driver' is missing"),
        (["-device", '{"driver":"e1000"'], "JSON parse error, premature EOI"),
        (["-device", '{"driver"}'], "JSON parse error, missing : in object pair"),
        (
            ["-device", "e1000,id=a", "-device", "e1000,id=a"],
            "-device e1000,id=a: Duplicate ID 'a' for device",
        ),
        (["-netdev", "user,id=a", "-netdev", "user,id=a"], "Duplicate ID 'a' for netdev"),
        (["-netdev", "foo,id=a"], "Parameter 'type' does not accept value 'foo'"),
        (["-netdev", "user"], "-netdev user: Parameter 'id' is missing"),
        (["-chardev", "foo,id=a"], "'foo' is not a valid char driver name"),
        (["-chardev", "null"], "-chardev null: chardev: no id specified"),
        (["-chardev", "null,id=a", "-chardev", "null,id=a"], "Duplicate ID 'a' for chardev"),
        (["-mon", "mode=control"], "Parameter 'chardev' is missing"),
        (["-mon", "chardev=nope,mode=control"], '-mon chardev=nope,mode=control: chardev "nope" not found'),
        (
            ["-chardev", "null,id=a", "-mon", "chardev=a,mode=foo"],
            "Parameter 'mode' does not accept value 'foo'",
        ),
        (
            ["-qmp", "foo"],
            "-qmp foo: 'foo' is not a valid char driver\nqemu-system-x86_64: -qmp foo: parse error: foo",
        ),
        (["-serial", "foo"], "could not connect serial device to character backend 'foo'"),
        (["-blockdev", "driver=foo,node-name=a"], "Parameter 'driver' does not accept value 'foo'"),
        (["-blockdev", '{"driver":"null-co"}'], "'node-name' must be specified for the root node"),
        (
            ["-blockdev", "null-co,node-name=a", "-blockdev", "null-co,node-name=a"],
            "Duplicate nodes with node-name='a'",
        ),
        (["-object", "foo,id=a"], "Parameter 'qom-type' does not accept value 'foo'"),
        (["-object", "iothread"], "-object iothread: Parameter 'id' is missing"),
        (["-object", "iothread,id=a", "-object", "iothread,id=a"], "Duplicate ID 'a' for object"),
        (["-object", '{"qom-type":"memory-backend-ram","id":"x"}'], "Parameter 'size' is missing"),
        (["-action", "foo=1"], "-action foo=1: Invalid parameter 'foo'"),
        (["-action", "shutdown=foo"], "Parameter 'shutdown' does not accept value 'foo'"),
        (["-watchdog-action", "foo"], "Parameter 'watchdog' does not accept value 'foo'"),
        (["-incoming", "foo"], "-incoming foo: unknown migration protocol: foo"),
        (["-sandbox", "on,foo=1"], "-sandbox on,foo=1: Invalid parameter 'foo'"),
        (["-msg", "foo=1"], "-msg foo=1: Invalid parameter 'foo'"),
        (["-machine", "none,memory-backend=x"], "Memory backend 'x' not found"),
        (
            [
                "-object",
                '{"qom-type":"memory-backend-ram","id":"r","size":1}',
                "-machine",
                "pc,memory-backend=r",
            ],
            "Machine memory size does not match the size of the memory backend",
        ),
    ],
)
def test_what_qemu_says_before_it_leaves(words, text):
    with pytest.raises(ArgvError) as caught:
        line(*words)
    assert str(caught.value).startswith("qemu-system-x86_64: ")
    assert str(caught.value).endswith("\n")
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["-machine", "foo"], "unsupported machine type\nUse -machine help"),
        (["-cpu", "foo"], "unable to find CPU model 'foo'"),
        (["-device", "foo"], "-device foo: 'foo' is not a valid device model name"),
    ],
)
def test_names_that_the_profile_does_not_know(words, text):
    with pytest.raises(ArgvError, match=text.replace("\n", "\\n")):
        line(*words).check_machine(lambda _kind, _name: False)
    line(*words).check_machine(lambda _kind, _name: True)


def test_references_must_lead_somewhere():
    for words, text in (
        (["-device", "e1000,netdev=x"], "Property 'e1000.netdev' can't find value 'x'"),
        (["-device", "virtio-blk-pci,drive=x"], "Property 'virtio-blk-device.drive' can't find value 'x'"),
    ):
        with pytest.raises(ArgvError, match=text):
            line(*words).check_references()
    line("-netdev", "user,id=x", "-device", "e1000,netdev=x").check_references()
    line("-drive", "if=none,id=x", "-device", "virtio-blk-pci,drive=x").check_references()


@pytest.mark.parametrize(
    ("smp", "cpus", "most", "shape"),
    [
        ("4", 4, 4, (1, 1, 4, 1)),
        ("4,sockets=2", 4, 4, (2, 1, 2, 1)),
        ("4,maxcpus=6,cores=2", 4, 6, (3, 1, 2, 1)),
        ("sockets=2,cores=2,threads=2", 8, 8, (2, 1, 2, 2)),
        ("8,cores=2,threads=2", 8, 8, (2, 1, 2, 2)),
        ("32,sockets=32,cores=1,threads=1", 32, 32, (32, 1, 1, 1)),
    ],
)
def test_topology(smp, cpus, most, shape):
    parsed = line("-smp", smp)
    assert (parsed.cpus, parsed.max_cpus, parsed.topology) == (cpus, most, shape)


@pytest.mark.parametrize(
    ("m", "ram"),
    [
        ("512", 512 << 20),
        ("1G", 1 << 30),
        ("size=2048k", 2 << 20),
        ("0", 128 << 20),
        ("411648", 402 << 30),
        ("1.5G", 3 << 29),
    ],
)
def test_memory(m, ram):
    assert line("-m", m).ram == ram


def test_what_a_manager_passes():
    parsed = line(
        "-name",
        "guest=a,,b,debug-threads=on",
        "-S",
        "-daemonize",
        "-no-shutdown",
        "-no-reboot",
        "-pidfile",
        "/p",
        "-uuid",
        "3C1B6A3E-58a0-4d4e-9f53-6b1f0a0c7d10",
        "-accel",
        "kvm",
        "-machine",
        "q35,usb=off",
        "-chardev",
        "socket,id=mon0,fd=22,server=on,wait=off",
        "-mon",
        "chardev=mon0,mode=control",
        "-qmp",
        "unix:/q,server,nowait",
        "-netdev",
        '{"type":"tap","fd":"24","id":"n0"}',
        "-device",
        '{"driver":"vfio-pci","host":"0000:01:00.0"}',
        "-device",
        "vfio-pci,host=1",
        "-vnc",
        "127.0.0.1:0",
        "-incoming",
        "defer",
        "disk.img",
    )
    assert parsed.name == "a,b"
    assert parsed.freeze
    assert parsed.daemonize
    assert (parsed.actions["shutdown"], parsed.actions["reboot"]) == ("pause", "shutdown")
    assert parsed.uuid == "3c1b6a3e-58a0-4d4e-9f53-6b1f0a0c7d10"
    assert (parsed.pidfile, parsed.accel, parsed.machine) == ("/p", "kvm", "pc-q35-7.2")
    assert parsed.chardevs["mon0"].fd == 22
    assert parsed.chardevs["compat_monitor0"].path == "/q"
    assert [monitor.chardev for monitor in parsed.monitors] == ["mon0", "compat_monitor0"]
    assert (parsed.nics, parsed.hostdevs, parsed.incoming) == (1, 2, "defer")
    assert parsed.images() == [("disk.img", "disk.img")]


def test_a_name_beginning_with_fake_is_dropped_from_the_program():
    with pytest.raises(ArgvError, match=r"^qemu-system-aarch64: -foo"):
        CommandLine(["/x/fakeqemu-system-aarch64", "-foo"])


def test_option_syntax():
    assert parse("socket,id=a,path=/x,,y,server,nowait", "backend") == {
        "backend": "socket",
        "id": "a",
        "path": "/x,y",
        "server": "on",
        "wait": "off",
    }
    assert parse("") == {}
    assert unflatten({"a.b": "1", "a.c": "2", "d": "3"}) == {"a": {"b": "1", "c": "2"}, "d": "3"}
    with pytest.raises(OptionError, match="inconsistently"):
        unflatten({"a": "1", "a.b": "2"})
    assert flag("on", "x") is True
    assert flag("no", "x") is False
    with pytest.raises(OptionError, match="expects 'on' or 'off'"):
        flag("maybe", "x")
    assert [number(text, "x") for text in ("10", "0x10", "010")] == [10, 16, 8]
    assert [size(text, "x") for text in ("10", "0x10", "1k", "2T")] == [10, 16, 1024, 2 << 40]


@pytest.mark.parametrize(
    ("words", "accel"),
    [
        (["-machine", "none,accel=kvm:tcg"], "tcg"),
        (["-accel", "kvm", "-accel", "tcg"], "tcg"),
        (["-machine", "pc,accel=kvm"], "kvm"),
        (["-accel", "kvm"], "kvm"),
        ([], ""),
    ],
)
def test_an_accelerator_to_fall_back_to_is_fallen_back_to(words, accel):
    assert line(*words).accel == accel
