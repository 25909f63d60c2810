"""Command lines of the other architectures, values of unusual options, CPU models: without a real QEMU."""

from __future__ import annotations

import pytest

from fakeqemu.cmdline.argv import ArgvError, CommandLine
from fakeqemu.facts.cpumodels import expansion
from fakeqemu.facts.profile import ProfileError, profile_named
from fakeqemu.facts.qomview import ABSENT, QomView
from fakeqemu.machine import FakeQemu
from fakeqemu.registry import CommandError
from tests.helpers.puppet import Puppet

ARCHITECTURES = ("x86_64", "i386", "aarch64", "ppc64", "s390x", "riscv64")


def line(arch, *words):
    return CommandLine([f"/usr/bin/qemu-system-{arch}", *words])


def ended(arch, *words):
    puppet = Puppet(argv=[f"/usr/bin/qemu-system-{arch}", "-S", *words]).start()
    return puppet.stderr.removeprefix(f"qemu-system-{arch}: ").rstrip("\n")


@pytest.mark.parametrize(
    ("arch", "machine", "mib"),
    [
        ("x86_64", "pc-i440fx-7.2", 128),
        ("i386", "pc-i440fx-7.2", 128),
        ("ppc64", "pseries-7.2", 512),
        ("s390x", "s390-ccw-virtio-7.2", 128),
        ("riscv64", "spike", 128),
    ],
)
def test_machine_and_memory_when_none_are_given(arch, machine, mib):
    read = line(arch)
    assert (read.machine, read.ram >> 20) == (machine, mib)


def test_arm_has_no_machine_of_its_own():
    with pytest.raises(ArgvError, match="No machine specified"):
        line("aarch64")
    assert line("aarch64", "-machine", "virt").machine == "virt-7.2"
    assert line("aarch64", "-version").output == "version"


@pytest.mark.parametrize(
    ("arch", "words", "text"),
    [
        ("aarch64", "-machine pc", "unsupported machine type\nUse -machine help to list supported machines"),
        ("s390x", "-machine q35", "unsupported machine type\nUse -machine help to list supported machines"),
        ("s390x", "-no-hpet", "-no-hpet: Option not supported for this target"),
        ("x86_64", "-prom-env a=b", "-prom-env a=b: Option not supported for this target"),
        ("ppc64", "-smp 2,dies=2", "dies not supported by this machine's CPU topology"),
        ("x86_64", "-boot order=z", "Invalid boot device 'z'"),
        ("x86_64", "-vnc foo", "-vnc foo: no vnc port specified"),
        ("x86_64", "-machine pc,foo=1", "Property 'pc-i440fx-7.2-machine.foo' not found"),
        ("x86_64", "-cpu qemu64,+foo", "Property 'qemu64-x86_64-cpu.foo' not found"),
        ("x86_64", "-device virtio-net-pci,foo=1",
         "-device virtio-net-pci,foo=1: Property 'virtio-net-pci.foo' not found"),
        ("x86_64", "-object iothread,id=a,foo=1",
         "-object iothread,id=a,foo=1: Parameter 'foo' is unexpected"),
        ("s390x", "-device e1000e-nonesuch",
         "-device e1000e-nonesuch: 'e1000e-nonesuch' is not a valid device model name"),
    ],
)  # fmt: skip
def test_what_is_refused(arch, words, text):
    assert ended(arch, *words.split()) == text


def test_a_warning_stands_before_the_error():
    text = ended("x86_64", "-rtc", "foo")
    assert text.startswith("-rtc foo: warning: short-form boolean option 'foo' deprecated\n")
    assert text.endswith("-rtc foo: Invalid parameter 'foo'")


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_profile_has_what_a_manager_asks_for(arch):
    profile = profile_named(arch)
    assert profile.arch == arch
    assert profile is profile_named(f"{arch}-7.2")
    assert profile.knows("query-status")
    assert not profile.knows("query")
    assert profile.value("query-target") == {"arch": arch}
    assert len(profile.schema()) > 600
    assert profile.recorded("device-list-properties", {"typename": "virtio-serial-device"}) is not None
    assert profile.printed("-version").startswith("QEMU emulator version 7.2")
    assert profile.qom("none").kind("/machine") == "none-machine"
    assert profile.qom("no such machine") is None


def test_an_unknown_profile():
    with pytest.raises(ProfileError, match="no profile of qemu-system-vax"):
        profile_named("vax")


def test_the_tree_of_a_machine():
    view = profile_named("x86_64").qom("q35")
    path = view.first_cpu
    assert path == "/machine/unattached/device[0]"
    bools = [name for name, kind in view.properties(path).items() if kind == "bool"]
    # And one more property, unavailable-features, makes libvirt's 398 questions.
    assert len(bools) == 397
    assert all(isinstance(view.values(path)[name], bool) for name in bools)
    assert view.kind("/machine/peripheral") == "container"
    assert view.kind("/nowhere") is None
    assert "/machine" in view.paths
    small = QomView({"lists": [["a", "int", "b", "int"]], "objects": {"/": ["t", 0, [1, ABSENT]]}})
    assert (small.values("/"), small.first_cpu) == ({"a": 1}, None)


def test_the_expansion_of_other_architectures():
    arm, s390 = profile_named("aarch64"), profile_named("s390x")
    with pytest.raises(CommandError, match="The requested expansion type is not supported"):
        expansion(arm, {"type": "static", "model": {"name": "max"}})
    with pytest.raises(CommandError, match="Parameter 'foo' is unexpected"):
        expansion(arm, {"type": "full", "model": {"name": "max", "props": {"foo": 1}}})
    with pytest.raises(CommandError, match="The CPU definition 'nope' is unknown"):
        expansion(s390, {"type": "full", "model": {"name": "nope"}})
    with pytest.raises(CommandError, match="expected: boolean"):
        expansion(s390, {"type": "full", "model": {"name": "qemu", "props": {"vx": "on"}}})


def test_a_command_that_the_architecture_does_not_have():
    puppet = Puppet(
        argv=["/usr/bin/qemu-system-riscv64", "-S", "-machine", "none", "-qmp", "unix:/m,server=on,wait=off"]
    ).start()
    conn = puppet.connect("compat_monitor0")
    puppet.ask(conn, "qmp_capabilities") if puppet.take(conn) else None
    answer = puppet.ask(conn, "query-cpu-model-expansion", type="full", model={"name": "max"})
    assert answer["class"] == "CommandNotFound"
    assert puppet.ask(conn, "query-kvm") == {"enabled": False, "present": False}


def test_the_name_chooses_the_profile():
    machine = FakeQemu(["/opt/fakeqemu-system-s390x", "-S", "-machine", "none"])
    machine.start(0)
    assert machine.profile is profile_named("s390x")
