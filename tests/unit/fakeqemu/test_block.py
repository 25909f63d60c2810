# ruff: noqa: E501  (a command is a line)
"""Disks in a machine of its own: what follows from time, scripts and worlds without files."""

from __future__ import annotations

import pytest

from fakeqemu.block import graph_of
from fakeqemu.block.images import create, looked_at
from fakeqemu.host import Host
from fakeqemu.registry import CommandError
from tests.helpers.puppet import ARGV, MS, SECOND, Puppet

DISK = (
    *ARGV, "-blockdev", '{"driver":"file","node-name":"f","filename":"/vm/a.qcow2"}',
    "-blockdev", '{"driver":"qcow2","node-name":"q","file":"f"}', "-device", '{"driver":"virtio-blk-pci","drive":"q","id":"vd0"}',
    "-device", '{"driver":"virtio-scsi-pci","id":"scsi0"}', "-device", '{"driver":"scsi-cd","id":"cd0"}',
)  # fmt: skip
QDEV = "/machine/peripheral/vd0/virtio-backend"


class World(Host):
    """Files in memory."""

    __slots__ = ("files", "full")

    def __init__(self) -> None:
        self.files: dict[str, bytearray] = {}
        self.full = False

    def kind(self, path):
        return "file" if path in self.files else None

    def file_error(self, path):
        return None if path in self.files else "No such file or directory"

    def length(self, path):
        found = self.files.get(path)
        return len(found) if found is not None else None

    def allocated(self, path):
        return self.length(path)

    def read(self, path, offset, length):
        found = self.files.get(path)
        return bytes(found[offset : offset + length]) if found is not None else None

    def write(self, path, data, *, offset=0, truncate=False):
        if self.full:
            return "No space left on device"
        made = self.files.setdefault(path, bytearray())
        if truncate:
            del made[:]
        made += bytes(max(0, offset + len(data) - len(made)))
        made[offset : offset + len(data)] = data
        return None

    def resize(self, path, size):
        if self.full:
            return "No space left on device"
        made = self.files.setdefault(path, bytearray())
        del made[size:]
        made += bytes(size - len(made))
        return None


def disk(*rules, **more):
    puppet = Puppet(*rules, argv=DISK, **more).start()
    return puppet, puppet.open()


def stats(puppet, conn):
    return puppet.ask(conn, "query-blockstats")[0]["stats"]


def test_a_world_without_files_has_images_of_twenty_gibibytes():
    puppet, conn = disk()
    found = puppet.ask(conn, "query-block")
    assert [drive["qdev"] for drive in found] == [QDEV, "cd0"]
    assert found[0]["inserted"]["image"]["virtual-size"] == 20 << 30
    assert puppet.ask(conn, "blockdev-add", driver="file", filename="/vm/b.qcow2", node__name="g") == {}
    assert puppet.ask(conn, "blockdev-add", driver="qcow2", file="g", node__name="b", backing=None) == {}


def test_what_is_made_in_a_world_without_files_is_remembered():
    puppet, conn = disk()
    files = graph_of(puppet.machine).files
    create(
        files,
        "qcow2",
        {"filename": "/vm/n", "size": 1 << 30, "backing-file": "/vm/a.qcow2", "backing-fmt": "qcow2"},
    )
    puppet.ask(conn, "blockdev-add", driver="file", filename="/vm/n", node__name="g")
    puppet.ask(conn, "blockdev-add", driver="qcow2", file="g", node__name="n", backing=None)
    nodes = {node["node-name"]: node for node in puppet.ask(conn, "query-named-block-nodes", flat=True)}
    assert nodes["n"]["image"]["virtual-size"] == 1 << 30
    assert nodes["n"]["image"]["backing-filename"] == "/vm/a.qcow2"


def test_counters_stand_until_the_guest_runs_and_move_then():
    puppet, conn = disk()
    puppet.run(10 * SECOND)
    assert stats(puppet, conn)["rd_operations"] == 0
    puppet.ask(conn, "cont")
    puppet.run(4 * SECOND)
    first = stats(puppet, conn)
    assert (first["rd_bytes"], first["wr_bytes"]) == (4 * 262144 + 512, 4 * 65536)
    puppet.ask(conn, "stop")
    puppet.run(10 * SECOND)
    assert stats(puppet, conn)["wr_bytes"] == first["wr_bytes"]


def test_counters_do_not_depend_on_when_somebody_asks():
    asked, conn = disk()
    quiet, other = disk()
    for puppet, its in ((asked, conn), (quiet, other)):
        puppet.ask(its, "cont")
    for _ in range(50):
        asked.run(60 * MS)
        stats(asked, conn)
    quiet.run(3 * SECOND)
    assert stats(asked, conn) == stats(quiet, other)


def test_a_guest_that_has_not_booted_reads_one_sector():
    puppet, conn = disk({"at": "start", "guest": {"boot": "1h"}})
    puppet.ask(conn, "cont")
    puppet.run(60 * SECOND)
    found = stats(puppet, conn)
    assert (found["rd_operations"], found["rd_bytes"], found["wr_bytes"]) == (1, 512, 0)


def test_limits_hold():
    puppet, conn = disk()
    puppet.ask(conn, "cont")
    limits = {"bps": 0, "bps_rd": 0, "bps_wr": 8192, "iops": 0, "iops_rd": 0, "iops_wr": 0}
    puppet.ask(conn, "block_set_io_throttle", id=QDEV, **limits)
    puppet.run(10 * SECOND)
    assert stats(puppet, conn)["wr_bytes"] == 81920


def test_a_bitmap_fills_with_what_the_guest_writes():
    puppet, conn = disk()
    puppet.ask(conn, "block-dirty-bitmap-add", node="q", name="b")
    puppet.ask(conn, "cont")
    puppet.run(2 * SECOND)

    def count():
        return puppet.ask(conn, "query-block")[0]["inserted"]["dirty-bitmaps"][0]["count"]

    assert count() == 131072
    puppet.ask(conn, "block-dirty-bitmap-clear", node="q", name="b")
    assert count() == 0
    puppet.run(1 * SECOND)
    assert count() == 65536
    puppet.ask(conn, "block-dirty-bitmap-disable", node="q", name="b")
    puppet.run(9 * SECOND)
    assert count() == 65536


def test_an_overlay_is_empty_and_fills():
    puppet, conn = disk()
    puppet.ask(conn, "cont")
    puppet.run(1 * SECOND)
    puppet.ask(conn, "blockdev-add", driver="file", filename="/vm/o", node__name="of")
    puppet.ask(conn, "blockdev-add", driver="qcow2", file="of", node__name="o", backing=None)
    assert puppet.ask(conn, "blockdev-snapshot", node="q", overlay="o") == {}
    graph = graph_of(puppet.machine)
    assert graph.find("o").allocated() == 0
    base = graph.find("q").allocated()
    puppet.run(2 * SECOND)
    puppet.ask(conn, "query-status")
    assert (graph.find("o").allocated(), graph.find("q").allocated()) == (131072, base)
    assert [node.name for node in graph.find("o").chain()] == ["o", "q"]


def test_a_threshold_is_told_once_when_it_is_passed():
    puppet, conn = disk()
    puppet.ask(conn, "block-set-write-threshold", node__name="f", write__threshold=131072)
    puppet.run(60 * SECOND)
    puppet.ask(conn, "cont")
    puppet.take(conn)
    puppet.run(60 * SECOND)
    events = [message for message in puppet.messages(conn) if message["event"] == "BLOCK_WRITE_THRESHOLD"]
    assert [event["data"]["write-threshold"] for event in events] == [131072]
    assert puppet.ask(conn, "query-named-block-nodes")[1]["write_threshold"] == 0


def test_a_transaction_happens_whole_or_not_at_all():
    puppet, conn = disk()
    puppet.ask(conn, "block-dirty-bitmap-add", node="q", name="b")
    before = puppet.ask(conn, "query-named-block-nodes"), puppet.ask(conn, "x-debug-query-block-graph")
    puppet.ask(conn, "blockdev-add", driver="null-co", node__name="n", size=20 << 30)
    puppet.ask(conn, "blockdev-del", node__name="n")
    actions = [
        {"type": "block-dirty-bitmap-add", "data": {"node": "q", "name": "c"}},
        {"type": "block-dirty-bitmap-remove", "data": {"node": "q", "name": "b"}},
        {"type": "blockdev-snapshot-sync", "data": {"node-name": "q", "snapshot-file": "/vm/s", "snapshot-node-name": "s"}},
        {"type": "abort", "data": {}},
    ]  # fmt: skip
    assert (
        puppet.ask(conn, "transaction", actions=actions)["desc"] == "Transaction aborted using Abort action"
    )
    assert (
        puppet.ask(conn, "query-named-block-nodes"),
        puppet.ask(conn, "x-debug-query-block-graph"),
    ) == before
    assert puppet.ask(conn, "transaction", actions=actions[:3]) == {}
    assert puppet.ask(conn, "query-block")[0]["inserted"]["node-name"] == "s"


def test_files_of_a_world_are_judged_and_changed():
    world = World()
    create(world, "qcow2", {"filename": "/vm/a.qcow2", "size": 64 << 20})
    puppet, conn = disk(host=world)
    assert puppet.ask(conn, "block_resize", node__name="q", size=128 << 20) == {}
    assert looked_at(world, "/vm/a.qcow2").size == 128 << 20
    world.files["/vm/raw"] = bytearray(4096)
    refused = puppet.ask(
        conn, "blockdev-add", driver="qcow2", node__name="r", file={"driver": "file", "filename": "/vm/raw"}
    )
    assert refused["desc"] == "Image is not in qcow2 format"
    puppet.ask(conn, "blockdev-add", driver="file", node__name="r", filename="/vm/raw")
    assert puppet.ask(conn, "block_resize", node__name="r", size=8192) == {}
    assert len(world.files["/vm/raw"]) == 8192
    world.full = True
    assert puppet.ask(conn, "block_resize", node__name="r", size=16384)["desc"].startswith(
        "Failed to resize the file: No space"
    )


def test_a_start_without_its_image_is_refused():
    puppet = Puppet(argv=DISK, host=World()).start()
    assert puppet.stderr.endswith("Could not open '/vm/a.qcow2': No such file or directory\n")
    assert puppet.ended.code == 1


def test_trays_and_counters_move_with_the_guest():
    puppet, conn = disk()
    puppet.ask(conn, "blockdev-open-tray", id="cd0")
    puppet.ask(conn, "cont")
    puppet.run(3 * SECOND)
    puppet.ask(conn, "stop")
    saved = graph_of(puppet.machine).saved()
    other, its = disk()
    graph_of(other.machine).restored(other.machine, saved)
    assert other.ask(its, "query-block")[1]["tray_open"] is True
    assert stats(other, its)["wr_bytes"] == stats(puppet, conn)["wr_bytes"]
    graph_of(other.machine).restored(other.machine, None)
    graph_of(other.machine).restored(other.machine, {"cd0": 7, "nope": {}})


@pytest.mark.parametrize(
    "options",
    [
        {"size": 1000}, {"size": 512, "cluster-size": 1000}, {"size": 512, "version": "v2", "refcount-bits": 8}, {"size": 512, "backing-fmt": "raw"},
        {"size": 512, "extended-l2": True, "cluster-size": 4096}, {"size": 1 << 62}, {"size": 512, "backing-file": "x" * 70000, "backing-fmt": "raw"},
    ],
)  # fmt: skip
def test_images_that_cannot_be(options):
    world = World()
    with pytest.raises(CommandError):
        create(world, "qcow2", {"filename": "x", **options})
    assert not world.files


@pytest.mark.parametrize("cut", [0, 4, 30, 71, 72, 100, 200])
def test_a_damaged_image_is_no_image_or_is_read(cut):
    world = World()
    create(world, "qcow2", {"filename": "x", "size": 1 << 20})
    del world.files["x"][cut:]
    if cut < 72:
        with pytest.raises(CommandError):
            looked_at(world, "x")
    else:
        assert looked_at(world, "x").size == 1 << 20
