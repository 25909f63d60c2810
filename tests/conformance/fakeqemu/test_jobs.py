# ruff: noqa: E501  (a command is a line)
"""The same jobs by the fake and by a real QEMU 7.2, on the same images: the same replies and events in the same order.

What may differ is left out by `tidy`: times, made-up node names, how large image files are, and, of a job that its
limit keeps from its end, how far it is (the real one skips what a layer does not hold before it moves anything).
"""

from __future__ import annotations

import json
import re
import select
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.helpers.processes import Client, Program, fake_argv, real_argv

pytestmark = pytest.mark.real_qemu

SIZE = 64 << 20
ARGV = (
    "-S", "-machine", "pc", "-accel", "tcg", "-m", "64", "-nodefaults", "-display", "none",
    "-qmp", "unix:m,server=on,wait=off",
    "-blockdev", '{"driver":"file","filename":"base.qcow2","node-name":"bfile"}',
    "-blockdev", '{"driver":"qcow2","file":"bfile","node-name":"base"}',
    "-blockdev", '{"driver":"file","filename":"mid.qcow2","node-name":"mfile"}',
    "-blockdev", '{"driver":"qcow2","file":"mfile","node-name":"mid","backing":"base"}',
    "-blockdev", '{"driver":"file","filename":"top.qcow2","node-name":"tfile"}',
    "-blockdev", '{"driver":"qcow2","file":"tfile","node-name":"top","backing":"mid"}',
    "-device", '{"driver":"virtio-blk-pci","drive":"top","id":"vda"}',
    "-blockdev", '{"driver":"file","filename":"dst.qcow2","node-name":"dfile"}',
    "-blockdev", '{"driver":"qcow2","file":"dfile","node-name":"dst"}',
    "-blockdev", '{"driver":"qcow2","node-name":"small","file":{"driver":"file","filename":"small.qcow2"}}',
    "-blockdev", '{"driver":"raw","node-name":"raw","file":{"driver":"file","filename":"raw.img"}}',
    "-blockdev", '{"driver":"raw","node-name":"ro","read-only":true,"file":{"driver":"file","filename":"ro.img","read-only":true}}',
    "-drive", "if=none,id=cd",
)  # fmt: skip
IMAGES = (
    ("base.qcow2", (), "write -P 1 0 8M"),
    ("mid.qcow2", ("-b", "base.qcow2", "-F", "qcow2"), "write -P 2 8M 4M"),
    ("top.qcow2", ("-b", "mid.qcow2", "-F", "qcow2"), "write -P 3 12M 2M"),
    ("dst.qcow2", (), ""),
)

#: A step is a command, a state of a job to wait for ("j ready"), or seconds to wait.
Step = Any
NODES = ("query-named-block-nodes", {"flat": True})


def do(command: str, **arguments: Any) -> Step:
    return command, {name.replace("_", "-"): value for name, value in arguments.items()}


def commit(**more: Any) -> Step:
    return do("block-commit", **{"job_id": "j", "device": "top", **more})


def stream(**more: Any) -> Step:
    return do("block-stream", **{"job_id": "j", "device": "top", **more})


def mirror(**more: Any) -> Step:
    return do("blockdev-mirror", **{"job_id": "j", "device": "top", "target": "dst", "sync": "full", **more})


def backup(**more: Any) -> Step:
    return do("blockdev-backup", **{"job_id": "j", "device": "top", "target": "dst", "sync": "full", **more})


def create(**options: Any) -> Step:
    return do(
        "blockdev-create",
        job_id="c",
        options={name.replace("_", "-"): value for name, value in options.items()},
    )


def verb(name: str, job: str = "j") -> Step:
    return f"job-{name}", {"id": job}


def together(*data: dict[str, Any], mode: str = "grouped") -> Step:
    actions = [
        {"type": "blockdev-backup", "data": {name.replace("_", "-"): value for name, value in one.items()}}
        for one in data
    ]
    return do("transaction", actions=actions, properties={"completion-mode": mode})


VERBS = [verb(name) for name in ("pause", "resume", "complete", "finalize", "dismiss")]
OLD_VERBS = [
    *((f"block-job-{name}", {"device": "j"}) for name in ("pause", "resume", "complete")),
    *((f"block-job-{name}", {"id": "j"}) for name in ("finalize", "dismiss")),
]
ASK = ["query-jobs", "query-block-jobs"]
SLOW = 65536
#: Until when a job with a limit has begun to sleep, and one that was told something has done it, in seconds.
REST = 0.4
#: Whether the reply to these comes before or after what they lead to depends on what is being written just then.
RACES = ("-cancel", "-pause", "-create")
#: A job in one of these does nothing more by itself.
OVER = ("concluded", "null")
#: How often both are asked before they are said to differ: the real one's reply may come before or after what
#: a job does meanwhile, and on a busy machine either does so.
PLAYS = 4
PAIR = (
    {"job_id": "a", "device": "top", "target": "dst", "sync": "full"},
    {"job_id": "b", "device": "base", "target": "raw", "sync": "full"},
)
MANUAL = {"auto_finalize": False, "auto_dismiss": False}
BITMAP_ADD = {"type": "block-dirty-bitmap-add", "data": {"node": "base", "name": "b"}}
HMP = "human-monitor-command"

FLOWS: dict[str, list[Step]] = {
    "nobody-there": [*(verb(name) for name in ("pause", "resume", "cancel", "complete", "finalize", "dismiss")), *OLD_VERBS, do("block-job-set-speed", device="j", speed=1), do("block-job-cancel", device="j"), *ASK],
    "all-verbs-in-all-states": [
        stream(speed=SLOW, **MANUAL), *ASK, verb("complete"), verb("finalize"), verb("dismiss"), verb("resume"), verb("pause"), *VERBS[:1], *ASK, verb("complete"),
        do("block-job-cancel", device="j"), verb("resume"), do("block-job-set-speed", device="j", speed=-1), do("block-job-set-speed", device="j", speed=0),
        "j pending", *ASK, verb("pause"), verb("resume"), verb("complete"), verb("dismiss"), do("block-job-set-speed", device="j", speed=5), verb("finalize"), *ASK, verb("pause"), verb("cancel"), verb("finalize"),
        *OLD_VERBS[:4], verb("dismiss"), verb("dismiss"), *ASK,
    ],
    "cancel": [
        stream(speed=SLOW, auto_dismiss=False), verb("pause"), do("block-job-cancel", device="j", force=True), *ASK, verb("dismiss"), stream(speed=SLOW), verb("cancel"),
        stream(auto_finalize=False), "j pending", do("block-job-cancel", device="j"), *ASK, commit(speed=SLOW, top_node="mid"), verb("pause"), verb("cancel"), commit(speed=SLOW, top_node="mid"), verb("cancel"),
        backup(speed=SLOW), verb("pause"), verb("resume"), verb("complete"), verb("cancel"), backup(sync="none"), *ASK, verb("cancel"), mirror(speed=1000), *ASK, do("block-job-cancel", device="j"), "j null",
    ],
    "blockpull": [stream(auto_dismiss=False), "j concluded", *ASK, verb("dismiss"), NODES, "query-block", do("blockdev-del", node_name="mid"), do("blockdev-del", node_name="mfile"), do("blockdev-del", node_name="base")],
    "blockpull-to-a-base": [stream(base_node="base", backing_file="base.qcow2"), "j null", NODES, "query-block", stream(base_node="base"), NODES, stream(bottom="top")],
    "blockcommit-inactive": [commit(top_node="mid", base_node="base", backing_file="base.qcow2", auto_dismiss=False), "j concluded", *ASK, verb("dismiss"), NODES, "query-block", do("blockdev-del", node_name="mid"), do("blockdev-del", node_name="mfile")],
    "blockcommit-active": [commit(base_node="mid", auto_dismiss=False), "j ready", *ASK, do("transaction", actions=[BITMAP_ADD]), verb("complete"), "j concluded", *ASK, verb("dismiss"), NODES, "query-block", do("blockdev-del", node_name="top"), do("blockdev-del", node_name="tfile")],
    "blockcommit-active-abort": [commit(auto_dismiss=False), "j ready", do("block-job-cancel", device="j"), "j concluded", verb("dismiss"), NODES, commit(), "j ready", verb("cancel"), "j null", NODES],
    "blockcopy-pivot": [mirror(auto_dismiss=False), "j ready", NODES, "query-block", verb("complete"), "j concluded", *ASK, verb("dismiss"), NODES, "query-block", do("blockdev-del", node_name="top")],
    "blockcopy-ready-verbs": [
        mirror(sync="top", **MANUAL), "j ready", verb("pause"), *ASK, verb("complete"), verb("resume"), "j pending", do("transaction", actions=[]), verb("complete"), verb("finalize"), verb("dismiss"), "query-block",
    ],
    "blockcopy-abort": [
        mirror(), "j ready", do("block-job-cancel", device="j"), "j null", mirror(sync="none"), verb("cancel"), "j null", mirror(sync="top"), "j ready", verb("pause"), verb("cancel"), "j null",
        mirror(auto_finalize=False), "j ready", *OLD_VERBS[2:3], "j pending", do("block-job-cancel", device="j"), NODES,
    ],
    "blockcopy-to-another-size": [mirror(target="small", auto_dismiss=False), "j concluded", *ASK, NODES],
    "backup": [backup(auto_dismiss=False), "j concluded", *ASK, verb("dismiss"), backup(sync="top"), "j null", together(PAIR[0] | {"speed": SLOW}, mode="individual"), verb("pause", "a"), verb("cancel", "a"), NODES],
    "backup-shown": [backup(speed=1), NODES, "query-block", verb("cancel"), NODES],
    "backup-with-bitmaps": [
        do("block-dirty-bitmap-add", node="top", name="bm"), do("block-dirty-bitmap-add", node="top", name="bm2"), backup(sync="incremental", bitmap="bm"), backup(bitmap="bm", bitmap_mode="always", speed=1), NODES,
        do("block-dirty-bitmap-remove", node="top", name="bm"), do("block-dirty-bitmap-clear", node="top", name="bm"), do("blockdev-backup", job_id="c", device="top", target="small", sync="full", bitmap="bm", bitmap_mode="always"), verb("cancel"), NODES,
    ],
    "grouped-cancel": [together(*(one | {"speed": SLOW} for one in PAIR)), verb("pause", "b"), verb("cancel", "a"), *ASK],
    "grouped-finalize": [
        together(PAIR[0] | MANUAL, PAIR[1] | MANUAL | {"speed": 4096}), "a waiting", *ASK, verb("finalize", "a"), do("block-job-set-speed", device="b", speed=0), "a pending", *ASK, verb("finalize", "b"), verb("dismiss", "a"), verb("dismiss", "b"),
    ],
    "grouped-one-fails": [together(PAIR[0] | MANUAL, PAIR[1] | MANUAL | {"speed": 4096}), "a waiting", verb("cancel", "b"), *ASK, verb("dismiss", "a"), verb("dismiss", "b")],
    "grouped-one-refused": [together(PAIR[0], PAIR[1] | {"target": "small"}), *ASK, together(PAIR[0], mode="nope")],
    "external-snapshot": [
        create(driver="file", filename="o.qcow2", size=0), "c concluded", "query-jobs", do("block-job-dismiss", id="c"), verb("pause", "c"), verb("dismiss", "c"), do("blockdev-add", driver="file", filename="o.qcow2", node_name="of"),
        create(driver="qcow2", file="of", size=SIZE, backing_file="top.qcow2", backing_fmt="qcow2"), "c concluded", "query-jobs", verb("dismiss", "c"), do("blockdev-add", driver="qcow2", file="of", node_name="ov", backing=None),
        do("transaction", actions=[{"type": "blockdev-snapshot", "data": {"node": "top", "overlay": "ov"}}]), NODES, "query-block", commit(job_id="k", device="ov", base_node="top", auto_dismiss=False), "k ready", verb("complete", "k"), "k concluded",
        verb("dismiss", "k"), NODES, do("blockdev-del", node_name="ov"), do("blockdev-del", node_name="of"),
    ],
    "create-refused": [
        create(driver="file", filename="/nonexistent/x", size=1 << 20), *ASK, verb("dismiss", "c"), create(driver="qcow2", file="nope", size=1 << 20), "query-jobs", verb("dismiss", "c"), create(driver="qcow2", file="dst", size=1048577), "query-jobs", verb("dismiss", "c"),
        create(driver="qcow2", file="dfile", size=1 << 20), "query-jobs", verb("dismiss", "c"), do("blockdev-create", job_id="1", options={"driver": "file", "filename": "x", "size": 0}), create(driver="null-co"), create(driver="qcow2", file="dst"),
    ],
    "amend": [
        do("x-blockdev-amend", job_id="c", node_name="dst", options={"driver": "qcow2", "size": 1}), do("x-blockdev-amend", job_id="c", node_name="dst", options={"driver": "qcow2"}), "query-jobs",
        do("x-blockdev-amend", job_id="d", node_name="nope", options={"driver": "qcow2"}), do("x-blockdev-amend", job_id="d", node_name="dfile", options={"driver": "file"}), verb("dismiss", "c"),
    ],
    "drive-mirror": [do("drive-mirror", job_id="j", device="top", target="n.qcow2", sync="full"), "j ready", "query-block", verb("complete"), "j null", "query-block"],
    "drive-mirror-of-the-top": [do("drive-mirror", job_id="j", device="top", target="n.qcow2", sync="top", node_name="nn"), "j ready", verb("complete"), "j null", "query-block", NODES],
    "drive-mirror-to-what-is-there": [do("drive-mirror", job_id="j", device="top", target="ro.img", sync="full", mode="existing", format="qcow2"), do("drive-mirror", job_id="j", device="top", target="e.img", sync="full", mode="existing", format="raw"), "j ready", verb("cancel"), "j null", NODES],
    "drive-backup": [
        do("drive-backup", job_id="j", device="top", target="b1.qcow2", sync="full"), "j null", NODES, do("drive-backup", job_id="j", device="top", target="b2.qcow2", sync="top"),
        do("drive-backup", job_id="j", device="top", target="b3.qcow2", sync="none", format="qcow2"), NODES, verb("cancel"), NODES,
    ],
    "around-jobs": [
        stream(speed=1), "stop", do("blockdev-mirror", job_id="z", device="top", target="dst", sync="full"), do("blockdev-backup", job_id="z", device="top", target="dst", sync="full"), do("block-commit", job_id="z", device="top"), do("blockdev-snapshot", node="top", overlay="dst"),
        do("block_resize", node_name="top", size=SIZE * 2), *(do("blockdev-del", node_name=name) for name in ("top", "mid", "dst")), do("blockdev-snapshot-internal-sync", device="base", name="s"), verb("cancel"),
        commit(speed=1, top_node="mid", base_node="base"), mirror(job_id="z"), do("block-stream", job_id="z", device="top"), *(do("blockdev-del", node_name=name) for name in ("top", "mid", "base")), verb("cancel"),
    ],
    "around-a-mirror": [
        mirror(sync="none", filter_node_name="flt"), backup(job_id="z"), do("blockdev-snapshot", node="top", overlay="dst"), mirror(job_id="z"), do("block-stream", job_id="z", device="top"), do("block_resize", node_name="top", size=SIZE * 2),
        *(do("blockdev-del", node_name=name) for name in ("top", "mid", "dst", "dfile")), "query-block", NODES, verb("cancel"), "j null", NODES,
    ],
    "savevm": [
        *((HMP, {"command-line": line}) for line in ("savevm a", "loadvm a", "delvm a", "info snapshots")), do("blockdev-del", node_name="raw"),
        *((HMP, {"command-line": line}) for line in ("info snapshots", "loadvm a", "savevm a", "info snapshots", "savevm a", "savevm b", "info snapshots", "loadvm nope", "delvm nope", "loadvm a")), "query-status", "cont",
        *((HMP, {"command-line": line}) for line in ("savevm c", "loadvm c", "loadvm nope")), "query-status", *((HMP, {"command-line": line}) for line in ("delvm a", "delvm b", "delvm c", "info snapshots")),
    ],
    "snapshot-jobs": [
        do("snapshot-save", job_id="s", tag="a", vmstate="dst", devices=["dst"]), "s concluded", *ASK, verb("dismiss", "s"), do("snapshot-save", job_id="s", tag="a", vmstate="dst", devices=["dst"]), "s concluded", "query-jobs", verb("dismiss", "s"),
        *(step for data in (
            {"tag": "b", "vmstate": "nope", "devices": ["dst"]}, {"tag": "b", "vmstate": "dst", "devices": ["nope"]}, {"tag": "b", "vmstate": "dst", "devices": []}, {"tag": "b", "vmstate": "raw", "devices": ["raw"]}, {"tag": "b", "vmstate": "dst", "devices": ["dst", "raw"]},
        ) for step in (do("snapshot-save", job_id="s", **data), "s concluded", "query-jobs", verb("dismiss", "s"))),
        do("snapshot-load", job_id="s", tag="a", vmstate="dst", devices=["dst"]), "s concluded", "query-jobs", verb("dismiss", "s"), "query-status", do("snapshot-load", job_id="s", tag="x", vmstate="dst", devices=["dst"]), "s concluded", "query-jobs", verb("dismiss", "s"),
        do("snapshot-delete", job_id="s", tag="a", devices=["dst"]), "s concluded", "query-jobs", verb("dismiss", "s"), do("snapshot-delete", job_id="s", tag="a", devices=["nope"]), "s concluded", "query-jobs", verb("dismiss", "s"), do("snapshot-save", job_id="1", tag="a", vmstate="dst", devices=["dst"]),
    ],
}  # fmt: skip

#: Each of these is refused, or makes a job that is ended at once.
REFUSED: list[Step] = [
    *(commit(**more) for more in (
        {"device": "nope"}, {"device": "cd"}, {"job_id": "1"}, {"base_node": "nope"}, {"top_node": "nope"}, {"base_node": "dst"}, {"top_node": "dst"}, {"top_node": "base", "base_node": "mid"}, {"top_node": "mid", "base_node": "mid"}, {"device": "base"},
        {"base": "base.qcow2", "base_node": "base"}, {"top": "mid.qcow2", "top_node": "mid"}, {"base": "nope.qcow2"}, {"top": "nope.qcow2"}, {"backing_file": "x"}, {"speed": -1}, {"device": "dfile"}, {"filter_node_name": "base"}, {"filter_node_name": "1"},
        {"top_node": "mid", "base_node": "base", "speed": -1}, {"top_node": "mid", "filter_node_name": "base"}, {"device": "dst"},
    )),
    do("block-commit", device="top"), do("block-stream", device="top"), do("blockdev-mirror", device="top", target="dst", sync="full"), do("blockdev-backup", device="top", target="dst", sync="full"),
    *(stream(**more) for more in (
        {"device": "nope"}, {"device": "cd"}, {"job_id": "1"}, {"base": "x"}, {"base": "x", "base_node": "x"}, {"base_node": "x"}, {"base_node": "dst"}, {"base_node": "top"}, {"bottom": "x"}, {"bottom": "dst"}, {"bottom": "base", "base": "y"},
        {"bottom": "base", "base_node": "base"}, {"backing_file": "x"}, {"speed": -1}, {"filter_node_name": "base"}, {"base_node": "base", "backing_file": "foo", "speed": -3},
    )),
    *(mirror(**more) for more in (
        {"device": "nope"}, {"device": "cd"}, {"job_id": "1"}, {"target": "nope"}, {"target": "top"}, {"target": "base"}, {"sync": "incremental"}, {"sync": "bitmap"}, {"granularity": 7}, {"granularity": 256}, {"granularity": 1000000}, {"granularity": 67108865},
        {"buf_size": -1}, {"speed": -1}, {"replaces": "nope"}, {"replaces": "base"}, {"filter_node_name": "base"}, {"filter_node_name": "1"}, {"target": "dfile"}, {"device": "mid", "replaces": "top"}, {"target": "ro"},
    )),
    *(backup(**more) for more in (
        {"device": "nope"}, {"device": "cd"}, {"job_id": "1"}, {"target": "nope"}, {"target": "top"}, {"target": "mid"}, {"sync": "incremental"}, {"sync": "bitmap"}, {"sync": "bitmap", "bitmap": "x"}, {"sync": "incremental", "bitmap": "x", "bitmap_mode": "never"},
        {"bitmap_mode": "never"}, {"bitmap": "bm"}, {"bitmap": "bm", "bitmap_mode": "never"}, {"sync": "none", "bitmap": "bm", "bitmap_mode": "always"}, {"speed": -1}, {"target": "small"}, {"compress": True, "speed": -1}, {"target": "raw", "compress": True},
        {"filter_node_name": "base"}, {"target": "ro"}, {"x_perf": {"max-workers": 0}}, {"x_perf": {"max-workers": 9999999999}}, {"x_perf": {"max-chunk": -1}}, {"x_perf": {"max-chunk": 3}},
    )),
    *(do("drive-mirror", **{"job_id": "j", "device": "top", "target": "t.qcow2", "sync": "full", **more}) for more in (
        {"device": "nope"}, {"target": "/nonexistent/t"}, {"format": "nope"}, {"mode": "existing"}, {"replaces": "x"}, {"node_name": "base"},
    )),
    *(do("drive-backup", **{"job_id": "j", "device": "top", "target": "t2.qcow2", "sync": "full", **more}) for more in ({"device": "nope"}, {"target": "/nonexistent/t"}, {"format": "nope"}, {"mode": "existing"})),
]  # fmt: skip


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The images that every conversation begins with."""
    made = tmp_path_factory.mktemp("images")
    for name, more, write in IMAGES:
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", *more, name, *([] if more else [str(SIZE)])],
            cwd=made,
            check=True,
        )
        if write:
            subprocess.run(
                ["qemu-io", "-f", "qcow2", "-c", write, name], cwd=made, check=True, stdout=subprocess.DEVNULL
            )
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "small.qcow2", str(SIZE // 2)], cwd=made, check=True
    )
    for name in ("raw.img", "ro.img", "e.img"):
        with (made / name).open("wb") as file:
            file.truncate(SIZE)
    return made


def _plain(text: str) -> str:
    """A text without made-up names, sizes and dates of snapshots."""
    text = re.sub(r"#block\d+", "#block", text)
    return re.sub(r" +\d+ KiB [\d-]+ [\d:]+ [\d:.]+", " SNAPSHOT", text)


def tidy(message: Any) -> Any:
    """A message without what is not the same twice."""
    if isinstance(message, list):
        return [tidy(one) for one in message]
    if not isinstance(message, dict):
        return _plain(message) if isinstance(message, str) else message
    found = {
        name: tidy(value)
        for name, value in message.items()
        if name not in ("timestamp", "id", "actual-size", "vm-state-size", "date-sec", "date-nsec")
    }
    if "data" in found and isinstance(found["data"], dict) and "id" in message["data"]:
        found["data"]["id"] = message["data"]["id"]
    if found.get("virtual-size") not in (None, SIZE):
        found["virtual-size"] = 0
    for whole, part in (("len", "offset"), ("total-progress", "current-progress")):
        if part in found and found[part] != found[whole]:
            found[part] = "some"
    if found.get("speed") and "busy" in found:
        found["busy"] = False
    if isinstance(found.get("count"), int) and found["count"] not in (0, SIZE):
        found["count"] = "some"
    return found


class Talk:
    """A conversation, and the state of each job as far as it was told."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.states: dict[str, str] = {}
        self.heard: list[Any] = []

    def message(self, step: Step) -> Any:
        message = self.client.message()
        assert message is not None, f"the end, after {step}"
        if message.get("event") == "JOB_STATUS_CHANGE":
            self.states[message["data"]["id"]] = message["data"]["status"]
        self.heard.append((step, tidy(message)))
        return message

    def take(self, step: Step) -> None:
        if isinstance(step, str) and " " in step:
            job, status = step.split()
            while self.states.get(job) != status:
                self.message(step)
            return
        command, arguments = step if isinstance(step, tuple) else (step, {})
        races = command.endswith(RACES)
        if races and self.busy():
            select.select([], [], [], REST)
        start = len(self.heard)
        self.client.send(json.dumps({"execute": command, "arguments": arguments, "id": "x"}).encode())
        while "event" in (reply := self.message(step)):
            pass
        if races and "return" in reply:
            if command.endswith("-create"):
                while self.states.get(arguments["job-id"]) not in OVER:
                    self.message(step)
            while b"\r\n" in self.client.held or (
                self.busy() and select.select([self.client.sock], [], [], REST)[0]
            ):
                self.message(step)
        if races:
            self.heard[start:] = sorted(self.heard[start:], key=lambda entry: "event" in entry[1])

    def busy(self) -> bool:
        """Whether a job may have more to say."""
        return any(state not in OVER for state in self.states.values())


def conversation(directory: Any, images: Any, make: Any, steps: list[Step]) -> list[Any]:
    directory.mkdir()
    for image in images.iterdir():
        (directory / image.name).write_bytes(image.read_bytes())
    with Program(make(*ARGV), directory) as program, program.client(directory / "m") as client:
        client.negotiate()
        talk = Talk(client)
        for step in steps:
            talk.take(step)
    return [message for _, message in talk.heard]


def assert_same(directory: Any, images: Any, steps: list[Step]) -> None:
    """Play the steps to both at once: both spend most of the time waiting."""
    real, fake = [], []
    for play in range(PLAYS):
        with ThreadPoolExecutor(2) as both:
            plays = [
                both.submit(conversation, directory / f"{kind}{play or ''}", images, make, steps)
                for kind, make in (("real", real_argv), ("fake", fake_argv))
            ]
            real, fake = (play.result() for play in plays)
        if real == fake:
            return
    for theirs, ours in zip(real, fake, strict=False):
        assert ours == theirs
    assert len(fake) == len(real)


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_is_the_same(name, tmp_path, images):
    assert_same(tmp_path, images, FLOWS[name])


def test_what_is_refused_is_refused_in_the_same_words(tmp_path, images):
    steps = [do("block-dirty-bitmap-add", node="top", name="bm")]
    for step in REFUSED:
        steps += [step, do("block-job-set-speed", device="j", speed=0)]
    assert_same(tmp_path, images, steps)


#: A target that fails once; what comes of it under each policy.
@pytest.mark.parametrize("errno", [5, 28])
@pytest.mark.parametrize("policy", ["report", "ignore", "stop", "enospc", "auto"])
@pytest.mark.parametrize("make_job", [mirror, backup])
def test_an_error_is_treated_the_same(make_job, policy, errno, tmp_path, images):
    stops = policy == "stop" or (policy in ("enospc", "auto") and errno == 28)
    end = "j concluded" if make_job is backup else "j ready"
    fails = policy == "report" or (policy in ("enospc", "auto") and errno == 5)
    rule = {"event": "none", "iotype": "write", "errno": errno, "once": True}
    steps = [
        do("blockdev-add", driver="blkdebug", node_name="bad", image="raw", inject_error=[rule]),
        make_job(target="bad", on_target_error=policy, auto_dismiss=False),
        "j concluded" if fails else "j paused" if stops else end, *ASK, *([verb("resume"), end, *ASK] if stops else []),
    ]  # fmt: skip
    assert_same(tmp_path, images, steps)


def test_snapshots_are_in_the_image_for_others_to_find(tmp_path, images):
    def told(*words: str) -> str:
        return subprocess.run(
            ["qemu-img", *words], cwd=tmp_path / "fake", check=True, capture_output=True, text=True
        ).stdout

    steps = [
        do("blockdev-del", node_name="raw"),
        *((HMP, {"command-line": line}) for line in ("savevm a", "savevm b", "delvm a", "savevm c")),
    ]
    conversation(tmp_path / "fake", images, fake_argv, steps)
    for image in ("top.qcow2", "dst.qcow2"):
        assert "No errors were found" in told("check", image)
        listed = [line.split()[:2] for line in told("snapshot", "-l", image).splitlines()[2:]]
        assert listed == [["2", "b"], ["3", "c"]]
