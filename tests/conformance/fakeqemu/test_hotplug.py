# ruff: noqa: E501  (a command is a line)
"""The same hotplug conversations to a real QEMU 7.2 and to the fake: the same replies, and the same events in the same order.

The guest never boots here (``-S``): what needs a guest that agrees is in the unit tests, after what a reset completes.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.hotplug import (
    ANONYMOUS,
    BASE,
    PERIPHERAL,
    add,
    cpu,
    differences,
    gone,
    look,
    new,
    play,
    put,
)
from tests.helpers.processes import Program, fake_argv, real_argv

pytestmark = pytest.mark.real_qemu

GIB = 1 << 30
UNITS = ["-device", "qemu-xhci,id=x", "-device", "virtio-scsi-pci,id=s", "-device", "virtio-serial-pci,id=vs", "-netdev", "user,id=nd",
         "-chardev", "null,id=cn", "-object", "iothread,id=io", "-object", "rng-builtin,id=rb",
         *(word for name in ("nb", "nb2", "nb3") for word in ("-blockdev", f"null-co,node-name={name}"))]  # fmt: skip

#: Name -> (command line, steps). A step is (command, arguments), a command alone, or "settle": wait for the events.
CONVERSATIONS: dict[str, tuple[list[str], list[Any]]] = {
    "models": (["-machine", "pc"], [
        "device_add", ("device_add", {"id": "x"}), ("device_add", {"driver": 5}), add("nope"), add("container"), add("pci-device"), add("iothread"),
        add("PIIX4_PM", "x"), add("i440FX", "x"), add("virtio-gpu-pci", "g"), add("VGA"), add("intel-iommu"), add("virtio-iommu-pci"), add("loader", "l"),
        add("isa-serial", "s"), add("ib700"), add("pvpanic"), add("tpm-tis"), add("ide-cd", "i"), add("ide-hd", "i", drive="nope"), add("hda-duplex"),
        add("usb-tablet", "u"), add("scsi-hd", "h"), add("scsi-hd", "h", drive="nope"), add("virtserialport"), add("nvme-ns"), add("virtio-net-device"),
        add("e1000", "a b"), add("e1000", "1a"), add("e1000", ""), add("e1000", foo=1), add("e1000", "z", foo=[1]), PERIPHERAL, add("e1000", "z"),
        add("virtio-balloon-pci", "b0"), add("virtio-balloon-pci", "b1"), add("virtio-rng-pci", "r"), add("virtio-gpu", "v"), add("virtio-net", "v"), PERIPHERAL,
        add("vfio-pci", "vf"), add("vfio-pci", "vf", host="0000:00:02.0"), add("vhost-vsock-pci"), add("nvme", "n"), add("pci-bridge", "p"), add("pci-bridge", "p", chassis_nr=1),
        add("ivshmem-plain"), add("virtio-9p-pci"), add("usb-redir"), add("virtio-mem-pci"), add("pc-dimm"), add("nvdimm"), add("virtio-crypto-pci"),
        add("virtio-input-host-pci"), add("pvpanic-pci", "pp"), add("i6300esb", "wd"), ANONYMOUS, PERIPHERAL,
    ]),
    "pci addresses": (["-machine", "pc"], [
        add("e1000", "n1", addr="0x3"), add("e1000", "n2", addr="3"), add("e1000", "n2", addr="0.0"), add("e1000", "n2", addr="1.1"), add("e1000", "n2", addr="40"),
        add("e1000", "n2", addr="x"), add("e1000", "n2", addr=4), add("e1000", "n2", addr="9"), add("e1000", "n3", addr="4.9"), add("e1000", "n3", addr=True),
        add("e1000", "n3", bus="nope"), add("e1000", "n3", bus="ide.0"), add("e1000", "n3", bus="isa.0"), add("e1000", "n3", bus="main-system-bus"), add("e1000", "n3", bus="/"),
        add("e1000", "m0", multifunction=True, addr="9.0"), add("e1000", "m1", addr="9.1"), add("e1000", "f1", addr="a.1"), add("e1000", "f0", addr="a.0"),
        add("e1000", "g0", addr="b.0"), add("e1000", "g1", addr="b.1"), add("e1000", "h", addr="-1"), add("e1000", "k", multifunction="maybe"), add("e1000", "k", bus="pci.0"),
        *(look(name, value) for name in ("n1", "n2", "h", "k") for value in ("addr", "legacy-addr", "parent_bus", "hotplugged", "type", "realized", "multifunction")), PERIPHERAL,
    ]),
    "properties": (["-machine", "pc", *UNITS], [
        add("virtio-blk-pci", "d"), add("virtio-blk-pci", "d", drive="nope"), add("virtio-blk-pci", "d", drive="nb", logical_block_size=513),
        add("virtio-blk-pci", "d", drive="nb", logical_block_size=100), add("virtio-blk-pci", "d", drive="nb", logical_block_size="x"),
        add("virtio-blk-pci", "d", drive="nb", num__queues=0), add("virtio-blk-pci", "d", drive="nb", queue__size=3), add("virtio-blk-pci", "d", drive="nb", werror="zap"),
        add("virtio-blk-pci", "d", drive="nb", bootindex="x"), add("virtio-blk-pci", "d", drive="nb", discard_granularity="x"), add("virtio-blk-pci", "d", drive="nb", packed="x"),
        add("virtio-blk-pci", "d", drive="nb", share__rw=1), add("virtio-blk-pci", "d", drive="nb", secs=300), add("virtio-blk-pci", "d", drive="nb", heads=-1),
        add("virtio-blk-pci", "d", drive="nb", cyls="x"), add("virtio-blk-pci", "d", drive="nb", iothread="nope"), add("virtio-blk-pci", "d", drive="nb", iothread="rb"),
        add("virtio-blk-pci", "d", drive="nb", physical_block_size=512, logical_block_size=4096), add("virtio-blk-pci", "d", drive="nb", bootindex=1),
        add("virtio-blk-pci", "d1", drive="nb2", bootindex=1), add("virtio-blk-pci", "d1", drive="nb"), add("virtio-blk-pci", "d1", drive="nb2", iothread="io", bootindex=2),
        ("object-del", {"id": "io"}), add("virtio-net-pci", "n", netdev="nope"), add("virtio-net-pci", "n", mac="xx"), add("virtio-net-pci", "n", mq=1),
        add("virtio-net-pci", "n", vectors="x"), add("virtio-net-pci", "n", vectors=-1), add("virtio-net-pci", "n", rx_queue_size=3), add("virtio-net-pci", "n", duplex="x"),
        add("virtio-net-pci", "n", speed=-5), add("virtio-net-pci", "n", netdev="nd", mac="52:54:00:11:22:33"), add("virtio-net-pci", "n2", netdev="nd"), add("e1000", "n2", netdev="nd"),
        add("virtio-rng-pci", "r", rng="nope"), add("virtio-rng-pci", "r", rng="d"), add("virtio-rng-pci", "r", period=-1), add("virtio-rng-pci", "r", max__bytes="x"),
        add("virtio-rng-pci", "r", rng="rb", max__bytes=1024, period=1000), look("r", "rng"), look("r", "max-bytes"), look("r", "period"),
        look("d", "drive"), look("d", "bootindex"), look("n", "netdev"), look("n", "mac"), look("d1", "iothread"), look("d", "virtio-backend"),
        look("/machine/peripheral/d/virtio-backend", "drive"), look("/machine/peripheral/d/virtio-backend/parent_bus", "type"), PERIPHERAL,
    ]),
    "usb, scsi and serial": (["-machine", "pc", *UNITS], [
        add("usb-tablet", "u0", bus="pci.0"), add("usb-tablet", "u1"), add("usb-tablet", "u2", port="1"), add("usb-tablet", "u2", port="7.1"), add("usb-tablet", "u2", port="3"),
        add("usb-kbd", "k", usb_version=7), add("usb-storage", "us"), add("usb-storage", "us", drive="nope"), look("u1", "port"), look("u2", "port"),
        add("scsi-cd", "c0"), add("scsi-cd", "c1", scsi__id=0, lun=0), add("scsi-cd", "c1", scsi__id=300), add("scsi-cd", "c1", channel=1), add("scsi-cd", "c1", scsi__id=1, lun=70000),
        add("scsi-cd", "c1", scsi__id=1, lun=3), add("scsi-cd", "c2", scsi__id=1), add("scsi-cd", "c3", bus="s.0"), add("scsi-cd", "c4", bus="s"), add("scsi-hd", "h"),
        add("scsi-hd", "h", drive="nb", wwn="x"), add("scsi-hd", "h", drive="nb"), look("h", "scsi-id"), look("c2", "lun"), look("c1", "lun"),
        add("virtserialport", "p1", nr=1, name="a"), add("virtserialport", "p2", nr=1), add("virtserialport", "p2", nr=0), add("virtserialport", "p2", nr=99),
        add("virtserialport", "p2", chardev="nope"), add("virtserialport", "p2", name="a"), add("virtserialport", "p2", chardev="cn"), add("virtserialport", "p3", chardev="cn"),
        look("p1", "nr"), look("p2", "nr"), look("p1", "name"), add("virtconsole", "vc"), look("vc", "nr"), PERIPHERAL,
        gone("u1"), "settle", gone("c0"), "settle", gone("p1"), "settle", gone("h"), "settle", PERIPHERAL, gone("s"), gone("vs"), "system_reset", "settle", PERIPHERAL,
    ]),
    "i440fx unplug": (["-machine", "pc", "-device", "e1000", "-device", "virtio-scsi-pci,id=s", "-device", "scsi-cd,id=c"], [
        add("e1000", "n0"), add("virtio-balloon-pci", "b0"), add("virtio-net-pci"), gone("nope"), gone(""), gone("/machine"), gone("/objects"), gone("peripheral"), gone("ide.0"),
        gone("/machine/i440fx"), gone("/machine/unattached/device[0]"), gone("n0"), gone("n0"), gone("/machine/peripheral/b0"), gone("b0"), gone("s"),
        gone("/machine/peripheral-anon/device[0]"), gone("/machine/peripheral-anon/device[1]"), PERIPHERAL, "system_reset", "settle", PERIPHERAL, ANONYMOUS, gone("n0"), "query-balloon",
        add("e1000", "n0"), look("n0", "legacy-addr"), add("e1000"), ANONYMOUS,
    ]),
    "q35": (["-machine", "q35", "-device", "pcie-root-port,id=rp1,chassis=1", "-device", "pcie-root-port,id=rp2,chassis=2", "-device", "pcie-pci-bridge,id=br",
             "-device", "pcie-root-port,id=rp3,chassis=3,hotplug=off", "-device", "ich9-ahci,id=a", "-device", "virtio-serial-pci,id=vs"], [
        add("e1000", "n0"), add("e1000e", "n0", bus="pcie.0"), add("e1000e", "n0", bus="rp1"), add("e1000", "n1", bus="br", addr="1"), add("virtio-net-pci", "v1", bus="rp3"),
        add("virtio-net-pci", "v1", bus="rp2", addr="0x0"), add("virtio-net-pci", "v2", bus="rp2", addr="0x0"), add("virtio-net-pci", "v2"), add("ide-cd", "i", bus="ide.0"),
        add("ide-cd", "i", bus="a.0"), gone("rp1"), gone("a"), gone("vs"), gone("br"), gone("/machine/q35"), look("v1", "parent_bus"), look("n1", "legacy-addr"),
        gone("n0"), gone("n0"), gone("v1"), PERIPHERAL, "system_reset", "settle", PERIPHERAL, add("virtio-net-pci", "v1", bus="rp2"), look("v1", "legacy-addr"),
    ]),
    "cpus": (["-machine", "q35", "-smp", "1,maxcpus=4,sockets=4", "-m", "256"], [
        "query-hotpluggable-cpus", cpu("c1"), cpu("c1", socket__id=1), cpu("c1", socket__id=1, core__id=0), cpu("c1", socket__id=1, core__id=1, thread__id=0),
        cpu("c1", socket__id=9, core__id=0, thread__id=0), cpu("c1", socket__id=0, core__id=0, thread__id=0), add("max-x86_64-cpu", "c1", socket__id=1, core__id=0, thread__id=0),
        cpu("c1", socket__id=1, core__id=0, thread__id=0), cpu("c2", socket__id=1, core__id=0, thread__id=0), cpu("c3", socket__id="3", core__id=0, thread__id=0), cpu(None, socket__id=2, core__id=0, thread__id=0),
        "query-cpus-fast", "query-hotpluggable-cpus", PERIPHERAL, ANONYMOUS, look("c1", "socket-id"), look("c1", "apic-id"), look("c1", "hotplugged"), look("c3", "thread-id"),
        look("c1", "realized"), look("c1", "sse2"), gone("c1"), gone("/machine/unattached/device[0]"),
    ]),
    "cpu topologies": (["-machine", "pc", "-smp", "2,maxcpus=8,sockets=2,cores=2,threads=2", "-m", "256,slots=2,maxmem=1G"], [
        "query-hotpluggable-cpus", cpu("c", socket__id=1, core__id=1, thread__id=1), "query-cpus-fast", look("c", "apic-id"), "query-hotpluggable-cpus",
        look("/machine/unattached/device[0]", "node-id"), cpu("d", socket__id=1, core__id=0, thread__id=0, die__id=1), ("qom-list", {"path": "/machine/unattached"}),
    ]),
    "dies and nodes": (["-machine", "q35", "-smp", "2,maxcpus=4,sockets=1,dies=2,cores=2", "-m", "256"], ["query-hotpluggable-cpus", "query-cpus-fast",
        cpu("d", socket__id=0, core__id=1, thread__id=0), cpu("d", socket__id=0, die__id=1, core__id=1, thread__id=0), "query-cpus-fast"]),
    "memory": (["-machine", "q35", "-m", "256,slots=2,maxmem=1G", "-device", "pcie-root-port,id=rp1,chassis=1"], [
        *(new("memory-backend-ram", f"r{index}", size=size) for index, size in enumerate([1 << 27, 1 << 27, 1 << 20, 1 << 29, (1 << 27) + 4096, 2 << 30])),
        add("pc-dimm", "m0"), add("pc-dimm", "m0", memdev="nope"), add("pc-dimm", "m0", memdev="rp1"), add("pc-dimm", "m0", memdev="r0", slot=5), add("pc-dimm", "m0", memdev="r0", slot=1),
        add("pc-dimm", "m1", memdev="r1", slot=1), add("pc-dimm", "m1", memdev="r0"), add("pc-dimm", "m1", memdev="r1", node=1), add("pc-dimm", "m1", memdev="r1", addr=0x1000),
        add("pc-dimm", "m1", memdev="r3", addr=0x100000000), add("pc-dimm", "m1", memdev="r4"), add("pc-dimm", "m1", memdev="r2"), add("pc-dimm", "m1", memdev="r5"),
        add("nvdimm", "nv", memdev="r1"), add("pc-dimm", "m2", memdev="r1"), add("pc-dimm", "m3", memdev="r1"), "query-memory-devices", "query-memory-size-summary", "query-memdev",
        ("object-del", {"id": "r0"}), ("object-del", {"id": "r4"}), ("object-del", {"id": "pc.ram"}), look("m0", "size"), look("m0", "slot"), look("m0", "addr"), look("m0", "memdev"),
        add("virtio-mem-pci", "vm0", memdev="r3"), add("virtio-mem-pci", "vm0", memdev="r3", bus="rp1", node=1), add("virtio-mem-pci", "vm0", memdev="r3", bus="rp1", requested__size=3),
        add("virtio-mem-pci", "vm0", memdev="r3", bus="rp1"), "query-memory-devices", look("vm0", "requested-size"), put("vm0", "requested-size", 1 << 27),
        put("vm0", "requested-size", 3), put("vm0", "requested-size", 1 << 40), look("vm0", "requested-size"), look("vm0", "size"), "query-memory-devices", gone("vm0"), gone("m0"), gone("m0"),
        "system_reset", "settle", "query-memory-devices", PERIPHERAL,
    ]),
    "nvdimm and numa": (["-machine", "pc,nvdimm=on", "-m", "4G,slots=3,maxmem=8G", "-smp", "2,maxcpus=4", "-numa", "node,cpus=0,memdev=a", "-numa", "node,cpus=1,memdev=b",
                         "-object", "memory-backend-ram,id=a,size=2G", "-object", "memory-backend-ram,id=b,size=2G", "-object", "memory-backend-ram,id=r1,size=128M",
                         "-object", "memory-backend-ram,id=r2,size=128M", "-device", "pc-dimm,id=d0,memdev=r1,node=1"], [
        "query-memory-devices", "query-hotpluggable-cpus", "query-cpus-fast", "query-memdev", add("nvdimm", "nv", memdev="r2"), "query-memory-devices", "query-memory-size-summary", gone("nv"),
        ("object-del", {"id": "a"}), ("object-del", {"id": "r1"}), ("qom-list", {"path": "/objects"}),
    ]),
    "balloon": (["-machine", "pc", "-m", "4G,slots=3,maxmem=8G", "-object", "memory-backend-ram,id=r1,size=128M", "-device", "virtio-balloon-pci,id=b"], [
        "query-balloon", add("pc-dimm", "d0", memdev="r1"), "query-balloon", ("balloon", {"value": GIB}), "query-balloon", look("b", "guest-stats"), put("b", "guest-stats-polling-interval", -1),
        put("b", "guest-stats-polling-interval", 1 << 33), put("b", "guest-stats-polling-interval", "x"), put("b", "guest-stats-polling-interval", 5), look("b", "guest-stats-polling-interval"),
        put("b", "guest-stats", {}), look("b", "guest-stats"), ("balloon", {"value": -5}), gone("b"), "system_reset", "settle", "query-balloon", ("balloon", {"value": 5}),
    ]),
    "objects": (["-machine", "pc", "-m", "256", "-netdev", "user,id=nd"], [
        "object-add", ("object-add", {"id": "a"}), new("nope", "a"), new("iothread", "a"), new("iothread", "a"), new("iothread", "b c"), new("iothread", "c", foo=1),
        new("iothread", "c", poll__max__ns="x"), new("iothread", "c", poll__max__ns=-1), new("iothread", "c", poll__grow=-1), new("iothread", "c", poll__max__ns=5, poll__grow=2, poll__shrink=3),
        new("iothread", "d", aio__max__batch=7), "query-iothreads", new("memory-backend-ram", "r"), new("memory-backend-ram", "r", size=0), new("memory-backend-ram", "r", size=1 << 20),
        new("memory-backend-memfd", "mf", size=1 << 20), new("memory-backend-ram", "rh", size=1 << 20, host__nodes=[0], policy="bind"), new("memory-backend-ram", "rp", size=1 << 20, policy="bind"),
        new("memory-backend-ram", "rn", size=1 << 20, host__nodes=[0]), new("memory-backend-ram", "rz", size=1 << 20, policy="zap"), new("memory-backend-file", "f", size=1 << 20),
        new("secret", "s"), new("secret", "s", data="abc"), new("secret", "s2", data="YWJj", keyid="s", iv="AAAA"), new("secret", "s2", data="YWJj", keyid="nope"), new("secret", "s2", data="a", file="b"),
        new("rng-random", "rng"), new("rng-random", "rn", filename="/no/such"), new("rng-egd", "e"), new("rng-egd", "e", chardev="nope"), new("rng-builtin", "rb"),
        new("throttle-group", "tg"), new("throttle-group", "t2", limits={"iops-total": 5}), new("throttle-group", "t3", limits={"iops-total": 5, "iops-read": 2}),
        new("filter-dump", "fd"), new("filter-dump", "fd", netdev="nope", file="x"), new("tls-creds-x509", "t", endpoint="server"), new("tls-creds-x509", "t", dir="/no/such", endpoint="server"),
        new("authz-simple", "as"), new("authz-simple", "as", identity="x"), new("can-bus", "can"), new("pr-manager-helper", "pm", path="/no/such"), new("input-linux", "il", evdev="/no/such"),
        ("qom-list", {"path": "/objects"}), "query-memdev", ("object-del", {"id": "a"}), ("object-del", {"id": "a"}), ("object-del", {"id": "/objects/c"}), ("object-del", {"id": "pc.ram"}), "object-del",
        ("qom-list", {"path": "/objects/c"}), look("/objects/c", "poll-max-ns"), put("/objects/c", "poll-max-ns", 9), look("/objects/c", "poll-max-ns"), "query-iothreads",
        look("/objects/mf", "share"), look("/objects/rh", "host-nodes"), look("/objects/rh", "policy"), look("r", "size"), look("s", "data"), look("s", "type"), ("qom-list", {"path": "/objects/rng"}),
        add("virtio-rng-pci", "q", rng="rb"), ("object-del", {"id": "rb"}), ("qom-list", {"path": "/objects"}), "query-iothreads",
    ]),
    "qom": (["-machine", "pc", "-smp", "2", "-m", "256", *UNITS, "-device", "virtio-blk-pci,id=d,drive=nb", "-device", "virtio-net-pci,id=n,netdev=nd"], [
        *(("qom-list", {"path": path}) for path in ("/", "/machine", "", "/machine/peripheral/d", "/machine/peripheral/d/virtio-backend", "/machine/peripheral/x/x.0", "/machine/peripheral/s/virtio-backend/s.0",
          "/machine/peripheral/d/nope", "/machine/peripheral/d/addr", "/machine/unattached/device[99]", "/backend", "/chardevs/cn", "/machine/unattached/device[0]", "/machine/unattached/device[2]/lapic",
          "d", "peripheral", "device[0]", "/machine/i440fx", "/machine/unattached", "/objects/io", "/machine/fw_cfg", "nope/x")),
        *(look(*pair) for pair in (("nope", "type"), ("d", "nope"), ("d", "type"), ("/machine/peripheral/d/", "parent_bus"), ("peripheral/d", "parent_bus"), ("", "type"), ("/", "type"), ("/machine", "type"),
          ("x", "hotplugged"), ("d", "vectors"), ("/machine", "smp"), ("/machine", "memory"), ("/machine", "memory-backend"), ("/machine", "usb"), ("/machine", "acpi"), ("/machine", "rtc_state"),
          ("/machine/unattached/device[2]", "socket-id"), ("/machine/unattached/device[1]", "type"), ("/machine/unattached/device[3]", "type"), ("/machine/unattached", "device[0]"), ("d", "parent_bus"),
          ("/machine/unattached/device[0]", "unavailable-features"), ("/machine/unattached/device[0]", "family"), ("/machine/unattached/device[0]", "feature-words"), ("/machine/unattached/device[0]", "vendor"),
          ("/machine/unattached/device[0]", "crash-information"), ("/machine/peripheral/s", "virtio-backend"), ("io", "type"), ("io", "poll-max-ns"), ("rb", "opened"))),
        *(put(*triple) for triple in (("d", "nope", 1), ("d", "type", "x"), ("d", "bootindex", 5), ("d", "bootindex", "x"), ("d", "serial", "x"), ("d", "hotplugged", True), ("d", "parent_bus", "x"),
          ("/machine", "memory-encryption", "x"), ("/machine/unattached/device[0]", "realized", 5), ("d", "virtio-backend", "x"), ("/machine", "graphics", "x"), ("/machine", "dump-guest-core", False),
          ("/objects/io", "poll-max-ns", -1), ("/objects/rb", "opened", True), ("n", "mac", "52:54:00:00:00:01"), ("n", "vectors", 3), ("d", "failover_pair_id", "x"))),
        look("/machine", "dump-guest-core"), look("d", "bootindex"),
        *(("qom-list-types", {"implements": name}) for name in ("nope", "bus", "machine", "memory-backend", "accel")), ("qom-list-types", {"implements": "machine", "abstract": True}),
        *(("qom-list-properties", {"typename": name}) for name in ("nope", "iothread", "pc-i440fx-7.2-machine", "e1000", "memory-backend-ram")),
        *(("device-list-properties", {"typename": name}) for name in ("nope", "device", "container", "e1000", "isa-fdc")),
    ]),
    "query-pci": (["-machine", "q35", "-device", "virtio-net-pci,id=n", "-device", "e1000,id=e,addr=9", "-device", "pcie-root-port,id=rp", "-device", "qemu-xhci", "-device", "virtio-balloon-pci"], ["query-pci"]),
    "query-pci of a pc": (["-machine", "pc", "-smp", "3"], ["query-pci", add("virtio-blk-pci", "d"), add("virtio-rng-pci", "r"), "query-pci"]),
}  # fmt: skip


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_conversation_is_the_same(tmp_path, name):
    words, steps = CONVERSATIONS[name]
    heard: dict[str, Any] = {}
    for who, make in (("real", real_argv), ("fake", fake_argv)):
        directory = tmp_path / who
        directory.mkdir()
        argv = make(*BASE, *words, "-qmp", "unix:m,server=on,wait=off")
        with Program(argv, directory) as program, program.client(directory / "m") as client:
            client.negotiate()
            heard[who] = play(client, steps)
    assert differences(heard["real"][0], heard["fake"][0]) == []
    assert heard["fake"][1] == heard["real"][1]
