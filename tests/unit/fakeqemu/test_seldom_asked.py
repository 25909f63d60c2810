"""Commands that few managers send: what is refused, what is told, and what the profile knows."""

from __future__ import annotations

import pytest

from fakeqemu import support
from fakeqemu.commands.rare import REFUSALS
from fakeqemu.facts.profile import profile_for
from tests.helpers.puppet import ARGV, Puppet

PROGRAM = "qemu-system-x86_64"


@pytest.fixture
def monitor() -> tuple[Puppet, int]:
    puppet = Puppet(argv=(*ARGV, "-device", "qemu-xhci", "-device", "usb-kbd,id=k")).start()
    return puppet, puppet.open()


@pytest.mark.parametrize("arch", ["x86_64", "i386", "aarch64", "ppc64", "s390x", "riscv64"])
def test_few_commands_are_refused(arch: str) -> None:
    answered = support.commands(profile_for(f"qemu-system-{arch}"))
    refused = [name for name, kind in answered.items() if kind == support.REFUSED]
    assert len(refused) < 10, refused


def test_refusals_are_the_only_answers() -> None:
    profile = profile_for("qemu-system-s390x")
    assert set(REFUSALS) - set(profile.commands) <= {
        "query-sev-attestation-report", "query-sev-launch-measure", "sev-inject-launch-secret",
    }  # fmt: skip


def test_trace_events_are_switched_one_by_one_or_for_one_cpu(monitor: tuple[Puppet, int]) -> None:
    puppet, conn = monitor
    asked = puppet.ask(conn, "trace-event-get-state", name="qmp_job_*")
    assert len(asked) == 6
    assert {event["state"] for event in asked} == {"disabled"}
    puppet.ask(conn, "trace-event-set-state", name="guest_cpu_enter", enable=True, vcpu=1)
    states = [
        puppet.ask(conn, "trace-event-get-state", name="guest_cpu_enter", vcpu=cpu)[0]["state"]
        for cpu in (0, 1)
    ]
    assert states == ["disabled", "enabled"]
    puppet.ask(conn, "trace-event-set-state", name="guest_*", enable=False)
    assert puppet.ask(conn, "trace-event-get-state", name="guest_cpu_enter")[0]["state"] == "disabled"


def test_what_is_told_of_the_insides_follows_the_devices(monitor: tuple[Puppet, int]) -> None:
    puppet, conn = monitor
    assert "Product QEMU USB Keyboard, ID: k" in puppet.ask(conn, "x-query-usb")["human-readable-text"]
    assert [device["name"] for device in puppet.ask(conn, "x-query-virtio")] == ["virtio-balloon"]
    assert puppet.ask(conn, "x-query-numa")["human-readable-text"] == "0 nodes\n"
    assert "bios-256k.bin" in puppet.ask(conn, "x-query-roms")["human-readable-text"]


def test_an_enumeration_of_an_alternate_is_known_the_first_time(monitor: tuple[Puppet, int]) -> None:
    puppet, conn = monitor
    said = puppet.ask(
        conn, "blockdev-add", driver="qcow2", file="none", node__name="q", overlap__check="cached"
    )
    assert "none" in str(said)
    assert "overlap-check" not in str(said)


def test_ports_that_nobody_asked_for() -> None:
    argv = [word for word in ARGV if word != "-nodefaults"]
    puppet = Puppet(argv=argv).start()
    names = [chardev["label"] for chardev in puppet.ask(puppet.open(), "query-chardev")]
    assert sorted(names) == ["charmonitor", "parallel0", "serial0"]
