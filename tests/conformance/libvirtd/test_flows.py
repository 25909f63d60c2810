"""The real libvirtd 9.0.0 believes the fake: every flow ends and reads as with the real QEMU."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.conformance.libvirtd.compare import lasting
from tests.conformance.libvirtd.flows import FLOWS
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
