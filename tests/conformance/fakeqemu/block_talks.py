# ruff: noqa: E501  (a command is a line)
"""Conversations about disks, to be held with a real QEMU and with the fake: data only.

Each is (name, more argv, commands); a command is (name, arguments). They run in a directory with the images
that `FILES` makes, each kind of process in a fresh one.
"""

from __future__ import annotations

from typing import Any

__all__ = ["FILES", "TALKS", "Command"]

Command = tuple[str, dict[str, Any]]

#: What makes the images, by qemu-img.
FILES = """
create -q -f qcow2 base.qcow2 64M
create -q -f qcow2 -b base.qcow2 -F qcow2 top.qcow2
create -q -f qcow2 x.qcow2 64M
create -q -f qcow2 y.qcow2 32M
create -q -f qcow2 z.qcow2 16M
create -q -f qcow2 -o cluster_size=4096,compat=0.10 old.qcow2 8M
create -q -f qcow2 -o lazy_refcounts=on,refcount_bits=1,extended_l2=on,cluster_size=128k odd.qcow2 8M
create -q -f raw r.img 10M
create -q -f raw s.img 10M
create -q -f raw cd.iso 2M
create -q -f qcow2 -b gone.qcow2 -u -F qcow2 broken.qcow2 1M
create -q -f vdi v.vdi 1M
create -q -f qcow2 snap.qcow2 8M
snapshot -c first snap.qcow2
snapshot -c second snap.qcow2
""".strip().splitlines()


def file(name: str, path: str, **more: Any) -> Command:
    return "blockdev-add", {"driver": "file", "node-name": name, "filename": path, **more}


def node(name: str, driver: str, **more: Any) -> Command:
    return "blockdev-add", {
        "driver": driver,
        "node-name": name,
        **{key.replace("_", "-"): value for key, value in more.items()},
    }


def at(path: str, **more: Any) -> dict[str, Any]:
    return {"driver": "file", "filename": path, **more}


def gone(name: str) -> Command:
    return "blockdev-del", {"node-name": name}


NODES: Command = ("query-named-block-nodes", {})
FLAT: Command = ("query-named-block-nodes", {"flat": True})
BLOCK: Command = ("query-block", {})
GRAPH: Command = ("x-debug-query-block-graph", {})
STATS: Command = ("query-blockstats", {})
NODE_STATS: Command = ("query-blockstats", {"query-nodes": True})

OPENING: list[Command] = [
    NODES, BLOCK, STATS, NODE_STATS, GRAPH,
    file("f0", "top.qcow2"), file("f0", "top.qcow2"), NODES,
    node("q0", "qcow2", file="f0"), NODES, FLAT, GRAPH,
    node("q1", "qcow2", file="f0"), node("q1", "raw", file="f0"), node("q2", "raw", file="nope"), node("q0", "raw", file="q0"),
    node("bad name", "raw", file="q0"), node("1bad", "raw", file="q0"), node("", "raw", file="q0"), node("x" * 31, "null-co"), node("x" * 32, "null-co"),
    node("_u", "null-co"), node("-u", "null-co"), node("a#b", "null-co"), node("a.b-c_d", "null-co"),
    ("blockdev-add", {"driver": "raw", "file": "q0"}), ("blockdev-add", {"driver": "null-co"}), ("blockdev-add", {"node-name": "x"}),
    ("blockdev-add", {"driver": "nope", "node-name": "x"}), ("blockdev-add", {"driver": "qcow2", "node-name": "x"}), ("blockdev-add", {"driver": "file", "node-name": "x"}),
    file("n1", "nope.img"), file("n1", "/nope/dir/x"), file("n1", "/"), file("n1", "/dev/null"), file("n1", ""),
    node("n2", "qcow2", file=at("r.img")), node("n2", "qcow2", file=at("nope.img")), node("n2", "qcow2", file=at("broken.qcow2")),
    node("n2", "qcow2", file=at("broken.qcow2"), backing=None), node("n2", "qcow2", file=at("broken.qcow2"), backing="nope"),
    node("n3", "qcow2", file=at("x.qcow2"), backing="q0"), node("n3", "raw", file=at("r.img")), FLAT, NODES,
    gone("q0"), gone("f0"), gone("nope"), gone("n3"), gone("q0"), gone("q1"), gone("q0"), gone("f0"), gone("f0"), NODES,
    node("r1", "raw", file=at("r.img"), size=4096), node("r2", "raw", file=at("r.img"), size=4095), node("r2", "raw", file=at("r.img"), offset=1),
    node("r2", "raw", file=at("r.img"), offset=512, read_only=True), node("r3", "raw", file=at("r.img"), read_only=True, offset=4096000000),
    node("r3", "raw", file=at("r.img"), read_only=True, offset=1048576, size=10485760), node("r4", "raw", file=at("s.img", **{"read-only": True})),
    node("null0", "null-co", size=65536), node("null1", "null-co"), node("null2", "null-aio", read_zeroes=True, latency_ns=5),
    node("rawnull", "raw", file="null0"), node("rawnull1", "raw", file="null1"), node("cor", "copy-on-read", file="null1"),
    node("thr", "throttle", file="null1", throttle_group="tg"), node("dbg", "blkdebug", image="null1"),
    node("quo", "quorum", children=["null1", "null2"], vote_threshold=1), node("blkv", "blkverify", test="null1", raw="null2"),
    node("n5", "raw", file="null0", detect_zeroes="unmap"), node("n5", "raw", file="null0", detect_zeroes="unmap", discard="unmap"), node("n5b", "raw", file="null0", detect_zeroes="on"),
    node("n6", "raw", file="null0", auto_read_only=True, read_only=True, force_share=True), node("n7", "raw", file="null0", force_share=True),
    node("n8", "raw", file="null0", cache={"direct": True, "no-flush": True}), node("n9", "raw", file=at("s.img", cache={"direct": False, "no-flush": True})),
    node("ht", "http", url="http://x/y"), node("ht", "ssh", path="x", server={"host": "x", "port": "1"}), node("ht", "rbd", pool="x", image="x"),
    node("ht", "iscsi", transport="tcp", portal="x", target="y"), node("ht", "nbd", server={"type": "unix", "path": "/nope"}),
    node("hd", "host_device", filename="/dev/null"), node("hd2", "host_device", filename="r.img"), node("hd3", "host_device", filename="/nope"),
    node("o1", "qcow2", file=at("old.qcow2")), node("o2", "qcow2", file=at("odd.qcow2")), node("o3", "qcow2", file=at("x.qcow2"), lazy_refcounts=True),
    node("o4", "qcow2", file=at("x.qcow2")), node("o5", "qcow2", file=at("y.qcow2"), backing=None, discard="unmap", detect_zeroes="unmap"),
    node("osnap", "qcow2", file=at("snap.qcow2")),
    node("o6", "vdi", file=at("r.img")), node("o6", "vmdk", file=at("s.img")), node("o6", "vpc", file=at("z.qcow2")), node("o6", "luks", file=at("z.qcow2")),
    node("o6", "qed", file=at("z.qcow2")), node("o6", "vhdx", file=at("z.qcow2")), node("o6", "parallels", file=at("z.qcow2")),
    node("o6", "qcow", file=at("z.qcow2")), node("o6", "bochs", file=at("z.qcow2")), node("o6", "dmg", file=at("z.qcow2")), node("o6", "cloop", file=at("z.qcow2")),
    FLAT, NODES, NODE_STATS, GRAPH, BLOCK,
    gone("null0"), gone("rawnull"), gone("cor"), gone("quo"), gone("blkv"), gone("null1"), gone("dbg"), gone("rawnull1"), gone("null1"), gone("null2"), gone("o1"), gone("o2"), FLAT,
]  # fmt: skip

PERMS: list[Command] = [
    node("a", "qcow2", file=at("x.qcow2")), node("b", "qcow2", file=at("x.qcow2")), node("b", "qcow2", file=at("x.qcow2"), read_only=True), node("b", "raw", file=at("x.qcow2")),
    node("b2", "raw", file="b"), file("fx", "x.qcow2"), node("c", "qcow2", file="fx"), node("c", "qcow2", file="fx", read_only=True), node("c", "qcow2", file="fx", read_only=True, force_share=True),
    node("d", "qcow2", file=at("y.qcow2"), read_only=True), node("d2", "qcow2", file=at("y.qcow2"), read_only=True), node("d3", "qcow2", file=at("y.qcow2")), node("d4", "qcow2", file=at("y.qcow2"), auto_read_only=True),
    file("fr", "r.img", **{"read-only": True}), node("rw", "raw", file="fr"), node("q", "qcow2", file="fr"), file("fz", "z.qcow2", **{"read-only": True}), node("qz", "qcow2", file="fz"),
    node("qz", "qcow2", file="fz", auto_read_only=True), node("qz2", "qcow2", file="fz", read_only=True), file("fa", "z.qcow2", **{"read-only": True, "auto-read-only": True}),
    ("object-add", {"qom-type": "iothread", "id": "io0"}),
    ("device_add", {"driver": "virtio-blk-pci", "bus": "rp0", "drive": "rw", "id": "vd0"}), ("device_add", {"driver": "virtio-blk-pci", "bus": "rp1", "drive": "a", "id": "vd1"}),
    ("device_add", {"driver": "virtio-blk-pci", "bus": "rp2", "drive": "a", "id": "vd2"}), ("device_add", {"driver": "virtio-blk-pci", "bus": "rp3", "drive": "nope", "id": "vd3"}), ("device_add", {"driver": "virtio-blk-pci", "bus": "rp6", "id": "vd4"}),
    ("device_add", {"driver": "virtio-blk-pci", "bus": "rp4", "drive": "d", "id": "vd5"}), BLOCK, gone("a"), gone("b"), GRAPH, STATS, NODE_STATS,
    ("device_add", {"driver": "scsi-hd", "drive": "d", "id": "sd0"}), ("device_add", {"driver": "scsi-cd", "drive": "d", "id": "scd0"}),
    ("device_add", {"driver": "scsi-cd", "id": "scd1"}), ("device_add", {"driver": "scsi-hd", "drive": "rw", "id": "sd1"}), ("device_add", {"driver": "scsi-hd", "id": "sd2"}),
    ("device_add", {"driver": "scsi-hd", "drive": "b2", "id": "sd3", "share-rw": True}), BLOCK, GRAPH,
]  # fmt: skip

#: Where a PCI device and SCSI disks can be plugged in.
PORTS = ["-device", "virtio-scsi-pci,id=scsi0"]
PORTS += [
    word
    for index in range(8)
    for word in ("-device", f"pcie-root-port,id=rp{index},chassis={index},port={index}")
]

CD_ARGV = ["-blockdev", "driver=file,node-name=f,filename=x.qcow2", "-blockdev", "driver=qcow2,node-name=q,file=f",
    "-blockdev", "driver=raw,node-name=iso,read-only=on,file.driver=file,file.filename=cd.iso",
    "-device", "virtio-blk-pci,drive=q,id=vd0", "-device", "virtio-scsi-pci,id=scsi0", "-device", "scsi-cd,drive=iso,id=cd0", "-device", "scsi-cd,id=cd1",
    "-device", "ide-cd,id=cd2,bus=ide.0", "-drive", "if=none,id=dr0,file=r.img,format=raw", "-device", "scsi-hd,drive=dr0,id=sd0"]  # fmt: skip

MEDIA: list[Command] = [
    BLOCK, STATS, NODE_STATS, GRAPH, FLAT, gone("iso"), gone("q"), gone("f"), gone("dr0"),
    ("blockdev-open-tray", {}), ("blockdev-open-tray", {"id": "nope"}), ("blockdev-open-tray", {"id": "vd0"}), ("blockdev-open-tray", {"id": "sd0"}), ("blockdev-open-tray", {"device": "dr0"}),
    ("blockdev-open-tray", {"device": "dr0", "id": "cd0"}), ("blockdev-remove-medium", {"id": "cd0"}), ("blockdev-open-tray", {"id": "cd0"}), ("blockdev-open-tray", {"id": "cd0"}), BLOCK,
    ("blockdev-remove-medium", {"id": "cd0"}), ("blockdev-remove-medium", {"id": "cd0"}), BLOCK, ("blockdev-insert-medium", {"id": "cd0", "node-name": "nope"}),
    ("blockdev-insert-medium", {"id": "cd0", "node-name": "q"}), ("blockdev-insert-medium", {"id": "cd0", "node-name": "iso"}), ("blockdev-insert-medium", {"id": "cd0", "node-name": "iso"}),
    ("blockdev-close-tray", {"id": "cd0"}), ("blockdev-close-tray", {"id": "cd0"}), ("blockdev-insert-medium", {"id": "cd0", "node-name": "iso"}), BLOCK,
    ("blockdev-remove-medium", {"id": "vd0"}), ("blockdev-insert-medium", {"id": "vd0", "node-name": "iso"}), ("blockdev-close-tray", {"id": "vd0"}),
    ("eject", {}), ("eject", {"id": "nope"}), ("eject", {"device": "nope"}), ("eject", {"id": "vd0"}), ("eject", {"device": "dr0"}), ("eject", {"id": "cd0"}), ("eject", {"id": "cd0"}), BLOCK,
    ("eject", {"id": "cd1"}), ("blockdev-change-medium", {"id": "cd1", "filename": "cd.iso"}), ("blockdev-change-medium", {"id": "cd1", "filename": "cd.iso", "format": "raw"}), BLOCK, FLAT,
    ("blockdev-change-medium", {"id": "cd1", "filename": "nope.iso"}), BLOCK, ("blockdev-change-medium", {"id": "cd0", "filename": "cd.iso", "format": "nope"}),
    ("blockdev-change-medium", {"id": "cd0", "filename": "y.qcow2", "format": "qcow2", "read-only-mode": "read-only"}), ("blockdev-change-medium", {"id": "vd0", "filename": "cd.iso"}),
    ("blockdev-change-medium", {"id": "cd0", "filename": "z.qcow2", "format": "qcow2", "read-only-mode": "read-write"}), BLOCK,
    ("change", {"device": "dr0", "target": "cd.iso"}), ("eject", {"id": "cd1", "force": True}), BLOCK, GRAPH,
    ("blockdev-open-tray", {"id": "cd2"}), ("blockdev-open-tray", {"id": "cd2", "force": True}), ("blockdev-insert-medium", {"id": "cd2", "node-name": "iso"}), ("blockdev-close-tray", {"id": "cd2"}), BLOCK,
    ("blockdev-open-tray", {"id": "/machine/peripheral/cd0"}), ("blockdev-close-tray", {"id": "/machine/peripheral/cd0"}),
    ("block_passwd", {}), ("blockdev-remove-medium", {}), ("blockdev-insert-medium", {"id": "cd0"}), STATS,
]  # fmt: skip

ZERO = {"bps": 0, "bps_rd": 0, "bps_wr": 0, "iops": 0, "iops_rd": 0, "iops_wr": 0}
THROTTLING: list[Command] = [
    ("block_set_io_throttle", ZERO), ("block_set_io_throttle", {**ZERO, "id": "nope"}), ("block_set_io_throttle", {**ZERO, "device": "nope"}), ("block_set_io_throttle", {**ZERO, "id": "vd0"}),
    ("block_set_io_throttle", {**ZERO, "id": "/machine/peripheral/vd0/virtio-backend"}), ("block_set_io_throttle", {**ZERO, "device": "dr0", "iops": 100}), BLOCK,
    ("block_set_io_throttle", {**ZERO, "id": "sd0", "iops": 100, "iops_rd": 5}), ("block_set_io_throttle", {**ZERO, "id": "sd0", "bps": -1}), ("block_set_io_throttle", {**ZERO, "id": "cd1", "bps": 1}),
    ("block_set_io_throttle", {**ZERO, "id": "sd0", "bps": 100, "bps_max": 50}), ("block_set_io_throttle", {**ZERO, "id": "sd0", "bps_max": 50}), ("block_set_io_throttle", {**ZERO, "id": "sd0", "bps": 100, "bps_max": 500, "bps_max_length": 3}), BLOCK,
    ("block_set_io_throttle", {**ZERO, "id": "sd0", "bps": 100, "bps_max_length": 3}), ("block_set_io_throttle", {**ZERO, "id": "sd0", "bps": 100, "bps_max": 500, "bps_max_length": 0}),
    ("block_set_io_throttle", {**ZERO, "id": "sd0", "iops": 100, "iops_size": 4096, "group": "g1"}), ("block_set_io_throttle", {**ZERO, "id": "/machine/peripheral/vd0/virtio-backend", "bps_rd": 7, "group": "g1"}), BLOCK,
    ("block_set_io_throttle", {**ZERO, "id": "sd0", "bps": 10**16}), ("block_set_io_throttle", {**ZERO, "id": "sd0", "bps": 10**15}), ("block_set_io_throttle", {**ZERO, "id": "sd0"}), BLOCK,
    ("block_set_io_throttle", {**ZERO, "id": "sd0", "bps_rd": 100, "bps_rd_max": 200, "bps_wr": 5, "iops_wr": 9, "iops_wr_max": 90, "iops_wr_max_length": 10}), BLOCK, FLAT,
    ("block_set_io_throttle", {**ZERO, "id": "cd0", "iops": 9}), ("blockdev-open-tray", {"id": "cd0"}), ("blockdev-remove-medium", {"id": "cd0"}), ("block_set_io_throttle", {**ZERO, "id": "cd0", "iops": 9}), BLOCK,
    ("object-add", {"qom-type": "throttle-group", "id": "tg0", "limits": {"iops-total": 50}}), ("object-add", {"qom-type": "throttle-group", "id": "tg0"}), node("t0", "throttle", file="iso", throttle_group="tg0"),
    node("t1", "throttle", file="iso", throttle_group="tg9"), node("t1", "throttle", file="iso"), FLAT, ("object-del", {"id": "tg0"}), gone("t0"), ("object-del", {"id": "tg0"}), ("object-del", {"id": "tg0"}),
    ("object-add", {"qom-type": "throttle-group", "id": "tg1", "limits": {"iops-total": 50, "iops-read": 4}}),
    ("block-latency-histogram-set", {"id": "vd0"}), ("block-latency-histogram-set", {"id": "sd0", "boundaries": [10, 100, 1000]}), STATS, ("block-latency-histogram-set", {"id": "sd0", "boundaries-write": [100, 10]}),
    ("block-latency-histogram-set", {"id": "sd0", "boundaries-read": [5]}), ("block-latency-histogram-set", {"id": "sd0", "boundaries-flush": [0, 5]}), ("block-latency-histogram-set", {"id": "sd0", "boundaries": []}),
    STATS, ("block-latency-histogram-set", {"id": "sd0"}), ("block-latency-histogram-set", {"id": "nope"}), STATS,
    ("block-set-write-threshold", {"node-name": "q", "write-threshold": 1000}), ("block-set-write-threshold", {"node-name": "nope", "write-threshold": 1000}), FLAT, BLOCK, ("block-set-write-threshold", {"node-name": "q", "write-threshold": 0}), FLAT,
    ("block-set-write-threshold", {"node-name": "q", "write-threshold": -1}),
]  # fmt: skip

RESIZING: list[Command] = [
    ("block_resize", {"size": 1}), ("block_resize", {"device": "nope", "size": 512}), ("block_resize", {"node-name": "nope", "size": 512}), ("block_resize", {"node-name": "q", "size": -1}),
    ("block_resize", {"device": "dr0", "node-name": "q", "size": 512}), ("block_resize", {"device": "dr0", "size": 20971520}), ("block_resize", {"device": "dr0", "size": 1000}), BLOCK,
    ("block_resize", {"node-name": "q", "size": 134217728}), ("block_resize", {"node-name": "q", "size": 134217729}), ("block_resize", {"node-name": "q", "size": 1048576}), ("block_resize", {"node-name": "iso", "size": 1048576}), FLAT,
    ("block_resize", {"node-name": "f", "size": 4096}), node("n0", "null-co"), ("block_resize", {"node-name": "n0", "size": 4096}), node("b", "qcow2", file=at("top.qcow2")), ("block_resize", {"node-name": "b", "size": 67109376}),
    ("block_resize", {"node-name": "b", "size": 1 << 62}), ("block_resize", {"node-name": "b", "size": 99999999999999999999}), ("block_resize", {"node-name": "b", "size": 1024}), ("block_resize", {"device": "cd1", "size": 1024}), FLAT, STATS,
    file("fs", "s.img"), ("block_resize", {"node-name": "fs", "size": 5242880}), ("block_resize", {"node-name": "fs", "size": 5242881}), FLAT,
]  # fmt: skip


def bitmap(verb: str, target: str, name: str, **more: Any) -> Command:
    return f"block-dirty-bitmap-{verb}", {"node": target, "name": name, **more}


BITMAPS: list[Command] = [
    bitmap("add", "nope", "b0"), bitmap("add", "q", ""), bitmap("add", "q", "b0"), bitmap("add", "q", "b0"), bitmap("add", "q", "b1", granularity=1000), bitmap("add", "q", "b1", granularity=256),
    bitmap("add", "q", "b1", granularity=4096, disabled=True), bitmap("add", "q", "b2", persistent=True), bitmap("add", "q", "x" * 1023), bitmap("add", "q", "x" * 1024, persistent=True), bitmap("add", "q", "x" * 1024), bitmap("add", "iso", "b0"), bitmap("add", "iso", "b1", persistent=True), bitmap("add", "dr0", "b0"),
    FLAT, BLOCK, bitmap("enable", "q", "b1"), bitmap("disable", "q", "b0"), bitmap("enable", "q", "nope"), bitmap("disable", "nope", "b1"), bitmap("clear", "q", "b0"), bitmap("clear", "q", "nope"),
    bitmap("remove", "q", "nope"), bitmap("remove", "q", "b2"), bitmap("remove", "q", "b2"), ("x-debug-block-dirty-bitmap-sha256", {"node": "q", "name": "b0"}), ("x-debug-block-dirty-bitmap-sha256", {"node": "q", "name": "b9"}),
    ("block-dirty-bitmap-merge", {"node": "q", "target": "b0", "bitmaps": ["b1"]}), ("block-dirty-bitmap-merge", {"node": "q", "target": "b0", "bitmaps": ["nope"]}),
    ("block-dirty-bitmap-merge", {"node": "q", "target": "nope", "bitmaps": ["b1"]}), ("block-dirty-bitmap-merge", {"node": "q", "target": "b0", "bitmaps": [{"node": "iso", "name": "b0"}]}),
    ("block-dirty-bitmap-merge", {"node": "q", "target": "b0", "bitmaps": [{"node": "q", "name": "b1"}, "b0"]}),
    BLOCK,
    ("transaction", {"actions": [{"type": "block-dirty-bitmap-add", "data": {"node": "q", "name": "t0"}}, {"type": "block-dirty-bitmap-merge", "data": {"node": "q", "target": "t0", "bitmaps": ["b0"]}}, {"type": "block-dirty-bitmap-remove", "data": {"node": "q", "name": "b0"}}]}), FLAT,
    ("transaction", {"actions": [{"type": "block-dirty-bitmap-disable", "data": {"node": "q", "name": "t0"}}, {"type": "blockdev-snapshot", "data": {"node": "nope", "overlay": "iso"}}]}), FLAT,
    ("transaction", {"actions": [{"type": "block-dirty-bitmap-disable", "data": {"node": "q", "name": "t0"}}, {"type": "abort", "data": {}}]}), FLAT, ("transaction", {"actions": []}), ("transaction", {"actions": [{"type": "nope", "data": {}}]}),
    ("transaction", {"actions": [{"type": "abort", "data": {}}]}), ("transaction", {"actions": [], "properties": {"completion-mode": "grouped"}}),
    ("transaction", {"actions": [{"type": "block-dirty-bitmap-disable", "data": {"node": "q", "name": "t0"}}], "properties": {"completion-mode": "grouped"}}), FLAT,
]  # fmt: skip

SNAPSHOTS: list[Command] = [
    node("s1", "qcow2", file=at("y.qcow2"), backing=None), node("s2", "qcow2", file=at("z.qcow2")), ("blockdev-snapshot", {"node": "q", "overlay": "nope"}), ("blockdev-snapshot", {"node": "nope", "overlay": "s1"}),
    ("blockdev-snapshot", {"node": "q", "overlay": "q"}), ("blockdev-snapshot", {"node": "q", "overlay": "iso"}), ("blockdev-snapshot", {"node": "q", "overlay": "s1"}), BLOCK, FLAT, GRAPH, ("blockdev-snapshot", {"node": "q", "overlay": "s1"}),
    ("blockdev-snapshot", {"node": "s1", "overlay": "s2"}), BLOCK, NODES, GRAPH, gone("q"), gone("s1"), gone("s2"),
    ("blockdev-snapshot-sync", {"device": "dr0", "snapshot-file": "new1.qcow2"}), BLOCK, FLAT, ("blockdev-snapshot-sync", {"device": "dr0", "snapshot-file": "new2.qcow2", "format": "qcow2", "snapshot-node-name": "snap2"}), BLOCK,
    ("blockdev-snapshot-sync", {"device": "dr0", "snapshot-file": "new3.qcow2", "format": "nope"}), ("blockdev-snapshot-sync", {"device": "dr0", "snapshot-file": "/nope/new3.qcow2"}),
    ("blockdev-snapshot-sync", {"node-name": "s2", "snapshot-file": "new4.qcow2"}), ("blockdev-snapshot-sync", {"node-name": "s2", "snapshot-file": "new4.qcow2", "snapshot-node-name": "snap4"}), ("blockdev-snapshot-sync", {"snapshot-file": "new4.qcow2"}),
    ("blockdev-snapshot-sync", {"device": "dr0", "snapshot-file": "new2.qcow2", "mode": "existing"}), ("blockdev-snapshot-sync", {"device": "dr0", "snapshot-file": "base.qcow2", "mode": "existing", "snapshot-node-name": "snap5"}), FLAT, BLOCK, NODES,
    ("change-backing-file", {"device": "dr0", "image-node-name": "snap2", "backing-file": "other.img"}), ("change-backing-file", {"device": "dr0", "image-node-name": "nope", "backing-file": "other.img"}), ("change-backing-file", {"device": "nope", "image-node-name": "snap2", "backing-file": "other.img"}),
    FLAT, ("blockdev-snapshot-delete-internal-sync", {"device": "dr0"}), ("blockdev-snapshot-internal-sync", {"device": "dr0", "name": "in1"}), ("blockdev-snapshot-internal-sync", {"device": "dr0", "name": ""}), ("blockdev-snapshot-internal-sync", {"device": "nope", "name": "in1"}),
    ("blockdev-snapshot-internal-sync", {"device": "dr0", "name": "in1"}), ("blockdev-snapshot-delete-internal-sync", {"device": "dr0", "name": "nope"}), ("blockdev-snapshot-delete-internal-sync", {"device": "dr0", "name": "in1"}),
    ("transaction", {"actions": [{"type": "blockdev-snapshot-sync", "data": {"device": "dr0", "snapshot-file": "tx1.qcow2"}}, {"type": "abort", "data": {}}]}), BLOCK,
    node("s6", "qcow2", file=at("old.qcow2")), node("s7", "qcow2", file=at("odd.qcow2"), backing=None),
    ("transaction", {"actions": [{"type": "blockdev-snapshot", "data": {"node": "iso", "overlay": "s6"}}, {"type": "blockdev-snapshot", "data": {"node": "s2", "overlay": "s7"}}, {"type": "blockdev-snapshot", "data": {"node": "s2", "overlay": "gone"}}]}), BLOCK, FLAT, GRAPH,
    ("transaction", {"actions": [{"type": "blockdev-snapshot", "data": {"node": "iso", "overlay": "s6"}}]}), BLOCK, FLAT,
]  # fmt: skip


def reopen(*options: dict[str, Any]) -> Command:
    return "blockdev-reopen", {"options": list(options)}


REOPENING: list[Command] = [
    file("fb", "base.qcow2"), node("base", "qcow2", file="fb"), file("ft", "top.qcow2"), node("t", "qcow2", file="ft", backing="base"), FLAT, GRAPH,
    reopen({"driver": "qcow2", "node-name": "base", "file": "fb", "read-only": True}), FLAT, reopen({"driver": "qcow2", "node-name": "t", "file": "ft", "backing": None}), FLAT, GRAPH,
    reopen({"driver": "qcow2", "node-name": "t", "file": "ft", "backing": "base"}), reopen({"driver": "qcow2", "node-name": "t", "file": "ft", "backing": "t"}), reopen({"driver": "qcow2", "node-name": "t", "file": "ft"}),
    reopen({"driver": "raw", "node-name": "t", "file": "ft"}), reopen({"driver": "qcow2", "node-name": "nope", "file": "ft"}), reopen({"driver": "qcow2", "file": "ft"}), reopen({"driver": "qcow2", "node-name": "t", "file": "fb", "backing": "base"}),
    reopen({"driver": "qcow2", "node-name": "t", "file": "nope", "backing": "base"}), reopen({"driver": "qcow2", "node-name": "t", "backing": "base"}), reopen({"driver": "file", "node-name": "ft", "filename": "other"}), reopen({"driver": "file", "node-name": "ft", "filename": "top.qcow2", "read-only": True}),
    reopen({"driver": "qcow2", "node-name": "t", "file": "ft", "backing": "base", "discard": "unmap", "detect-zeroes": "unmap"}), FLAT, reopen({"driver": "qcow2", "node-name": "t", "file": "ft", "backing": "base", "detect-zeroes": "unmap"}),
    reopen({"driver": "qcow2", "node-name": "t", "file": "ft", "backing": "base", "cache": {"no-flush": True}}), FLAT, reopen({"driver": "qcow2", "node-name": "q", "file": "f", "read-only": True}), reopen({"driver": "raw", "node-name": "iso", "file": "nope"}), BLOCK,
    reopen({"driver": "qcow2", "node-name": "q", "file": "f"}, {"driver": "qcow2", "node-name": "t", "file": "nope"}), FLAT,
]  # fmt: skip

EXPORTS: list[Command] = [
    ("query-block-exports", {}), ("nbd-server-stop", {}), ("nbd-server-add", {"device": "q"}), ("block-export-add", {"type": "nbd", "id": "e0", "node-name": "q"}),
    ("nbd-server-start", {"addr": {"type": "unix", "data": {"path": "nbd.sock"}}, "max-connections": 5}), ("nbd-server-start", {"addr": {"type": "unix", "data": {"path": "nbd2.sock"}}}),
    ("nbd-server-add", {"device": "nope"}), ("nbd-server-add", {"device": "q"}), ("nbd-server-add", {"device": "q"}), ("nbd-server-add", {"device": "q", "name": "qw", "writable": True}), ("nbd-server-add", {"device": "iso", "writable": True}), ("query-block-exports", {}),
    ("nbd-server-add", {"device": "dr0", "name": "x" * 4097}), ("nbd-server-add", {"device": "dr0", "name": "r", "description": "d" * 5000}), ("nbd-server-add", {"device": "dr0", "name": "r", "bitmap": "nope"}),
    ("block-export-add", {"type": "nbd", "id": "e1", "node-name": "q"}), ("block-export-add", {"type": "nbd", "id": "e1", "node-name": "iso", "name": "foo"}), ("block-export-add", {"type": "nbd", "id": "e1", "node-name": "iso", "name": "foo2"}),
    ("block-export-add", {"type": "nbd", "id": "1e", "node-name": "iso"}), ("block-export-add", {"type": "nope", "id": "e3", "node-name": "iso"}), ("block-export-add", {"type": "nbd", "id": "e3", "node-name": "nope"}), ("query-block-exports", {}), gone("iso"),
    ("block-export-del", {"id": "nope"}), ("block-export-del", {"id": "e1"}), ("query-block-exports", {}), ("nbd-server-remove", {"name": "nope"}), ("nbd-server-remove", {"name": "q"}), ("query-block-exports", {}), BLOCK, GRAPH,
    bitmap("add", "q", "eb"), ("nbd-server-add", {"device": "q", "bitmap": "eb"}), bitmap("remove", "q", "eb"), ("nbd-server-stop", {}), ("query-block-exports", {}), ("nbd-server-stop", {}), bitmap("remove", "q", "eb"),
    ("nbd-server-start", {"addr": {"type": "inet", "data": {"host": "127.0.0.1", "port": "notaport"}}}), ("nbd-server-start", {"addr": {"type": "unix", "data": {"path": "/nope/x"}}}), ("nbd-server-start", {"addr": {"type": "unix", "data": {"path": "n.sock"}}, "tls-creds": "nope"}),
]  # fmt: skip

DRIVES_ARGV = ["-drive", "file=r.img,format=raw,if=virtio,id=d0,cache=none", "-drive", "file=x.qcow2,if=ide", "-cdrom", "cd.iso", "-drive", "if=none,id=e0", "-drive", "file=y.qcow2,format=qcow2,if=none,id=d1,read-only=on,bps=1000,iops_rd=5",
    "-drive", "file=base.qcow2,if=none,id=d2,node-name=named,snapshot=off,discard=unmap,detect-zeroes=unmap,throttling.group=gg,throttling.iops-total=7", "-device", "virtio-blk-pci,drive=d2,id=vd9"]  # fmt: skip
DRIVES: list[Command] = [
    BLOCK, FLAT, STATS, GRAPH, gone("d0"), gone("named"), ("eject", {"device": "e0"}), ("eject", {"device": "ide2-cd0"}), BLOCK, ("eject", {"device": "d0"}), ("block_resize", {"device": "d0", "size": 20971520}),
    ("device_add", {"driver": "virtio-blk-pci", "drive": "d1", "id": "vv"}), ("device_add", {"driver": "virtio-blk-pci", "drive": "d0", "id": "vw"}), ("device_add", {"driver": "virtio-blk-pci", "drive": "e0", "id": "vx"}),
    ("blockdev-open-tray", {"device": "ide1-cd0"}), ("blockdev-change-medium", {"device": "ide1-cd0", "filename": "s.img"}), BLOCK, ("block_set_io_throttle", {**ZERO, "device": "d0", "iops": 5}), BLOCK,
]  # fmt: skip

ODDS: list[Command] = [
    node("n1", "null-co", size=1048576), node("n2", "null-co", size=1048576), node("quo", "quorum", children=["n1", "n2"], vote_threshold=2), node("quo2", "quorum", children=[], vote_threshold=1), node("quo3", "quorum", children=["n1"], vote_threshold=3), node("quo4", "quorum", children=["n1"], vote_threshold=0),
    ("x-blockdev-change", {"parent": "quo", "child": "children.1"}), ("x-blockdev-change", {"parent": "quo"}), ("x-blockdev-change", {"parent": "quo", "child": "children.1", "node": "n1"}), ("x-blockdev-change", {"parent": "nope", "node": "n1"}),
    ("x-blockdev-change", {"parent": "quo", "node": "nope"}), ("x-blockdev-change", {"parent": "quo", "child": "children.9"}), ("x-blockdev-change", {"parent": "q", "node": "n1"}), ("x-blockdev-change", {"parent": "q", "child": "file"}),
    ("object-add", {"qom-type": "iothread", "id": "io0"}), ("x-blockdev-set-iothread", {"node-name": "q", "iothread": "io0"}), ("x-blockdev-set-iothread", {"node-name": "n1", "iothread": "nope"}), ("x-blockdev-set-iothread", {"node-name": "nope", "iothread": None}),
    node("deep", "raw", file={"driver": "raw", "file": {"driver": "raw", "node-name": "mid", "file": at("r.img", **{"node-name": "leaf", "locking": "off"})}}), FLAT, GRAPH, gone("leaf"), gone("mid"), gone("deep"), FLAT,
    node("bk", "qcow2", file=at("top.qcow2"), backing={"driver": "raw", "file": at("s.img")}), NODES, FLAT, gone("bk"), node("bk2", "qcow2", file=at("top.qcow2"), backing=None), NODES, gone("bk2"), node("bk3", "qcow2", file=at("top.qcow2"), backing="nope"), node("bk4", "qcow2", file=at("top.qcow2"), backing="n1"), NODES, gone("bk4"),
    node("ro", "qcow2", file=at("top.qcow2"), read_only=True), FLAT, GRAPH, node("over", "qcow2", file=at("y.qcow2"), backing="ro"), NODES, ("blockdev-snapshot", {"node": "ro", "overlay": "over"}), gone("ro"), gone("over"), gone("ro"),
    node("cache", "qcow2", file=at("z.qcow2"), cache={"direct": True}), FLAT, gone("cache"), node("det", "raw", file=at("s.img"), detect_zeroes="on", discard="unmap"), FLAT, gone("det"),
    node("cor", "copy-on-read", file={"driver": "qcow2", "file": at("top.qcow2")}), NODES, GRAPH, NODE_STATS, gone("cor"), node("pre", "preallocate", file=at("s.img")), FLAT, gone("pre"), node("cmp", "compress", file={"driver": "qcow2", "file": at("z.qcow2")}), NODES, gone("cmp"), node("cmp2", "compress", file="n1"),
    node("dbg", "blkdebug", image={"driver": "qcow2", "file": at("z.qcow2")}), FLAT, gone("dbg"), node("cbw", "copy-before-write", file="n1", target="n2"), FLAT, GRAPH, gone("cbw"),
    ("transaction", {"actions": [{"type": "blockdev-snapshot-sync", "data": {"node-name": "q", "snapshot-file": "sn.qcow2", "snapshot-node-name": "sn"}}, {"type": "block-dirty-bitmap-add", "data": {"node": "sn", "name": "fresh", "granularity": 65536}}]}), NODES, BLOCK,
    ("block_resize", {"node-name": "sn", "size": 134217728}), BLOCK, ("blockdev-snapshot-sync", {"node-name": "sn", "snapshot-file": "sn2.raw", "snapshot-node-name": "sn2", "format": "raw"}), ("blockdev-snapshot-sync", {"node-name": "sn", "snapshot-file": "x", "snapshot-node-name": "q"}), ("blockdev-snapshot-sync", {"device": "nope", "snapshot-file": "x"}),
    ("blockdev-snapshot-sync", {"device": "dr0", "snapshot-file": "dr.qcow2", "mode": "existing"}), ("blockdev-snapshot-internal-sync", {"device": "iso", "name": "a"}), ("blockdev-snapshot-internal-sync", {"device": "dr0", "name": "a"}), ("blockdev-snapshot-delete-internal-sync", {"device": "dr0", "name": "a"}), ("blockdev-snapshot-delete-internal-sync", {"device": "dr0", "id": "1"}),
    ("change-backing-file", {"device": "sn", "image-node-name": "q", "backing-file": "x"}), ("change-backing-file", {"device": "sn", "image-node-name": "iso", "backing-file": "x"}), ("change-backing-file", {"device": "sn", "image-node-name": "sn", "backing-file": "renamed"}), NODES,
    ("query-block-exports", {}),
]  # fmt: skip

#: name -> (more argv, commands).
TALKS: dict[str, tuple[list[str], list[Command]]] = {
    "opening": ([], OPENING),
    "permissions": (PORTS, PERMS),
    "media": (CD_ARGV, MEDIA),
    "throttling": (CD_ARGV, THROTTLING),
    "resizing": (CD_ARGV, RESIZING),
    "bitmaps": (CD_ARGV, BITMAPS),
    "snapshots": (CD_ARGV, SNAPSHOTS),
    "reopening": (CD_ARGV, REOPENING),
    "exports": (CD_ARGV, EXPORTS),
    "drives": (DRIVES_ARGV, DRIVES),
    "odds": (CD_ARGV, ODDS),
}
