"""What a guest knows of itself: its names, users, files, disks, interfaces and clock.

Knows the facts, and what of the script says otherwise. Must not know in which protocol they are asked for.

The ``guest:`` word of a script, as far as it is about this:

===============  =====================================================================================
``hostname``     its name; else the machine's
``os``           members of ``guest-get-osinfo`` (``id``, ``name``, ``pretty-name``, ``kernel-release``, ...)
``users``        who is logged in: ``{user, login-time, domain}`` each (seconds since the epoch)
``interfaces``   ``{name, mac, addresses: [192.0.2.7/24, ...]}`` each; else one for each of the machine's
``timezone``     ``{zone, offset}`` (seconds)
``files``        path: text
``exec``         program: ``{exitcode, signal, out, err, takes}``
===============  =====================================================================================
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.guests.inside import Guest

__all__ = ["MAX_STORED", "System"]

#: Bytes that all files of a guest may have together.
MAX_STORED = 1 << 20
_OS = {
    "name": "Debian GNU/Linux",
    "kernel-release": "6.1.0-18-amd64",
    "version": "12 (bookworm)",
    "pretty-name": "Debian GNU/Linux 12 (bookworm)",
    "version-id": "12",
    "kernel-version": "#1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1 (2024-02-01)",
    "machine": "x86_64",
    "id": "debian",
}
#: Directories that are there without any file in them.
_DIRECTORIES = (
    "/",
    *(f"/{name}" for name in ("dev", "etc", "home", "mnt", "proc", "root", "run", "tmp", "usr", "var")),
)


class System:
    """The facts of one guest.

    Attributes:
        hostname: its name.
        os: the members of ``guest-get-osinfo``.
        files: contents by path.
        keys: authorized keys by user.
        passwords: of users that got one.
        offline: logical ids of CPUs that are switched off.
        skew_ns: how far the guest's clock is from the host's.
        frozen: how many file systems are frozen.
    """

    __slots__ = ("files", "frozen", "guest", "hostname", "keys", "offline", "os", "passwords", "skew_ns")

    def __init__(self, guest: Guest) -> None:
        words, line = guest.words, guest.machine.line
        self.guest: Guest = guest
        name = "".join(sign if sign.isalnum() or sign == "-" else "-" for sign in line.name or "vm").strip(
            "-"
        )
        self.hostname: str = words.get("hostname") or name[:63] or "vm"
        self.os: dict[str, str] = {
            **_OS,
            "machine": line.program.rpartition("-")[2],
            **(words.get("os") or {}),
        }
        self.files: dict[str, bytes] = {
            "/etc/hostname": f"{self.hostname}\n".encode(),
            "/etc/os-release": (
                f'PRETTY_NAME="{self.os["pretty-name"]}"\nNAME="{self.os["name"]}"\n'
                f'VERSION_ID="{self.os["version-id"]}"\nID={self.os["id"]}\n'
            ).encode(),
            "/etc/passwd": b"root:x:0:0:root:/root:/bin/bash\n",
        }
        for path, text in (words.get("files") or {}).items():
            self.files[path] = str(text).encode()
        self.keys: dict[str, list[str]] = {}
        self.passwords: dict[str, str] = {}
        self.offline: set[int] = set()
        self.skew_ns = 0
        self.frozen: int = 0

    # -- users ----------------------------------------------------------------------------------------------

    def knows(self, user: str) -> bool:
        """Whether there is an account of that name."""
        accounts = self.files["/etc/passwd"].decode("utf-8", "replace")
        return any(line.split(":")[0] == user for line in accounts.splitlines())

    def admits(self, user: str, password: str) -> bool:
        """Whether somebody may log in; an account that never got a password takes any."""
        return self.knows(user) and self.passwords.get(user, password) == password

    def users(self) -> list[dict[str, Any]]:
        """Who is logged in."""
        return [
            {"login-time": float(user.get("login-time", self.now_ns // 1_000_000_000)), "user": user["user"]}
            | ({"domain": user["domain"]} if "domain" in user else {})
            for user in self.guest.words.get("users") or ()
        ]

    # -- the clock ------------------------------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        """The guest's time of day."""
        return self.guest.machine.wall_ns + self.guest.machine.now_ns + self.skew_ns

    @property
    def uptime_ns(self) -> int:
        """Since it began to boot."""
        return self.guest.machine.now_ns - self.guest.booted_ns

    # -- files ----------------------------------------------------------------------------------------------

    def is_directory(self, path: str) -> bool:
        """Whether there is a directory."""
        path = path.rstrip("/") or "/"
        return path in _DIRECTORIES or any(name.startswith(f"{path}/") for name in self.files)

    def reason(self, path: str, *, create: bool) -> str | None:
        """Why a file cannot be opened, in the system's words; None when it can be, or can be made."""
        if self.is_directory(path):
            return "Is a directory" if create else None
        if path in self.files or (create and self.is_directory(path.rpartition("/")[0] or "/")):
            return None
        return "No such file or directory"

    def store(self, path: str, data: bytes) -> str | None:
        """Give a file its contents; why that cannot be, or None."""
        total = sum(map(len, self.files.values())) - len(self.files.get(path, b""))
        if total + len(data) > MAX_STORED:
            return "No space left on device"
        self.files[path] = data
        return None

    # -- what the machine has -------------------------------------------------------------------------------

    def _devices(self) -> list[Any]:
        machine = self.guest.machine
        registry = machine.parts.get("hardware")
        return list(registry.devices() if registry is not None else machine.line.devices)

    def interfaces(self) -> list[dict[str, Any]]:
        """The network interfaces with their addresses and what passed through."""
        seconds = self.uptime_ns // 1_000_000_000
        found = [_interface("lo", "00:00:00:00:00:00", ["127.0.0.1/8", "::1/128"], 0)]
        own = self.guest.words.get("interfaces")
        if own is not None:
            return found + [
                _interface(entry["name"], entry.get("mac", ""), entry.get("addresses") or [], seconds)
                for entry in own
            ]
        number = 0
        for device in self._devices():
            mac = device.options.get("mac")
            if mac is None and "netdev" not in device.options:
                continue
            mac = str(mac or f"52:54:00:12:34:{0x56 + number:02x}").lower()
            netdev = self.guest.machine.line.netdevs.get(str(device.options.get("netdev")))
            user = netdev is not None and netdev.kind == "user"
            ipv4 = f"10.0.2.{15 + number}/24" if user else f"192.168.122.{2 + int(mac[-2:], 16) % 253}/24"
            found.append(_interface(f"eth{number}", mac, [ipv4, f"{_link_local(mac)}/64"], seconds))
            number += 1
        return found

    def cpus(self) -> list[int]:
        """Logical ids of the CPUs that are plugged in."""
        registry = self.guest.machine.parts.get("hardware")
        plugged = len(registry.cpus) if registry is not None else 0
        return list(range(plugged or self.guest.machine.line.cpus))

    def disks(self) -> list[tuple[str, dict[str, Any]]]:
        """The disks: what the guest calls each, and its address as the agent tells it."""
        devices = self._devices()
        counts: dict[str, int] = {}
        found = []
        for device in devices:
            kind, options = device.kind, _options(device)
            if kind.startswith("virtio-blk"):
                sort, bus, unit, pci = "vd", "virtio", 0, _place(options)
            elif kind in ("scsi-hd", "scsi-disk", "scsi-block"):
                owner = str(options.get("bus", "")).partition(".")[0]
                controller = next((one for one in devices if one.id == owner), None)
                sort, bus, unit = "sd", "scsi", _number(options.get("lun", 0))
                pci = _place(_options(controller) if controller is not None else {})
            elif kind == "ide-hd":
                sort, bus, unit = "sd", "sata", _number(str(options.get("bus", "ide.0")).rpartition(".")[2])
                pci = (0, 0x1F, 2) if "q35" in self.guest.machine.line.machine else (0, 1, 1)
            else:
                continue
            number = counts[sort] = counts.get(sort, -1) + 1
            name = f"{sort}{chr(97 + number % 26)}"
            address: dict[str, Any] = {
                "bus-type": bus, "bus": 0, "unit": unit, "target": _number(options.get("scsi-id", 0)),
                "dev": f"/dev/{name}",
                "pci-controller": {"bus": pci[0], "slot": pci[1], "domain": 0, "function": pci[2]},
            }  # fmt: skip
            if options.get("serial"):
                address["serial"] = str(options["serial"])
            found.append((name, address))
        return found

    # -- state ----------------------------------------------------------------------------------------------

    def saved(self) -> dict[str, Any]:
        """What moves with the guest."""
        return {
            "hostname": self.hostname,
            "files": {path: data.decode("latin-1") for path, data in self.files.items()},
            "keys": self.keys,
            "passwords": self.passwords,
            "offline": sorted(self.offline),
            "skew": self.skew_ns,
            "frozen": self.frozen,
        }

    def restored(self, value: dict[str, Any]) -> None:
        """Take over what came with the guest; whatever is not as expected is left as it is."""
        if isinstance(value.get("hostname"), str):
            self.hostname = value["hostname"]
        files = value.get("files")
        if isinstance(files, dict):
            for path in [path for path in self.files if path not in files and path != "/etc/passwd"]:
                del self.files[path]
            for path, text in files.items():
                self.store(str(path), str(text).encode("latin-1", "replace"))
        for name in ("skew", "frozen"):
            if isinstance(value.get(name), int):
                setattr(self, "skew_ns" if name == "skew" else name, value[name])
        if isinstance(value.get("offline"), list):
            self.offline = {number for number in value["offline"] if isinstance(number, int)}
        if isinstance(value.get("passwords"), dict):
            self.passwords = {str(user): str(word) for user, word in value["passwords"].items()}
        if isinstance(value.get("keys"), dict):
            self.keys = {
                str(user): [str(key) for key in keys]
                for user, keys in value["keys"].items()
                if isinstance(keys, list)
            }


def _number(text: object) -> int:
    """A number as an option has it; 0 for what is none."""
    word = str(text).lower()
    try:
        return int(word, 16 if word.startswith("0x") else 10)
    except ValueError:
        return 0


def _options(device: Any) -> dict[str, Any]:
    """The options of a device, with the bus that it came to when none was named."""
    options: dict[str, Any] = device.options
    if "bus" in options:
        return options
    return {**options, "bus": getattr(device, "bus", None) or ""}


def _place(options: dict[str, Any]) -> tuple[int, int, int]:
    """Bus, slot and function that a guest sees, of a device with these options: bus n is behind port n."""
    bus = str(options.get("bus", "")).rpartition(".")[2]
    slot, _, function = str(options.get("addr", "0x2")).partition(".")
    return _number(bus), _number(slot), _number(function)


def _interface(name: str, mac: str, addresses: list[str], seconds: int) -> dict[str, Any]:
    """One interface; what passed through it grows by so much a second."""
    listed = []
    for text in addresses:
        address, _, prefix = text.partition("/")
        kind = "ipv6" if ":" in address else "ipv4"
        number = int(prefix) if prefix.isdigit() else 64 if kind == "ipv6" else 24
        listed.append({"ip-address-type": kind, "ip-address": address, "prefix": number})
    passed = {
        "tx-packets": seconds, "tx-errs": 0, "rx-bytes": 180 * seconds, "rx-dropped": 0,
        "rx-packets": 2 * seconds, "rx-errs": 0, "tx-bytes": 90 * seconds, "tx-dropped": 0,
    }  # fmt: skip
    found: dict[str, Any] = {"name": name}
    if listed:
        found |= {"ip-addresses": listed, "statistics": passed}
    return found | ({"hardware-address": mac} if mac else {})


def _link_local(mac: str) -> str:
    """The IPv6 address that a card gives itself (EUI-64)."""
    parts = [int(part, 16) for part in mac.split(":")] if mac.count(":") == 5 else [0] * 6
    eui = [parts[0] ^ 2, *parts[1:3], 0xFF, 0xFE, *parts[3:]]
    groups = [f"{eui[index] << 8 | eui[index + 1]:x}" for index in range(0, 8, 2)]
    return "fe80::" + ":".join(groups)
