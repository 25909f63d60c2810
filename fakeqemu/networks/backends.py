"""What ``netdev_add`` refuses, back end by back end.

Knows the checks of net/net.c and its neighbours in QEMU 7.2. Must not know which back ends there are already.
"""

from __future__ import annotations

from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session

__all__ = ["check", "identifier"]


def identifier(text: str) -> bool:
    """Whether it is an id as QEMU wants one (id_wellformed)."""
    return (
        text[:1].isascii()
        and text[:1].isalpha()
        and all(sign.isascii() and (sign.isalnum() or sign in "-._") for sign in text)
    )


def check(machine: FakeQemu, session: Session, options: dict[str, Any]) -> None:
    """Check what a back end of that type wants, and take the descriptors it was given.

    Raises:
        CommandError: QEMU would refuse it.
    """
    kind = options["type"]
    if kind in ("netmap", "none", "vmnet-host", "vmnet-shared", "vmnet-bridged"):
        raise _error(f"network backend '{kind}' is not compiled into this binary")
    look = _CHECKS.get(kind)
    if look is not None:
        look(machine, session, options)


def _error(text: str) -> CommandError:
    return CommandError("GenericError", text)


def _tap(machine: FakeQemu, session: Session, options: dict[str, Any]) -> None:
    names = [options[key] for key in ("fd", "vhostfd") if options.get(key) is not None]
    for key in ("fds", "vhostfds"):
        names += str(options[key]).split(":") if options.get(key) is not None else []
    if options.get("fd") is not None and any(
        options.get(key) is not None
        for key in ("ifname", "script", "downscript", "vnet_hdr", "helper", "queues", "fds", "vhostfds")
    ):
        raise _error(
            "ifname=, script=, downscript=, vnet_hdr=, helper=, queues=, fds=, and vhostfds= are invalid"
            " with fd="
        )
    from fakeqemu.descriptors import descriptors_of

    for name in names:
        descriptors_of(machine).take_or_number(session, name)


def _socket(machine: FakeQemu, session: Session, options: dict[str, Any]) -> None:
    ways = sum(options.get(key) is not None for key in ("fd", "listen", "connect", "mcast", "udp"))
    if ways != 1:
        raise _error("exactly one of listen=, connect=, mcast= or udp= is required")
    if options.get("localaddr") is not None and not options.get("mcast") and not options.get("udp"):
        raise _error("localaddr= is only valid with mcast= or udp=")
    if options.get("udp") is not None and options.get("localaddr") is None:
        raise _error("localaddr= is mandatory with udp=")
    if options.get("fd") is not None:
        _tap(machine, session, {"fd": options["fd"]})


def _dgram(_machine: FakeQemu, _session: Session, options: dict[str, Any]) -> None:
    local, remote = options.get("local"), options.get("remote")
    if local is None and remote is None:
        raise _error("dgram requires local= or remote= parameter")
    if local is not None and local["type"] in ("inet", "unix") and remote is None:
        raise _error("type=inet or type=unix requires remote parameter")


def _vhost_user(machine: FakeQemu, _session: Session, options: dict[str, Any]) -> None:
    from fakeqemu.chardevs import chardevs_of

    name = options["chardev"]
    backend = chardevs_of(machine).find(name)
    if backend is None:
        raise _error(f'chardev "{name}" not found')
    if backend.kind != "socket":
        raise _error(f'chardev "{name}" is not reconnectable')


def _vhost_vdpa(machine: FakeQemu, _session: Session, options: dict[str, Any]) -> None:
    path = options.get("vhostdev")
    if path is None and options.get("vhostfd") is None:
        raise _error("vhost-vdpa: neither vhostdev= nor vhostfd= was specified")
    reason = machine.host.file_error(path) if path is not None else None
    if reason is not None:
        raise _error(f"Could not open '{path}': {reason}")
    raise _error("Fail to query features from vhost-vDPA device: Inappropriate ioctl for device")


def _hubport(machine: FakeQemu, _session: Session, options: dict[str, Any]) -> None:
    from fakeqemu.networks.clients import networks_of

    name = options.get("netdev")
    if name is not None and name not in networks_of(machine).backends():
        raise _error(f"netdev '{name}' not found")


def _l2tpv3(_machine: FakeQemu, _session: Session, options: dict[str, Any]) -> None:
    # Names would have to be resolved: only addresses are.
    for key in ("src", "dst"):
        text = str(options[key])
        if not _address(text) and ":" not in text and text != "localhost":
            raise _error(f"could not resolve {key}, errno = Name or service not known")


def _vde(_machine: FakeQemu, _session: Session, _options: dict[str, Any]) -> None:
    raise _error("Could not open vde: No such file or directory")


def _user(_machine: FakeQemu, _session: Session, options: dict[str, Any]) -> None:
    for rule in options.get("hostfwd") or ():
        _forward(rule["str"])


def _forward(rule: str) -> None:
    """``[tcp|udp]:[host address]:host port-[guest address]:guest port`` (slirp_hostfwd)."""
    reason = None
    protocol, colon, rest = rule.partition(":")
    host, second, rest = rest.partition(":")
    port, dash, guest = rest.partition("-")
    if not colon:
        reason = "No : separators"
    elif protocol not in ("", "tcp", "udp"):
        reason = "Bad protocol name"
    elif not second or not _address(host):
        reason = "Bad host address" if second or "-" in host else "Missing : separator"
    elif not dash:
        reason = "Bad host port separator"
    elif not _port(port):
        reason = "Bad host port"
    elif not _address(guest.partition(":")[0]):
        reason = "Missing guest address" if ":" not in guest else "Bad guest address"
    elif not _port(guest.partition(":")[2]) or guest.endswith(":0"):
        reason = "Bad guest port"
    if reason is not None:
        raise _error(f"Invalid host forwarding rule '{rule}' ({reason})")


def _port(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) <= 65535


def _address(text: str) -> bool:
    """inet_aton() takes up to four numbers; nothing is every address."""
    parts = text.split(".") if text else []
    return len(parts) <= 4 and all(part.isascii() and part.isdigit() for part in parts)


_CHECKS: dict[str, Callable[[FakeQemu, Session, dict[str, Any]], None]] = {
    "dgram": _dgram, "hubport": _hubport, "l2tpv3": _l2tpv3, "socket": _socket, "tap": _tap,
    "user": _user, "vde": _vde, "vhost-user": _vhost_user,
    "vhost-vdpa": _vhost_vdpa,
}  # fmt: skip
