"""The words a scenario may use, and the nearest one to a word that it may not.

Knows libvirt's states, reasons, events and details (from `virtsim.api`) and signal names. Must not know
where a word was written.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable
from difflib import get_close_matches

from virtsim.api import DETAILS, REASONS

__all__ = ["EVENTS", "SIGNALS", "STATES", "nearest"]


#: State -> its reasons, as libvirt spells them without the prefix.
STATES: dict[str, frozenset[str]] = {
    state.name: frozenset(reason.name for reason in reasons) for state, reasons in REASONS.items()
}

#: Event -> its details; the events that have none are the ones libvirt delivers under an id of their own.
EVENTS: dict[str, frozenset[str]] = {
    **{event.name: frozenset(detail.name for detail in details) for event, details in DETAILS.items()},
    "REBOOT": frozenset(),
    "CONTROL_ERROR": frozenset(),
}

#: How many known words a message lists.
MAX_KNOWN = 30

#: Signals an administrator may send.
SIGNALS: dict[str, int] = {
    name: int(getattr(signal, name))
    for name in (
        "SIGTERM",
        "SIGKILL",
        "SIGINT",
        "SIGHUP",
        "SIGSTOP",
        "SIGCONT",
        "SIGQUIT",
        "SIGABRT",
        "SIGSEGV",
    )
}


def nearest(word: str, words: Iterable[str]) -> str:
    """``; did you mean 'x'?`` or ``; known: a, b, c``: what to add to the message about an unknown word.

    >>> nearest("stert", ["start", "stop"])
    "; did you mean 'start'?"
    """
    known = sorted(words)
    close = get_close_matches(word, known, n=1, cutoff=0.6) or get_close_matches(
        word.lower(), [entry.lower() for entry in known], n=1, cutoff=0.6
    )
    if close:
        spelt = next(entry for entry in known if entry.lower() == close[0].lower())
        return f"; did you mean {spelt!r}?"
    shown = [*known[:MAX_KNOWN], "..."] if len(known) > MAX_KNOWN else known
    return f"; known: {', '.join(shown)}" if known else ""
