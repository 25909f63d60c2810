"""For tests of your own: run a coroutine on the virtual clock, against fake QEMUs.

Knows the library's face (`virtsim.api`) and the stage (`virtsim.sim`). Must not know how either does its
work, nor anything of one project's tests.

`simulate` is all that most tests need; `launcher_contract` holds what every launcher must do.
"""

from __future__ import annotations

from virtsim.testing.simulation import Simulation, simulate

__all__ = ["Simulation", "simulate"]
