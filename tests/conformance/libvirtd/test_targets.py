"""The real libvirtd 9.0.0 believes the fakes of other architectures than x86."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import Any

import pytest

from tests.conformance.libvirtd.compare import lasting
from tests.conformance.libvirtd.play import NOBODY_HOME, heard_out, make_image
from tests.helpers.libvirtd import Answer, Libvirtd

pytestmark = [pytest.mark.real_libvirt, pytest.mark.timeout(240)]

DOMAIN = """
<domain type='qemu'>
  <name>other</name>
  <uuid>5f3c1b1e-58a4-4cb5-a1bb-0c6f4f0d0010</uuid>
  <memory unit='MiB'>128</memory>
  <vcpu>2</vcpu>
  <os><type arch='{arch}' machine='{machine}'>hvm</type></os>
  <devices>
    <emulator>{emulator}</emulator>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
      <source file='{base}/images/other.qcow2'/><target dev='vda' bus='virtio'/></disk>
    <interface type='user'><mac address='52:54:00:aa:bb:01'/><model type='virtio'/></interface>
    <memballoon model='virtio'/>
  </devices>
</domain>
"""
MACHINES = {
    "aarch64": "virt-7.2", "ppc64": "pseries-7.2", "s390x": "s390-ccw-virtio-7.2", "riscv64": "virt",
}  # fmt: skip
#: Paused, since the firmware of some machines panics where nothing boots.
STEPS = """
    define {base}/other.xml
    start other --paused
    dominfo other
    setvcpus other 1 --live
    domstats other --balloon --vcpu --block --interface
    snapshot-create-as other s1 --disk-only --no-metadata --diskspec vda,file={base}/images/other.s1.qcow2
    blockcommit other vda --active --pivot --wait
    managedsave other --paused
    start other
    domstate other --reason
    destroy other
    undefine other
    """


@pytest.fixture
def daemon(request) -> Any:
    with Libvirtd() as made:
        script = made.base / "bin/behaviour.yaml"
        script.write_text(NOBODY_HOME)
        subprocess.run(
            [
                sys.executable, "-c", "from fakeqemu.toolbox import main; main()", "install-emulator",
                "--arch", request.getfixturevalue("arch"), "--script", str(script), str(script.parent),
            ],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        made.own(made.base)
        try:
            yield made
        finally:
            made.end_machines()


def _capabilities(daemon: Libvirtd, arch: str, emulator: str) -> str:
    answer = daemon.virsh(
        "domcapabilities", "--emulatorbin", emulator, "--arch", arch, "--machine", MACHINES[arch],
        "--virttype", "qemu",
    )  # fmt: skip
    return answer.out.replace(emulator, "EMULATOR")


def _play(daemon: Libvirtd, arch: str, emulator: str) -> list[Answer]:
    for image in (daemon.base / "images").iterdir():
        image.unlink()
    make_image(daemon, "other.qcow2", "16M")
    text = DOMAIN.format(arch=arch, machine=MACHINES[arch], emulator=emulator, base=daemon.base)
    (daemon.base / "other.xml").write_text(text)
    _capabilities(daemon, arch, emulator)  # asked here, and not in the middle of a play
    daemon.talk()
    answers = []
    for step in STEPS.format(base=daemon.base).strip().splitlines():
        answer = daemon.virsh(*step.split(), check=False)
        answer.talk = heard_out(daemon)
        answers.append(answer)
    assert daemon.alive()
    return answers


@pytest.mark.parametrize("arch", sorted(MACHINES))
def test_an_architecture_is_as_with_the_real_qemu(daemon, arch):
    real = shutil.which(f"qemu-system-{arch}")
    if real is None:
        pytest.fail(f"qemu-system-{arch} is not installed")
    fake = str(daemon.base / f"bin/qemu-system-{arch}")
    assert _capabilities(daemon, arch, fake) == _capabilities(daemon, arch, real)
    plays = ((_play(daemon, arch, real), _play(daemon, arch, fake)) for _ in range(3))
    assert lasting(plays) == []
