"""Any order of commands about disks: every one is answered, and what holds of a graph holds after each."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakeqemu.block import graph_of
from fakeqemu.block.node import BlockNode
from tests.conformance.fakeqemu.block_talks import CD_ARGV, TALKS
from tests.helpers.puppet import ARGV, Puppet

#: Names that the conversations use, so that strangers meet.
NAMES = st.sampled_from(
    ["q", "f", "iso", "dr0", "cd0", "s1", "s2", "t", "base", "null0", "n5", "vd0", "sd0", "nope", ""]
)
WHATEVER = st.one_of(NAMES, st.integers(-1, 1 << 63), st.booleans(), st.none(), st.just([]), st.just({}))
COMMANDS = [command for _, commands in TALKS.values() for command in commands]


@st.composite
def orders(draw: Any) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for name, arguments in draw(st.lists(st.sampled_from(COMMANDS), min_size=1, max_size=25)):
        changed = dict(arguments)
        if changed and draw(st.integers(0, 3)) == 0:
            key = draw(st.sampled_from(sorted(changed)))
            changed[key] = draw(NAMES if isinstance(changed[key], str) else WHATEVER)
        found.append((name, changed))
    return found


def whole(puppet: Puppet) -> None:
    """What must hold of every graph."""
    graph = graph_of(puppet.machine)
    for name, node in graph.nodes.items():
        assert node.name == name
        assert node.monitored or node.parents, f"{name} is nobody's"
        for child, edge in node.edges.items():
            assert edge.user is node
            assert edge.name == child
            assert edge in edge.child.parents
            assert graph.nodes.get(edge.child.name) is edge.child
        for edge in node.parents:
            assert edge.child is node
            if isinstance(edge.user, BlockNode):
                assert edge.user.edges.get(edge.name) is edge
        for one in node.parents:
            for other in node.parents:
                assert one is other or not one.perm & ~other.shared, (
                    f"{name}: {one.told()} and {other.told()}"
                )
        for edge in node.edges.values():
            assert (edge.perm, edge.shared) == node.wants(edge)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(orders())
def test_any_order_is_answered_and_leaves_a_whole_graph(order):
    puppet = Puppet(argv=[*ARGV, *CD_ARGV]).start()
    conn = puppet.open()
    for name, arguments in order:
        message = {"execute": name, "arguments": arguments} if arguments else {"execute": name}
        puppet.write(conn, json.dumps(message).encode())
        replies = [reply for reply in puppet.messages(conn) if "event" not in reply]
        assert len(replies) == 1
        whole(puppet)
