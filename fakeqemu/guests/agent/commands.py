"""What the agent's commands do.

Knows qga/commands.c, commands-posix.c and commands-posix-ssh.c of QEMU 7.2. Must not know the protocol.
"""

from __future__ import annotations

from fakeqemu import runstate
from fakeqemu.chardevs.base64 import decode, encode
from fakeqemu.guests.agent.port import NO_REPLY, Silent
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from fakeqemu.guests.agent.port import Agent

    Run: TypeAlias = Callable[[Agent, dict[str, Any]], Any]

__all__ = ["COMMANDS"]

#: The order in which guest-info lists them.
_LISTED = (
    "guest-get-cpustats", "guest-get-diskstats", "guest-ssh-remove-authorized-keys",
    "guest-ssh-add-authorized-keys", "guest-ssh-get-authorized-keys", "guest-get-devices", "guest-get-osinfo",
    "guest-get-timezone", "guest-get-users", "guest-get-host-name", "guest-exec", "guest-exec-status",
    "guest-get-memory-block-info", "guest-set-memory-blocks", "guest-get-memory-blocks",
    "guest-set-user-password", "guest-get-fsinfo", "guest-get-disks", "guest-set-vcpus", "guest-get-vcpus",
    "guest-network-get-interfaces", "guest-suspend-hybrid", "guest-suspend-ram", "guest-suspend-disk",
    "guest-fstrim", "guest-fsfreeze-thaw", "guest-fsfreeze-freeze-list", "guest-fsfreeze-freeze",
    "guest-fsfreeze-status", "guest-file-flush", "guest-file-seek", "guest-file-write", "guest-file-read",
    "guest-file-close", "guest-file-open", "guest-shutdown", "guest-info", "guest-set-time", "guest-get-time",
    "guest-ping", "guest-sync", "guest-sync-delimited",
)  # fmt: skip
VERSION = "7.2.22"
BLOCK = 128 << 20
SECOND_NS = 1_000_000_000


def _error(text: str) -> CommandError:
    return CommandError("GenericError", text)


def _info(agent: Agent, _: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": VERSION,
        "supported_commands": [
            {"enabled": agent.disabled(name) is None, "name": name, "success-response": name not in NO_REPLY}
            for name in _LISTED
        ],
    }


# -- how it ends -----------------------------------------------------------------------------------


def _shutdown(agent: Agent, arguments: dict[str, Any]) -> type[Silent]:
    mode = arguments.get("mode", "powerdown")
    if mode not in ("halt", "powerdown", "reboot"):
        raise _error("mode is invalid (valid values are: halt|powerdown|reboot")
    inside = agent.guest
    takes = inside.words.get("powerdown")

    def act() -> None:
        if mode == "powerdown":
            runstate.power_off(inside.machine)
        elif mode == "reboot":
            runstate.reset(inside.machine)
        else:
            inside.shut_down("System halted")
            inside.hang()

    inside.later(takes if isinstance(takes, int) else 0, act)
    return Silent


def _suspend(mode: str) -> Run:
    def run(agent: Agent, _: dict[str, Any]) -> type[Silent]:
        inside = agent.guest
        act = runstate.suspend_disk if mode == "disk" else runstate.suspend
        inside.later(0, lambda: act(inside.machine))
        return Silent

    return run


# -- the clock, and names --------------------------------------------------------------------------


def _set_time(agent: Agent, arguments: dict[str, Any]) -> None:
    system = agent.guest.system
    if "time" not in arguments:  # from the hardware clock
        system.skew_ns = 0
        return
    wanted = arguments["time"]
    if not -(1 << 63) // 1000 <= wanted // 1000 < 1 << 43 and wanted // SECOND_NS > 0x1_FFFF_FFFF:
        raise _error("Invalid time")
    if wanted < 0:
        raise _error("Failed to set time to guest: Invalid argument")
    system.skew_ns += wanted - system.now_ns
    from fakeqemu.guests.clock import hardware_clock_set

    hardware_clock_set(agent.guest.machine, system.skew_ns // SECOND_NS)


def _timezone(agent: Agent, _: dict[str, Any]) -> dict[str, Any]:
    own = agent.guest.words.get("timezone") or {}
    return {"zone": own.get("zone", "UTC"), "offset": own.get("offset", 0)}


# -- CPUs and memory -------------------------------------------------------------------------------


def _vcpus(agent: Agent, _: dict[str, Any]) -> list[dict[str, Any]]:
    system = agent.guest.system
    return [
        {"online": number not in system.offline, "can-offline": number != 0, "logical-id": number}
        for number in system.cpus()
    ]


def _set_vcpus(agent: Agent, arguments: dict[str, Any]) -> int:
    system, done = agent.guest.system, 0
    for wanted in arguments["vcpus"]:
        number, online = wanted["logical-id"], wanted["online"]
        error = None
        if number not in system.cpus():
            error = f'open("/sys/devices/system/cpu/cpu{number}/"): No such file or directory'
        elif number == 0 and not online:
            error = "logical processor #0 can't be offlined"
        if error is not None:
            if done:
                break
            raise _error(error)
        (system.offline.discard if online else system.offline.add)(number)
        done += 1
    return done


def _blocks(agent: Agent, _: dict[str, Any]) -> list[dict[str, Any]]:
    number = -(-agent.guest.machine.line.ram // BLOCK)
    return [{"online": True, "can-offline": True, "phys-index": index} for index in range(min(number, 4096))]


def _set_blocks(agent: Agent, arguments: dict[str, Any]) -> list[dict[str, Any]]:
    number = -(-agent.guest.machine.line.ram // BLOCK)
    answer = []
    for wanted in arguments["mem-blks"]:
        index = wanted["phys-index"] % (1 << 64)
        if index >= number:
            answer.append({"response": "not-found", "error-code": 2, "phys-index": index})
        elif wanted["online"]:
            answer.append({"response": "success", "phys-index": index})
        else:  # what is in use cannot be taken away
            answer.append({"response": "operation-failed", "error-code": 16, "phys-index": index})
    return answer


def _cpustats(agent: Agent, _: dict[str, Any]) -> list[dict[str, Any]]:
    up = agent.guest.system.uptime_ns // 1_000_000
    return [
        {
            "cpu": number, "guestnice": 0, "idle": up * 97 // 100, "steal": 0, "iowait": up // 200,
            "system": up // 100, "guest": 0, "nice": 0, "irq": 0, "type": "linux", "user": up // 70,
            "softirq": 0,
        }
        for number in agent.guest.system.cpus()
    ]  # fmt: skip


# -- disks and file systems ------------------------------------------------------------------------


def _disks(agent: Agent, _: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": f"/dev/{name}", "dependencies": [], "partition": False, "address": address}
        for name, address in agent.guest.system.disks()
    ]


def _diskstats(agent: Agent, _: dict[str, Any]) -> list[dict[str, Any]]:
    seconds = agent.guest.system.uptime_ns // SECOND_NS
    quiet = (
        "discard-sectors", "discard-ios", "discard-ticks", "flush-ios", "write-merges", "ios-pgr",
        "read-merges", "discard-merges", "flush-ticks",
    )  # fmt: skip
    stats = dict.fromkeys(quiet, 0) | {
        "write-ios": seconds, "write-sectors": 8 * seconds, "write-ticks": seconds,
        "read-ios": 2000 + seconds,
        "read-sectors": 160000 + 8 * seconds, "read-ticks": 900 + seconds, "total-ticks": 950 + seconds,
        "weight-ticks": 1000 + 2 * seconds,
    }  # fmt: skip
    return [
        {"name": name, "stats": stats, "minor": 16 * unit, "major": 254 if name.startswith("vd") else 8}
        for unit, (name, _address) in enumerate(agent.guest.system.disks())
    ]


def _filesystems(agent: Agent, _: dict[str, Any]) -> list[dict[str, Any]]:
    disks = agent.guest.system.disks()
    name, address = disks[0] if disks else ("vda", None)
    return [
        {
            "name": f"{name}1", "total-bytes": 20 << 30, "mountpoint": "/",
            "used-bytes": 3 << 30, "type": "ext4",
            "disk": [] if address is None else [{**address, "dev": f"/dev/{name}1"}],
        }
    ]  # fmt: skip


def _freeze(agent: Agent, arguments: dict[str, Any]) -> int:
    points = arguments.get("mountpoints")
    number = 1 if points is None or "/" in points else 0
    agent.guest.system.frozen = number
    return number


def _thaw(agent: Agent, _: dict[str, Any]) -> int:
    system = agent.guest.system
    number, system.frozen = system.frozen, 0
    return number


# -- accounts --------------------------------------------------------------------------------------


def _password(agent: Agent, arguments: dict[str, Any]) -> None:
    system, user = agent.guest.system, arguments["username"]
    word = decode(arguments["password"]).decode("utf-8", "replace")
    if "\n" in word:
        raise _error("forbidden characters in raw password")
    if "\n" in user or ":" in user:
        raise _error("forbidden characters in username")
    if not system.knows(user):
        raise _error("child process has failed to set user password")
    system.passwords[user] = word


def _keys_path(agent: Agent, user: str) -> str:
    if not agent.guest.system.knows(user):
        raise _error(f"failed to lookup user '{user}': Success")
    home = f"/{user}" if user == "root" else f"/home/{user}"
    return f"{home}/.ssh/authorized_keys"


def _get_keys(agent: Agent, arguments: dict[str, Any]) -> dict[str, Any]:
    path = _keys_path(agent, arguments["username"])
    keys = agent.guest.system.keys.get(arguments["username"])
    if keys is None:
        text = f"Failed to open file “{path}”: No such file or directory"
        raise _error(f"failed to read '{path}': {text}")
    return {"keys": [key for key in keys if key and not key.startswith("#")]}


def _add_keys(agent: Agent, arguments: dict[str, Any]) -> None:
    for key in arguments["keys"]:
        if key.startswith("#") or "\n" in key:
            raise _error(f"invalid OpenSSH public key: '{key}'")
    user, system = arguments["username"], agent.guest.system
    _keys_path(agent, user)
    keys = [] if arguments.get("reset") else list(system.keys.get(user, []))
    keys += [key for key in arguments["keys"] if key not in keys]
    if sum(map(len, keys)) > 1 << 18:
        raise _error(f"failed to write '{_keys_path(agent, user)}': No space left on device")
    system.keys[user] = keys


def _remove_keys(agent: Agent, arguments: dict[str, Any]) -> None:
    for key in arguments["keys"]:
        if key.startswith("#") or "\n" in key:
            raise _error(f"invalid OpenSSH public key: '{key}'")
    user, system = arguments["username"], agent.guest.system
    _keys_path(agent, user)
    if user in system.keys:
        system.keys[user] = [key for key in system.keys[user] if key not in arguments["keys"]]


# -- files -----------------------------------------------------------------------------------------


def _open(agent: Agent, arguments: dict[str, Any]) -> int:
    return agent.handles.open(arguments["path"], arguments.get("mode", "r"))


def _read(agent: Agent, arguments: dict[str, Any]) -> dict[str, Any]:
    data, end = agent.handles.read(arguments["handle"], arguments.get("count"))
    return {"count": len(data), "buf-b64": encode(data), "eof": end}


def _write(agent: Agent, arguments: dict[str, Any]) -> dict[str, Any]:
    agent.handles.flush(arguments["handle"])
    data = decode(arguments["buf-b64"])
    return {"count": agent.handles.write(arguments["handle"], data, arguments.get("count")), "eof": False}


def _seek(agent: Agent, arguments: dict[str, Any]) -> dict[str, Any]:
    position, end = agent.handles.seek(arguments["handle"], arguments["offset"], arguments["whence"])
    return {"eof": end, "position": position}


COMMANDS: dict[str, Run] = {
    "guest-exec": lambda agent, given: {"pid": agent.processes.start(given)},
    "guest-exec-status": lambda agent, given: agent.processes.status(given["pid"]),
    "guest-file-close": lambda agent, given: agent.handles.close(given["handle"]),
    "guest-file-flush": lambda agent, given: agent.handles.flush(given["handle"]),
    "guest-file-open": _open,
    "guest-file-read": _read,
    "guest-file-seek": _seek,
    "guest-file-write": _write,
    "guest-fsfreeze-freeze": _freeze,
    "guest-fsfreeze-freeze-list": _freeze,
    "guest-fsfreeze-status": lambda agent, _: "frozen" if agent.guest.system.frozen else "thawed",
    "guest-fsfreeze-thaw": _thaw,
    "guest-fstrim": lambda _agent, _: {"paths": [{"path": "/", "trimmed": 1 << 30, "minimum": 0}]},
    "guest-get-cpustats": _cpustats,
    "guest-get-disks": _disks,
    "guest-get-diskstats": _diskstats,
    "guest-get-fsinfo": _filesystems,
    "guest-get-host-name": lambda agent, _: {"host-name": agent.guest.system.hostname},
    "guest-get-memory-block-info": lambda _agent, _: {"size": BLOCK},
    "guest-get-memory-blocks": _blocks,
    "guest-get-osinfo": lambda agent, _: agent.guest.system.os,
    "guest-get-time": lambda agent, _: agent.guest.system.now_ns,
    "guest-get-timezone": _timezone,
    "guest-get-users": lambda agent, _: agent.guest.system.users(),
    "guest-get-vcpus": _vcpus,
    "guest-info": _info,
    "guest-network-get-interfaces": lambda agent, _: agent.guest.system.interfaces(),
    "guest-ping": lambda _agent, _: {},
    "guest-set-memory-blocks": _set_blocks,
    "guest-set-time": _set_time,
    "guest-set-user-password": _password,
    "guest-set-vcpus": _set_vcpus,
    "guest-shutdown": _shutdown,
    "guest-ssh-add-authorized-keys": _add_keys,
    "guest-ssh-get-authorized-keys": _get_keys,
    "guest-ssh-remove-authorized-keys": _remove_keys,
    "guest-suspend-disk": _suspend("disk"),
    "guest-suspend-hybrid": _suspend("hybrid"),
    "guest-suspend-ram": _suspend("ram"),
    "guest-sync": lambda _agent, given: given["id"],
    "guest-sync-delimited": lambda _agent, given: given["id"],
}
