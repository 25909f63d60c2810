"""Domain XML without a connection: its command line, and what is wrong with it."""

from __future__ import annotations

import hashlib
import uuid

from virtsim.errors import VirtsimError
from virtsim.model import parse_domain
from virtsim.qemu import argv
from virtsim.qemu.defaults import complete
from virtsim.qemu.launch import instance_paths
from virtsim.qemu.live import make_live

__all__ = ["NATIVE_RUN_DIR", "native_argv", "validate_domain"]

#: Where libvirt's own command lines place an instance's files.
NATIVE_RUN_DIR = "/var/lib/libvirt/qemu"


def native_argv(
    xml: str | bytes,
    *,
    emulator: str = "/usr/bin/qemu-system-x86_64",
    accel: str = "tcg",
    run_dir: str = NATIVE_RUN_DIR,
    qemu_version: tuple[int, int] | None = (7, 2),
) -> list[str]:
    """The QEMU command line of a domain, as ``virsh domxml-to-native qemu-argv`` prints it.

    The same document always gives the same command line: what a start would draw by chance (UUID, MAC
    addresses) is derived from the document.

    Raises:
        XMLError: the document is wrong.
        ConfigUnsupported: it cannot be carried out.
    """
    raw = xml.encode() if isinstance(xml, str) else xml
    draws = iter(range(1 << 30))

    def digest() -> bytes:
        return hashlib.sha256(raw + str(next(draws)).encode()).digest()

    def new_mac() -> str:
        return "52:54:00:" + ":".join(f"{byte:02x}" for byte in digest()[:3])

    definition = complete(
        parse_domain(xml).domain,
        new_uuid=lambda: uuid.UUID(bytes=digest()[:16], version=4),
        new_mac=new_mac,
        default_emulator=emulator,
        qemu_version=qemu_version,
    )
    paths = instance_paths(run_dir, definition.name, -1)
    live = make_live(definition, domain_id=-1, paths=paths)
    return argv.build(live, paths=paths, monitor=argv.MonitorSocket(path=paths.monitor), accel=accel)


def validate_domain(xml: str | bytes) -> list[str]:
    """Everything virtsim would object to or ignore in a domain's XML, one ``line:column: message`` each.

    Returns:
        An empty list when the document is fully understood.
    """
    try:
        parsed = parse_domain(xml)
    except VirtsimError as error:
        line = getattr(error, "line", None) or 1
        column = getattr(error, "column", None) or 1
        return [f"{line}:{column}: {error.text}"]
    return [f"{item.line}:{item.column}: {item.message}" for item in parsed.unclaimed]
