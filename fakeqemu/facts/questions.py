"""What a QEMU is asked for its profile.

Knows what managers probe: libvirt 7.0.0 to 9.0.0 (qemu_capabilities.c, and conversations recorded with it).
Must not know answers.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "ABSENT", "ASKED", "DEVICES", "MACHINES", "OF_A_MACHINE", "PLAIN", "PRINTED", "TYPES", "comparisons",
    "descends", "expansions",
]  # fmt: skip

#: Stands for a value that could not be read (`fakeqemu.facts.qomview`).
ABSENT = "\0"
#: Asked without arguments of a machine of type none.
PLAIN = (
    "query-version", "query-target", "query-qmp-schema", "query-commands", "query-kvm", "query-machines",
    "query-cpu-definitions", "query-tpm-models", "query-tpm-types", "query-command-line-options",
    "query-migrate-capabilities", "query-migrate-parameters", "query-chardev-backends",
    "query-sev-capabilities", "query-sev", "query-sgx", "query-sgx-capabilities", "query-gic-capabilities",
    "query-jobs", "query-block-jobs", "query-migrate", "query-dump", "query-dump-guest-memory-capability",
    "query-fdsets", "query-replay", "query-tpm", "query-pr-managers", "query-stats-schemas",
    "query-audiodevs", "query-display-options", "query-colo-status", "query-hotpluggable-cpus",
    "query-dirty-rate", "query-xen-replication-status", "query-acpi-ospm-status", "query-vm-generation-id",
    "query-memory-devices", "query-memory-size-summary", "query-pci", "query-rx-filter", "query-spice",
    "query-vnc", "query-vnc-servers", "query-mice", "query-iothreads", "query-cpus-fast", "query-balloon",
    "query-memdev", "query-block", "query-blockstats", "query-named-block-nodes", "query-block-exports",
    "query-current-machine", "query-migrationthreads", "query-migration-blockers",
)  # fmt: skip
#: Asked with arguments, of a machine of type none.
ASKED: tuple[tuple[str, dict[str, Any]], ...] = (("trace-event-get-state", {"name": "*"}),)
#: Device models that libvirt asks for whether they exist or not: the refusal is a fact too.
DEVICES = (
    "virtio-blk-pci", "virtio-net-pci", "virtio-scsi-pci", "virtio-blk-ccw", "virtio-net-ccw",
    "virtio-scsi-ccw", "vfio-pci", "scsi-hd", "ide-hd", "PIIX4_PM", "usb-redir", "usb-storage", "kvm-pit",
    "VGA", "vmware-svga", "qxl", "virtio-gpu-pci", "virtio-gpu-device", "ICH9-LPC", "virtio-balloon-pci",
    "virtio-balloon-ccw", "virtio-balloon-device", "intel-iommu", "mch", "nvdimm", "pcie-root-port",
    "usb-host", "vhost-user-fs-device", "virtio-mem-pci", "virtio-iommu-pci", "virtio-gpu-ccw",
    "spapr-pci-host-bridge", "vfio-ap", "vfio-ccw", "zpci", "virtio-crypto-pci", "tpm-tis", "sd-card",
)  # fmt: skip
#: QOM types that libvirt asks for whether they exist or not; those that exist are asked for all.
TYPES = ("memory-backend-file", "memory-backend-memfd", "max-{arch}-cpu", "none-machine")
#: Machine types whose QOM trees are recorded, beside none.
MACHINES = {
    "x86_64": ("pc", "q35", "microvm", "pc defaults", "q35 defaults"),
    "i386": ("pc", "q35", "pc defaults"),
    "aarch64": ("virt", "virt defaults"),
    "ppc64": ("pseries", "pseries defaults"),
    "s390x": ("s390-ccw-virtio", "s390-ccw-virtio defaults"),
    "riscv64": ("virt", "virt defaults"),
}
#: Asked of each of these machines; kept beside the empty machine's answer.
OF_A_MACHINE = (
    "query-pci", "query-hotpluggable-cpus", "query-cpus-fast", "query-block", "query-mice",
    "query-current-machine", "query-vnc-servers", "query-gic-capabilities", "x-query-roms", "x-query-irq",
)  # fmt: skip
#: Options that make the program print something and leave.
PRINTED = (
    "-version", "-help", "-machine help", "-cpu help", "-device help", "-object help", "-netdev help",
    "-chardev help", "-accel help", "-display help", "-vga help", "-audiodev help", "-d help", "-nic help",
    "-machine none,help", "-smp help", "-drive help", "-blockdev help", "-audio-help", "-vnc help",
)  # fmt: skip


def descends(name: str | None, top: str, parents: dict[str, str | None]) -> bool:
    """Whether a type is, or descends from, another (interfaces are not told by QEMU)."""
    while name is not None:
        if name == top:
            return True
        name = parents.get(name)
    return False


def expansions(models: list[str], arch: str) -> list[dict[str, Any]]:
    """The questions of ``query-cpu-model-expansion``: every model as it is; base and host as libvirt does."""
    more = ("host", "base") if arch in ("x86_64", "i386") else ("host",)
    names = [*models, *(name for name in more if name not in models), "nonesuch"]
    asked: list[dict[str, Any]] = [
        {"type": kind, "model": {"name": name}} for name in names for kind in ("static", "full")
    ]
    asked += [
        {"type": kind, "model": {"name": "host", "props": props}}
        for kind in ("static", "full")
        for props in ({"migratable": False}, {"migratable": False, "hv-passthrough": True})
    ]
    return asked


def comparisons(arch: str) -> list[tuple[str, dict[str, Any]]]:
    """Baselines and comparisons of CPU models, where the program knows them at all."""
    names = ("qemu", "max", "z14-base", "z13.2-base") if arch == "s390x" else ("max",)
    return [
        (command, {"modela": {"name": one}, "modelb": {"name": other}})
        for command in ("query-cpu-model-comparison", "query-cpu-model-baseline")
        for one in names
        for other in names
    ]
