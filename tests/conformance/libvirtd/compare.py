"""Where two plays of a flow differ: statuses, what virsh printed, what was said on the monitor.

A difference that is explained stands in ``known_differences.toml`` with its reason; all others are told.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tests.conformance.libvirtd.play import commands, events, pairs, settled
from tests.helpers import known
from tests.helpers.libvirtd import Answer

#: What may differ, from the list of known differences. A place is "COMMAND MEMBER..." in a reply.
_EXPLAINED = [re.compile(pattern) for pattern in known.flow_places()]
#: Texts that tell amounts of work and memory of the process, which differ from run to run.
_WORK = re.compile(
    r"(rss|cpu\.\w+|CPU time|CPU|\w+_times|rd_\w+|wr_\w+|\w+\.rd\.\w+|\w+\.wr\.\w+|\w+\.fl\.\w+"
    r"|Allocation|Physical|allocation|physical|vcpu\.\d+\.\w+)[ :=.]+\S+"
)
_TIME = re.compile(r"(CPU time|Id:)[^\n]*\n?")


class Difference(NamedTuple):
    """Where two plays differ, and how."""

    place: str
    told: str


def lasting(plays: Iterable[tuple[list[Answer], list[Answer]]]) -> list[str]:
    """What differs in every pair of plays: all else is how busy the machine was.

    Args:
        plays: pairs of a play of the real one and one of the fake; as many are taken as are needed.
    """
    left: dict[str, str] | None = None
    for real, fake in plays:
        found = dict(differences(real, fake))
        left = found if left is None else {place: found[place] for place in left if place in found}
        if not left:
            return []
    return [f"{place}: {told}" for place, told in (left or {}).items()]


def differences(real: list[Answer], fake: list[Answer]) -> Iterator[Difference]:
    """Every difference that is not explained."""
    restless = False
    for one, other in zip(real, fake, strict=True):
        step = settled(" ".join(one.words))
        was_restless = restless
        restless = "RESET" in events(one) + events(other)
        if one.status != other.status:
            texts = f"{settled(one.out)!r} / {settled(other.out)!r}"
            yield Difference(f"{step}: status", f"{one.status} / {other.status}: {texts}")
            continue
        if printed(one) != printed(other):
            yield Difference(f"{step}: prints", f"{printed(one)!r} / {printed(other)!r}")
        left, right = (asked(answer, restless=restless or was_restless) for answer in (one, other))
        if left != right:
            yield Difference(f"{step}: asks", f"{left} / {right}")
        if heard(one) != heard(other):
            yield Difference(f"{step}: events", f"{events(one)} / {events(other)}")
        yield from (Difference(f"{step}: {place}", told) for place, told in replies(one, other))


#: How often libvirtd asks this depends on how fast it is.
_POLLED = ("query-block-jobs", "query-migrate", "query-dump")


def asked(answer: Answer, *, restless: bool) -> list[str]:
    """The commands, without those that poll; firmware resets when it likes."""
    found = [name for name in commands(answer) if name not in _POLLED]
    if restless:
        return [name for name in found if name not in ("qom-list", "query-block")]
    return found


def heard(answer: Answer) -> Counter[str]:
    """The events, however many resets the firmware made."""
    return Counter(event for event in events(answer) if event != "RESET")


def printed(answer: Answer) -> str:
    """What virsh printed, without amounts of work and steps of progress."""
    text = re.sub(r"(Block \w+: \[ *\d+(\.\d+)? %\]\s*)+", "Block job: [N %]", str(settled(answer.out)))
    # A machine that has not worked yet has no line about its time at all; each start has another id.
    return _TIME.sub("", _WORK.sub(lambda found: found[1], text))


def replies(one: Answer, other: Answer) -> Iterator[Difference]:
    """Differences between the replies to the commands that both got."""
    mine = pairs(one)
    theirs: dict[str, list[Any]] = {}
    for name, arguments, reply in pairs(other):
        theirs.setdefault(f"{name} {arguments}", []).append(reply)
    for name, arguments, reply in mine:
        found = theirs.get(f"{name} {arguments}")
        if not found:
            continue
        answered = found.pop(0)
        if reply is None or answered is None:  # was on its way when the log was read
            continue
        for place, left, right in tree(name, reply, answered):
            if not any(pattern.search(place) for pattern in _EXPLAINED):
                yield Difference(place, f"{left!r:.200} / {right!r:.200}")


def tree(place: str, left: Any, right: Any) -> Iterator[tuple[str, Any, Any]]:
    """The places at which two JSON values differ; the order of members counts."""
    if isinstance(left, dict) and isinstance(right, dict):
        if list(left) != list(right):
            yield f"{place} keys", list(left), list(right)
        for key in left.keys() & right.keys():
            yield from tree(f"{place} {key}", left[key], right[key])
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for index, (one, other) in enumerate(zip(left, right, strict=True)):
            yield from tree(f"{place} {index}", one, other)
    elif left != right:
        yield place, left, right
