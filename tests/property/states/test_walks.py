"""Any walk over the table stays inside it, and its events fit its states."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from virtsim.states import DOMAIN, DomainState, PausedReason, RunningReason, Situation, Trigger, situation
from virtsim.states._generated_enums import DomainEvent
from virtsim.states.domain import Emit, Pending

#: Which situation a lifecycle event leaves a domain in; absent: any.
AFTER = {
    DomainEvent.RESUMED: {Situation.RUNNING},
    DomainEvent.STOPPED: {Situation.SHUTOFF},
    DomainEvent.SHUTDOWN: {Situation.SHUTDOWN},
    DomainEvent.PMSUSPENDED: {Situation.PMSUSPENDED},
}


@given(st.lists(st.sampled_from(Trigger), max_size=60))
def test_walks(triggers: list[Trigger]) -> None:
    where = Situation.SHUTOFF
    starts = stops = 0
    for trigger in triggers:
        if not DOMAIN.allows(where, trigger):
            continue
        row = DOMAIN.row(where, trigger)
        if row.target is not None:
            reason = row.target.reason
            if isinstance(reason, Pending):
                running = row.target.state is DomainState.RUNNING
                reason = RunningReason.UNPAUSED if running else PausedReason.USER
            before, where = where, situation(row.target.state, reason)
            starts += before is Situation.SHUTOFF
            stops += where is Situation.SHUTOFF
        for effect in row.effects:
            if isinstance(effect, Emit) and isinstance(effect.event, DomainEvent):
                assert where in AFTER.get(effect.event, set(Situation))
        # Nothing starts twice without a stop between, nothing stops that was not started.
        assert 0 <= starts - stops <= 1
        assert (starts == stops) == (where is Situation.SHUTOFF)
