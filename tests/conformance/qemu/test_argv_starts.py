"""A real QEMU starts with every command line of the corpus that needs no special hardware."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.helpers.domains import DOCUMENTS, kept
from virtsim.model import Domain, evolve
from virtsim.qemu.argv import MonitorSocket, build
from virtsim.qemu.live import InstancePaths, make_live

pytestmark = pytest.mark.real_qemu

#: Documents that this machine cannot be expected to start, and why.
SPECIAL = {
    "numa-hugepages": "huge pages have to be reserved",
    "virt-install-numa-huge": "huge pages have to be reserved",
    "huge": "402 GiB",
    "direct-kernel": "needs a kernel image",
}
ORDINARY = [path for path in DOCUMENTS if not path.name.startswith("leaves-") and path.stem not in SPECIAL]


def at_home(xml: str, home: Path) -> str:
    """The document with its images in ``home``."""
    for name in ("disk.qcow2", "cd.iso", "fw.fd", "vars.fd", "floppy.img", "data.raw"):
        path = home / name
        if name == "disk.qcow2":
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "64M"], check=True)
        else:
            path.write_bytes(bytes(1024 * 1024))
    return xml.replace("/srv/vm", str(home))


def without_hardware(domain: Domain) -> Domain:
    """No host devices, no bridges, no pass-through arguments."""
    devices = domain.devices
    nics = tuple(evolve(nic, type="user", source_bridge=None) for nic in devices.interfaces)
    devices = evolve(devices, hostdevs=(), interfaces=nics)
    return evolve(domain, devices=devices, qemu_commandline=None)


def converse(client: socket.socket) -> list[dict[str, object]]:
    """Greeting, capabilities, status, quit; the replies without events."""
    client.settimeout(30)
    lines = client.makefile("r", encoding="utf-8")
    said = [json.loads(lines.readline())]
    for command in ("qmp_capabilities", "query-status", "quit"):
        client.sendall(json.dumps({"execute": command}).encode() + b"\n")
        while "return" not in (reply := json.loads(lines.readline())) and "error" not in reply:
            pass
        said.append(reply)
    return said


@pytest.mark.slow
@pytest.mark.parametrize("document", ORDINARY, ids=lambda path: path.stem)
def test_it_starts_paused_and_quits(document: Path, tmp_path: Path) -> None:
    domain = without_hardware(kept(at_home(document.read_text(), tmp_path)))
    program = shutil.which("qemu-system-x86_64")
    assert program is not None
    domain = evolve(domain, devices=evolve(domain.devices, emulator=program))
    paths = InstancePaths(str(tmp_path), str(tmp_path / "m"), str(tmp_path / "log"), str(tmp_path / "pid"))
    live = make_live(domain, domain_id=1, paths=paths)
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(paths.monitor)
        listener.listen(1)
        client.connect(paths.monitor)
        argv = build(live, paths=paths, monitor=MonitorSocket(fd=listener.fileno()), accel="tcg")
        log = Path(paths.log).open("wb")  # noqa: SIM115 - closed below, the child has its own
        process = subprocess.Popen(argv, pass_fds=[listener.fileno()], stdout=log, stderr=log, cwd=tmp_path)
        log.close()
        listener.close()
        try:
            said = converse(client)
        except (json.JSONDecodeError, OSError):
            process.kill()
            pytest.fail(Path(paths.log).read_text())
        finally:
            status = process.wait(30)
    assert "QMP" in said[0]
    assert said[2]["return"]["status"] == "prelaunch"  # type: ignore[index]
    assert status == 0, Path(paths.log).read_text()


def test_most_of_the_corpus_is_started() -> None:
    assert len(ORDINARY) >= 10
