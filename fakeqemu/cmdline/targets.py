"""What differs from one ``qemu-system-...`` program to the next before there is a monitor.

Facts of QEMU 7.2 as Debian builds it, asked of the programs; those of x86_64 and i386 stand in `options` and
`argv`. Knows an architecture's default machine, its memory, its limits of CPUs, the levels of its topology
and the options it does not have. Must not know the machine. On the start-up path of the other architectures.
"""

from __future__ import annotations

__all__ = ["TARGETS", "Target", "other_target"]

MIB = 1 << 20
_ARM = ("aarch64", "arm")
#: Options that only some architectures have (qemu-options.hx): those that do, x86 left out.
_LIMITED: dict[str, tuple[str, ...]] = {
    "no-fd-bootchk": (),
    "no-hpet": (),
    "win2k-hack": (),
    "no-acpi": _ARM,
    "acpitable": (),
    "smbios": _ARM,
    "prom-env": ("ppc", "ppc64"),
    "semihosting": (*_ARM, "riscv64", "riscv32"),
    "semihosting-config": (*_ARM, "riscv64", "riscv32"),
}


class Target:
    """One architecture's command line.

    Attributes:
        arch: its name.
        machine: the machine type when none is given; None when one must be.
        aliases: short names of machine types.
        ram: bytes of memory when none are given.
    """

    __slots__ = ("_between", "_limits", "aliases", "arch", "machine", "ram")

    def __init__(
        self,
        arch: str,
        machine: str | None,
        *,
        aliases: dict[str, str],
        limits: dict[str, int],
        ram: int = 128 * MIB,
        between: dict[str, tuple[str, ...]] | None = None,
    ) -> None:
        self.arch, self.machine, self.aliases, self.ram = arch, machine, aliases, ram
        self._limits = limits
        self._between = between or {}

    def limit(self, machine: str) -> int | None:
        """How many CPUs a machine type takes; None when it is not one of the usual ones."""
        if machine == "none":
            return 1
        return next((limit for name, limit in self._limits.items() if machine.startswith(name)), None)

    def levels(self, machine: str) -> tuple[str, ...]:
        """The levels of the CPU topology between socket and core (hw/core/machine-smp.c)."""
        return next((levels for name, levels in self._between.items() if machine.startswith(name)), ())

    def lacks(self, option: str) -> bool:
        """Whether only other architectures have an option."""
        return option in _LIMITED and self.arch not in _LIMITED[option]


TARGETS = {
    "aarch64": Target(
        "aarch64", None, aliases={"virt": "virt-7.2"}, limits={"virt": 512, "sbsa-ref": 512},
        between={"virt": ("clusters",)},
    ),
    "ppc64": Target(
        "ppc64", "pseries-7.2", aliases={"pseries": "pseries-7.2"}, limits={"pseries": 4096}, ram=512 * MIB
    ),
    "s390x": Target(
        "s390x", "s390-ccw-virtio-7.2", limits={"s390-ccw-virtio": 248},
        aliases={"s390-ccw-virtio": "s390-ccw-virtio-7.2", "s390-ccw": "s390-ccw-virtio-7.2"},
    ),
    "riscv64": Target("riscv64", "spike", aliases={}, limits={"spike": 8, "virt": 512, "sifive_u": 5}),
}  # fmt: skip


def other_target(program: str) -> Target | None:
    """The target of a program; None for x86's, and for a name that tells none."""
    if not program.startswith("qemu-system-"):
        return None
    return TARGETS.get(program.rpartition("-")[2])
