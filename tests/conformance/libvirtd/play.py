# ruff: noqa: TID251, SIM905  (real processes are waited for on the real clock)
"""Plays a flow to one emulator under a private libvirtd, and brings what was seen into a comparable form."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from typing import Any

from tests.conformance.libvirtd.flows import DOMAINS, FILES, Flow
from tests.helpers.libvirtd import Answer, Libvirtd

#: The disks that the domains have from the beginning.
_IMAGES = {
    "typ": (("typ.qcow2", "100M", "qcow2"),),
    "wide": (("wide.qcow2", "32M", "qcow2"), ("wide.raw", "8M", "raw")),
    "snap": (("snap.qcow2", "32M", "qcow2"),),
}


#: A machine in which no operating system runs: as the real QEMU with empty disks.
NOBODY_HOME = "- {at: start, guest: {boot: 365d, agent: false}}\n"
#: A machine whose guest has booted soon, and answers.
SOMEBODY = "- {at: start, guest: {boot: 200ms}}\n"


def install_fake(daemon: Libvirtd) -> None:
    """Emulators for the daemon: ``bin/`` without a guest inside, ``bin/guest/`` with one."""
    for directory, script in (("bin", NOBODY_HOME), ("bin/guest", SOMEBODY)):
        where = daemon.base / directory
        where.mkdir(exist_ok=True)
        (where / "behaviour.yaml").write_text(script)
        subprocess.run(
            [
                sys.executable, "-c", "from fakeqemu.toolbox import main; main()", "install-emulator",
                "--arch", "x86_64", "--script", str(where / "behaviour.yaml"), str(where),
            ],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    daemon.own(daemon.base)


#: What a command caused has been said when nothing more was for this long; nobody waits longer than that.
SETTLING_S, SETTLING_PATIENCE_S = 0.06, 2.0


def make_image(daemon: Libvirtd, name: str, size: str, form: str = "qcow2") -> None:
    path = daemon.base / "images" / name
    subprocess.run(["qemu-img", "create", "-q", "-f", form, str(path), size], check=True)
    daemon.own(path)


def clean(daemon: Libvirtd) -> None:
    """What an earlier flow left: nothing of it is for the next one."""
    for name in daemon.virsh("list", "--all", "--name").out.split():
        daemon.virsh("destroy", name, check=False)
        daemon.virsh("undefine", name, "--managed-save", "--snapshots-metadata", check=False)
    for path in (daemon.base / "images").iterdir():
        path.unlink()


def play(daemon: Libvirtd, flow: Flow, emulator: str) -> list[Answer]:
    """Play a flow; every command's answer, with the conversation that it caused."""
    clean(daemon)
    for name, text in FILES.items():
        (daemon.base / name).write_text(text.format(base=daemon.base))
    xml = daemon.base / f"{flow.domain}.xml"
    xml.write_text(DOMAINS[flow.domain].format(base=daemon.base, emulator=emulator))
    for image in _IMAGES.get(flow.domain, ()):
        make_image(daemon, *image)
    daemon.own(daemon.base)
    answers = [daemon.virsh("define", str(xml))]
    daemon.talk()
    for step in flow.steps:
        words = _words(step.replace("{base}", str(daemon.base)))
        if words[0].startswith("!"):
            _ours(daemon, words)
        else:
            answer = daemon.virsh(*words, check=False)
            answer.talk = heard_out(daemon)
            answers.append(answer)
        assert daemon.alive(), f"libvirtd died of: {step}"
    return answers


def heard_out(daemon: Libvirtd) -> list[tuple[str, Any]]:
    """What was said until nothing more was, and every command has its reply."""
    talk: list[tuple[str, Any]] = []
    end = time.monotonic() + SETTLING_PATIENCE_S
    while True:
        time.sleep(SETTLING_S)
        more = daemon.talk()
        talk += more
        signs = [sign for sign, _ in talk]
        if (not more and signs.count(">") <= signs.count("<")) or time.monotonic() > end:
            return talk


def _words(step: str) -> list[str]:
    """The words of a step; JSON stays one word."""
    before, brace, rest = step.partition("{")
    if not brace:
        if " --hmp " in step:
            head, _, command = step.partition(" --hmp ")
            return [*shlex.split(head), "--hmp", command]
        return shlex.split(step)
    json, brace, after = (brace + rest).rpartition("}")
    return [*shlex.split(before), json + brace, *shlex.split(after)]


def _ours(daemon: Libvirtd, words: list[str]) -> None:
    match words:
        case ["!restart"]:
            daemon.stop()
            daemon.start()
        case ["!wait", seconds]:
            time.sleep(float(seconds))
        case ["!image", *image]:
            make_image(daemon, *image)
        case ["!until", domain, *state]:
            wanted = " ".join(state)
            _until(lambda: daemon.virsh("domstate", domain).out == wanted, f"{domain} is not {wanted}")
        case ["!agent", domain]:
            ping = ("qemu-agent-command", domain, '{"execute":"guest-ping"}', "--timeout", "2")
            _until(lambda: daemon.virsh(*ping, check=False).status == 0, f"no agent answers in {domain}")
        case _:
            raise AssertionError(words)


def _until(there: Any, why: str, patience_s: float = 20.0) -> None:
    end = time.monotonic() + patience_s
    while not there():
        assert time.monotonic() < end, why
        time.sleep(0.1)


#: What differs between any two runs, of the real QEMU too.
_VARYING = (
    (re.compile(r"/tmp/lv-[a-z0-9_]+"), "BASE"),
    (re.compile(r"libvirt-\d+(?=\"|$)"), "libvirt-N"),
    (re.compile(r"/dev/pts/\d+"), "/dev/pts/N"),
    (re.compile(r"\b127\.0\.0\.1:\d+"), "127.0.0.1:N"),
    (re.compile(r"/fdset/\d+"), "/fdset/N"),
    (re.compile(r"domain-\d+-"), "domain-N-"),
    (re.compile(r"\d+(\.\d+)? *m?s\b"), "N s"),
    (re.compile(r"<emulator>[^<]*"), "<emulator>"),
    (re.compile(r"<creationTime>\d+"), "<creationTime>N"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "TIME"),
)
#: Members whose value is a time, a process or an amount of work done.
_LIVE = frozenset(
    "timestamp thread-id seconds microseconds start-time wr_highest_offset idle_time_ns total-time"
    " setup-time downtime expected-downtime mbps pages-per-second transferred precopy-bytes normal"
    " normal-bytes duplicate iothread-id downtime-bytes vm-clock-nsec date-nsec date-sec vm-state-size"
    " rd_total_time_ns wr_total_time_ns flush_total_time_ns".split()
)


def settled(value: Any) -> Any:
    """A message or a text without what varies from run to run."""
    if isinstance(value, str):
        for pattern, word in _VARYING:
            value = pattern.sub(word, value)
        return value
    if isinstance(value, list):
        return [settled(item) for item in value]
    if isinstance(value, dict):
        # The ids that libvirt gives its commands count up; those that a person gave are compared.
        return {
            key: "LIVE" if key in _LIVE else settled(item)
            for key, item in value.items()
            if key != "id" or not str(item).startswith("libvirt-")
        }
    return value


def commands(answer: Answer) -> list[str]:
    """The commands that libvirtd sent, in order; runs of one command are told once."""
    found: list[str] = []
    for sign, message in answer.talk:
        if sign == ">" and (not found or found[-1] != message.get("execute")):
            found.append(str(message.get("execute")))
    return found


def events(answer: Answer) -> list[str]:
    """The events that QEMU sent, with what tells them apart."""
    found = []
    for sign, message in answer.talk:
        if sign == "!":
            data = message.get("data", {})
            words = [str(data[key]) for key in ("status", "id", "device") if key in data]
            found.append(" ".join([message["event"], *words]))
    return found


def pairs(answer: Answer) -> list[tuple[str, Any, Any]]:
    """Each command with its arguments and its reply."""
    sent = [message for sign, message in answer.talk if sign == ">"]
    replies = {message.get("id"): message for sign, message in answer.talk if sign == "<"}
    return [
        (message["execute"], settled(message.get("arguments")), settled(replies.get(message.get("id"))))
        for message in sent
    ]
