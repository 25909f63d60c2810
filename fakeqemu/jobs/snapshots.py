"""Snapshots of the whole machine inside its images: for the human monitor and the jobs.

Knows QEMU 7.2's migration/savevm.c and block/snapshot.c. Must not know what the parts of a machine save
(`fakeqemu.migration.state`) nor how the human monitor parses its commands.
"""

from __future__ import annotations

from fakeqemu.block import graph_of
from fakeqemu.jobs.nodes import refuse, skip_filters
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.block.image import Image
    from fakeqemu.block.images.mapping import Qcow2Disk
    from fakeqemu.block.node import BlockNode
    from fakeqemu.machine import FakeQemu

__all__ = ["delete", "delvm", "info_snapshots", "load", "loadvm", "save", "savevm", "state_size"]

#: How many snapshots an image may have.
BOUND = 1024
#: What a machine's devices take in a snapshot, in bytes; and a page that is not zero, and one that is.
DEVICES, PAGE, FULL, ZERO = 147456, 4096, 4105, 9
SECOND = 1_000_000_000
#: With this begins what we keep of a machine in an image; a real QEMU says that it is no migration stream.
MAGIC = b"fakeqemu vm state\n"
#: How long that may be.
MAX_STATE = 64 << 20
_HEADER = f"{'ID':<9} {'TAG':<16} {'VM SIZE':>8}{'DATE':>20}{'VM CLOCK':>13}{'ICOUNT':>11}"


class Saved:
    """The machine's part about snapshots: what the parts were like, by node and tag."""

    __slots__ = ("states",)

    def __init__(self) -> None:
        self.states: dict[tuple[str, str], dict[str, Any]] = {}

    def saved(self) -> None:
        """Snapshots are in the images, and stay with them."""

    def restored(self, machine: FakeQemu, value: object) -> None:
        """Snapshots do not come with a guest."""


def _kept(machine: FakeQemu) -> Saved:
    found: Saved | None = machine.parts.get("snapshots")
    if found is None:
        found = machine.parts["snapshots"] = Saved()
    return found


# -- the human monitor ---------------------------------------------------------------------------------------


def savevm(machine: FakeQemu, name: str | None) -> str:
    """``savevm [NAME]``: what the human monitor prints; a snapshot of that name is replaced."""
    return _told(lambda: save(machine, name, overwrite=True))


def loadvm(machine: FakeQemu, name: str) -> str:
    """``loadvm NAME``: what the human monitor prints."""
    return _told(lambda: load(machine, name))


def delvm(machine: FakeQemu, name: str) -> str:
    """``delvm NAME``: what the human monitor prints."""
    return _told(lambda: delete(machine, name))


def info_snapshots(machine: FakeQemu) -> str:
    """``info snapshots``: what the human monitor prints."""
    try:
        node = _vmstate_node(machine, None, None)
    except CommandError as error:
        return f"{error.desc}\r\n"
    images = [image for one in _devices(machine, None) if (image := _image(one)) is not None]
    here = _image(node)
    names = [shot.name for shot in here.snapshots.values()] if here is not None else []
    if not any(image.snapshots for image in images):
        return "There is no snapshot available.\r\n"
    everywhere = [name for name in names if all(_shot(image, name) is not None for image in images)]
    lines = ["List of snapshots present on all disks:"]
    if everywhere and here is not None:
        lines.append(_HEADER)
        lines += [_row(shot, "--") for shot in here.snapshots.values() if shot.name in everywhere]
    else:
        lines.append("None")
    for one in _devices(machine, None):
        image = _image(one)
        partial = [] if image is None else [s for s in image.snapshots.values() if s.name not in everywhere]
        if partial:
            lines += ["", f"List of partial (non-loadable) snapshots on '{one.called}':", _HEADER]
            lines += [_row(shot, shot.ident) for shot in partial]
    return "".join(f"{line}\r\n" for line in lines)


def _told(act: Any) -> str:
    try:
        act()
    except CommandError as error:
        return f"Error: {error.desc}\r\n"
    return ""


def _row(shot: Any, ident: str) -> str:
    from fakeqemu.jobs.dates import date_text

    hours, rest = divmod(shot.clock_ns // 1_000_000, 3_600_000)
    minutes, millis = divmod(rest, 60_000)
    clock = f"{hours:02d}:{minutes:02d}:{millis // 1000:02d}.{millis % 1000:03d}"
    return (
        f"{ident:<9} {shot.name:<16} {_size(shot.vm_size):>8}{date_text(shot.made_ns):>20}{clock:>13}{'':>11}"
    )


def _size(number: int) -> str:
    """A size as QEMU prints it (size_to_str)."""
    value, unit = float(number), 0
    while value >= 1000 and unit < 6:
        value, unit = value / 1024, unit + 1
    return f"{value:.3g} {('', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei')[unit]}B"


# -- what is done --------------------------------------------------------------------------------------------


def save(
    machine: FakeQemu,
    name: str | None,
    *,
    vmstate: str | None = None,
    devices: list[str] | None = None,
    overwrite: bool = False,
) -> None:
    """Take a snapshot (save_snapshot).

    Args:
        machine: the machine.
        name: of the snapshot; one is made of the date if none or an empty one is given.
        vmstate: the node that takes the machine's state; None for the first that can.
        devices: the nodes that take part; None for all.
        overwrite: replace a snapshot of that name.

    Raises:
        CommandError: QEMU's text.
    """
    nodes = _devices(machine, devices)
    _check(nodes)
    if name is not None and overwrite:
        delete(machine, name, devices=devices)
    elif name is not None and any(_shot_of(node, name) is not None for node in nodes):
        raise refuse(f"Snapshot '{name}' already exists in one or more devices")
    place = _vmstate_node(machine, vmstate, devices)
    from fakeqemu import runstate as guest
    from fakeqemu.jobs.dates import stamp
    from fakeqemu.migration.part import migration_of
    from fakeqemu.migration.state import saved

    running = machine.runstate in ("running", "suspended")
    guest.stop(machine, "save-vm")
    migration = migration_of(machine)
    migration.announce("setup")
    for number in (1, 2):
        migration.announce_pass(number)
    made_ns = machine.wall_ns + machine.now_ns
    tag = name or f"vm-{stamp(made_ns)}"
    size = state_size(machine)
    state = saved(machine)
    try:
        for node in nodes:
            _take(machine, node, tag, made_ns, (size if node is place else 0, state))
    except CommandError:
        if running:
            guest.resume(machine)
        raise
    _kept(machine).states[place.name, tag] = state
    migration.announce("completed")
    migration.took_snapshot()
    if running:
        guest.resume(machine)


def load(
    machine: FakeQemu, name: str, *, vmstate: str | None = None, devices: list[str] | None = None
) -> None:
    """Go back to a snapshot (load_snapshot); a running machine that cannot stays stopped.

    Raises:
        CommandError: QEMU's text.
    """
    from fakeqemu import runstate as guest

    running = machine.runstate in ("running", "suspended")
    guest.stop(machine, "restore-vm")
    nodes = _devices(machine, devices)
    _check(nodes)
    if not all(_shot_of(node, name) is not None for node in nodes):
        raise refuse(f"Snapshot '{name}' does not exist in one or more devices")
    place = _vmstate_node(machine, vmstate, devices)
    shot = _shot_of(place, name)
    if shot is None or not shot.vm_size:
        raise refuse("This is a disk-only snapshot. Revert to it  offline using qemu-img")
    from fakeqemu.migration.state import restored

    state = _state(machine, place, shot)
    for node in nodes:
        _back(machine, node, name)
    for part, value in state.items():
        restored(machine, part, value)
    if running:
        guest.resume(machine)


def delete(machine: FakeQemu, name: str, *, devices: list[str] | None = None) -> None:
    """Remove a snapshot wherever there is one (delete_snapshot).

    Raises:
        CommandError: a disk cannot have snapshots.
    """
    nodes = _devices(machine, devices)
    _check(nodes)
    for node in nodes:
        image, shot = _image(node), _shot_of(node, name)
        if image is not None and shot is not None:
            _forget(machine, node, image, shot)
            _kept(machine).states.pop((node.name, name), None)


# -- in the images -------------------------------------------------------------------------------------------


def _store(machine: FakeQemu, node: BlockNode, image: Image) -> None:
    """Let an imaginary file know of its snapshots."""
    from fakeqemu.jobs.shots import keep

    path = skip_filters(node).protocol().path
    if path is not None:
        keep(graph_of(machine).files, path, image)


def _take(machine: FakeQemu, node: BlockNode, tag: str, made_ns: int, what: tuple[int, Any]) -> None:
    """A snapshot of one disk, in its file if there is one (qcow2_snapshot_create)."""
    image, (size, state) = _image(node), what
    if image is None or len(image.snapshots) >= BOUND:
        return
    disk = _file(machine, node)
    shot = image.add_snapshot(tag, made_ns // 1000 * 1000, _clock_ns(machine), size)
    if disk is None:
        _store(machine, node, image)
        return
    from json import dumps

    from fakeqemu.block.images import inside
    from fakeqemu.block.images.disks import Trouble

    text = dumps(state, separators=(",", ":")).encode() if size else b""
    if text:
        text = MAGIC + len(text).to_bytes(8, "big") + text
        shot.vm_size = max(size, len(text))
    try:
        inside.checked(disk)
        inside.take(disk, shot, text)
    except Trouble as error:
        del image.snapshots[shot.ident]
        raise refuse(f"Error while creating snapshot on '{node.called}'") from error


def _back(machine: FakeQemu, node: BlockNode, name: str) -> None:
    """Let one disk hold what it held (qcow2_snapshot_goto)."""
    disk, shot = _file(machine, node), _shot_of(node, name)
    if disk is None or shot is None:
        return
    from fakeqemu.block.images import inside
    from fakeqemu.block.images.disks import Trouble

    try:
        inside.back(disk, shot.ident)
    except Trouble as error:
        raise refuse(f"Could not load snapshot '{name}' on '{node.called}': {error.text}") from error


def _state(machine: FakeQemu, place: BlockNode, shot: Any) -> dict[str, Any]:
    """What the parts of the machine were like: from the image, where there is one."""
    disk = _file(machine, place)
    if disk is None:
        return _kept(machine).states.get((place.name, shot.name), {})
    from json import loads

    from fakeqemu.block.images import inside
    from fakeqemu.block.images.disks import Trouble

    try:
        head = inside.state_of(disk, shot.ident, len(MAGIC) + 8)
        if not head.startswith(MAGIC):
            raise ValueError(shot.name)
        length = len(head) + min(int.from_bytes(head[len(MAGIC) :], "big"), MAX_STATE)
        found: dict[str, Any] = loads(inside.state_of(disk, shot.ident, length)[len(head) :])
    except (Trouble, ValueError) as error:
        # Another program's state: a QEMU would say so on its standard error, too.
        raise refuse("Error -22 while loading VM state") from error
    return found


def _forget(machine: FakeQemu, node: BlockNode, image: Image, shot: Any) -> None:
    """Remove a snapshot from one disk (qcow2_snapshot_delete)."""
    disk = _file(machine, node)
    del image.snapshots[shot.ident]
    if disk is None:
        _store(machine, node, image)
        return
    from fakeqemu.block.images import inside
    from fakeqemu.block.images.disks import Trouble

    try:
        inside.forget(disk, shot.ident)
    except Trouble as error:
        image.snapshots[shot.ident] = shot
        text = f"Could not delete snapshot '{shot.name}' on '{node.called}': {error.text}"
        raise refuse(text) from error


def _file(machine: FakeQemu, node: BlockNode) -> Qcow2Disk | None:
    from fakeqemu.block.images.disks import Trouble
    from fakeqemu.jobs.moving import qcow2_in

    try:
        return qcow2_in(graph_of(machine), node)
    except Trouble as error:
        raise refuse(error.text) from error


def state_size(machine: FakeQemu) -> int:
    """What the machine's state takes up in an image, in bytes."""
    from fakeqemu.migration.part import migration_of

    memory = migration_of(machine).memory
    full = memory.nonzero
    return DEVICES + full * FULL + max(memory.total // PAGE - full, 0) * ZERO


def _clock_ns(machine: FakeQemu) -> int:
    """How long the guest has been up."""
    if machine.boot_done is None:
        return 0
    words = machine.word("guest") or {}
    return max(0, machine.now_ns - machine.boot_done + (words.get("boot") or 0))


def _devices(machine: FakeQemu, names: list[str] | None) -> list[BlockNode]:
    """The disks that take part: those that can be written to, and are used by a guest or by nobody."""
    graph = graph_of(machine)
    if names is None:
        found = [backend.node for backend in graph.backends if backend.node is not None]
        found += [node for node in graph.nodes.values() if node.monitored and node not in found]
    elif not names:
        raise refuse("At least one device is required for snapshot")
    else:
        found = []
        for name in names:
            node = graph.nodes.get(name)
            if node is None:
                raise refuse(f"No block device node '{name}'")
            found.append(node)
    return [node for node in found if not node.read_only and (node.has_backend or not node.parents)]


def _check(nodes: list[BlockNode]) -> None:
    for node in nodes:
        if _image(node) is None:
            raise refuse(f"Device '{node.called}' is writable but does not support snapshots")


def _vmstate_node(machine: FakeQemu, name: str | None, devices: list[str] | None) -> BlockNode:
    for node in _devices(machine, devices):
        if _image(node) is not None and (name is None or node.name == name):
            return node
    if name is not None:
        raise refuse(f"vmstate block device '{name}' does not exist")
    raise refuse("no block device can store vmstate for snapshot")


def _image(node: BlockNode) -> Image | None:
    under = skip_filters(node)
    return under.image if under.driver == "qcow2" else None


def _shot(image: Image, name: str) -> Any:
    return next((shot for shot in image.snapshots.values() if shot.name == name), None)


def _shot_of(node: BlockNode, name: str) -> Any:
    image = _image(node)
    return _shot(image, name) if image is not None else None
