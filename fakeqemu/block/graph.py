"""The block graph of a machine: every node, who uses it, and whether that goes together.

Knows the graph and its permission rules (QEMU 7.2 ``block.c``). Must not know commands nor files.
"""

from __future__ import annotations

from fakeqemu.block.conflicts import check_locks, check_users
from fakeqemu.block.node import BlockNode, Edge, User
from fakeqemu.block.perms import ALL, WRITE, WRITE_UNCHANGED
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from fakeqemu.block.backend import Backend
    from fakeqemu.block.exports import Exports
    from fakeqemu.block.files import Files
    from fakeqemu.block.throttling import Group
    from fakeqemu.machine import FakeQemu

__all__ = ["Graph", "graph_of"]


class Graph:
    """The nodes of one machine.

    Attributes:
        nodes: by name, in the order in which they were made.
        backends: the guest's disks and drives, in the order of their making.
        groups: throttle groups by name.
        undo: while it is a list, whatever changes the graph adds here how to take it back.
    """

    __slots__ = (
        "_counter", "_exports", "_files", "backends", "checking", "groups", "hooked", "machine", "nodes",
        "undo",
    )  # fmt: skip

    def __init__(self, machine: FakeQemu) -> None:
        self.machine = machine
        self.nodes: dict[str, BlockNode] = {}
        self.backends: list[Backend] = []
        self.groups: dict[str, Group] = {}
        self.undo: list[Callable[[], object]] | None = None
        #: False while the command line's nodes are made: QEMU has started, so it accepted them.
        self.checking = True
        #: Whether it hears of devices that come and go.
        self.hooked = False
        self._counter = 0
        self._files: Files | None = None
        self._exports: Exports | None = None

    @property
    def files(self) -> Files:
        """The files behind the nodes."""
        if self._files is None:
            from fakeqemu.block.files import Files

            self._files = Files(self.machine)
        return self._files

    @property
    def exports(self) -> Exports:
        """What is exported to others."""
        if self._exports is None:
            from fakeqemu.block.exports import Exports

            self._exports = Exports(self)
        return self._exports

    # -- nodes ----------------------------------------------------------------------------------------------

    def add(self, options: dict[str, Any]) -> BlockNode:
        """Open a node as blockdev-add does, with what it needs below.

        Raises:
            CommandError: QEMU's text.
        """
        from fakeqemu.block.opening import add

        return add(self, options)

    def remove(self, name: str) -> None:
        """Delete a node as blockdev-del does.

        Raises:
            CommandError: it is not there, or somebody uses it.
        """
        node = self.nodes.get(name)
        if node is None:
            raise CommandError("GenericError", f"Failed to find node with node-name='{name}'")
        if node.has_backend:
            raise CommandError("GenericError", f"Node {name} is in use")
        node.check_op("drive-del")
        if not node.monitored:
            raise CommandError("GenericError", f"Node {name} is not owned by the monitor")
        if node.parents:
            raise CommandError("GenericError", f"Block device {node.called} is in use")
        node.monitored = False
        self.release(node)

    def release(self, node: BlockNode) -> None:
        """Let a node go when nobody needs it, and what only it needed."""
        if node.monitored or node.parents or self.nodes.get(node.name) is not node:
            return
        edges = list(node.edges.values())
        at = list(self.nodes).index(node.name)
        del self.nodes[node.name]
        self.note(lambda: self._put_back(node, at))
        for edge in edges:
            if edge.name == "backing":
                self._mark(node, edge.child, None)
            self.detach(edge)

    def _put_back(self, node: BlockNode, at: int) -> None:
        rows = list(self.nodes.items())
        rows.insert(at, (node.name, node))
        self.nodes = dict(rows)

    def find(self, name: str) -> BlockNode:
        """A node by its name, or by its backend's.

        Raises:
            CommandError: there is none.
        """
        return self.lookup(name, name)

    def lookup(self, device: str | None, node: str | None) -> BlockNode:
        """A node by its backend's name or its own (bdrv_lookup_bs).

        Raises:
            CommandError: there is none, or the drive is empty.
        """
        backend = self.backend(device) if device is not None else None
        if backend is not None:
            if backend.node is None:
                raise CommandError("GenericError", f"Device '{device}' has no medium")
            return backend.node
        found = self.nodes.get(node) if node is not None else None
        if found is None:
            text = f"Cannot find device='{device or ''}' nor node-name='{node or ''}'"
            raise CommandError("GenericError", text)
        return found

    def backend(self, name: str) -> Backend | None:
        """The backend of that name (a -drive's id)."""
        return next((backend for backend in self.backends if backend.name and backend.name == name), None)

    def new_name(self) -> str:
        """A name for a node that was given none (id_generate)."""
        self._counter += 1
        return f"#block{self._counter - 1}{self.machine.chance('block').randrange(100):02d}"

    # -- changes that can be taken back ---------------------------------------------------------------------

    def note(self, back: Callable[[], object]) -> None:
        """Remember how to take a change back, while somebody may want to."""
        if self.undo is not None:
            self.undo.append(back)

    def attempt(self, act: Callable[[], Any]) -> Any:
        """Do something whole or not at all; whatever it changed in the graph is taken back if it fails."""
        outer, self.undo = self.undo, []
        try:
            done = act()
        except CommandError:
            for back in reversed(self._quiet()):
                back()
            self.undo = outer
            raise
        inner, self.undo = self.undo, outer
        if outer is not None:
            outer += inner
        return done

    def _quiet(self) -> list[Callable[[], object]]:
        found, self.undo = self.undo or [], None
        return found

    # -- edges ----------------------------------------------------------------------------------------------

    def attach(  # noqa: PLR0917 - an edge is that much
        self, user: BlockNode | User, name: str, child: BlockNode, role: int, perm: int = 0, shared: int = ALL
    ) -> Edge:
        """Let somebody use a node; a node's own wants follow from those of its users.

        Raises:
            CommandError: what it asks for does not go together with the other users.
        """
        return self.attempt(lambda: self._attach(Edge(user, name, child, role, perm, shared)))  # type: ignore[no-any-return]

    def _attach(self, edge: Edge) -> Edge:
        self._link(edge)
        user = edge.user
        if isinstance(user, BlockNode):
            edge.perm, edge.shared = user.wants(edge)
        self.refresh(edge.child)
        return edge

    def _link(self, edge: Edge, at: int = 0) -> None:
        edge.child.parents.insert(at, edge)
        if isinstance(edge.user, BlockNode):
            edge.user.edges[edge.name] = edge
        self.note(lambda: self._unlink(edge))

    def _unlink(self, edge: Edge) -> None:
        at = edge.child.parents.index(edge)
        del edge.child.parents[at]
        user = edge.user
        before = dict(user.edges) if isinstance(user, BlockNode) else {}
        if isinstance(user, BlockNode):
            user.edges.pop(edge.name, None)

        def back() -> None:
            edge.child.parents.insert(at, edge)
            if isinstance(user, BlockNode):
                user.edges = before

        self.note(back)

    def detach(self, edge: Edge) -> None:
        """End a use; a node that nobody needs any more goes."""
        self._unlink(edge)
        self.refresh(edge.child)
        self.release(edge.child)

    def refresh(self, node: BlockNode) -> None:
        """Work out again who may do what, from a node downwards (bdrv_refresh_perms).

        Raises:
            CommandError: it does not go together.
        """
        if self.checking:
            check_users(node)
        perm, shared = node.wanted()
        if self.checking:
            if perm & (WRITE | WRITE_UNCHANGED) and node.read_only:
                raise CommandError("GenericError", "Block node is read-only")
            if node.path is not None:
                check_locks(self.nodes.values(), node, perm, shared)
        for edge in node.edges.values():
            old = edge.perm, edge.shared
            new = node.wants(edge)
            if new != old:
                edge.perm, edge.shared = new
                self.note(lambda edge=edge, old=old: _restore(edge, old))  # type: ignore[misc]
            self.refresh(edge.child)

    # -- what jobs and snapshots do -------------------------------------------------------------------------

    def replace(self, old: BlockNode, new: BlockNode, *, but: Iterable[Edge] = ()) -> None:
        """Let all users of ``old`` use ``new`` from now on (bdrv_replace_node).

        Args:
            old: the node.
            new: the one that takes its place.
            but: uses that stay; so do those by which ``new`` itself uses ``old``.

        Raises:
            CommandError: that would not go together.
        """
        self.attempt(lambda: self._replace(old, new, set(but)))

    def _replace(self, old: BlockNode, new: BlockNode, but: set[Edge]) -> None:
        within = _below(new)
        for edge in list(old.parents):
            if edge in but or edge.fixed or (isinstance(edge.user, BlockNode) and edge.user in within):
                continue
            self._move(edge, new)
        self.refresh(old)  # whoever left it wants nothing from what is below it any more
        self.refresh(new)
        self.refresh(old)
        self.release(old)

    def _move(self, edge: Edge, new: BlockNode) -> None:
        old = edge.child
        if isinstance(edge.user, User):
            old.written += edge.user.writes()
            edge.user.moved()
        at = old.parents.index(edge)
        del old.parents[at]
        edge.child = new
        new.parents.insert(0, edge)

        def back() -> None:
            new.parents.remove(edge)
            edge.child = old
            old.parents.insert(at, edge)

        self.note(back)
        if edge.name == "backing" and isinstance(edge.user, BlockNode):
            self._mark(edge.user, old, new)

    def _mark(self, node: BlockNode, old: BlockNode | None, new: BlockNode | None) -> None:
        """A backing image is not to be used for other things (bdrv_backing_attach)."""
        if old is not None:
            blockers = old.blockers
            old.blockers = [blocker for blocker in blockers if blocker[0] is not node]
            self.note(lambda: setattr(old, "blockers", blockers))
        if new is not None and not node.kind.filter:
            before = new.blockers
            new.blockers = [(node, f"node is used as backing hd of '{node.name}'", BACKING_OPS), *before]
            self.note(lambda: setattr(new, "blockers", before))

    def insert(self, driver: str, node: BlockNode, name: str | None = None) -> BlockNode:
        """Put a filter (``mirror_top``, ``commit_top``, ...) between a node and all its users.

        Args:
            driver: of the filter.
            node: what it shows.
            name: of the filter; it is implicit, and hidden from most queries, without one.
        """
        from fakeqemu.block.opening import fresh

        def act() -> BlockNode:
            made = fresh(self, driver, name)
            made.implicit = name is None
            made.size, made.read_only = node.size, node.read_only
            users = list(node.parents)
            child = "backing" if "backing" in made.kind.children else made.kind.primary[0]
            edge = Edge(made, child, node, made.kind.children[child])
            self._link(edge)
            for user in users:
                if not user.fixed:
                    self._move(user, made)
            self.refresh(made)
            return made

        return self.attempt(act)  # type: ignore[no-any-return]

    def drop(self, node: BlockNode) -> None:
        """Take a filter out again: its users use what was below it."""
        under = node.filtered
        if under is None:
            return

        def act() -> None:
            own = next(edge for edge in node.edges.values() if edge.child is under)
            self._unlink(own)
            for edge in list(node.parents):
                self._move(edge, under)
            self.refresh(under)
            node.monitored = False
            self.release(node)

        self.attempt(act)

    def set_read_only(self, node: BlockNode, *, read_only: bool) -> None:
        """Reopen a node, with the children that were made for it (bdrv_reopen_set_read_only).

        Raises:
            CommandError: its users need more than that.
        """

        def change(it: BlockNode) -> None:
            old = it.read_only
            if old is not read_only:
                it.read_only = read_only
                self.note(lambda: setattr(it, "read_only", old))
            for name, edge in it.edges.items():
                if name != "backing" and not edge.child.monitored:
                    change(edge.child)

        def act() -> None:
            change(node)
            self.refresh(node)

        self.attempt(act)

    def set_backing(self, node: BlockNode, backing: BlockNode | None) -> None:
        """Give a node another backing image (bdrv_set_backing_hd).

        Raises:
            CommandError: that would not go together.
        """
        self.attempt(lambda: self._set_backing(node, backing))

    def _set_backing(self, node: BlockNode, backing: BlockNode | None) -> None:
        old = node.edges.get("backing")
        if old is not None and old.child is backing:
            return
        gone = old.child if old is not None else None
        self._mark(node, gone, backing)
        if backing is not None:
            edge = Edge(node, "backing", backing, node.kind.children["backing"])
            if old is not None:
                self._unlink(old)
            self._link(edge)
            edge.perm, edge.shared = node.wants(edge)
            self.refresh(backing)
        elif old is not None:
            self._unlink(old)
        if gone is not None:
            self.refresh(gone)
            self.release(gone)

    def users(self) -> list[User]:
        """The backends without a name or device: those of exports, and of jobs."""
        found: list[User] = list(reversed(self._exports.exports)) if self._exports is not None else []
        for node in self.nodes.values():
            for edge in node.parents:
                user = edge.user
                if (
                    isinstance(user, User)
                    and user.is_backend
                    and user not in self.backends
                    and user not in found
                ):
                    found.append(user)
        return found

    def job_uses(self) -> list[tuple[str, list[Edge]]]:
        """The block jobs by name, each with its uses of nodes."""
        found: dict[str, list[Edge]] = {}
        for node in self.nodes.values():
            for edge in node.parents:
                if edge.fixed and isinstance(edge.user, User) and not edge.user.is_backend:
                    found.setdefault(str(getattr(edge.user, "name", "")), []).append(edge)
        return list(found.items())

    # -- what moves with the guest --------------------------------------------------------------------------

    def saved(self) -> Any:
        """What of it moves with the guest: statistics and trays of its disks."""
        return {backend.key: backend.saved() for backend in self.backends if backend.key}

    def restored(self, machine: FakeQemu, value: Any) -> None:
        """Take over what was saved."""
        del machine
        for backend in self.backends:
            state = value.get(backend.key) if isinstance(value, dict) else None
            if isinstance(state, dict):
                backend.restored(state)


#: What is refused to a backing image: all but being committed to, streamed from and backed up.
BACKING_OPS = frozenset((
    "change", "commit-source", "dataplane", "drive-del", "eject", "external-snapshot", "internal-snapshot",
    "internal-snapshot-delete", "mirror-source", "mirror-target", "resize", "replace",
))  # fmt: skip


def _restore(edge: Edge, old: tuple[int, int]) -> None:
    edge.perm, edge.shared = old


def _below(node: BlockNode) -> set[BlockNode]:
    """A node and everything it uses."""
    found = {node}
    for edge in node.edges.values():
        found |= _below(edge.child)
    return found


def graph_of(machine: FakeQemu) -> Graph:
    """The block graph of a machine; made when first asked for."""
    graph: Graph | None = machine.parts.get("block")
    if graph is None:
        graph = machine.parts["block"] = Graph(machine)
        from fakeqemu.block.beginning import begin

        begin(graph)
    if not graph.hooked and "hardware" in machine.parts:
        from fakeqemu.block.devices import hook

        graph.hooked = True
        hook(graph)
    return graph
