"""What block jobs leave in image files, judged by QEMU's own tools.

Patterns are written by `qemu-io`, the job runs on the fake as a process, and `qemu-img compare` and `check`
look at the result. Sizes are no multiples of a cluster.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.processes import Client, Program, fake_argv

pytestmark = pytest.mark.real_qemu

KIB, MIB = 1 << 10, 1 << 20
SIZE = 9 * MIB + 3 * 512
FORMS = (
    "cluster_size=512", "cluster_size=4k", "cluster_size=64k", "cluster_size=2M", "compat=0.10",
    "cluster_size=64k,extended_l2=on", "cluster_size=512,refcount_bits=1", "cluster_size=4k,refcount_bits=64",
    "cluster_size=64k,preallocation=metadata",
)  # fmt: skip
#: Patterns of the three layers: (pattern, offset, length); 0 are zeroes by `write -z`.
LAYERS = (
    ((1, 0, 3 * MIB), (1, 4 * MIB + 512, 70 * KIB), (1, SIZE - 1024, 1024)),
    ((2, 1 * MIB, MIB + 512), (0, 2 * MIB + 64 * KIB, 192 * KIB), (2, 6 * MIB, 512)),
    ((3, 1 * MIB + 512, 512), (0, 1 * MIB + 64 * KIB, 300 * KIB), (3, 8 * MIB - 512, 1024)),
)


def tool(*words: str, cwd: Path, status: int = 0) -> str:
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == status, (words, done.stdout, done.stderr)
    return done.stdout + done.stderr


def image(cwd: Path, name: str, form: str, *, backing: str | None = None, size: int = SIZE) -> None:
    kind, _, options = form.partition(":")
    words = ["qemu-img", "create", "-q", "-f", kind]
    if backing is not None:
        words += ["-b", backing, "-F", "raw" if backing.endswith(".raw") else "qcow2"]
        options = options.replace(",preallocation=metadata", "")
    tool(*words, *(["-o", options] if options else []), name, str(size), cwd=cwd)


def fill(cwd: Path, name: str, layer: int) -> None:
    kind = "raw" if name.endswith(".raw") else "qcow2"
    words = ["qemu-io", "-f", kind]
    for pattern, offset, length in LAYERS[layer]:
        words += ["-c", f"write -P {pattern} {offset} {length}" if pattern else f"write -z {offset} {length}"]
    tool(*words, name, cwd=cwd)


def expected() -> bytearray:
    data = bytearray(SIZE)
    for layer in LAYERS:
        for pattern, offset, length in layer:
            data[offset : offset + length] = bytes([pattern]) * length
    return data


def chain(cwd: Path, form: str) -> None:
    for number, name in enumerate(("base", "mid", "top")):
        image(cwd, f"{name}.qcow2", form, backing=(None, "base.qcow2", "mid.qcow2")[number])
        fill(cwd, f"{name}.qcow2", number)
    tool("qemu-img", "convert", "-O", "raw", "top.qcow2", "before.raw", cwd=cwd)
    assert (cwd / "before.raw").read_bytes() == expected()


def drive(name: str, *, node: str = "disk") -> list[str]:
    kind = "raw" if name.endswith(".raw") else "qcow2"
    options = {"driver": kind, "node-name": node, "file": {"driver": "file", "filename": name}}
    return ["-blockdev", json.dumps(options)]


def run(
    cwd: Path, argv: list[str], *steps: tuple[str, dict[str, Any]], wait: str = "j"
) -> list[dict[str, Any]]:
    """Play commands to the fake, wait for the last job's end; all events about it."""
    words = (
        "-machine",
        "none",
        "-nodefaults",
        "-display",
        "none",
        "-qmp",
        "unix:m,server=on,wait=off",
        *argv,
    )
    with Program(fake_argv(*words), cwd) as program, program.client(cwd / "m") as client:
        client.line()
        client.send(b'{"execute":"qmp_capabilities"}')
        client.line()
        events: list[dict[str, Any]] = []
        for command, arguments in steps:
            if command == "until":
                until(client, events, arguments)
                continue
            client.send(json.dumps({"execute": command, "arguments": arguments}).encode())
            reply = said(client, events)
            assert "return" in reply, (command, reply)
        until(client, events, {"event": "JOB_STATUS_CHANGE", "status": "null", "id": wait})
        client.send(b'{"execute":"quit"}')
        program.process.wait(20)
    return events


def said(client: Client, events: list[dict[str, Any]]) -> dict[str, Any]:
    while True:
        message: dict[str, Any] = json.loads(client.line())
        if "event" not in message:
            return message
        events.append(message)


def until(client: Client, events: list[dict[str, Any]], wanted: dict[str, Any]) -> None:
    def there(event: dict[str, Any]) -> bool:
        data = {"event": event["event"], **event.get("data", {})}
        return all(data.get(name) == value for name, value in wanted.items())

    while not any(there(event) for event in events):
        message = json.loads(client.line())
        assert "error" not in message, message
        if "event" in message:
            events.append(message)


def sound(cwd: Path, *names: str) -> None:
    for name in names:
        assert "No errors were found" in tool("qemu-img", "check", name, cwd=cwd), name


def same(cwd: Path, name: str, other: str = "before.raw") -> None:
    assert "Images are identical" in tool("qemu-img", "compare", name, other, cwd=cwd)


def backing(cwd: Path, name: str) -> str | None:
    found: str | None = json.loads(tool("qemu-img", "info", "-U", "--output=json", name, cwd=cwd)).get(
        "backing-filename"
    )
    return found


def failed(events: list[dict[str, Any]]) -> str:
    last = [event["data"] for event in events if event["event"] == "BLOCK_JOB_COMPLETED"][-1]
    return str(last.get("error", ""))


@pytest.mark.parametrize("form", FORMS)
def test_a_commit_of_layers_in_between(tmp_path, form):
    chain(tmp_path, f"qcow2:{form}")
    command = {"job-id": "j", "device": "disk", "top": "mid.qcow2", "base": "base.qcow2"}
    assert not failed(run(tmp_path, drive("top.qcow2"), ("block-commit", command)))
    sound(tmp_path, "base.qcow2", "top.qcow2")
    assert backing(tmp_path, "top.qcow2") == "base.qcow2"
    same(tmp_path, "top.qcow2")


@pytest.mark.parametrize("pivot", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_a_commit_of_the_active_image(tmp_path, form, pivot):
    chain(tmp_path, f"qcow2:{form}")
    command = {"job-id": "j", "device": "disk"}
    end = ("job-complete", {"id": "j"}) if pivot else ("block-job-cancel", {"device": "j"})
    ready = ("until", {"event": "BLOCK_JOB_READY"})
    assert not failed(run(tmp_path, drive("top.qcow2"), ("block-commit", command), ready, end)) or not pivot
    sound(tmp_path, "base.qcow2", "top.qcow2")
    same(tmp_path, "base.qcow2")


@pytest.mark.parametrize("form", FORMS)
def test_a_stream_of_everything(tmp_path, form):
    chain(tmp_path, f"qcow2:{form}")
    run(tmp_path, drive("top.qcow2"), ("block-stream", {"job-id": "j", "device": "disk"}))
    sound(tmp_path, "top.qcow2")
    assert backing(tmp_path, "top.qcow2") is None
    (tmp_path / "mid.qcow2").unlink()
    same(tmp_path, "top.qcow2")


def test_a_stream_down_to_a_base(tmp_path):
    chain(tmp_path, "qcow2:cluster_size=64k")
    command = {"job-id": "j", "device": "disk", "base": "base.qcow2"}
    run(tmp_path, drive("top.qcow2"), ("block-stream", command))
    sound(tmp_path, "top.qcow2")
    assert backing(tmp_path, "top.qcow2") == "base.qcow2"
    (tmp_path / "mid.qcow2").unlink()
    same(tmp_path, "top.qcow2")


@pytest.mark.parametrize("target", ["raw:", *(f"qcow2:{form}" for form in FORMS)])
@pytest.mark.parametrize("kind", ["blockdev-mirror", "blockdev-backup"])
def test_a_copy_of_the_whole_disk(tmp_path, kind, target):
    chain(tmp_path, "qcow2:cluster_size=4k")
    name = "new.raw" if target == "raw:" else "new.qcow2"
    image(tmp_path, name, target)
    form = "raw" if name == "new.raw" else "qcow2"
    dirty = f"write -P 9 {3 * MIB + 512} {2 * MIB}"  # what the target had is overwritten
    tool("qemu-io", "-f", form, "-c", dirty, name, cwd=tmp_path)
    command = {"job-id": "j", "device": "disk", "target": "new", "sync": "full"}
    steps = [(kind, command)]
    if kind == "blockdev-mirror":
        steps += [("until", {"event": "BLOCK_JOB_READY"}), ("job-complete", {"id": "j"})]
    assert not failed(run(tmp_path, [*drive("top.qcow2"), *drive(name, node="new")], *steps))
    same(tmp_path, name)
    if form == "qcow2":
        sound(tmp_path, name)


@pytest.mark.parametrize(("form", "sync"), [("raw", "full"), ("qcow2", "full"), ("qcow2", "top")])
@pytest.mark.parametrize("kind", ["drive-mirror", "drive-backup"])
def test_a_copy_into_an_image_of_its_own_making(tmp_path, kind, form, sync):
    chain(tmp_path, "qcow2:cluster_size=4k")
    command = {"job-id": "j", "device": "disk", "target": "new", "sync": sync, "format": form}
    steps = [(kind, command)]
    if kind == "drive-mirror":
        steps += [("until", {"event": "BLOCK_JOB_READY"}), ("job-complete", {"id": "j"})]
    assert not failed(run(tmp_path, drive("top.qcow2"), *steps))
    assert "identical" in tool(
        "qemu-img", "compare", "-f", form, "-F", "raw", "new", "before.raw", cwd=tmp_path
    )
    if form == "qcow2":
        sound(tmp_path, "new")
        assert backing(tmp_path, "new") == ("mid.qcow2" if sync == "top" else None)


def test_raw_images_with_holes(tmp_path):
    image(tmp_path, "a.raw", "raw:", size=1 << 40)
    tool(
        "qemu-io",
        "-f",
        "raw",
        "-c",
        "write -P 7 512G 1M",
        "-c",
        "write -P 8 1073741312 512",
        "a.raw",
        cwd=tmp_path,
    )
    image(tmp_path, "o.qcow2", "qcow2:", backing="a.raw", size=1 << 40)
    tool("qemu-io", "-c", "write -P 5 700G 64k", "o.qcow2", cwd=tmp_path)
    steps = [("block-commit", {"job-id": "j", "device": "disk"}), ("until", {"event": "BLOCK_JOB_READY"})]
    assert not failed(run(tmp_path, drive("o.qcow2"), *steps, ("job-complete", {"id": "j"})))
    read = ["-c", "read -P 5 700G 64k", "-c", "read -P 7 512G 1M", "-c", "read -P 8 1073741312 512"]
    assert "verification failed" not in tool("qemu-io", "-f", "raw", *read, "a.raw", cwd=tmp_path)
    assert (tmp_path / "a.raw").stat().st_blocks * 512 < 4 * MIB


def test_snapshots_inside_keep_what_they_had(tmp_path):
    chain(tmp_path, "qcow2:cluster_size=64k")
    tool("qemu-img", "snapshot", "-c", "before", "base.qcow2", cwd=tmp_path)
    tool("qemu-img", "convert", "-O", "raw", "base.qcow2", "base.raw", cwd=tmp_path)
    steps = [("block-commit", {"job-id": "j", "device": "disk"}), ("until", {"event": "BLOCK_JOB_READY"})]
    assert not failed(run(tmp_path, drive("top.qcow2"), *steps, ("job-complete", {"id": "j"})))
    sound(tmp_path, "base.qcow2")
    same(tmp_path, "base.qcow2")
    tool("qemu-img", "snapshot", "-a", "before", "base.qcow2", cwd=tmp_path)
    sound(tmp_path, "base.qcow2")
    same(tmp_path, "base.qcow2", "base.raw")


def test_a_base_that_is_smaller_grows(tmp_path):
    image(tmp_path, "base.qcow2", "qcow2:", size=MIB)
    tool("qemu-io", "-c", "write -P 1 0 1M", "base.qcow2", cwd=tmp_path)
    image(tmp_path, "top.qcow2", "qcow2:", backing="base.qcow2", size=8 * MIB)
    tool("qemu-io", "-c", "write -P 2 5M 1M", "top.qcow2", cwd=tmp_path)
    tool("qemu-img", "convert", "-O", "raw", "top.qcow2", "before.raw", cwd=tmp_path)
    steps = [("block-commit", {"job-id": "j", "device": "disk"}), ("until", {"event": "BLOCK_JOB_READY"})]
    assert not failed(run(tmp_path, drive("top.qcow2"), *steps, ("job-complete", {"id": "j"})))
    sound(tmp_path, "base.qcow2")
    same(tmp_path, "base.qcow2")


def test_what_cannot_be_copied_is_said(tmp_path):
    chain(tmp_path, "qcow2:cluster_size=64k")
    tool("qemu-img", "convert", "-c", "-O", "qcow2", "top.qcow2", "small.qcow2", cwd=tmp_path)
    image(tmp_path, "new.raw", "raw:")
    command = {"job-id": "j", "device": "disk", "target": "new", "sync": "full"}
    argv = [*drive("small.qcow2"), *drive("new.raw", node="new")]
    events = run(tmp_path, argv, ("blockdev-backup", command))
    assert failed(events) == "Copying compressed clusters of 'small.qcow2' is not modelled"


def test_a_full_disk_fails_the_job_and_leaves_a_sound_image(tmp_path):
    chain(tmp_path, "qcow2:cluster_size=64k")
    image(tmp_path, "new.qcow2", "qcow2:")
    command = {"job-id": "j", "device": "disk", "target": "new", "sync": "full"}
    words = ("-machine", "none", "-nodefaults", "-display", "none", "-qmp", "unix:m,server=on,wait=off")
    limited = ["sh", "-c", 'trap "" XFSZ; ulimit -f 2048; exec "$@"', "sh"]  # in blocks of 512 bytes
    argv = [*limited, *fake_argv(*words, *drive("top.qcow2"), *drive("new.qcow2", node="new"))]
    with Program(argv, tmp_path) as program, program.client(tmp_path / "m") as client:
        client.line()
        client.send(b'{"execute":"qmp_capabilities"}')
        client.line()
        client.send(json.dumps({"execute": "blockdev-backup", "arguments": command}).encode())
        events: list[dict[str, Any]] = []
        until(client, events, {"event": "JOB_STATUS_CHANGE", "status": "null", "id": "j"})
        client.send(b'{"execute":"quit"}')
        program.process.wait(20)
    assert failed(events) == "File too large"
    sound(tmp_path, "new.qcow2")


def test_persistent_bitmaps_stay_whole(tmp_path):
    """An image that has some is not written to; only its header may change."""
    chain(tmp_path, "qcow2:cluster_size=64k")
    tool("qemu-img", "bitmap", "--add", "top.qcow2", "since", cwd=tmp_path)
    events = run(tmp_path, drive("top.qcow2"), ("block-stream", {"job-id": "j", "device": "disk"}))
    assert failed(events) == "Writing into 'top.qcow2' with persistent bitmaps is not modelled"
    command = {"job-id": "j", "device": "disk", "top": "mid.qcow2", "base": "base.qcow2"}
    assert not failed(run(tmp_path, drive("top.qcow2"), ("block-commit", command)))
    sound(tmp_path, "base.qcow2", "top.qcow2")
    same(tmp_path, "top.qcow2")
    assert '"name": "since"' in tool("qemu-img", "info", "--output=json", "top.qcow2", cwd=tmp_path)


PC = ("-machine", "pc", "-accel", "tcg", "-m", "64", "-nodefaults", "-display", "none")
DISK = ("-drive", "file=top.qcow2,if=virtio,format=qcow2")


class Talk:
    """A fake that is told what to do over its monitor, line by line."""

    def __init__(self, cwd: Path, *more: str) -> None:
        argv = fake_argv(*PC, *DISK, *more, "-qmp", "unix:m,server=on,wait=off")
        self.program = Program(argv, cwd)
        self.client = self.program.client(cwd / "m")
        self.client.line()
        self.events: list[dict[str, Any]] = []
        self.ask("qmp_capabilities")

    def ask(self, command: str, **arguments: Any) -> Any:
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        self.client.send(json.dumps({"execute": command, "arguments": named}).encode())
        reply = said(self.client, self.events)
        return reply.get("return", reply.get("error"))

    def say(self, line: str) -> str:
        return str(self.ask("human-monitor-command", command_line=line))

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, *_: object) -> None:
        self.ask("quit")
        self.program.process.wait(20)
        self.client.sock.close()
        self.program.process.communicate()


@pytest.mark.parametrize("form", [form for form in FORMS if "refcount_bits=1" not in form])
def test_a_snapshot_of_the_machine_outlives_the_process(tmp_path, form):
    chain(tmp_path, f"qcow2:{form}")
    with Talk(tmp_path) as talk:
        talk.ask("set_link", name="none", up=False)
        assert talk.say("savevm one") == ""
        assert talk.say("savevm two") == ""
        assert talk.say("delvm two") == ""
        talk.ask("block-stream", job_id="j", device="virtio0")
        until(talk.client, talk.events, {"event": "JOB_STATUS_CHANGE", "status": "null", "id": "j"})
    sound(tmp_path, "top.qcow2")
    same(tmp_path, "top.qcow2")
    listed = tool("qemu-img", "snapshot", "-l", "top.qcow2", cwd=tmp_path)
    assert [line.split()[:2] for line in listed.splitlines()[2:]] == [["1", "one"]]
    with Talk(tmp_path, "-loadvm", "one", "-S") as talk:
        assert talk.ask("query-status")["status"] == "prelaunch"
    sound(tmp_path, "top.qcow2")
    tool("qemu-img", "rebase", "-u", "-b", "mid.qcow2", "-F", "qcow2", "top.qcow2", cwd=tmp_path)
    same(tmp_path, "top.qcow2")
    with Talk(tmp_path) as talk:
        assert talk.say("loadvm one") == ""
        assert talk.say("loadvm two") == "Error: Snapshot 'two' does not exist in one or more devices\r\n"
        assert talk.say("delvm one") == ""
    sound(tmp_path, "top.qcow2")
    assert tool("qemu-img", "snapshot", "-l", "top.qcow2", cwd=tmp_path) == ""
    same(tmp_path, "top.qcow2")


def test_the_guest_comes_back_with_its_snapshot(tmp_path):
    image(tmp_path, "top.qcow2", "qcow2:")
    balloon = ("-device", "virtio-balloon-pci,id=b")
    with Talk(tmp_path, *balloon) as talk:
        talk.ask("balloon", value=32 * MIB)
        assert talk.ask("query-balloon") == {"actual": 32 * MIB}
        assert talk.say("savevm one") == ""
        talk.ask("balloon", value=64 * MIB)
        assert talk.say("loadvm one") == ""
        assert talk.ask("query-balloon") == {"actual": 32 * MIB}
        assert talk.ask("query-status")["status"] == "running"
    with Talk(tmp_path, *balloon, "-loadvm", "one") as talk:
        assert talk.ask("query-balloon") == {"actual": 32 * MIB}
        assert talk.ask("query-status")["status"] == "running"


@pytest.mark.parametrize("name", ["nobody", "disk"])
def test_a_snapshot_that_cannot_be_loaded_ends_the_start(tmp_path, name):
    image(tmp_path, "top.qcow2", "qcow2:")
    tool("qemu-img", "snapshot", "-c", "disk", "top.qcow2", cwd=tmp_path)
    words = [
        subprocess.run(
            [*argv, *PC, *DISK, "-loadvm", name], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        for argv in (fake_argv(), ["qemu-system-x86_64"])
    ]
    assert words[0].returncode == words[1].returncode == 1
    assert words[0].stderr == words[1].stderr


def test_neither_loads_the_other_s_state(tmp_path):
    image(tmp_path, "top.qcow2", "qcow2:")
    with Talk(tmp_path) as talk:
        assert talk.say("savevm ours") == ""
    argv = ["qemu-system-x86_64", *PC, *DISK, "-loadvm", "ours"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert "Not a migration stream" in done.stderr
    assert done.stderr.endswith("Error -22 while loading VM state\n")
    with Talk(tmp_path) as talk:
        assert talk.say("delvm ours") == ""
    sound(tmp_path, "top.qcow2")


def test_a_snapshot_of_one_disk_holds_what_was_in_it(tmp_path):
    chain(tmp_path, "qcow2:cluster_size=64k")
    with Talk(tmp_path) as talk:
        for name in ("one", "two"):
            assert talk.ask("blockdev-snapshot-internal-sync", device="virtio0", name=name) == {}
        assert (
            talk.ask("blockdev-snapshot-delete-internal-sync", device="virtio0", name="one")["name"] == "one"
        )
        both = [
            {"type": "blockdev-snapshot-internal-sync", "data": {"device": "virtio0", "name": name}}
            for name in ("three", "two")
        ]
        assert "already exists" in talk.ask("transaction", actions=both)["desc"]
        talk.ask("block-stream", job_id="j", device="virtio0")
        until(talk.client, talk.events, {"event": "JOB_STATUS_CHANGE", "status": "null", "id": "j"})
    sound(tmp_path, "top.qcow2")
    same(tmp_path, "top.qcow2")
    listed = tool("qemu-img", "snapshot", "-l", "top.qcow2", cwd=tmp_path)
    assert [line.split()[1] for line in listed.splitlines()[2:]] == ["two"]
    tool("qemu-img", "snapshot", "-a", "two", "top.qcow2", cwd=tmp_path)
    sound(tmp_path, "top.qcow2")
    tool("qemu-img", "rebase", "-u", "-b", "mid.qcow2", "-F", "qcow2", "top.qcow2", cwd=tmp_path)
    same(tmp_path, "top.qcow2")
