"""A VNC server as managers see it: where it would listen, and whom it would let in.

Knows ui/vnc.c of QEMU 7.2. Must not know sockets: it does not listen.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["Server"]

_ON = ("on", "yes", "true", "y", True)


class Server:
    """One server.

    Attributes:
        id: its id.
        options: what follows the address on the command line.
        addresses: (host, service, family, web socket) each, in the order of ``query-vnc-servers``.
    """

    __slots__ = ("_objects", "addresses", "id", "options")

    def __init__(self, text: str, objects: Mapping[str, Any]) -> None:
        display, *rest = text.split(",")
        self.options = {key: value or "on" for key, _, value in (part.partition("=") for part in rest)}
        self.id = self.options.get("id", "default")
        self._objects = objects
        self.addresses: list[tuple[str, str, str, bool]] = []
        if display == "none":
            return
        host, _, number = display.rpartition(":")
        if host == "unix":
            self.addresses = [("", number, "unix", False)]
            return
        port = int(number) if number.isdigit() else 0
        web = self.options.get("websocket")
        if web is not None:
            # "on" is the display's own number from 5700 upwards; a number is a port.
            service = web.rpartition(":")[2]
            self.addresses += _bound(host, service if service.isdigit() else str(5700 + port), web=True)
        self.addresses += _bound(host, str(5900 + port), web=False)

    def listen(self, addresses: list[dict[str, Any]]) -> None:
        """Listen elsewhere (``display-update``)."""
        self.addresses = [entry for entry in self.addresses if entry[3]]
        for address in addresses:
            if address["type"] == "unix":
                self.addresses.append(("", address["path"], "unix", False))
            elif address["type"] == "inet":
                self.addresses += _bound(address["host"], address["port"], web=False)

    @property
    def auth(self) -> str:
        """How clients prove who they are."""
        plain = self._plain
        if "tls-creds" in self.options:
            return "vencrypt"
        return plain

    @property
    def _plain(self) -> str:
        if self.options.get("password", self.options.get("password-secret", "off")) in _ON or (
            "password-secret" in self.options
        ):
            return "vnc"
        return "sasl" if self.options.get("sasl") in _ON else "none"

    @property
    def vencrypt(self) -> str | None:
        """How they do so inside of TLS."""
        name = self.options.get("tls-creds")
        if name is None:
            return None
        credentials = self._objects.get(name)
        sort = "x509" if credentials is None or credentials.kind == "tls-creds-x509" else "tls"
        return f"{sort}-{ {'none': 'none', 'vnc': 'vnc', 'sasl': 'sasl'}[self._plain] }"

    def listed(self) -> dict[str, Any]:
        """The server as ``query-vnc-servers`` has it."""
        more = {} if self.vencrypt is None else {"vencrypt": self.vencrypt}
        addresses = [
            {"auth": self.auth, "family": family, "service": service, "host": host, "websocket": web, **more}
            for host, service, family, web in self.addresses
        ]
        return {"auth": self.auth, "clients": [], "server": addresses, "id": self.id, **more}

    def first(self) -> dict[str, Any]:
        """The server as ``query-vnc`` has it."""
        address = next((entry for entry in reversed(self.addresses) if not entry[3]), None)
        if address is None:
            return {"enabled": False}
        host, service, family, _ = address
        return {
            "enabled": True, "auth": self.auth, "family": family, "clients": [], "service": service,
            "host": host,
        }  # fmt: skip


def _bound(host: str, service: str, *, web: bool) -> list[tuple[str, str, str, bool]]:
    """The addresses that a host's name leads to, in the order in which they are listed."""
    if host.startswith("["):
        return [(host.strip("[]"), service, "ipv6", web)]
    if not host:
        everywhere = "0.0.0.0"  # noqa: S104 - it does not listen
        return [("::", service, "ipv6", web), (everywhere, service, "ipv4", web)]
    if ":" in host:
        return [(host, service, "ipv6", web)]
    return [("127.0.0.1" if host == "localhost" else host, service, "ipv4", web)]
