"""What a guest says while it boots.

Knows the lines and when they come. Must not know where they are written.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fakeqemu.guests.inside import Guest

__all__ = ["play", "stamped"]

#: What the kernel says: when (in thousandths of the boot), and what.
_KERNEL = (
    (0, "Linux version {release} (builder@localhost) {version}"),
    (
        0,
        "Command line: BOOT_IMAGE=/vmlinuz-{release} root=/dev/vda1 ro console=tty0 console=ttyS0",
    ),
    (0, "BIOS-provided physical RAM map:"),
    (5, "DMI: QEMU {machine}"),
    (10, "Hypervisor detected: KVM"),
    (40, "Memory: {kib}K available"),
    (60, "smp: Brought up 1 node, {cpus} CPU{s}"),
    (120, "PCI: Using configuration type 1 for base access"),
    (200, "virtio_blk virtio1: [vda] 41943040 512-byte logical blocks"),
    (260, "EXT4-fs (vda1): mounted filesystem with ordered data mode. Quota mode: none."),
    (300, "systemd[1]: Hostname set to <{host}>."),
)
#: What the first process says.
_INIT = (
    (450, "Reached target Local File Systems."),
    (520, "Started Journal Service."),
    (640, "Reached target Network."),
    (760, "Started D-Bus System Message Bus."),
    (880, "Started User Login Management."),
    (960, "Reached target Multi-User System."),
)


def stamped(guest: Guest, text: str) -> str:
    """A line of the kernel's log, with the seconds since it started."""
    seconds, rest = divmod(max(0, guest.machine.now_ns - guest.booted_ns) // 1000, 1_000_000)
    return f"[{seconds:5d}.{rest:06d}] {text}\r\n"


def play(guest: Guest, took_ns: int) -> None:
    """Say it all, spread over the time that booting takes; a script may have lines of its own.

    Args:
        guest: who boots.
        took_ns: how long it boots.
    """
    own = guest.words.get("log")
    if own is not None:
        lines = [(index * 1000 // max(1, len(own)), f"{text}\r\n", False) for index, text in enumerate(own)]
    else:
        line, system = guest.machine.line, guest.system
        facts = {
            "release": system.os["kernel-release"], "version": system.os["kernel-version"],
            "machine": line.machine, "kib": line.ram >> 10, "cpus": line.cpus, "s": "s"[: line.cpus != 1],
            "host": system.hostname,
        }  # fmt: skip
        lines = [(share, text.format(**facts), True) for share, text in _KERNEL]
        lines += [(share, f"[  OK  ] {text}\r\n", False) for share, text in _INIT]
    _from(guest, lines, 0, took_ns, 0)


def _from(guest: Guest, lines: list[tuple[int, str, bool]], index: int, took_ns: int, share: int) -> None:
    """Say the lines whose time has come, then wait for the next."""
    while index < len(lines) and (lines[index][0] <= share or not took_ns):
        _, text, kernel = lines[index]
        guest.say(stamped(guest, text) if kernel else text)
        index += 1
    if index < len(lines):
        then = lines[index][0]
        delay = took_ns * then // 1000 - took_ns * share // 1000
        guest.later(delay, lambda: _from(guest, lines, index, took_ns, then))
