"""The arguments of the agent's commands, and how qemu-ga complains of them.

Knows qga/qapi-schema.json of QEMU 7.2 and the texts of qapi/qobject-input-visitor.c. Must not know what a
command does.
"""

from __future__ import annotations

from fakeqemu.glib import hash_order
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["ARGUMENTS", "check"]

_CPU = "logical-id:int online:bool ?can-offline:bool"
_BLOCK = "phys-index:uint online:bool ?can-offline:bool"
#: Command -> its members in the schema's order: ``?`` is optional, ``[]`` a list, ``{}`` a list of objects.
ARGUMENTS: dict[str, str] = {
    "guest-exec": "path:str ?arg:[str] ?env:[str] ?input-data:str ?capture-output:bool",
    "guest-exec-status": "pid:int",
    "guest-file-close": "handle:int",
    "guest-file-flush": "handle:int",
    "guest-file-open": "path:str ?mode:str",
    "guest-file-read": "handle:int ?count:int",
    "guest-file-seek": "handle:int offset:int whence:whence",
    "guest-file-write": "handle:int buf-b64:str ?count:int",
    "guest-fsfreeze-freeze": "",
    "guest-fsfreeze-freeze-list": "?mountpoints:[str]",
    "guest-fsfreeze-status": "",
    "guest-fsfreeze-thaw": "",
    "guest-fstrim": "?minimum:int",
    "guest-get-cpustats": "",
    "guest-get-devices": "",
    "guest-get-disks": "",
    "guest-get-diskstats": "",
    "guest-get-fsinfo": "",
    "guest-get-host-name": "",
    "guest-get-memory-block-info": "",
    "guest-get-memory-blocks": "",
    "guest-get-osinfo": "",
    "guest-get-time": "",
    "guest-get-timezone": "",
    "guest-get-users": "",
    "guest-get-vcpus": "",
    "guest-info": "",
    "guest-network-get-interfaces": "",
    "guest-ping": "",
    "guest-set-memory-blocks": "mem-blks:{blocks}",
    "guest-set-time": "?time:int",
    "guest-set-user-password": "username:str password:str crypted:bool",
    "guest-set-vcpus": "vcpus:{cpus}",
    "guest-shutdown": "?mode:str",
    "guest-ssh-add-authorized-keys": "username:str keys:[str] ?reset:bool",
    "guest-ssh-get-authorized-keys": "username:str",
    "guest-ssh-remove-authorized-keys": "username:str keys:[str]",
    "guest-suspend-disk": "",
    "guest-suspend-hybrid": "",
    "guest-suspend-ram": "",
    "guest-sync": "id:int",
    "guest-sync-delimited": "id:int",
}
_SHAPES = {"{cpus}": _CPU, "{blocks}": _BLOCK}
_NAMES = {"str": "string", "int": "integer", "uint": "integer", "bool": "boolean"}
_WHENCE = ("set", "cur", "end")


def check(name: str, arguments: dict[str, Any]) -> None:
    """Check the arguments of a command.

    Raises:
        CommandError: qemu-ga would refuse them, in its words.
    """
    _object(ARGUMENTS[name], arguments, "")


def _object(shape: str, given: dict[str, Any], where: str) -> None:
    left = dict(given)
    for member in shape.split():
        name, _, kind = member.lstrip("?").partition(":")
        path = f"{where}{name}"
        if name in left:
            _value(kind, left.pop(name), path)
        elif not member.startswith("?"):
            raise CommandError("GenericError", f"Parameter '{path}' is missing")
    if left:
        raise CommandError("GenericError", f"Parameter '{where}{hash_order(left)[0]}' is unexpected")


def _value(kind: str, value: Any, path: str) -> None:
    if kind == "whence":
        _whence(value, path)
    elif kind[0] in "[{":
        if not isinstance(value, list):
            raise _wrong(path, "array")
        for index, entry in enumerate(value):
            if kind[0] == "[":
                _value(kind[1:-1], entry, f"{path}[{index}]")
            elif isinstance(entry, dict):
                _object(_SHAPES[kind], entry, f"{path}[{index}].")
            else:
                raise _wrong(f"{path}[{index}]", "object")
    elif not _fits(kind, value):
        raise _wrong(path, _NAMES[kind])


def _fits(kind: str, value: Any) -> bool:
    if kind == "str":
        return isinstance(value, str)
    if kind == "bool":
        return isinstance(value, bool)
    most = 1 << (64 if kind == "uint" else 63)  # negative ones wrap around
    return isinstance(value, int) and not isinstance(value, bool) and -(1 << 63) <= value < most


def _whence(value: Any, path: str) -> None:
    """An alternate: a number, or one of three words."""
    if isinstance(value, str):
        if value not in _WHENCE:
            raise CommandError("GenericError", f"Parameter '{path}' does not accept value '{value}'")
    elif not isinstance(value, int) or isinstance(value, bool):
        raise CommandError("GenericError", f"Invalid parameter type for '{path}', expected: GuestFileWhence")


def _wrong(path: str, wanted: str) -> CommandError:
    return CommandError("GenericError", f"Invalid parameter type for '{path}', expected: {wanted}")
