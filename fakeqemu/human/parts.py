"""What ``info`` shows of single parts: networks, virtio devices, trace events.

Knows net/net.c, slirp's and virtio's texts of QEMU 7.2. Must not know how a line is read.
"""

from __future__ import annotations

from fakeqemu.protocol.asking import ask
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from fakeqemu.machine import FakeQemu

    Show: TypeAlias = Callable[[FakeQemu, dict[str, Any]], str]

__all__ = ["PARTS"]

_USERNET = "  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\n"


def _off(value: Any) -> str:
    return "on" if value in (True, "on", "yes", "true", "y") else "off"


def _about(ident: str, options: dict[str, Any]) -> str:
    """What the net layer says about a back end."""
    kind = options["type"]
    told = ""
    if kind == "user":
        net = str(options.get("net", "10.0.2.0/24")).partition("/")[0]
        told = f"net={net},restrict={_off(options.get('restrict'))}"
    return f"{ident}: index=0,type={kind},{told}\n"


def network(machine: FakeQemu, given: dict[str, Any]) -> str:
    """Hubs with their ports; back ends without a card; cards, and who is behind each."""
    del given
    from fakeqemu.hardware import registry_of
    from fakeqemu.networks.clients import networks_of

    networks = networks_of(machine)
    registry = registry_of(machine)
    backends = networks.backends()
    hubs: dict[int, list[str]] = {}
    for ident, options in backends.items():
        if options["type"] == "hubport":
            hubs.setdefault(int(options.get("hubid", 0)), []).append(ident)
    text = ""
    for hub in reversed(hubs):
        text += f"hub {hub}\n" + "".join(f" \\ {port}\n" for port in reversed(hubs[hub]))
    peers = {
        str(device.options["netdev"]): device for device in registry.devices() if "netdev" in device.options
    }
    alone = [
        ident for ident, options in backends.items() if ident not in peers and options["type"] != "hubport"
    ]
    text += _by_default(machine)
    text += "".join(_about(ident, backends[ident]) for ident in alone if ident not in networks.added)
    by_path = {device.path: name for name, device in peers.items()}
    for card in networks.cards():
        text += f"{card.name}: index=0,type=nic,model={card.kind},macaddr={card.mac}\n"
        peer = by_path.get(card.path.removesuffix("/virtio-backend"))
        if peer in backends:
            text += f" \\ {_about(peer, backends[peer])}"
    return text + "".join(_about(ident, backends[ident]) for ident in alone if ident in networks.added)


#: The card that a board gets without being asked, and its name.
_OWN = {
    "pc": ("e1000", "e1000.0"), "q35": ("e1000e", "e1000e.0"), "virt": ("virtio-net-pci", "virtio-net-pci.0"),
    "pseries": ("spapr-vlan", "l-lan@71000002"), "s390-ccw-virtio": ("virtio-net-ccw", "virtio-net-ccw.0"),
}  # fmt: skip


def _by_default(machine: FakeQemu) -> str:
    """The hub with the card and the user network that boards get."""
    from fakeqemu.hardware import registry_of

    if {word.lstrip("-") for word in machine.argv} & {"nodefaults", "net", "nic", "netdev"}:
        return ""
    card = _OWN.get(registry_of(machine).family)
    if card is None:
        return ""
    model, name = card
    number = machine.chance("net").randrange(100)
    text = f"hub 0\n \\ hub0port1: #net1{number:02d}: index=0,type=user,net=10.0.2.0,restrict=off\n"
    if machine.profile.arch == "riscv64":
        return f"{text} \\ hub0port0\n"
    mac = "52:54:00:12:34:56"
    return f"{text} \\ hub0port0: {name}: index=0,type=nic,model={model},macaddr={mac}\n"


def usernet(machine: FakeQemu, given: dict[str, Any]) -> str:
    """Connections of user networks: none."""
    del given
    from fakeqemu.networks.clients import networks_of

    names = [name for name, options in networks_of(machine).backends().items() if options["type"] == "user"]
    return "".join(f"Hub -1 ({name}):\n{_USERNET}" for name in names)


def virtio(machine: FakeQemu, given: dict[str, Any]) -> str:
    """The virtio devices."""
    del given
    found = ask(machine, "x-query-virtio")
    return "".join(f"{one['path']} [{one['name']}]\n" for one in found) or "No VirtIO devices\n"


def _virtio_part(command: str, *, queue: bool) -> Show:
    """One virtio device: QMP's refusals."""

    def show(machine: FakeQemu, given: dict[str, Any]) -> str:
        arguments = {"path": given["path"]} | ({"queue": given["queue"]} if queue else {})
        return str(ask(machine, command, arguments))

    return show


def trace_events(machine: FakeQemu, given: dict[str, Any]) -> str:
    """Trace events and whether they are on."""
    arguments = {"name": given.get("name") or "*"}
    if "vcpu" in given:
        arguments["vcpu"] = given["vcpu"]
    try:
        found = ask(machine, "trace-event-get-state", arguments)
    except CommandError as error:
        # error_report_err: without the word Error.
        return f"{error.desc}\n"
    return "".join(f"{one['name']} : state {int(one['state'] == 'enabled')}\n" for one in found)


PARTS: dict[str, Show] = {
    "network": network, "trace-events": trace_events, "usernet": usernet, "virtio": virtio,
    "virtio-queue-element": _virtio_part("x-query-virtio-queue-element", queue=True),
    "virtio-queue-status": _virtio_part("x-query-virtio-queue-status", queue=True),
    "virtio-status": _virtio_part("x-query-virtio-status", queue=False),
    "virtio-vhost-queue-status": _virtio_part("x-query-virtio-vhost-queue-status", queue=True),
}  # fmt: skip
