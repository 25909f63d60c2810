"""The transition table: every combination is a row or libvirt's refusal, and rows lead somewhere sane."""

from __future__ import annotations

import itertools

import pytest

from virtsim.errors import OperationInvalid
from virtsim.states import DOMAIN, Situation, Trigger, rows, situation
from virtsim.states._generated_enums import (
    DomainEvent,
    DomainState,
    PausedReason,
    ResumedDetail,
    RunningReason,
    SuspendedDetail,
)
from virtsim.states._table import Row, Table
from virtsim.states.details import (
    DETAILS,
    REASONS,
    detail_of,
    reason_of,
    resumed_detail,
    suspended_detail,
)
from virtsim.states.domain import PENDING, Act, Emit, Goal, Pending, Send

API = [t for t in Trigger if t.value <= Trigger.DESTROY.value]
EVERYTHING = list(itertools.product(Situation, Trigger))


@pytest.mark.parametrize(("where", "trigger"), EVERYTHING, ids=lambda item: item.name)
def test_every_combination_is_a_row_or_a_refusal(where: Situation, trigger: Trigger) -> None:
    if DOMAIN.allows(where, trigger):
        row = DOMAIN.row(where, trigger)
        assert (row.state, row.trigger) == (where, trigger)
        if row.target is not None and not isinstance(row.target.reason, Pending):
            reason = row.target.reason
            assert isinstance(reason, REASONS[row.target.state])
            situation(row.target.state, reason)
        for effect in row.effects:
            assert effect.label
            if isinstance(effect, Emit) and isinstance(effect.event, DomainEvent):
                assert effect.detail is PENDING or isinstance(effect.detail, DETAILS[effect.event])
    else:
        with pytest.raises(OperationInvalid) as refused:
            DOMAIN.row(where, trigger)
        assert refused.value.detail in {
            "domain is not running",
            "domain is already running",
            "domain is pmsuspended",
        }


@pytest.mark.parametrize("trigger", [t for t in Trigger if t.name.startswith("QEMU_")], ids=lambda t: t.name)
def test_whatever_qemu_says_has_a_row_in_every_situation(trigger: Trigger) -> None:
    assert all(DOMAIN.allows(where, trigger) for where in Situation)


@pytest.mark.parametrize("trigger", [t for t in Trigger if t.name.startswith("QEMU_")], ids=lambda t: t.name)
def test_qemus_late_words_change_nothing_once_the_domain_is_off(trigger: Trigger) -> None:
    row = DOMAIN.row(Situation.SHUTOFF, trigger)
    assert row.effects == ()
    assert row.target is None


#: What the API says, situation by situation: "ok", or the refusal's first letter as below.
MATRIX = {
    #             SHUTOFF STARTING RUNNING PAUSED SHUTDOWN CRASHED PMSUSPENDED
    Trigger.CREATE: "ok a a a a a a",
    Trigger.SUSPEND: "n ok ok ok ok ok p",
    Trigger.RESUME: "n ok a ok ok ok p",
    Trigger.SHUTDOWN: "n n ok n n n n",
    Trigger.REBOOT: "n ok ok ok ok ok ok",
    Trigger.RESET: "n ok ok ok ok ok ok",
    Trigger.DESTROY: "n ok ok ok ok ok ok",
}
TEXTS = {"a": "domain is already running", "n": "domain is not running", "p": "domain is pmsuspended"}


@pytest.mark.parametrize("trigger", API, ids=lambda t: t.name)
def test_the_api_in_every_situation(trigger: Trigger) -> None:
    for where, word in zip(Situation, MATRIX[trigger].split(), strict=True):
        if word == "ok":
            assert DOMAIN.allows(where, trigger), where
        else:
            with pytest.raises(OperationInvalid) as refused:
                DOMAIN.row(where, trigger)
            assert refused.value.detail == TEXTS[word], where


def test_only_the_end_of_qemu_leads_to_shutoff_and_it_always_cleans_up() -> None:
    for row in rows():
        if row.target is not None and row.target.state is DomainState.SHUTOFF:
            assert row.effects[:2] == (Act.KILL, Act.CLEAN_UP), row
            assert len(row.effects) == (2 if row.trigger is Trigger.START_FAILED else 3)


def test_commands_do_not_change_the_state_qemus_events_do() -> None:
    for row in rows():
        sent = [effect.command for effect in row.effects if isinstance(effect, Send)]
        if sent and sent != ["system_reset"]:
            assert row.target is None


def test_starting_up_is_kept_apart_from_paused() -> None:
    assert situation(DomainState.PAUSED, PausedReason.STARTING_UP) is Situation.STARTING
    assert situation(DomainState.PAUSED, PausedReason.USER) is Situation.PAUSED
    with pytest.raises(KeyError):
        situation(DomainState.BLOCKED, 0)


def test_reasons_become_details_as_libvirt_maps_them() -> None:
    named = {"MIGRATION": "MIGRATED", "FROM_SNAPSHOT": "FROM_SNAPSHOT"}
    same = {"POSTCOPY", "POSTCOPY_FAILED"}
    for reason in PausedReason:
        wanted = named.get(reason.name, reason.name if reason.name in same else "PAUSED")
        assert suspended_detail(reason) is SuspendedDetail[wanted]
    named = {
        "RESTORED": "FROM_SNAPSHOT",
        "FROM_SNAPSHOT": "FROM_SNAPSHOT",
        "MIGRATED": "MIGRATED",
        "MIGRATION_CANCELED": "MIGRATED",
    }
    for running in RunningReason:
        wanted = named.get(running.name, running.name if running.name in same else "UNPAUSED")
        assert resumed_detail(running) is ResumedDetail[wanted]


def test_numbers_find_their_names() -> None:
    assert reason_of(3, 11) is PausedReason.STARTING_UP
    assert detail_of(3, 2) is SuspendedDetail.IOERROR
    with pytest.raises(ValueError, match="99"):
        reason_of(1, 99)


def test_a_combination_cannot_have_two_rows() -> None:
    row: Row[Situation, Trigger, Act, Goal] = Row(Situation.SHUTOFF, Trigger.CREATE)
    with pytest.raises(ValueError, match="two rows for SHUTOFF and CREATE"):
        Table([row, row], lambda *_: OperationInvalid("no"))


def test_labels_say_what_a_drawing_needs() -> None:
    assert Goal(DomainState.PAUSED, PENDING).label == "PAUSED/..."
    assert {row.target.label for row in rows() if row.target is not None} >= {
        "PAUSED/STARTING_UP",
        "SHUTOFF/DESTROYED",
        "RUNNING/WAKEUP",
    }
    assert PENDING.label == "as asked"
