"""What managers probe: the fake's answers from a shipped profile are the real program's, to the byte."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fakeqemu.facts.profile import DIRECTORY, Profile, profile_named
from fakeqemu.facts.realqemu import Qemu
from fakeqemu.facts.record import record, write_profile
from tests.helpers.processes import needs
from tests.helpers.puppet import Puppet

ARCHITECTURES = ("x86_64", "i386", "aarch64", "ppc64", "s390x", "riscv64")
#: libvirt 9.0.0's questions, in its order; the expansions follow from one another.
PLAIN = (
    "query-version", "query-target", "query-qmp-schema", "query-commands", "query-kvm", "qom-list-types",
    "query-machines", "query-cpu-definitions", "query-tpm-models", "query-tpm-types",
    "query-command-line-options", "query-migrate-capabilities", "query-sev-capabilities",
    "query-sgx-capabilities", "query-gic-capabilities",
)  # fmt: skip
DEVICES = (
    "virtio-blk-pci", "virtio-net-pci", "virtio-scsi-pci", "virtio-net-ccw", "virtio-scsi-ccw", "vfio-pci",
    "scsi-hd", "ide-hd", "PIIX4_PM", "usb-redir", "usb-storage", "kvm-pit", "VGA", "vmware-svga", "qxl",
    "virtio-gpu-pci", "virtio-gpu-device", "ICH9-LPC", "virtio-balloon-pci", "virtio-balloon-ccw",
    "virtio-balloon-device", "intel-iommu", "mch", "nvdimm", "pcie-root-port", "usb-host",
    "vhost-user-fs-device", "virtio-mem-pci", "virtio-iommu-pci", "nonesuch",
)  # fmt: skip
TYPES = ("memory-backend-file", "memory-backend-memfd", "none-machine", "max-{arch}-cpu")


def questions(arch):
    yield from ((command, {}) for command in PLAIN)
    yield from (("device-list-properties", {"typename": name}) for name in DEVICES)
    yield from (("qom-list-properties", {"typename": name.format(arch=arch)}) for name in TYPES)
    for model in ("host", "max", "qemu64", "nonesuch"):
        for kind in ("static", "full"):
            for props in ({}, {"props": {"migratable": False}}):
                yield "query-cpu-model-expansion", {"type": kind, "model": {"name": model, **props}}


def fake_of(arch):
    argv = [
        f"/usr/bin/qemu-system-{arch}", "-S", "-no-user-config", "-nodefaults", "-nographic",
        "-machine", "none,accel=kvm:tcg", "-qmp", "unix:/m,server=on,wait=off",
    ]  # fmt: skip
    puppet = Puppet(argv=argv).start()
    conn = puppet.connect("compat_monitor0")
    assert puppet.take(conn).decode().startswith('{"QMP"')
    puppet.write(conn, b'{"execute":"qmp_capabilities"}')
    puppet.take(conn)

    def ask(command, arguments):
        puppet.write(conn, json.dumps({"execute": command, "arguments": arguments}).encode())
        return puppet.take(conn).decode().rstrip()

    return ask


def shortened(text):
    return text if len(text) < 400 else f"{len(text)}: {text[:200]}...{text[-100:]}"


@pytest.mark.slow
@pytest.mark.parametrize("arch", [pytest.param(arch, marks=needs(arch)) for arch in ARCHITECTURES])
def test_a_probe_is_answered_alike(arch):
    fake = fake_of(arch)
    with Qemu(f"/usr/bin/qemu-system-{arch}", "none") as real:
        client = real.client()
        assert client.greeting == profile_named(arch).greeting
        for command, arguments in questions(arch):
            theirs, mine = client.ask(command, arguments), fake(command, arguments)
            if mine != theirs and arch in ("ppc64", "riscv64") and "gic" in command:
                continue
            assert (command, arguments, shortened(mine)) == (command, arguments, shortened(theirs))
            assert mine == theirs


@pytest.mark.slow
@pytest.mark.parametrize("arch", [pytest.param(arch, marks=needs(arch)) for arch in ("x86_64", "i386")])
def test_the_features_of_a_model_on_top_of_base(arch):
    fake = fake_of(arch)
    with Qemu(f"/usr/bin/qemu-system-{arch}", "none") as real:
        client = real.client()
        for model in ("max", "host", "qemu64", "EPYC", "Skylake-Client", "486"):
            static = {"type": "static", "model": {"name": model}}
            props = json.loads(client.ask("query-cpu-model-expansion", static))["return"]["model"]["props"]
            full = {"type": "full", "model": {"name": "base", "props": props}}
            assert fake("query-cpu-model-expansion", full) == client.ask("query-cpu-model-expansion", full)


@pytest.mark.slow
@pytest.mark.real_qemus
def test_recording_is_deterministic_and_gives_the_shipped_bytes(tmp_path):
    program = "/usr/bin/qemu-system-riscv64"
    for name in ("one", "two"):
        write_profile(record(program), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    fresh, shipped = Profile(str(tmp_path / "one")).provenance, profile_named("riscv64").provenance
    if (fresh["package"], fresh["modules"]) == (shipped["package"], shipped["modules"]):
        assert (tmp_path / "one").read_bytes() == Path(DIRECTORY, "riscv64-7.2.json.gz").read_bytes()
