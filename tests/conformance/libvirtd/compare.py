"""Where two plays of a flow differ: statuses, what virsh printed, what was said on the monitor.

A difference that is explained stands in `EXPLAINED`, with its reason; all others are told.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from tests.conformance.libvirtd.play import commands, events, pairs, settled
from tests.helpers.libvirtd import Answer

#: What may differ: (a pattern of the place, why). A place is "COMMAND MEMBER..." in a reply.
EXPLAINED: tuple[tuple[str, str], ...] = ((r"^query-version ", "the real one says which package it is of"),)
_EXPLAINED = [(re.compile(pattern), reason) for pattern, reason in EXPLAINED]
#: Texts that tell amounts of work and memory of the process, which differ from run to run.
_WORK = re.compile(
    r"(rss|cpu\.\w+|CPU time|CPU|\w+_times|rd_\w+|wr_\w+|\w+\.rd\.\w+|\w+\.wr\.\w+|\w+\.fl\.\w+"
    r"|Allocation|Physical|allocation|physical|vcpu\.\d+\.\w+)[ :=.]+\S+"
)


def differences(real: list[Answer], fake: list[Answer]) -> Iterator[str]:
    """Every difference that is not explained, as a line."""
    restless = False
    for one, other in zip(real, fake, strict=True):
        step = settled(" ".join(one.words))
        was_restless = restless
        restless = "RESET" in events(one) + events(other)
        if one.status != other.status:
            texts = f"{settled(one.out)!r} / {settled(other.out)!r}"
            yield f"{step}: status {one.status} / {other.status}: {texts}"
            continue
        if printed(one) != printed(other):
            yield f"{step}: prints {printed(one)!r} / {printed(other)!r}"
        left, right = (asked(answer, restless=restless or was_restless) for answer in (one, other))
        if left != right:
            yield f"{step}: asks {left} / {right}"
        if heard(one) != heard(other):
            yield f"{step}: events {events(one)} / {events(other)}"
        yield from (f"{step}: {line}" for line in replies(one, other))


#: How often libvirtd asks this depends on how fast it is.
_POLLED = ("query-block-jobs", "query-migrate")


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
    return _WORK.sub(lambda found: found[1], text)


def replies(one: Answer, other: Answer) -> Iterator[str]:
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
        for place, left, right in tree(name, reply, answered):
            if not any(pattern.search(place) for pattern, _ in _EXPLAINED):
                yield f"{place}: {left!r:.200} / {right!r:.200}"


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
