# ruff: noqa: E501  (a command is a line)
"""Hotplug on the other architectures: the same words from their real programs and from the fake."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tests.helpers.hotplug import BASE, PERIPHERAL, add, differences, gone, look, play
from tests.helpers.processes import BOOT, Program

pytestmark = pytest.mark.real_qemus

UNATTACHED, TOP = ("qom-list", {"path": "/machine/unattached"}), ("qom-list", {"path": "/"})
CONVERSATIONS: dict[str, tuple[list[str], list[Any]]] = {

    "s390x": (["-machine","s390-ccw-virtio","-smp","1,maxcpus=3","-m","256","-blockdev","null-co,node-name=nb","-blockdev","null-co,node-name=nb2"],["query-hotpluggable-cpus","query-cpus-fast",add("virtio-blk-ccw","d",drive="nb"),add("virtio-blk-ccw","d2",drive="nb2",devno="fe.0.0007"),add("virtio-net-ccw","n",devno="zz"),add("virtio-net-ccw","n"),PERIPHERAL,add("virtio-net","n2"),add("virtio-blk-pci","x"),look("d","devno"),look("d2","devno"),look("n","parent_bus"),add("qemu-s390x-cpu","c"),add("qemu-s390x-cpu","c",core__id=1),add("qemu-s390x-cpu","c2",core__id=1),add("qemu-s390x-cpu","c2",core__id=9),"query-hotpluggable-cpus","query-cpus-fast",gone("c"),gone("d"),"settle",gone("n"),"settle",PERIPHERAL,UNATTACHED,TOP,("qom-list",{"path":"/machine"}),add("virtio-balloon-ccw","b"),"query-balloon",add("virtio-scsi-ccw","s"),add("scsi-cd","cd"),add("virtio-rng-ccw","r"),gone("s"),"settle",PERIPHERAL,"query-memory-devices","query-memdev","query-pci"]),
    "ppc64": (["-machine","pseries","-smp","2,maxcpus=8","-m","512,slots=2,maxmem=4G","-blockdev","null-co,node-name=nb","-object","memory-backend-ram,id=r,size=256M"],["query-hotpluggable-cpus","query-cpus-fast",add("virtio-blk-pci","d",drive="nb"),add("virtio-net-pci","n"),look("d","legacy-addr"),look("n","parent_bus"),PERIPHERAL,add("power9_v2.0-spapr-cpu-core","c",core__id=2),add("power9_v2.0-spapr-cpu-core","c2",core__id=3),add("power9_v2.0-spapr-cpu-core","c2",core__id=2),add("power9_v2.0-spapr-cpu-core","c2",core__id=20),"query-hotpluggable-cpus","query-cpus-fast",add("pc-dimm","m",memdev="r"),"query-memory-devices",gone("n"),"settle",gone("n"),"system_reset","settle",PERIPHERAL,gone("c"),UNATTACHED,TOP,add("spapr-vscsi","v"),add("spapr-vlan","vl"),"query-memdev","query-pci"]),
    "aarch64": (["-machine","virt","-cpu","cortex-a57","-smp","2,maxcpus=4","-m","512,slots=2,maxmem=4G","-device","pcie-root-port,id=rp","-blockdev","null-co,node-name=nb","-object","memory-backend-ram,id=r,size=256M"],["query-hotpluggable-cpus","query-cpus-fast",add("virtio-blk-pci","d",drive="nb"),add("virtio-blk-pci","d",drive="nb",bus="rp"),look("d","legacy-addr"),PERIPHERAL,add("cortex-a57-arm-cpu","c",core__id=2),add("pc-dimm","m",memdev="r"),"query-memory-devices",gone("d"),gone("d"),"settle","system_reset","settle",PERIPHERAL,UNATTACHED,TOP,"query-memdev","query-pci"]),
    "riscv64": (["-machine","virt","-smp","2","-m","512","-device","pcie-root-port,id=rp","-blockdev","null-co,node-name=nb"],["query-hotpluggable-cpus","query-cpus-fast",add("virtio-blk-pci","d",drive="nb"),add("virtio-blk-pci","d",drive="nb",bus="rp"),look("d","legacy-addr"),PERIPHERAL,gone("d"),"settle","system_reset","settle",PERIPHERAL,UNATTACHED,TOP,"query-memdev","query-pci"]),
    "i386": (["-machine","pc","-smp","2,maxcpus=3","-m","256"],["query-hotpluggable-cpus","query-cpus-fast",add("e1000","n"),look("n","addr"),PERIPHERAL,("qom-list",{"path":"/machine/unattached/device[0]"}),look("/machine/unattached/device[0]","family"),add("qemu32-i386-cpu","c",socket__id=0,core__id=2,thread__id=0),"query-cpus-fast",gone("n"),"system_reset","settle",PERIPHERAL,"query-pci"]),
}  # fmt: skip


@pytest.mark.parametrize("arch", CONVERSATIONS)
def test_a_conversation_is_the_same(tmp_path, arch):
    words, steps = CONVERSATIONS[arch]
    program = f"qemu-system-{arch}"
    heard: dict[str, Any] = {}
    for who, start in (("real", [program]), ("fake", [sys.executable, "-I", "-S", BOOT, program])):
        directory = tmp_path / who
        directory.mkdir()
        argv = [*start, *BASE, *words, "-qmp", "unix:m,server=on,wait=off"]
        with Program(argv, directory) as process, process.client(directory / "m") as client:
            client.negotiate()
            heard[who] = play(client, steps)
    assert differences(heard["real"][0], heard["fake"][0]) == []
    assert heard["fake"][1] == heard["real"][1]
