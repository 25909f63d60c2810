"""Displays, their passwords, and pictures of screens."""

from __future__ import annotations

from fakeqemu.displays import displays_of
from fakeqemu.registry import CommandError, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.displays.screens import Head
    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session

__all__ = [
    "add_client", "change_vnc_password", "client_migrate_info", "display_reload", "display_update",
    "expire_password", "find_head", "query_display_options", "query_spice", "query_vnc", "query_vnc_servers",
    "screendump", "set_password",
]  # fmt: skip


@command("query-vnc")
def query_vnc(machine: FakeQemu, session: Session) -> dict[str, Any]:
    """The first VNC server; nobody is connected to it."""
    del session
    server = displays_of(machine).server(None)
    return {"enabled": False} if server is None else server.first()


@command("query-vnc-servers")
def query_vnc_servers(machine: FakeQemu, session: Session) -> list[dict[str, Any]]:
    """All VNC servers, the last one first."""
    del session
    return [server.listed() for server in reversed(displays_of(machine).vnc)]


@command("query-spice")
def query_spice(machine: FakeQemu, session: Session) -> dict[str, Any]:
    """The SPICE server; nobody is connected to it."""
    del session
    if machine.line.spice is None:
        return {"migrated": False, "enabled": False, "mouse-mode": "client"}
    options = dict(part.partition("=")[::2] for part in machine.line.spice.split(","))
    plain = options.get("disable-ticketing") in ("on", "yes", "true", "")
    answer: dict[str, Any] = {
        "migrated": False, "enabled": True, "mouse-mode": "client", "channels": [],
        "auth": "none" if plain else "sasl" if options.get("sasl") == "on" else "spice",
        "host": options.get("addr") or "*", "compiled-version": "0.15.1",
    }  # fmt: skip
    for key in ("port", "tls-port"):
        if options.get(key, "").isdigit() and options[key] != "0":
            answer[key] = int(options[key])
    return answer


def _need(machine: FakeQemu, protocol: str) -> None:
    if protocol == "spice" and machine.line.spice is None:
        raise CommandError("DeviceNotActive", "SPICE is not in use")


@command("set_password", takes=True)
def set_password(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Set a display's password, where the display asks for one."""
    del session
    protocol = arguments["protocol"]
    _need(machine, protocol)
    if protocol != "vnc":
        return
    if arguments.get("connected", "keep") != "keep":
        raise CommandError("GenericError", "Invalid parameter 'connected'")
    server = displays_of(machine).server(arguments.get("display"))
    if server is None or server.auth == "none":
        raise CommandError("GenericError", "Could not set password")


@command("change-vnc-password", takes=True)
def change_vnc_password(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Set the first VNC display's password."""
    set_password(machine, session, {"protocol": "vnc", "password": arguments["password"]})


@command("expire_password", takes=True)
def expire_password(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """When the password of a display ends."""
    del session
    _need(machine, arguments["protocol"])
    displays = displays_of(machine)
    if arguments["protocol"] == "vnc" and displays.server(arguments.get("display")) is None:
        raise CommandError("GenericError", "Could not set password expire time")
    displays.expiry[arguments["protocol"]] = arguments["time"]


@command("display-reload", takes=True)
def display_reload(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Read a display's certificates again."""
    del session
    if not arguments.get("tls-certs"):
        return
    server = displays_of(machine).server(None)
    if server is None:
        raise CommandError("GenericError", "Can not find vnc display")
    if "tls-creds" not in server.options:
        raise CommandError("GenericError", "vnc tls is not enabled")


@command("display-update", takes=True)
def display_update(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Listen elsewhere."""
    del session
    server = displays_of(machine).server(None)
    if server is None:
        raise CommandError("GenericError", "Can not find vnc display")
    if "addresses" in arguments:
        server.listen(arguments["addresses"])


@command("query-display-options")
def query_display_options(machine: FakeQemu, session: Session) -> dict[str, Any]:
    """What the local display is."""
    del session
    from fakeqemu.displays.screens import option

    display = (option(machine, "display") or "none").split(",")[0]
    return {"type": "none" if display.startswith("vnc") else display}


@command("client_migrate_info", takes=True)
def client_migrate_info(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Where clients of a display are to go with a migration."""
    del session
    if arguments["protocol"] != "spice":
        raise CommandError("GenericError", "Parameter 'protocol' expects 'spice'")
    _need(machine, "spice")
    if "port" not in arguments and "tls-port" not in arguments:
        raise CommandError("GenericError", "Parameter 'port/tls-port' is missing")


@command("add_client", takes=True)
def add_client(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Hand a client's socket to a display or a character device; it is closed, as nobody serves it."""
    from fakeqemu.actions import CloseFd
    from fakeqemu.chardevs import chardevs_of
    from fakeqemu.descriptors import descriptors_of

    protocol = arguments["protocol"]
    machine.do(0, CloseFd(descriptors_of(machine).take(session, arguments["fdname"])))
    if protocol == "spice":
        if machine.line.spice is None:
            raise CommandError("DeviceNotActive", "SPICE is not in use")
        raise CommandError("GenericError", "spice failed to add client")
    if protocol not in ("vnc", "@dbus-display"):
        if chardevs_of(machine).find(protocol) is None:
            raise CommandError("GenericError", f"protocol '{protocol}' is invalid")
        raise CommandError("GenericError", f"Could not add client for chardev '{protocol}'")


def find_head(machine: FakeQemu, device: str, number: int) -> Head:
    """The screen of a device.

    Raises:
        CommandError: there is no such device, or it has no such screen.
    """
    for head in displays_of(machine).heads():
        if head.device == device and head.number == number:
            return head
    from fakeqemu.hardware import registry_of

    if registry_of(machine).find(device) is None:
        raise CommandError("DeviceNotFound", f"Device '{device}' not found")
    raise CommandError("GenericError", f"Device {device} (head {number}) is not bound to a QemuConsole")


@command("screendump", takes=True)
def screendump(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Write a picture of a screen: of the text on the guest's, or of none."""
    del session
    device, number = arguments.get("device"), arguments.get("head", 0)
    if device is not None:
        head = find_head(machine, device, number)
    else:
        if "head" in arguments:
            raise CommandError("GenericError", "'head' must be specified together with 'device'")
        heads = displays_of(machine).heads()
        if not heads:
            raise CommandError("GenericError", "There is no console to take a screendump from")
        head = heads[0]
    from fakeqemu.displays.picture import png, ppm

    lines = None
    if machine.boot_done is not None and head.number == 0:
        from fakeqemu.guests import guest_of

        lines = guest_of(machine).pictured()
    write = png if arguments.get("format") == "png" else ppm
    reason = machine.host.write(arguments["filename"], write(lines), truncate=True)
    if reason is not None:
        raise CommandError("GenericError", f"failed to open file '{arguments['filename']}': {reason}")
