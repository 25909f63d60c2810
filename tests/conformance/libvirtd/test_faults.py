# ruff: noqa: TID251  (real processes are waited for on the real clock)
"""What goes wrong as the script says: virsh shows why, and libvirtd lives on."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.conformance.libvirtd.flows import DOMAINS
from tests.conformance.libvirtd.play import install_fake, make_image
from tests.helpers.libvirtd import Answer, Libvirtd

pytestmark = [pytest.mark.real_libvirt, pytest.mark.timeout(120)]

#: What libvirtd 9.0.0 sends to a domain with everything, until it runs.
STARTING = (
    "qmp_capabilities", "query-migrate-capabilities", "migrate-set-capabilities", "query-chardev",
    "query-hotpluggable-cpus", "query-cpus-fast", "qom-list", "qom-get", "query-iothreads", "qom-set",
    "balloon", "query-balloon", "query-named-block-nodes", "query-block", "cont",
)  # fmt: skip
#: An error to this does not end a start: a property that cannot be set.
FORGIVEN = ("qom-set",)


@pytest.fixture(scope="module")
def daemon() -> Iterator[Libvirtd]:
    with Libvirtd() as made:
        install_fake(made)
        emulator = made.base / "bin/qemu-system-x86_64"
        xml = made.base / "typ.xml"
        xml.write_text(DOMAINS["typ"].format(base=made.base, emulator=emulator))
        make_image(made, "typ.qcow2", "100M")
        made.own(made.base)
        made.virsh("define", str(xml))
        try:
            yield made
        finally:
            made.end_machines()


def _started(daemon: Libvirtd, command: str, deed: dict[str, object]) -> tuple[int, str]:
    """Start the domain with one rule about a command; what virsh says of it."""
    script = daemon.base / "bin/typ.fakeqemu.json"
    script.write_text(json.dumps([{"on": "command", "match": command, "do": deed}]))
    daemon.own(script)
    try:
        answer = daemon.virsh("start", "typ", check=False)
        daemon.virsh("destroy", "typ", check=False)
    finally:
        script.unlink()
    assert daemon.alive()
    return answer.status, answer.out


@pytest.mark.parametrize("command", STARTING)
def test_an_error_at_the_start_is_shown(daemon, command):
    text = "broken on purpose"
    status, out = _started(daemon, command, {"error": {"class": "GenericError", "desc": text}})
    if command in FORGIVEN:
        assert (status, out) == (0, "")
    else:
        assert status == 1
        assert f"unable to execute QEMU command '{command}': {text}" in out


@pytest.mark.parametrize("command", STARTING)
@pytest.mark.parametrize(
    "deed", [{"exit": {"code": 1, "stderr": "no more"}}, {"signal": "SIGKILL"}], ids=["exit", "killed"]
)
def test_an_end_at_any_step_is_told(daemon, command, deed):
    status, out = _started(daemon, command, deed)
    assert status == 1
    assert "monitor" in out
    assert "exit" not in deed or "no more" in out


def _scripted(daemon: Libvirtd, rules: list[dict[str, object]]) -> None:
    """The script of the next start."""
    script = daemon.base / "bin/typ.fakeqemu.json"
    script.write_text(json.dumps(rules))
    daemon.own(script)


@pytest.fixture
def scripted(daemon: Libvirtd) -> Iterator[Callable[[list[dict[str, object]]], None]]:
    """Gives the next start a script; afterwards there is neither machine nor script."""
    yield lambda rules: _scripted(daemon, rules)
    daemon.virsh("destroy", "typ", check=False)
    (daemon.base / "bin/typ.fakeqemu.json").unlink()


def _within(seconds: float, asked: Callable[[], str], wanted: str) -> None:
    end = time.monotonic() + seconds
    while (found := asked()) != wanted:
        assert time.monotonic() < end, found
        time.sleep(0.1)


def test_a_dropped_reply_leaves_the_start_waiting(daemon, scripted):
    scripted([{"on": "command", "match": "qom-list", "do": {"drop": True}}])
    said: list[Answer] = []
    starter = threading.Thread(target=lambda: said.append(daemon.virsh("start", "typ", check=False)))
    starter.start()
    state = ("domstate", "typ", "--reason")
    _within(20, lambda: daemon.virsh(*state).out, "paused (starting up)")
    starter.join(0.5)
    assert starter.is_alive()
    daemon.virsh("destroy", "typ")
    starter.join(20)
    assert said[0].status == 1
    assert "qemu unexpectedly closed the monitor" in said[0].out
    assert daemon.virsh(*state).out == "shut off (failed)"


def test_a_closed_monitor_is_a_crash(daemon, scripted):
    scripted([{"on": "command", "match": "screendump", "do": {"close": True}}])
    daemon.virsh("start", "typ")
    answer = daemon.virsh("screenshot", "typ", "/dev/null", check=False)
    assert answer.status == 1
    assert "Missing monitor reply object" in answer.out
    _within(20, lambda: daemon.virsh("domstate", "typ", "--reason").out, "shut off (crashed)")


def test_a_guest_may_ignore_the_power_button(daemon, scripted):
    scripted([{"at": "start", "guest": {"boot": "1ms", "powerdown": "ignore"}}])
    daemon.virsh("start", "typ")
    daemon.virsh("shutdown", "typ", "--mode", "acpi")
    time.sleep(1)
    assert daemon.virsh("domstate", "typ", "--reason").out == "running (booted)"


def test_a_threshold_is_told_when_the_guest_writes(daemon, scripted):
    scripted([{"at": "start", "guest": {"boot": "500ms"}}])
    daemon.virsh("start", "typ", "--paused")
    daemon.virsh("domblkthreshold", "typ", "vda", "4096")
    told: list[Answer] = []
    words = ("event", "typ", "--event", "block-threshold", "--timeout", "20")
    listener = threading.Thread(target=lambda: told.append(daemon.virsh(*words)))
    listener.start()
    time.sleep(0.3)
    daemon.virsh("resume", "typ")
    listener.join()
    assert re.search(r"dev: vda\(\S+/typ\.qcow2\) 4096 \d+", told[0].out)


def test_events_are_told_in_order(daemon, scripted):
    scripted([{"at": "start", "guest": {"boot": "365d", "agent": False}}])
    daemon.virsh("start", "typ")
    told: list[Answer] = []
    words = ("event", "--event", "lifecycle", "--loop", "--timeout", "2")
    listener = threading.Thread(target=lambda: told.append(daemon.virsh(*words)))
    listener.start()
    time.sleep(0.5)
    for word in ("suspend", "resume", "destroy"):
        daemon.virsh(word, "typ")
    listener.join()
    found = re.findall(r"for domain 'typ': (\w+)", told[0].out)
    assert found[:2] + found[-1:] == ["Suspended", "Resumed", "Stopped"]
