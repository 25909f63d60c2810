"""What ``info`` shows.

Knows hmp-commands-info.hx of QEMU 7.2 and how its answers are laid out. Must not know how a line is read.
Everything is asked of the machine as a monitor would ask it; what no command of QMP tells and is not modelled
says so.
"""

from __future__ import annotations

from fakeqemu.human.line import BadLine, Scanner, arguments
from fakeqemu.protocol.asking import ask
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session

    Show: TypeAlias = Callable[[FakeQemu, dict[str, Any]], str]

__all__ = ["TOPICS", "info"]

#: Argument types of the topics that take arguments.
TOPICS: dict[str, str] = {
    "block": "nodes:-n,verbose:-v,device:B?", "lapic": "apic-id:i?",
    "mtree": "flat:-f,dispatch:-d,owner:-o,off:-D", "qom-tree": "path:s?", "registers": "all:-a,vcpu:i?",
    "rocker": "name:s", "rocker-of-dpa-flows": "name:s,tbl_id:i?", "rocker-of-dpa-groups": "name:s,type:i?",
    "rocker-ports": "name:s", "stats": "target:s,names:s?,provider:s?",
    "sync-profile": "mean:-m,no_coalesce:-n,max:i?", "trace-events": "name:s?,vcpu:i?",
    "virtio-queue-element": "path:s,queue:i,index:i?", "virtio-queue-status": "path:s,queue:i",
    "virtio-status": "path:s", "virtio-vhost-queue-status": "path:s,queue:i",
}  # fmt: skip
_PLAIN = (
    "balloon", "block-jobs", "blockstats", "capture", "chardev", "cpus", "dirty_rate", "dump", "history",
    "hotpluggable-cpus", "iothreads", "irq", "jit", "kvm", "mem", "memdev", "memory-devices",
    "memory_size_summary", "mice", "migrate", "migrate_capabilities", "migrate_parameters", "name", "network",
    "numa", "opcount", "pci", "pic", "profile", "qdm", "qtree", "ramblock", "rdma", "replay", "roms", "sev",
    "sgx", "snapshots", "spice", "status", "tlb", "tpm", "usb", "usbhost", "usernet", "uuid",
    "vcpu_dirty_limit", "version", "virtio", "vm-generation-id", "vnc",
)  # fmt: skip
TOPICS.update(dict.fromkeys(_PLAIN, ""))


def info(machine: FakeQemu, session: Session | None, text: str) -> str:
    """Show a topic, or the list of them."""
    del session
    from fakeqemu.human import helptext

    scanner = Scanner(text)
    scanner.blank()
    start = scanner.at
    while scanner.next and not scanner.next.isspace():
        scanner.at += 1
    topic = text[start : scanner.at]
    if not topic:
        return helptext.INFO
    if topic not in TOPICS:
        return f"unknown command: 'info {topic}'\n"
    try:
        given = arguments(topic, TOPICS[topic], scanner.rest, label=topic)
        from fakeqemu.human.parts import PARTS
        from fakeqemu.human.shows import SHOWS

        show = SHOWS.get(topic) or PARTS.get(topic)
        if show is not None:
            return show(machine, given)
        return _told(machine, topic)
    except BadLine as problem:
        return f'{problem}\nTry "help info {topic}" for more information\n'
    except CommandError as error:
        return f"Error: {error.desc}\n"


def _told(machine: FakeQemu, topic: str) -> str:
    """Topics that QMP has as text."""
    names = {
        "irq": "x-query-irq", "jit": "x-query-jit", "numa": "x-query-numa", "opcount": "x-query-opcount",
        "profile": "x-query-profile", "ramblock": "x-query-ramblock", "rdma": "x-query-rdma",
        "roms": "x-query-roms", "usb": "x-query-usb",
    }  # fmt: skip
    name = names.get(topic)
    if name is None:
        raise CommandError("CommandNotFound", f"The command info {topic} has not been found")
    return str(ask(machine, name)["human-readable-text"])
