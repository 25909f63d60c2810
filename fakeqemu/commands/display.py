"""Displays and their passwords."""

from __future__ import annotations

from fakeqemu.model import model_of
from fakeqemu.registry import CommandError, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.session import Session

__all__ = ["expire_password", "query_spice", "query_vnc", "query_vnc_servers", "set_password"]


def _address(display: str) -> tuple[str, str, str]:
    host, _, number = display.partition(",")[0].rpartition(":")
    if host == "unix":
        return "", number, "unix"
    try:
        port = str(5900 + int(number))
    except ValueError:
        port = number
    return host, port, "ipv6" if host.startswith("[") else "ipv4"


def _auth(display: str) -> str:
    options = display.split(",")[1:]
    return "vnc" if any(option in ("password", "password=on") for option in options) else "none"


@command("query-vnc")
def query_vnc(machine: FakeQemu, session: Session) -> dict[str, Any]:
    """The first VNC server; nobody is connected to it."""
    del session
    if not machine.line.vnc:
        return {"enabled": False}
    display = machine.line.vnc[0]
    host, port, family = _address(display)
    return {
        "enabled": True,
        "auth": _auth(display),
        "family": family,
        "clients": [],
        "service": port,
        "host": host,
    }


@command("query-vnc-servers")
def query_vnc_servers(machine: FakeQemu, session: Session) -> list[dict[str, Any]]:
    """All VNC servers."""
    del session
    servers = []
    for display in machine.line.vnc:
        host, port, family = _address(display)
        auth = _auth(display)
        address = {"auth": auth, "family": family, "service": port, "host": host, "websocket": False}
        servers.append({"auth": auth, "clients": [], "server": [address], "id": "default"})
    return servers


@command("query-spice")
def query_spice(machine: FakeQemu, session: Session) -> dict[str, Any]:
    """The SPICE server; nobody is connected to it."""
    del session
    if machine.line.spice is None:
        return {"migrated": False, "enabled": False, "mouse-mode": "client"}
    return {"migrated": False, "enabled": True, "mouse-mode": "client", "auth": "none", "channels": []}


def _need(machine: FakeQemu, protocol: str) -> None:
    if protocol == "spice" and machine.line.spice is None:
        raise CommandError("DeviceNotActive", "SPICE is not in use")


@command("set_password", takes=True)
def set_password(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Set a display's password, where the display asks for one."""
    del session
    _need(machine, arguments["protocol"])
    if arguments["protocol"] == "vnc" and not any(_auth(display) == "vnc" for display in machine.line.vnc):
        raise CommandError("GenericError", "Could not set password")


@command("expire_password", takes=True)
def expire_password(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """When the password of a display ends."""
    del session
    _need(machine, arguments["protocol"])
    if arguments["protocol"] == "vnc" and not machine.line.vnc:
        raise CommandError("GenericError", "Could not set password expire time")
    model_of(machine).expiry[arguments["protocol"]] = arguments["time"]
