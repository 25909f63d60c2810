"""``info migrate`` and ``info migrate_parameters``.

Knows hmp_info_migrate() of QEMU 7.2. Must not know how a migration goes on.
"""

from __future__ import annotations

from fakeqemu.protocol.asking import ask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu

__all__ = ["parameters", "shown"]

_GLOBALS = (
    "globals:\nstore-global-state: on\nonly-migratable: off\nsend-configuration: on\n"
    "send-section-footer: on\n"
    "decompress-error-check: on\nclear-bitmap-shift: 18\n"
)
_PARAMETERS = (
    ("announce-initial", " ms"), ("announce-max", " ms"), ("announce-rounds", ""), ("announce-step", " ms"),
    ("compress-level", ""), ("compress-threads", ""), ("compress-wait-thread", ""),
    ("decompress-threads", ""), ("throttle-trigger-threshold", ""), ("cpu-throttle-initial", ""),
    ("cpu-throttle-increment", ""), ("cpu-throttle-tailslow", ""), ("max-cpu-throttle", ""),
    ("tls-creds", "''"), ("tls-hostname", "''"), ("max-bandwidth", " bytes/second"),
    ("downtime-limit", " ms"), ("x-checkpoint-delay", " ms"), ("block-incremental", ""),
    ("multifd-channels", ""), ("multifd-compression", ""), ("xbzrle-cache-size", " bytes"),
    ("max-postcopy-bandwidth", ""), ("tls-authz", "''"),
)  # fmt: skip


def parameters(machine: FakeQemu) -> str:
    """Parameters in QEMU's order, with their units."""
    found = ask(machine, "query-migrate-parameters")
    text = ""
    for name, unit in _PARAMETERS:
        value = found[name]
        if isinstance(value, bool):
            value = "on" if value else "off"
        text += f"{name}: '{value}'\n" if unit == "''" else f"{name}: {value}{unit}\n"
    for entry in found.get("block-bitmap-mapping", ()):
        text += f"  '{entry['node-name']}' -> '{entry['alias']}'\n"
    return text


def shown(machine: FakeQemu) -> str:
    """How the migration stands."""
    found = ask(machine, "query-migrate")
    text = _GLOBALS
    status = found.get("status")
    if status is not None:
        why = f" ({found['error-desc']})" if status == "failed" and "error-desc" in found else ""
        text += f"Migration status: {status}{why}\ntotal time: {found.get('total-time', 0)} ms\n"
        for member, label in (
            ("expected-downtime", "expected downtime"), ("downtime", "downtime"), ("setup-time", "setup"),
        ):  # fmt: skip
            if member in found:
                text += f"{label}: {found[member]} ms\n"
    if "ram" in found:
        text += _ram(found["ram"])
    if "cpu-throttle-percentage" in found:
        text += f"cpu throttle percentage: {found['cpu-throttle-percentage']}\n"
    return text


def _ram(ram: dict[str, Any]) -> str:
    def kib(member: str) -> int:
        return int(ram[member]) >> 10

    text = (
        f"transferred ram: {kib('transferred')} kbytes\nthroughput: {ram['mbps']:.2f} mbps\n"
        f"remaining ram: {kib('remaining')} kbytes\ntotal ram: {kib('total')} kbytes\n"
        f"duplicate: {ram['duplicate']} pages\nskipped: {ram['skipped']} pages\n"
        f"normal: {ram['normal']} pages\n"
        f"normal bytes: {kib('normal-bytes')} kbytes\ndirty sync count: {ram['dirty-sync-count']}\n"
        f"page size: {kib('page-size')} kbytes\nmultifd bytes: {kib('multifd-bytes')} kbytes\n"
        f"pages-per-second: {ram['pages-per-second']}\n"
    )
    if ram["dirty-pages-rate"]:
        text += f"dirty pages rate: {ram['dirty-pages-rate']} pages\n"
    if ram["postcopy-requests"]:
        text += f"postcopy request count: {ram['postcopy-requests']}\n"
    for member, label in (
        ("precopy-bytes", "precopy"),
        ("downtime-bytes", "downtime"),
        ("postcopy-bytes", "postcopy"),
    ):
        if ram[member]:
            text += f"{label} ram: {kib(member)} kbytes\n"
    return text
