"""Statistics of the accelerator: query-stats.

QEMU 7.2 has one provider, KVM: under TCG there is nothing to tell. The figures of a machine that says it uses
KVM follow the time its guest has run, so that they move and never fall.
"""

from __future__ import annotations

from fakeqemu.registry import command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.protocol.session import Session

__all__ = ["query_stats", "query_stats_schemas"]

#: name -> (unit, how much of it each second); of the virtual machine as a whole.
_VM: dict[str, tuple[str | None, int]] = {
    "remote_tlb_flush": (None, 3), "remote_tlb_flush_requests": (None, 5), "mmu_shadow_zapped": (None, 0),
    "mmu_pte_write": (None, 0), "mmu_pde_zapped": (None, 0), "mmu_flooded": (None, 0),
    "mmu_recycled": (None, 0), "mmu_cache_miss": (None, 0), "nx_lpage_splits": (None, 0),
}  # fmt: skip
#: The same of each CPU; times in nanoseconds.
_VCPU: dict[str, tuple[str | None, int]] = {
    "halt_successful_poll": (None, 40), "halt_attempted_poll": (None, 120), "halt_poll_invalid": (None, 0),
    "halt_wakeup": (None, 90), "halt_poll_success_ns": ("seconds", 400_000),
    "halt_poll_fail_ns": ("seconds", 1_600_000), "halt_wait_ns": ("seconds", 900_000_000),
    "exits": (None, 900), "io_exits": (None, 60), "mmio_exits": (None, 30), "signal_exits": (None, 1),
    "irq_exits": (None, 110), "halt_exits": (None, 120), "request_irq_exits": (None, 0),
    "irq_injections": (None, 100), "nmi_injections": (None, 0), "insn_emulation": (None, 90),
    "insn_emulation_fail": (None, 0), "hypercalls": (None, 0), "host_state_reload": (None, 200),
    "fpu_reload": (None, 50), "pf_fixed": (None, 20), "tlb_flush": (None, 70),
}  # fmt: skip
SECOND = 1_000_000_000


def _kvm(machine: FakeQemu) -> bool:
    return machine.line.accel == "kvm" and machine.host.kvm()


@command("query-stats", takes=True)
def query_stats(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> list[dict[str, Any]]:
    """Figures of the machine or of its CPUs, filtered by provider and name."""
    del session
    if not _kvm(machine):
        return []
    wanted: list[str] | None = None
    if "providers" in arguments:
        request = next((one for one in arguments["providers"] if one["provider"] == "kvm"), None)
        if request is None:
            return []
        wanted = request.get("names")
    if arguments["target"] == "vm":
        return [_result(machine, _VM, wanted, None)]
    from fakeqemu.protocol.asking import ask

    known = [cpu["qom-path"] for cpu in ask(machine, "query-cpus-fast")]
    chosen = arguments.get("vcpus", known)
    return [_result(machine, _VCPU, wanted, path) for path in known if path in chosen]


def _result(
    machine: FakeQemu, table: dict[str, tuple[str | None, int]], wanted: list[str] | None, path: str | None
) -> dict[str, Any]:
    ran = machine.now_ns if machine.boot_done is not None else 0
    stats = [
        {"name": name, "value": each * ran // SECOND}
        for name, (_, each) in table.items()
        if wanted is None or name in wanted
    ]
    found: dict[str, Any] = {"provider": "kvm", "stats": stats}
    if path is not None:
        found["qom-path"] = path
    return found


@command("query-stats-schemas", takes=True)
def query_stats_schemas(
    machine: FakeQemu, session: Session, arguments: dict[str, Any]
) -> list[dict[str, Any]]:
    """What figures there are."""
    del session, arguments
    if not _kvm(machine):
        return []
    return [
        {
            "provider": "kvm",
            "target": target,
            "stats": [_schema(name, unit) for name, (unit, _) in table.items()],
        }
        for target, table in (("vm", _VM), ("vcpu", _VCPU))
    ]


def _schema(name: str, unit: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "type": "cumulative", "exponent": 0}
    if unit is not None:
        found.update({"unit": unit, "base": 10, "exponent": -9})
    return found
