"""The real libvirtd 9.0.0 believes the fake: every flow ends and reads as with the real QEMU."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.conformance.libvirtd.compare import lasting
from tests.conformance.libvirtd.flows import FLOWS, Flow
from tests.conformance.libvirtd.play import install_fake, play
from tests.helpers.libvirtd import Libvirtd

pytestmark = [pytest.mark.real_libvirt, pytest.mark.timeout(240)]

#: A difference counts when it shows every time: the real one's firmware and jobs have a pace of their own.
ROUNDS = 3


@pytest.fixture(scope="module")
def daemon() -> Iterator[Libvirtd]:
    with Libvirtd() as made:
        install_fake(made)
        try:
            yield made
        finally:
            made.end_machines()


@pytest.mark.parametrize("flow", [flow for flow in FLOWS if not flow.guest], ids=lambda flow: flow.name)
def test_a_flow_is_as_with_the_real_qemu(daemon, flow):
    emulators = str(shutil.which("qemu-system-x86_64")), str(daemon.base / "bin/qemu-system-x86_64")
    plays = ((play(daemon, flow, emulators[0]), play(daemon, flow, emulators[1])) for _ in range(ROUNDS))
    assert lasting(plays) == []


@pytest.mark.parametrize("flow", [flow for flow in FLOWS if flow.guest], ids=lambda flow: flow.name)
def test_a_flow_with_a_guest_succeeds(daemon, flow):
    for answer in play(daemon, flow, str(daemon.base / "bin/guest/qemu-system-x86_64")):
        assert answer.status == 0, f"{answer.words}: {answer.out}\n{daemon.domain_logs()}"


def _console(daemon: Libvirtd, typed: list[tuple[bytes, bytes]]) -> tuple[int, bytes]:
    """A session at ``virsh console`` on a terminal: its status, and what was seen.

    Args:
        typed: what is waited for, and what is typed then.
    """
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [*daemon.as_user, "virsh", "-c", "qemu:///session", "console", "typ"],
        env={**daemon.env, "TERM": "vt100"}, cwd="/", stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    seen, read_to = b"", 0
    try:
        for wanted, keys in typed:
            while (found := seen.find(wanted, read_to)) < 0:
                assert select.select([ours], [], [], 10.0)[0], (wanted, seen)
                seen += os.read(ours, 4096)
            read_to = found + len(wanted)
            os.write(ours, keys)
        return process.wait(10), seen
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_a_guest_is_logged_into_at_its_console(daemon):
    play(
        daemon,
        Flow("console", "typ", ("start typ", "!agent typ")),
        f"{daemon.base}/bin/guest/qemu-system-x86_64",
    )
    leave = b"\x1d"
    status, _ = _console(
        daemon,
        [(b"Escape character", b"\r"), (b"login: ", b"root\r"), (b"Password: ", b"x\r"), (b"# ", leave)],
    )
    assert status == 0
    status, _ = _console(daemon, [(b"Escape character", b"\r"), (b"root@typ:~# ", leave)])
    assert status == 0
    daemon.virsh("destroy", "typ")
