"""The topics of ``info``, one function each.

Knows how QEMU 7.2 lays each of them out (monitor/hmp-cmds.c, migration.c and their kin). Must not know how a
line is read.
"""

from __future__ import annotations

from fakeqemu.protocol.asking import ask
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from fakeqemu.machine import FakeQemu

    Show: TypeAlias = Callable[[FakeQemu, dict[str, Any]], str]

__all__ = ["SHOWS"]

MIB, KIB = 1 << 20, 1 << 10


def _onoff(value: Any) -> str:
    return "on" if value else "off"


def status(machine: FakeQemu, given: dict[str, Any]) -> str:
    """``VM status: paused (prelaunch)``."""
    del given
    found = ask(machine, "query-status")
    text = "running" if found["running"] else "paused"
    state = found["status"]
    more = "" if state in ("running", "paused") else f" ({state})"
    step = " (single step mode)" if found.get("singlestep") else ""
    return f"VM status: {text}{step}{more}\n"


def name(machine: FakeQemu, given: dict[str, Any]) -> str:
    """The name, if it has one."""
    del given
    found = ask(machine, "query-name").get("name")
    return "" if found is None else f"{found}\n"


def version(machine: FakeQemu, given: dict[str, Any]) -> str:
    """Version and package, without a blank between them."""
    del given
    found = ask(machine, "query-version")
    number = found["qemu"]
    return f"{number['major']}.{number['minor']}.{number['micro']}{found['package']}\n"


def uuid(machine: FakeQemu, given: dict[str, Any]) -> str:
    """The UUID."""
    del given
    return f"{ask(machine, 'query-uuid')['UUID']}\n"


def kvm(machine: FakeQemu, given: dict[str, Any]) -> str:
    """Whether KVM carries the guest."""
    del given
    found = ask(machine, "query-kvm")
    if not found["present"]:
        return "kvm support: not compiled\n"
    return f"kvm support: {'enabled' if found['enabled'] else 'disabled'}\n"


def balloon(machine: FakeQemu, given: dict[str, Any]) -> str:
    """What the guest has, in megabytes."""
    del given
    return f"balloon: actual={ask(machine, 'query-balloon')['actual'] // MIB}\n"


def cpus(machine: FakeQemu, given: dict[str, Any]) -> str:
    """CPUs and their threads; the first is the monitor's."""
    del given
    found = ask(machine, "query-cpus-fast")
    return "".join(
        f"{'*' if index == 0 else ' '} CPU #{one['cpu-index']}: thread_id={one['thread-id']}\n"
        for index, one in enumerate(found)
    )


def chardev(machine: FakeQemu, given: dict[str, Any]) -> str:
    """Character devices."""
    del given
    return "".join(f"{one['label']}: filename={one['filename']}\n" for one in ask(machine, "query-chardev"))


def mice(machine: FakeQemu, given: dict[str, Any]) -> str:
    """Mice; the current one has a star."""
    del given
    found = ask(machine, "query-mice")
    if not found:
        return "No mouse devices connected\n"
    return "".join(
        f"{'*' if one['current'] else ' '} Mouse #{one['index']}: {one['name']}"
        f"{' (absolute)' if one['absolute'] else ''}\n"
        for one in found
    )


def memory_size(machine: FakeQemu, given: dict[str, Any]) -> str:
    """Bytes at the start, bytes plugged."""
    del given
    found = ask(machine, "query-memory-size-summary")
    text = f"base memory: {found['base-memory']}\n"
    if "plugged-memory" in found:
        text += f"plugged memory: {found['plugged-memory']}\n"
    return text


def hotpluggable(machine: FakeQemu, given: dict[str, Any]) -> str:
    """Places for CPUs."""
    del given
    text = "Hotpluggable CPUs:\n"
    for place in ask(machine, "query-hotpluggable-cpus"):
        text += f'  type: "{place["type"]}"\n  vcpus_count: "{place["vcpus-count"]}"\n'
        if "qom-path" in place:
            text += f'  qom_path: "{place["qom-path"]}"\n'
        text += "  CPUInstance Properties:\n"
        for key in ("node-id", "socket-id", "die-id", "cluster-id", "core-id", "thread-id"):
            if key in place["props"]:
                text += f'    {key}: "{place["props"][key]}"\n'
    return text


def iothreads(machine: FakeQemu, given: dict[str, Any]) -> str:
    """I/O threads."""
    del given
    text = ""
    for one in ask(machine, "query-iothreads"):
        text += f"{one['id']}:\n  thread_id={one['thread-id']}\n"
        for key in ("poll-max-ns", "poll-grow", "poll-shrink", "aio-max-batch"):
            text += f"  {key}={one[key]}\n"
    return text


def memdev(machine: FakeQemu, given: dict[str, Any]) -> str:
    """Memory backends."""
    del given
    text = ""
    for one in ask(machine, "query-memdev"):
        text += f"memory backend: {one.get('id', '')}\n  size:  {one['size']}\n"
        for key in ("merge", "dump", "prealloc", "share", "reserve"):
            if key in one:
                text += f"  {key}: {'true' if one[key] else 'false'}\n"
        nodes = " ".join(str(node) for node in one.get("host-nodes", []))
        text += f"  policy: {one['policy']}\n  host nodes: {nodes}\n"
    return f"{text}\n" if text else ""


def memory_devices(machine: FakeQemu, given: dict[str, Any]) -> str:
    """DIMMs and their kin."""
    del given
    text = ""
    for one in ask(machine, "query-memory-devices"):
        data, kind = one["data"], {"dimm": "dimm", "nvdimm": "nvdimm"}.get(one["type"], one["type"])
        text += f'Memory device [{kind}]: "{data.get("id", "")}"\n'
        rows = [("addr", f"0x{data.get('addr', data.get('memaddr', 0)):x}")]
        rows += [(key, str(data[key])) for key in ("slot", "node") if key in data]
        if "requested-size" in data:
            rows.append(("requested-size", str(data["requested-size"])))
        rows += [(key, str(data[key])) for key in ("size", "max-size", "block-size") if key in data]
        rows.append(("memdev", str(data["memdev"])))
        for key in ("hotplugged", "hotpluggable"):
            if key in data:
                rows.append((key, "true" if data[key] else "false"))
        text += "".join(f"  {key}: {value}\n" for key, value in rows)
    return text


def block(machine: FakeQemu, given: dict[str, Any]) -> str:
    """Block devices and what is in them."""
    text, first = "", True
    device = given.get("device")
    if "nodes" in given:
        nodes = ask(machine, "query-named-block-nodes", {"flat": False})
        for node in nodes:
            if device is None or node["node-name"] == device:
                text += ("" if first else "\n") + _inserted(f"{node['node-name']}: ", node, None)
                first = False
        return text
    for one in ask(machine, "query-block"):
        inserted = one.get("inserted")
        title = one["device"] or (inserted or {}).get("node-name", "")
        if device is not None and device not in (one["device"], (inserted or {}).get("node-name")):
            continue
        text += "" if first else "\n"
        first = False
        text += (
            _inserted(f"{title}: ", inserted, one)
            if inserted
            else f"{title or one.get('qdev', '')}: [not inserted]\n{_owner(one)}"
        )
        text += _tray(one) if not inserted else ""
    return text


def _owner(one: dict[str, Any]) -> str:
    return f"    Attached to:      {one['qdev']}\n" if one.get("qdev") else ""


def _tray(one: dict[str, Any]) -> str:
    if not one["removable"]:
        return ""
    tray = f", tray {'open' if one.get('tray_open') else 'closed'}" if "tray_open" in one else ""
    return f"    Removable device: {'' if one['locked'] else 'not '}locked{tray}\n"


def _inserted(title: str, node: dict[str, Any], one: dict[str, Any] | None) -> str:
    flags = "".join((", read-only" if node["ro"] else "", ", encrypted" if node.get("encrypted") else ""))
    text = f"{title}{node['file']} ({node['drv']}{flags})\n"
    if one is not None:
        if "io-status" in one and one["io-status"] != "ok":
            text += f"    I/O status:       {one['io-status']}\n"
        text += _owner(one) + _tray(one)
    cache = node["cache"]
    mode = "writeback" if cache["writeback"] else "writethrough"
    text += f"    Cache mode:       {mode}{', direct' if cache['direct'] else ''}"
    text += f"{', ignore flushes' if cache['no-flush'] else ''}\n"
    if "backing_file" in node:
        text += f"    Backing file:     {node['backing_file']} (chain depth: {node['backing_file_depth']})\n"
    if node.get("detect_zeroes", "off") != "off":
        text += f"    Detect zeroes:    {node['detect_zeroes']}\n"
    if any(node[key] for key in ("bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr")):
        limits = [f"{key}={node.get(key, 0)}" for key in _LIMITS]
        text += f"    I/O throttling:   {' '.join(limits)} group={node.get('group', '')}\n"
    return text


_LIMITS = (
    "bps", "bps_rd", "bps_wr", "bps_max", "bps_rd_max", "bps_wr_max", "iops", "iops_rd", "iops_wr",
    "iops_max", "iops_rd_max", "iops_wr_max", "iops_size",
)  # fmt: skip


def blockstats(machine: FakeQemu, given: dict[str, Any]) -> str:
    """Counters of the block devices."""
    del given
    text = ""
    for one in ask(machine, "query-blockstats"):
        stats = one["stats"]
        keys = (
            "rd_bytes", "wr_bytes", "rd_operations", "wr_operations", "flush_operations", "wr_total_time_ns",
            "rd_total_time_ns", "flush_total_time_ns", "rd_merged", "wr_merged", "idle_time_ns",
        )  # fmt: skip
        text += f"{one.get('device', '')}: " + " ".join(f"{key}={stats.get(key, 0)}" for key in keys) + "\n"
    return text


def block_jobs(machine: FakeQemu, given: dict[str, Any]) -> str:
    """Block jobs."""
    del given
    found = ask(machine, "query-block-jobs")
    if not found:
        return "No active jobs\n"
    text = ""
    for job in found:
        done = f"Completed {job['offset']} of {job['len']} bytes, speed limit {job['speed']} bytes/s"
        kind = "Streaming device" if job["type"] == "stream" else f"Type {job['type']}, device"
        text += f"{kind} {job['device']}: {done}\n"
    return text


def migrate(machine: FakeQemu, given: dict[str, Any]) -> str:
    """How the migration stands."""
    del given
    from fakeqemu.human.migrating import shown

    return shown(machine)


def migrate_capabilities(machine: FakeQemu, given: dict[str, Any]) -> str:
    """Capabilities in QEMU's order."""
    del given
    from fakeqemu.migration.parameters import CAPABILITIES
    from fakeqemu.migration.part import migration_of

    on = migration_of(machine).capabilities
    return "".join(f"{one}: {_onoff(one in on)}\n" for one in CAPABILITIES)


def migrate_parameters(machine: FakeQemu, given: dict[str, Any]) -> str:
    """Parameters in QEMU's order."""
    del given
    from fakeqemu.human.migrating import parameters

    return parameters(machine)


def snapshots(machine: FakeQemu, given: dict[str, Any]) -> str:
    """Snapshots of the whole machine."""
    del given
    from fakeqemu.jobs import snapshots as kept

    return kept.info_snapshots(machine).replace("\r\n", "\n")


def dump(machine: FakeQemu, given: dict[str, Any]) -> str:
    """How far the dump is."""
    del given
    found = ask(machine, "query-dump")
    text = f"Status: {found['status']}\n"
    if found["status"] == "active":
        text += f"Finished: {100 * found['completed'] / found['total']:.2f} %\n"
    return text


def dirty_rate(machine: FakeQemu, given: dict[str, Any]) -> str:
    """The measurement of the dirty rate."""
    del given
    found = ask(machine, "query-dirty-rate")
    measured = f"{found['dirty-rate']} (MB/s)" if "dirty-rate" in found else "(not ready)"
    return (
        f"Status: {found['status']}\nStart Time: {found['start-time']} (ms)\n"
        f"Sample Pages: {found['sample-pages']} (per GB)\nPeriod: {found['calc-time']} (sec)\n"
        f"Mode: {found['mode']}\nDirty rate: {measured}\n"
    )


def stats(machine: FakeQemu, given: dict[str, Any]) -> str:
    """Statistics of the accelerator: none under TCG."""
    del machine
    if given["target"] not in ("vm", "vcpu"):
        return f"invalid stats target {given['target']}\n"
    return ""


def vnc(machine: FakeQemu, given: dict[str, Any]) -> str:
    """VNC servers."""
    del given
    found = ask(machine, "query-vnc-servers")
    if not found:
        return "None\n"
    text = ""
    for server in found:
        text += f"{server['id']}:\n"
        for address in server["server"]:
            text += f"  Server: {address['host']}:{address['service']} ({address['family']})\n"
            auth = f"{address['auth']} (Sub: {address.get('vencrypt', 'none')})"
            text += f"    Auth: {auth}\n"
        if not server["server"]:
            text += f"  Auth: {server['auth']} (Sub: {server.get('vencrypt', 'none')})\n"
        if "display" in server:
            text += f"  Display: {server['display']}\n"
    return text


def spice(machine: FakeQemu, given: dict[str, Any]) -> str:
    """The SPICE server."""
    del given
    found = ask(machine, "query-spice")
    if not found["enabled"]:
        return "Server: disabled\n"
    text = "Server:\n"
    for key in ("port", "tls-port"):
        if key in found:
            text += (
                f"     address: {found.get('host', '*')}:{found[key]}{' [tls]' if key != 'port' else ''}\n"
            )
    text += f"    migrated: {'true' if found['migrated'] else 'false'}\n"
    text += f"        auth: {found.get('auth', 'none')}\n"
    text += f"    compiled: {found.get('compiled-version', '')}\n  mouse-mode: {found['mouse-mode']}\n"
    return text + ("" if found.get("channels") else "Channels: none\n")


def tpm(machine: FakeQemu, given: dict[str, Any]) -> str:
    """TPMs: none."""
    del given
    found = ask(machine, "query-tpm")
    return "".join(f"TPM device:\n {index}: {one['id']}\n" for index, one in enumerate(found))


def numa(machine: FakeQemu, given: dict[str, Any]) -> str:
    """NUMA nodes: only their number."""
    del given
    try:
        return str(ask(machine, "x-query-numa")["human-readable-text"])
    except CommandError:
        if "numa" in machine.line.last:
            raise
        return "0 nodes\n"


def pci(machine: FakeQemu, given: dict[str, Any]) -> str:
    """PCI devices, bus by bus."""
    del given
    return "".join(
        _pci_device(bus["bus"], one) for bus in ask(machine, "query-pci") for one in bus["devices"]
    )


def _pci_device(bus: int, one: dict[str, Any]) -> str:
    kind, ident = one["class_info"], one["id"]
    text = f"  Bus {bus:2}, device {one['slot']:3}, function {one['function']}:\n"
    title = kind.get("desc") or f"Class {kind['class']:04d}"
    text += f"    {title}: PCI device {ident['vendor']:04x}:{ident['device']:04x}\n"
    if "subsystem-vendor" in ident and "subsystem" in ident:
        text += f"      PCI subsystem {ident['subsystem-vendor']:04x}:{ident['subsystem']:04x}\n"
    if one.get("irq_pin"):
        text += f"      IRQ {one.get('irq', 0)}, pin {chr(ord('A') + one['irq_pin'] - 1)}\n"
    bridge = one.get("pci_bridge")
    if bridge is not None:
        numbers = bridge["bus"]
        text += f"      BUS {numbers['number']}.\n      secondary bus {numbers['secondary']}.\n"
        text += f"      subordinate bus {numbers['subordinate']}.\n"
        for key, label in (
            ("io_range", "IO"),
            ("memory_range", "memory"),
            ("prefetchable_range", "prefetchable memory"),
        ):
            limits = numbers[key]
            digits = 4 if key == "io_range" else 8
            text += f"      {label} range [0x{limits['base']:0{digits}x}, 0x{limits['limit']:0{digits}x}]\n"
    for region in one["regions"]:
        address, size = region["address"] & ((1 << 64) - 1), region["size"]
        last = address + size - 1 if address != (1 << 64) - 1 else size - 2
        if region["type"] == "io":
            text += f"      BAR{region['bar']}: I/O at 0x{address:04x} [0x{last:04x}].\n"
        else:
            width = 64 if region.get("mem_type_64") else 32
            fetch = " prefetchable" if region.get("prefetch") else ""
            text += (
                f"      BAR{region['bar']}: {width} bit{fetch} memory at 0x{address:08x} [0x{last:08x}].\n"
            )
    text += f'      id "{one["qdev_id"]}"\n'
    if bridge is not None:
        for inner in bridge.get("devices", ()):
            text += _pci_device(bridge["bus"]["secondary"], inner)
    return text


def ramblock(machine: FakeQemu, given: dict[str, Any]) -> str:
    """RAM blocks as the model of migration has them."""
    del given
    from fakeqemu.migration.part import migration_of

    text = f"{'Block Name':>24} {'PSize':>8}  {'Offset':>18} {'Used':>18} {'Total':>18}\n"
    offset = 0
    for block_name, size in migration_of(machine).memory.blocks():
        text += f"{block_name:>24} {'4 KiB':>8}  0x{offset:016x} 0x{size:016x} 0x{size:016x}\n"
        offset += size
    return text


def _says(text: str) -> Show:
    """A topic that always shows the same here: what it is about is never on."""

    def show(machine: FakeQemu, given: dict[str, Any]) -> str:
        del machine, given
        return text

    return show


def _error(text: str) -> Show:
    def show(machine: FakeQemu, given: dict[str, Any]) -> str:
        del machine, given
        raise CommandError("GenericError", text)

    return show


def rocker(machine: FakeQemu, given: dict[str, Any]) -> str:
    """A switch that there is none of."""
    del machine
    raise CommandError("GenericError", f"rocker {given['name']} not found")


def usb(machine: FakeQemu, given: dict[str, Any]) -> str:
    """USB devices, where there is a controller."""
    del given
    try:
        return str(ask(machine, "x-query-usb")["human-readable-text"])
    except CommandError as error:
        if error.kind != "CommandNotFound" or any("usb" in device.kind for device in machine.line.devices):
            raise
        raise CommandError("GenericError", "USB support not enabled") from None


SHOWS: dict[str, Show] = {
    "balloon": balloon, "block": block, "block-jobs": block_jobs, "blockstats": blockstats,
    "capture": _says(""), "chardev": chardev, "cpus": cpus, "dirty_rate": dirty_rate, "dump": dump,
    "history": _says(""), "hotpluggable-cpus": hotpluggable, "iothreads": iothreads, "kvm": kvm,
    "mem": _says("PG disabled\n"), "memdev": memdev, "memory-devices": memory_devices,
    "memory_size_summary": memory_size, "mice": mice, "migrate": migrate,
    "migrate_capabilities": migrate_capabilities, "migrate_parameters": migrate_parameters, "name": name,
    "numa": numa, "pci": pci, "opcount": _says("[TCG profiler not compiled]\n"),
    "profile": _error("Internal profiler not compiled"), "ramblock": ramblock, "rdma": _says(""),
    "replay": _says("Record/replay is not active\n"), "rocker": rocker, "rocker-of-dpa-flows": rocker,
    "rocker-of-dpa-groups": rocker, "rocker-ports": rocker, "sev": _says("SEV is not enabled\n"),
    "sgx": _says("No EPC regions defined, SGX not available\n"), "snapshots": snapshots, "spice": spice,
    "stats": stats, "status": status, "tlb": _says("PG disabled\n"), "tpm": tpm,
    "usb": usb, "usbhost": _says('Command "info usbhost" is not available.\n'),
    "uuid": uuid, "vcpu_dirty_limit": _says("Dirty page limit not enabled!\n"), "version": version,
    "vm-generation-id": _error("VM Generation ID device not found"), "vnc": vnc,
}  # fmt: skip
