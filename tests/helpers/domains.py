"""The corpus of domain documents; definitions and command lines with all that could vary held still."""

from __future__ import annotations

import uuid
from pathlib import Path

from virtsim.model import Domain, parse_domain
from virtsim.qemu.argv import MonitorSocket, build
from virtsim.qemu.defaults import complete
from virtsim.qemu.live import InstancePaths, make_live

GOLD = Path(__file__).parent.parent / "gold" / "domains"
#: Documents as they are written by a user or by virt-install.
DOCUMENTS = sorted(path for path in GOLD.glob("*.xml") if not path.name.endswith(".kept.xml"))
PATHS = InstancePaths("/run/i", "/run/i/monitor.sock", "/run/i/log", "/run/i/pid", None)


def kept(xml: str) -> Domain:
    """The definition of a document; a missing UUID is 0, missing MAC addresses count up."""
    macs = iter(range(1, 256))
    return complete(
        parse_domain(xml).domain,
        new_uuid=lambda: uuid.UUID(int=0),
        new_mac=lambda: f"52:54:00:ff:ff:{next(macs):02x}",
        default_emulator="/usr/bin/qemu-system-x86_64",
    )


def command_line(domain: Domain, *, paths: InstancePaths = PATHS, accel: str = "tcg") -> list[str]:
    """The command line of a complete domain."""
    live = make_live(domain, domain_id=1, paths=paths)
    return build(live, paths=paths, monitor=MonitorSocket(path=paths.monitor), accel=accel)
