"""The network clients of a machine: back ends by id, cards by name, and which links are down."""

from __future__ import annotations

from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu

__all__ = ["Card", "Networks", "networks_of"]

_CARDS = (
    "e1000", "e1000-82544gc", "e1000-82545em", "e1000e", "i82550", "i82551", "i82557a", "i82557b", "i82557c",
    "i82558a", "i82558b", "i82559a", "i82559b", "i82559c", "i82559er", "i82562", "i82801", "igb", "ne2k_isa",
    "ne2k_pci", "pcnet", "rocker", "rtl8139", "spapr-vlan", "sungem", "tulip", "usb-net", "vmxnet3",
)  # fmt: skip


class Card:
    """A network card.

    Attributes:
        name: what the net layer calls it: its id, or its model with a number.
        kind: its model.
        mac: its address.
        path: where it is in the object tree.
        named: whether it has an id.
    """

    __slots__ = ("kind", "mac", "name", "named", "path")

    def __init__(self, name: str, kind: str, mac: str, path: str, *, named: bool) -> None:
        self.name, self.kind, self.mac, self.path, self.named = name, kind, mac, path, named

    @property
    def filters(self) -> bool:
        """Whether its receive filter can be asked for."""
        return self.kind.startswith("virtio-net")


class Networks:
    """All of them.

    Attributes:
        added: back ends that came by ``netdev_add``: id -> options with ``type``.
        down: names of clients whose link is down.
        watched: cards whose next change of the receive filter is told of, since it was asked for.
    """

    __slots__ = ("_machine", "added", "down", "removed", "watched")

    def __init__(self, machine: FakeQemu) -> None:
        self._machine = machine
        self.added: dict[str, dict[str, Any]] = {}
        self.removed: set[str] = set()
        self.down: set[str] = set()
        self.watched: set[str] = set()

    def backends(self) -> dict[str, dict[str, Any]]:
        """The back ends by id, in order."""
        found = {
            name: {"type": device.kind, **device.options}
            for name, device in self._machine.line.netdevs.items()
            if name not in self.removed
        }
        return found | self.added

    def cards(self) -> list[Card]:
        """The network cards, in order."""
        machine = self._machine
        registry = machine.parts.get("hardware")
        found: list[Card] = []
        counts: dict[str, int] = {}
        for device in registry.devices() if registry is not None else machine.line.devices:
            kind = device.kind
            if kind not in _CARDS and not kind.startswith("virtio-net"):
                continue
            number = counts[kind] = counts.get(kind, -1) + 1
            name = device.id or f"{kind}.{number}"
            mac = str(device.options.get("mac") or f"52:54:00:12:34:{0x56 + len(found) & 0xFF:02x}").lower()
            path = getattr(device, "path", None) or f"/machine/peripheral/{device.id or name}"
            if kind.startswith("virtio-net"):
                path += "/virtio-backend"
            found.append(Card(name, kind, mac, path, named=device.id is not None))
        return found

    def card(self, name: str) -> Card | None:
        """The card of that name."""
        return next((card for card in self.cards() if card.name == name), None)

    def remove(self, name: str) -> None:
        """Take a back end away; a card that used it stays, with nobody at the other end.

        Raises:
            CommandError: there is none of that name.
        """
        if name not in self.backends():
            raise CommandError("DeviceNotFound", f"Device '{name}' not found")
        if self.added.pop(name, None) is None:
            self.removed.add(name)
        self.down.discard(name)

    def guest_came_up(self) -> None:
        """The guest's drivers have programmed the cards: who asked for a filter hears that it has changed."""
        for card in self.cards():
            if card.name in self.watched:
                self.watched.discard(card.name)
                named = {"name": card.name} if card.named else {}
                self._machine.emit("NIC_RX_FILTER_CHANGED", {**named, "path": card.path})

    def saved(self) -> Any:
        """What moves with the guest: nothing, links and back ends are the host's."""
        return None

    def restored(self, machine: FakeQemu, value: Any) -> None:
        """Nothing came with the guest."""


def networks_of(machine: FakeQemu) -> Networks:
    """The machine's network clients; made when first asked for."""
    found = machine.parts.get("networks")
    if found is None:
        found = machine.parts["networks"] = Networks(machine)
    networks: Networks = found
    return networks
