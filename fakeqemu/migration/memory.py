"""A model of guest memory: how much there is, how much of it is not zero, how fast it is written to.

Knows the RAM blocks that QEMU 7.2 registers for machine types and devices (``info ramblock``). Must not know
streams. No byte of the guest exists: pages are counted.

The script's word ``migration`` sets it: ``used`` (bytes that are not zero once the guest has run),
``dirty`` (bytes written each second while it runs), ``working_set`` (bytes those writes go to; all of
``used`` without it), ``bandwidth`` (of the link, bytes a second), ``scan`` (bytes of memory looked through
each second), ``setup`` and ``downtime`` (nanoseconds that setting up and the device state take).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu

__all__ = ["DEVICES", "PAGE", "SECOND", "GuestMemory", "devices_of"]

PAGE = 4096
MIB = 1 << 20
SECOND = 1_000_000_000
#: Pages of firmware that are not zero in a machine that never ran, and what firmware writes when it runs.
FIRMWARE, BOOTED = 49, 62
#: A 10 Gbit/s link, and a host that looks through 16 GiB of memory a second.
LINK, SCAN = 1_250_000_000, 16 << 30
#: Bytes of device state: CPUs, chipset, timers.
DEVICES = 111_736

_ACPI = (("/rom@etc/acpi/tables", 0x20000), ("/rom@etc/table-loader", 0x1000), ("/rom@etc/acpi/rsdp", 0x1000))
_PC = (_ACPI[0], ("pc.bios", 0x40000), ("pc.rom", 0x20000), *_ACPI[1:])
#: What a family of machines has beside its main memory, whose name comes first.
_MACHINES: tuple[tuple[str, str, tuple[tuple[str, int], ...]], ...] = (
    ("microvm", "microvm.ram", (("/rom@etc/acpi/tables", 0x1000), ("pc.bios", 0x10000), *_ACPI[1:])),
    ("isapc", "pc.ram", (("pc.bios", 0x20000), ("pc.rom", 0x20000))),
    ("pc", "pc.ram", _PC),
    ("q35", "pc.ram", _PC),
    ("pseries", "ppc_spapr.ram", ()),
    ("s390-ccw", "s390.ram", ()),
    ("virt", "mach-virt.ram", (("virt.flash0", 64 * MIB), ("virt.flash1", 64 * MIB), *_ACPI)),
)
_RISCV = (("virt.flash0", 32 * MIB), ("virt.flash1", 32 * MIB), ("riscv_virt_board.mrom", 0xF000))
_NIC = (("rom", 0x40000),)
#: What devices have.
_DEVICES: dict[str, tuple[tuple[str, int], ...]] = {
    "VGA": (("vga.vram", 16 * MIB), ("vga.rom", 0x10000)),
    "virtio-vga": (("vga.vram", 8 * MIB), ("virtio-vga.rom", 0x10000)),
    "cirrus-vga": (("vga.vram", 4 * MIB), ("cirrus_vga.rom", 0x10000)),
    "qxl-vga": (
        ("vga.vram", 64 * MIB), ("qxl.vram", 64 * MIB), ("qxl.vrom", 0x2000), ("qxl-vga.rom", 0x10000),
    ),
    "qxl": (("qxl.vgavram", 64 * MIB), ("qxl.vram", 64 * MIB), ("qxl.vrom", 0x2000)),
    "bochs-display": (("bochs-display-vram", 16 * MIB), ("bochs-display.rom", 0x8000)),
    "virtio-net-pci": _NIC, "e1000": _NIC, "e1000e": _NIC, "rtl8139": _NIC, "ne2k_pci": _NIC,
    "vmxnet3": _NIC, "pcnet": _NIC, "i82559er": _NIC,
}  # fmt: skip
_DIMMS = ("pc-dimm", "nvdimm", "virtio-mem-pci", "virtio-mem", "virtio-pmem-pci")


def _words(machine: FakeQemu) -> dict[str, Any]:
    words: dict[str, Any] = machine.word("migration") or {}
    return words


class GuestMemory:
    """The memory of one guest; it is watched from when it is first asked for."""

    __slots__ = ("_machine", "_ran", "_ran_ns", "_since", "_synced_ns", "_taken", "throttle")

    def __init__(self, machine: FakeQemu) -> None:
        self._machine = machine
        self._ran = machine.boot_done is not None
        self._ran_ns = 0
        self._since: int | None = machine.now_ns if machine.runstate == "running" else None
        self._synced_ns = 0
        self._taken: int | None = None
        #: Per cent of the time that the CPUs are held back (auto-converge).
        self.throttle = 0
        machine.watchers.append(self._changed)

    def _changed(self, old: str, new: str) -> None:
        if old == "running" and self._since is not None:
            self._ran_ns += (self._machine.now_ns - self._since) * (100 - self.throttle) // 100
            self._since = None
        if new == "running":
            self._since, self._ran = self._machine.now_ns, True

    def hold_back(self, percent: int) -> None:
        """Let the CPUs run only a part of the time from now on."""
        if self._since is not None:
            self._changed("running", "running")
        self.throttle = percent

    def blocks(self) -> list[tuple[str, int]]:
        """The RAM blocks, with their sizes in bytes; the main memory first."""
        machine = self._machine
        line = machine.line
        target = line.program.rpartition("-")[2]
        if line.machine == "none":
            return []
        name = "ram"
        rest: tuple[tuple[str, int], ...] = ()
        for part, main, others in _MACHINES:
            if part in line.machine:
                name, rest = main, others
                break
        if "riscv" in target:
            name, rest = "riscv_virt_board.ram", _RISCV
        if line.machine_options.get("acpi") == "off" or "-no-acpi" in machine.argv:
            rest = tuple(block for block in rest if not block[0].startswith("/rom@"))
        found = [(str(line.machine_options.get("memory-backend") or name), line.ram), *rest]
        for kind, ident, options in devices_of(machine):
            sizes = _DEVICES.get(kind, ())
            if kind in _DIMMS:
                backend = line.objects.get(str(options.get("memdev")))
                size = backend.options.get("size") if backend is not None else _object_size(machine, options)
                sizes = (("", _bytes(size)),)
                found.append((str(options.get("memdev")), sizes[0][1]))
                continue
            found += [(f"{ident or kind}/{block}", size) for block, size in sizes]
        return found

    @property
    def total(self) -> int:
        """All of the guest's memory, ROMs and video memory included, in bytes (ram_bytes_total)."""
        return sum(size for _, size in self.blocks())

    @property
    def nonzero(self) -> int:
        """How many pages are not zero."""
        pages = self.total // PAGE
        own = FIRMWARE
        if self._ran:
            own += BOOTED + int(_words(self._machine).get("used", 0)) // PAGE
        return min(pages, max(own, self._taken or 0))

    def take_over(self, nonzero: int) -> None:
        """The pages that came from elsewhere."""
        self._taken = nonzero

    def synchronise(self) -> int:
        """How many pages were written since the last time that somebody asked."""
        ran = self._ran_ns
        if self._since is not None:
            ran += (self._machine.now_ns - self._since) * (100 - self.throttle) // 100
        passed, self._synced_ns = ran - self._synced_ns, ran
        return self.written(passed)

    def written(self, running_ns: int) -> int:
        """How many different pages are written while the guest runs for that long."""
        words = _words(self._machine)
        limit = int(words.get("working_set", words.get("used", self._machine.line.ram)))
        return min(int(words.get("dirty", 0)) * running_ns // SECOND, limit) // PAGE

    @property
    def link(self) -> int:
        """Bytes that the link to the other host carries each second."""
        return max(1, int(_words(self._machine).get("bandwidth", LINK)))

    @property
    def scan(self) -> int:
        """Bytes of memory that are looked through each second."""
        return max(1, int(_words(self._machine).get("scan", SCAN)))

    @property
    def setup_ns(self) -> int:
        """How long setting a migration up takes."""
        return int(_words(self._machine).get("setup", 1_000_000))

    @property
    def downtime_ns(self) -> int:
        """How long the state of the devices takes, beside its bytes."""
        return int(_words(self._machine).get("downtime", 1_000_000))


def devices_of(machine: FakeQemu) -> list[tuple[str, str, dict[str, Any]]]:
    """Every device: model, id and options."""
    if "hardware" in machine.parts:
        from fakeqemu import hardware

        found = hardware.registry_of(machine).devices()
        return [(obj.kind, obj.id or "", dict(obj.options)) for obj in found]
    return [(device.kind, device.id or "", device.options) for device in machine.line.devices]


def _object_size(machine: FakeQemu, options: dict[str, Any]) -> Any:
    """The size of a backend that was added while the machine ran."""
    if "hardware" not in machine.parts:
        return 0
    from fakeqemu import hardware

    backend = hardware.registry_of(machine).objects.get(str(options.get("memdev")))
    return 0 if backend is None else backend.options.get("size", 0)


def _bytes(value: Any) -> int:
    if isinstance(value, int):
        return value
    text = str(value).strip()
    factor = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}.get(text[-1:].upper(), 0)
    digits = text[:-1] if factor else text
    return int(digits) * (factor or 1) if digits.isdigit() else 0
