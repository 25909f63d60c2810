"""Which commands the monitor for people has, which arguments they take, and who carries them out.

Knows hmp-commands.hx of QEMU 7.2. Must not know how a line comes in. A command that is in QEMU's table, but
has no deed here, says that it is not modelled: never nothing.
"""

from __future__ import annotations

from fakeqemu.human.line import BadLine, Scanner, arguments
from fakeqemu.registry import CommandError, Deferred

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session

    Deed: TypeAlias = Callable[[FakeQemu, Session | None, dict[str, Any]], "str | Deferred | None"]

__all__ = ["COMMANDS", "QMP", "describe", "run"]

#: Names and argument types of every command.
COMMANDS: dict[str, str] = {
    "announce_self": "interfaces:s?,id:s?", "balloon": "value:M", "block_job_cancel": "force:-f,device:B",
    "block_job_complete": "device:B", "block_job_pause": "device:B", "block_job_resume": "device:B",
    "block_job_set_speed": "device:B,speed:o", "block_resize": "device:B,size:o",
    "block_set_io_throttle": "id:B,bps:l,bps_rd:l,bps_wr:l,iops:l,iops_rd:l,iops_wr:l",
    "block_stream": "device:B,speed:o?,base:s?", "boot_set": "bootdevice:s",
    "calc_dirty_rate": "ring:-r,bitmap:-b,second:l,samples:l?", "cancel_vcpu_dirty_limit": "cpu-index:l?",
    "change": "device:B,force:-f,target:F,arg:s?,mode:s?", "chardev-add": "args:s",
    "chardev-change": "id:s,args:s", "chardev-remove": "id:s", "chardev-send-break": "id:s",
    "client_migrate_info": "protocol:s,hostname:s,port:i?,tls-port:i?,cert-subject:s?",
    "closefd": "fdname:s", "commit": "device:B", "cont|c": "", "cpu": "index:i", "delvm": "name:s",
    "device_add": "device:O", "device_del": "id:s", "drive_add": "node:-n,pci_addr:s,opts:s",
    "drive_backup": "reuse:-n,full:-f,compress:-c,device:B,target:s,format:s?", "drive_del": "id:B",
    "drive_mirror": "reuse:-n,full:-f,device:B,target:s,format:s?",
    "dump-guest-memory": (
        "paging:-p,detach:-d,windmp:-w,zlib:-z,lzo:-l,snappy:-s,filename:F,begin:l?,length:l?"
    ),
    "dumpdtb": "filename:F", "eject": "force:-f,device:B", "exit_preconfig": "",
    "expire_password": "protocol:s,time:s,display:-ds", "gdbserver": "device:s?", "getfd": "fdname:s",
    "gpa2hpa": "addr:l", "gpa2hva": "addr:l", "gva2gpa": "addr:l", "help|?": "name:S?",
    "hostfwd_add": "arg1:s,arg2:s?", "hostfwd_remove": "arg1:s,arg2:s?", "i": "fmt:/,addr:i,index:i?",
    "info": "item:s?", "loadvm": "name:s", "log": "items:s", "logfile": "filename:F",
    "mce": "broadcast:-b,cpu_index:i,bank:i,status:l,mcg_status:l,addr:l,misc:l",
    "memsave": "val:l,size:i,filename:s", "migrate": "detach:-d,blk:-b,inc:-i,resume:-r,uri:s",
    "migrate_cancel": "", "migrate_continue": "state:s", "migrate_incoming": "uri:s", "migrate_pause": "",
    "migrate_recover": "uri:s", "migrate_set_capability": "capability:s,state:b",
    "migrate_set_parameter": "parameter:s,value:s", "migrate_start_postcopy": "",
    "mouse_button": "button_state:i", "mouse_move": "dx:s,dy:s,dz:s?", "mouse_set": "index:i",
    "nbd_server_add": "writable:-w,device:B,name:s?", "nbd_server_remove": "force:-f,name:s",
    "nbd_server_start": "all:-a,writable:-w,uri:s", "nbd_server_stop": "", "netdev_add": "netdev:O",
    "netdev_del": "id:s", "nmi": "", "o": "fmt:/,addr:i,val:i", "object_add": "object:S",
    "object_del": "id:s",
    "pcie_aer_inject_error": "advisory:-a,correctable:-c,id:s,error_status:s,header0:i?,header1:i?",
    "pmemsave": "val:l,size:i,filename:s", "print|p": "fmt:/,val:l", "qemu-io": "qdev:-d,device:B,command:s",
    "qom-get": "path:s,property:s", "qom-list": "path:s?", "qom-set": "json:-j,path:s,property:s,value:S",
    "quit|q": "", "replay_break": "icount:l", "replay_delete_break": "", "replay_seek": "icount:l",
    "ringbuf_read": "device:s,size:i", "ringbuf_write": "device:s,data:s", "savevm": "name:s?",
    "screendump": "filename:F,format:-fs,device:s?,head:i?", "sendkey": "keys:s,hold-time:i?",
    "set_link": "name:s,up:b", "set_password": "protocol:s,password:s,display:-ds,connected:s?",
    "set_vcpu_dirty_limit": "dirty-rate:l,cpu-index:l?", "singlestep": "option:s?",
    "snapshot_blkdev": "reuse:-n,device:B,snapshot-file:s?,format:s?",
    "snapshot_blkdev_internal": "device:B,name:s",
    "snapshot_delete_blkdev_internal": "device:B,name:s,id:s?", "stop|s": "", "stopcapture": "n:i",
    "sum": "start:i,size:i", "sync-profile": "op:s?", "system_powerdown": "", "system_reset": "",
    "system_wakeup": "", "trace-event": "name:s,option:b,vcpu:i?", "watchdog_action": "action:s",
    "wavcapture": "path:F,audiodev:s,freq:i?,bits:i?,nchannels:i?", "x": "fmt:/,addr:l",
    "x_colo_lost_heartbeat": "", "xp": "fmt:/,addr:l",
}  # fmt: skip

#: Commands that are one command of QMP: its name, and what its arguments are called here.
QMP: dict[str, tuple[str, dict[str, str]]] = {
    "balloon": ("balloon", {"value": "value"}),
    "block_job_cancel": ("block-job-cancel", {"device": "device", "force": "force"}),
    "block_job_complete": ("block-job-complete", {"device": "device"}),
    "block_job_pause": ("block-job-pause", {"device": "device"}),
    "block_job_resume": ("block-job-resume", {"device": "device"}),
    "block_job_set_speed": ("block-job-set-speed", {"device": "device", "speed": "speed"}),
    "block_resize": ("block_resize", {"device": "device", "size": "size"}),
    "block_stream": (
        "block-stream",
        {"job-id": "device", "device": "device", "base": "base", "speed": "speed"},
    ),
    "chardev-remove": ("chardev-remove", {"id": "id"}),
    "chardev-send-break": ("chardev-send-break", {"id": "id"}),
    "client_migrate_info": (
        "client_migrate_info",
        {"protocol": "protocol", "hostname": "hostname", "port": "port", "tls-port": "tls-port"},
    ),
    "closefd": ("closefd", {"fdname": "fdname"}),
    "cont": ("cont", {}),
    "device_del": ("device_del", {"id": "id"}),
    "eject": ("eject", {"device": "device", "force": "force"}),
    "exit_preconfig": ("x-exit-preconfig", {}),
    "expire_password": ("expire_password", {"protocol": "protocol", "time": "time"}),
    "getfd": ("getfd", {"fdname": "fdname"}),
    "memsave": ("memsave", {"val": "val", "size": "size", "filename": "filename"}),
    "migrate_cancel": ("migrate_cancel", {}),
    "migrate_incoming": ("migrate-incoming", {"uri": "uri"}),
    "migrate_pause": ("migrate-pause", {}),
    "migrate_recover": ("migrate-recover", {"uri": "uri"}),
    "migrate_start_postcopy": ("migrate-start-postcopy", {}),
    "nbd_server_stop": ("nbd-server-stop", {}),
    "nbd_server_remove": ("nbd-server-remove", {"name": "name"}),
    "netdev_del": ("netdev_del", {"id": "id"}),
    "nmi": ("inject-nmi", {}),
    "object_del": ("object-del", {"id": "id"}),
    "pmemsave": ("pmemsave", {"val": "val", "size": "size", "filename": "filename"}),
    "quit": ("quit", {}),
    "ringbuf_write": ("ringbuf-write", {"device": "device", "data": "data"}),
    "screendump": (
        "screendump",
        {"filename": "filename", "device": "device", "head": "head", "format": "format"},
    ),
    "set_link": ("set_link", {"name": "name", "up": "up"}),
    "set_password": ("set_password", {"protocol": "protocol", "password": "password"}),
    "set_vcpu_dirty_limit": ("set-vcpu-dirty-limit", {"dirty-rate": "dirty-rate", "cpu-index": "cpu-index"}),
    "snapshot_blkdev": (
        "blockdev-snapshot-sync",
        {"device": "device", "snapshot-file": "snapshot-file", "format": "format"},
    ),
    "snapshot_blkdev_internal": ("blockdev-snapshot-internal-sync", {"device": "device", "name": "name"}),
    "snapshot_delete_blkdev_internal": (
        "blockdev-snapshot-delete-internal-sync",
        {"device": "device", "name": "name", "id": "id"},
    ),
    "stop": ("stop", {}),
    "system_powerdown": ("system_powerdown", {}),
    "system_reset": ("system_reset", {}),
    "system_wakeup": ("system_wakeup", {}),
    "x_colo_lost_heartbeat": ("x-colo-lost-heartbeat", {}),
}

#: Every name of a command, short ones too -> its entry in `COMMANDS`.
_NAMES = {name: entry for entry in COMMANDS for name in entry.split("|")}


def run(machine: FakeQemu, session: Session | None, line: str) -> str | Deferred:
    """Carry a line out: what is printed, with newlines, or what will be."""
    scanner = Scanner(line)
    scanner.blank()
    start = scanner.at
    while scanner.next and not scanner.next.isspace() and scanner.next != "/":
        scanner.at += 1
    name = line[start : scanner.at]
    if not name:
        return ""
    entry = _NAMES.get(name)
    if entry is None:
        return f"unknown command: '{line[start:].split(maxsplit=1)[0]}'\n"
    first = entry.split("|")[0]
    if first == "info":
        from fakeqemu.human.info import info

        return info(machine, session, scanner.rest)
    try:
        layout = machine.parts.setdefault("human", {})
        given = arguments(first, COMMANDS[entry], scanner.rest, label=entry, layout=layout)
        return _finished(_deed(machine, session, first, given))
    except BadLine as problem:
        return f'{problem}\nTry "help {first}" for more information\n'
    except CommandError as error:
        return failure(error)


def failure(error: CommandError) -> str:
    """An error as people read it; what is no command of the fake says so."""
    return f"Error: {error.desc}\n"


def _deed(machine: FakeQemu, session: Session | None, name: str, given: dict[str, Any]) -> Any:
    from fakeqemu.human.deeds import DEEDS

    deed = DEEDS.get(name)
    if deed is not None:
        return deed(machine, session, given)
    simple = QMP.get(name)
    if simple is None:
        raise CommandError("CommandNotFound", f"The command {name} has not been found")
    from fakeqemu.protocol.asking import ask

    command, names = simple
    try:
        value = ask(
            machine, command, {key: given[own] for key, own in names.items() if own in given}, session
        )
    except CommandError as error:
        _, refused, word = error.desc.partition(" does not accept value ")
        if not refused:
            raise
        raise CommandError("GenericError", f"invalid parameter value: {word.strip(chr(39))}") from None
    return value if isinstance(value, Deferred) else ""


def _finished(value: Any) -> str | Deferred:
    """What is printed; a reply that comes later becomes text that comes later."""
    if not isinstance(value, Deferred):
        return value or ""
    text = Deferred()

    def done(result: Any, error: CommandError | None) -> None:
        if error is not None:
            text.resolve(failure(error))
        else:
            text.resolve(result if isinstance(result, str) else "")

    value.then(done)
    return text


def describe(name: str) -> str:
    """``help``: all commands, or one."""
    from fakeqemu.human import helptext

    if not name:
        return helptext.COMMANDS
    words = name.split()
    if words[0] == "info" and len(words) > 1:
        return _entry(helptext.INFO, f"info {words[1]}") or f"unknown command: '{words[1]}'\n"
    if words[0] == "info":
        return helptext.INFO
    entry = _NAMES.get(words[0])
    return _entry(helptext.COMMANDS, entry) if entry is not None else f"unknown command: '{words[0]}'\n"


def _entry(text: str, name: str) -> str:
    """The lines about one command: they go on until the next one's first line."""
    found: list[str] = []
    for line in text.splitlines(keepends=True):
        head = line.split(" ")[:2]
        mine = line.startswith(f"{name} ")
        begins = head[0] in COMMANDS or head[0] == "info"
        if found and begins:
            break
        if mine or found:
            found.append(line)
    return "".join(found)
