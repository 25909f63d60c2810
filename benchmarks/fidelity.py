"""How much of a QEMU is the fake? Commands modelled, replies that equal the real one's, flows under libvirtd.

Prints, for the x86_64 profile: the commands that are modelled, recorded and refused; for the differential
corpus (tests/conformance/fakeqemu/corpus and what follows from the schema) how many replies and event
sequences are the real QEMU's, with and without the list of known differences; and how many flows of virsh end
and read as with the real QEMU under a private libvirtd.

    python benchmarks/fidelity.py [--show N] [--no-libvirtd]

Exit status 1 when a difference is not listed or a flow fails.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fakeqemu import support
from fakeqemu.facts.profile import profile_for
from tests.conformance.libvirtd.compare import differences as flow_differences
from tests.conformance.libvirtd.flows import FLOWS
from tests.conformance.libvirtd.play import install_fake, play
from tests.helpers import known
from tests.helpers.corpus import Schema, made, written
from tests.helpers.differential import Conversation, differences, hold
from tests.helpers.libvirtd import Libvirtd
from tests.helpers.processes import QEMU, fake_argv


def commands() -> None:
    """The share of commands that are modelled."""
    answered = Counter(support.commands(profile_for(QEMU)).values())
    total = sum(answered.values())
    print(f"commands: {', '.join(f'{answered[kind]} {kind}' for kind in sorted(answered))} of {total}")


def corpus(show: int) -> bool:
    """The share of equal replies; whether every difference is listed."""
    quiet = ("-S", "-nodefaults", "-display", "none", "-machine", "none")
    asked = hold([QEMU], Conversation("schema", quiet, [{"execute": "query-qmp-schema"}]))
    entries = known.load()
    total = equal = listed = 0
    for conversation in (*written(), *made(Schema(asked[-1].reply["return"]))):
        real, fake = hold([QEMU], conversation), hold(fake_argv(), conversation)
        found = list(differences(real, fake))
        unlisted = [
            difference for difference in found if not listed_in(entries, conversation.name, difference)
        ]
        differing = {json.dumps(difference[0]) for difference in found}
        missing = {json.dumps(difference[0]) for difference in unlisted}
        total += len(real)
        equal += len(real) - len(differing)
        listed += len(differing) - len(missing)
        print(
            f"  {conversation.name}: {len(real)} replies, {len(differing)} differ, {len(missing)} not listed"
        )
        for message, place, left, right in unlisted[:show]:
            print(f"    {json.dumps(message)[:150]}\n      {place}")
            print(f"      real {left!r:.200}\n      fake {right!r:.200}")
    rest = total - equal - listed
    print(f"corpus: {equal} of {total} replies equal, {listed} differ as listed, {rest} otherwise")
    for entry in entries:
        if not entry.met:
            print(f"  nothing needs this entry any more: {entry.where}, {entry.command}, {entry.place!r}")
    return equal + listed == total


def listed_in(entries: list[known.Known], conversation: str, difference: tuple[object, ...]) -> bool:
    """Whether a difference is in the list; the entry remembers it."""
    message, place = difference[0], str(difference[1])
    for entry in entries:
        if entry.fits(conversation, known.command_of(message), place):
            entry.met.append(place)
            return True
    return False


def flows(show: int) -> bool:
    """How many flows pass; whether all do."""
    passed = 0
    with Libvirtd() as daemon:
        install_fake(daemon)
        for flow in FLOWS:
            if flow.guest:
                answers = play(daemon, flow, str(daemon.base / "bin/guest/qemu-system-x86_64"))
                found = [f"{answer.words}: {answer.out}" for answer in answers if answer.status]
            else:
                real = play(daemon, flow, str(shutil.which(QEMU)))
                fake = play(daemon, flow, str(daemon.base / "bin/qemu-system-x86_64"))
                found = list(flow_differences(real, fake))
            passed += not found
            print(f"  {flow.name}: {len(flow.steps)} steps, {len(found)} differences")
            for line in found[:show]:
                print(f"    {line:.300}")
        daemon.end_machines()
    print(f"flows under libvirtd: {passed} of {len(FLOWS)} pass")
    return passed == len(FLOWS)


def main() -> int:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--show", type=int, default=3, help="differences shown of each conversation or flow")
    options.add_argument("--no-libvirtd", action="store_true", help="leave out the flows")
    words = options.parse_args()
    commands()
    good = corpus(words.show)
    if not words.no_libvirtd:
        good = flows(words.show) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
