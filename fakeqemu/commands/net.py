"""Network back ends, links and receive filters."""

from __future__ import annotations

from fakeqemu.networks import networks_of
from fakeqemu.protocol.qjson import remembered
from fakeqemu.registry import CommandError, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.networks.clients import Card
    from fakeqemu.protocol.session import Session

__all__ = ["announce_self", "netdev_add", "netdev_del", "query_rx_filter", "set_link"]


@command("netdev_add", takes=True)
def netdev_add(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Add a back end for a network card to come."""
    from fakeqemu.networks.backends import check, identifier

    networks, name = networks_of(machine), arguments["id"]
    if not identifier(name):
        raise CommandError("GenericError", "Parameter 'id' expects an identifier")
    if name in networks.backends():
        raise CommandError("GenericError", f"Duplicate ID '{name}'")
    check(machine, session, arguments)
    networks.added[name] = arguments


@command("netdev_del", takes=True)
def netdev_del(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Take a back end away."""
    del session
    networks_of(machine).remove(arguments["id"])


@command("set_link", takes=True)
def set_link(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Plug the cable in or pull it; by the id of the device or of its backend."""
    del session
    networks, name = networks_of(machine), arguments["name"]
    if name not in networks.backends() and networks.card(name) is None:
        raise CommandError("DeviceNotFound", f"Device '{name}' not found")
    (networks.down.discard if arguments["up"] else networks.down.add)(name)


@command("query-rx-filter", takes=True)
def query_rx_filter(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> list[dict[str, Any]]:
    """What the cards let in; from now on the next change is told of."""
    del session
    networks, name = networks_of(machine), arguments.get("name")
    found = []
    for card in networks.cards():
        if name is not None and card.name != name:
            continue
        if card.filters:
            networks.watched.add(card.name)
            found.append(_filter(machine, card))
        elif name is not None:
            raise CommandError("GenericError", f"net client({name}) doesn't support rx-filter querying")
    if name is not None and not found:
        if name in networks.backends():
            raise CommandError("GenericError", f"net client({name}) isn't a NIC")
        raise CommandError("GenericError", f"invalid net client name: {name}")
    return found


def _filter(machine: FakeQemu, card: Card) -> dict[str, Any]:
    """Everything passes until the guest's driver says otherwise."""
    up = machine.boot_done is not None and machine.boot_done <= machine.now_ns
    vlans = remembered(("vlan-table", up), lambda: [0] if up else list(range(4095, -1, -1)))
    hosts = ["01:00:5e:00:00:01", "33:33:00:00:00:01"] if up else []
    return {
        "promiscuous": not up, "name": card.name, "main-mac": card.mac, "unicast": "normal",
        "vlan": "normal" if up else "all", "vlan-table": vlans, "unicast-table": [], "multicast": "normal",
        "multicast-overflow": False, "unicast-overflow": False, "multicast-table": hosts,
        "broadcast-allowed": up,
    }  # fmt: skip


@command("announce-self", takes=True)
def announce_self(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Let the cards announce themselves; nobody here hears it."""
    del machine, session, arguments
