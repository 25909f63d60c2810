"""A start that goes wrong as the script says: virsh shows why, and libvirtd lives on."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.conformance.libvirtd.flows import DOMAINS
from tests.conformance.libvirtd.play import install_fake, make_image
from tests.helpers.libvirtd import Libvirtd

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
