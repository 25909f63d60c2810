"""The guest's clock: ``<clock>`` and its timers."""

from __future__ import annotations

from dataclasses import dataclass

from virtsim.errors import ErrorCode
from virtsim.model._codec import INT, TEXT, UINT, UINT64, YESNO, choice
from virtsim.model._fields import Wording, at, each

__all__ = ["Clock", "Timer"]

_OFFSET = Wording("unknown clock offset '{}'", code=ErrorCode.VIR_ERR_CONFIG_UNSUPPORTED)


@dataclass(frozen=True, slots=True)
class Timer:
    """One timer of the machine."""

    name: str = at(
        "@name",
        choice("platform", "pit", "rtc", "hpet", "tsc", "kvmclock", "hypervclock", "armvtimer"),
        "rtc",
        required=True,
    )
    present: bool | None = at("@present", YESNO)
    tickpolicy: str | None = at("@tickpolicy", choice("delay", "catchup", "merge", "discard"))
    track: str | None = at("@track", choice("boot", "guest", "wall", "realtime"))
    frequency_hz: int | None = at("@frequency", UINT64)
    mode: str | None = at("@mode", choice("auto", "native", "emulate", "paravirt", "smpsafe"))
    catchup_threshold: int | None = at("catchup/@threshold", UINT)
    catchup_slew: int | None = at("catchup/@slew", UINT)
    catchup_limit: int | None = at("catchup/@limit", UINT)


@dataclass(frozen=True, slots=True)
class Clock:
    """``<clock>``."""

    offset: str = at(
        "@offset", choice("utc", "localtime", "variable", "timezone", "absolute"), "utc", words=_OFFSET
    )
    adjustment: str | None = at("@adjustment", TEXT)
    basis: str | None = at("@basis", choice("utc", "localtime"))
    timezone: str | None = at("@timezone")
    start_s: int | None = at("@start", INT)
    timers: tuple[Timer, ...] = each("timer", Timer)
