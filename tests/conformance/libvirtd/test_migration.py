"""Guests move between two real libvirtds 9.0.0, each with fakes of its own."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator

import pytest

from tests.conformance.libvirtd.flows import DOMAINS
from tests.conformance.libvirtd.play import clean, install_fake, make_image
from tests.helpers.libvirtd import Answer, Libvirtd

pytestmark = [pytest.mark.real_libvirt, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[Libvirtd, Libvirtd]]:
    """Two daemons for all tests: each takes seconds to ask every QEMU that is installed what it can do."""
    source, target = Libvirtd(), Libvirtd()
    conf = target.base / "config/libvirt/libvirtd.conf"
    conf.write_text(conf.read_text().replace("11111111", "22222222"))  # another host
    with source, target:
        install_fake(source)
        subprocess.run(["chmod", "a+rx", str(source.base)], check=True)
        try:
            yield source, target
        finally:
            source.end_machines()
            target.end_machines()


@pytest.fixture
def pair(hosts: tuple[Libvirtd, Libvirtd]) -> tuple[Libvirtd, Libvirtd]:
    """The daemons with nothing of an earlier test; a guest runs at the first one."""
    source, _ = hosts
    for daemon in hosts:
        clean(daemon)
    make_image(source, "typ.qcow2", "100M")
    xml = source.base / "typ.xml"
    xml.write_text(DOMAINS["typ"].format(base=source.base, emulator=source.base / "bin/qemu-system-x86_64"))
    source.own(source.base)
    source.virsh("define", str(xml))
    source.virsh("start", "typ")
    return hosts


def _move(source: Libvirtd, target: Libvirtd, *more: str) -> Answer:
    uri = f"qemu+unix:///session?socket={target.base}/run/libvirt/libvirt-sock"
    return source.virsh("migrate", "typ", uri, "--unsafe", "--live", *more, check=False)


def _states(*daemons: Libvirtd) -> list[str]:
    assert all(daemon.alive() for daemon in daemons)
    return [daemon.virsh("domstate", "typ", "--reason", check=False).out for daemon in daemons]


@pytest.mark.parametrize(
    "way",
    [
        ["--migrateuri", "unix://{base}/run/mig", "--disks-uri", "unix://{base}/run/disks"],
        ["--p2p", "--migrateuri", "tcp://127.0.0.1"],
        ["--postcopy", "--postcopy-after-precopy", "--migrateuri", "tcp://127.0.0.1"],
        ["--parallel", "--parallel-connections", "3", "--migrateuri", "tcp://127.0.0.1"],
    ],
    ids=["unix", "peer to peer", "post-copy", "parallel"],
)
def test_a_guest_moves(pair, way):
    source, target = pair
    answer = _move(source, target, *(word.format(base=source.base) for word in way))
    assert (answer.status, answer.out) == (0, "")
    assert _states(source, target) == ["shut off (migrated)", "running (migrated)"]
    assert target.virsh("dominfo", "typ").status == 0
    target.virsh("destroy", "typ")


def test_a_guest_stays_where_the_other_side_cannot_listen(pair):
    source, target = pair
    answer = _move(source, target, "--migrateuri", "unix:///nonexistent/socket")
    assert answer.status == 1
    assert "Failed to bind socket to /nonexistent/socket: No such file or directory" in answer.out
    assert _states(source)[0].startswith("running")


def test_a_migration_is_aborted(pair):
    source, target = pair
    source.virsh("migrate-setspeed", "typ", "1")
    answers: list[Answer] = []
    mover = threading.Thread(
        target=lambda: answers.append(_move(source, target, "--migrateuri", "tcp://127.0.0.1"))
    )
    mover.start()
    end = time.monotonic() + 20  # noqa: TID251 - real processes are waited for on the real clock
    while "Outgoing migration" not in source.virsh("domjobinfo", "typ", check=False).out:
        assert time.monotonic() < end  # noqa: TID251
    source.virsh("domjobabort", "typ")
    mover.join()
    assert answers[0].status == 1
    assert "canceled by client" in answers[0].out
    assert _states(source)[0].startswith("running")


def test_a_daemon_that_is_killed_in_a_copy_finds_it_again(pair):
    source, _ = pair
    copy = source.base / "images/copy.qcow2"
    source.virsh("blockcopy", "typ", "vda", str(copy), "--format", "qcow2", "--transient-job")
    assert source.process is not None
    (pid_file,) = source.base.glob("run/libvirtd.pid")
    subprocess.run(["kill", "-KILL", pid_file.read_text().strip()], check=True)
    source.process.wait(20)
    source.start()
    assert _states(source)[0].startswith("running")
    assert "Block Copy" in source.virsh("blockjob", "typ", "vda", "--info").out
    source.virsh("blockjob", "typ", "vda", "--pivot")
    assert str(copy) in source.virsh("domblklist", "typ").out
