"""The command line of QEMU, one file for each family of devices.

Knows QEMU's options and their order in libvirt 9.0.0. Must not know how a process is started, nor what a
domain's XML looks like.

Where it differs from libvirt's on purpose:

* no ``-object secret,id=masterKey0``: there is no secret to wrap;
* ``user`` and ``bridge`` interfaces are QEMU's own backends (no root, no descriptor of a tap);
* huge pages come from memfd (see ``machine``); a display without a port of its own is a Unix socket (see
  ``virtsim.qemu.live``).
"""

from __future__ import annotations

from virtsim.errors import ConfigUnsupported
from virtsim.model.domain import Domain
from virtsim.qemu.argv import boot, chardevs, controllers, disks, display, extras, machine, nets
from virtsim.qemu.argv._options import Build, comma
from virtsim.qemu.argv.chardevs import MonitorSocket
from virtsim.qemu.live import InstancePaths

__all__ = ["MonitorSocket", "build"]


def build(live: Domain, *, paths: InstancePaths, monitor: MonitorSocket, accel: str) -> list[str]:
    """The command line that starts a domain, its program first.

    Args:
        live: what ``virtsim.qemu.live.make_live`` made.
        paths: where the instance's files lie.
        monitor: where QEMU serves QMP.
        accel: "kvm" or "tcg", for a domain of type kvm; one of type qemu asks for no more than TCG.

    Raises:
        ConfigUnsupported: the definition asks for something that is not built here; libvirt's words where it
            has any.
    """
    _refuse(live)
    if live.type == "qemu":
        accel = "tcg"
    it = Build(live, paths, controllers.bus_names(live.devices.controllers), boot.boot_indexes(live))
    argv = [
        live.devices.emulator or "",
        "-name",
        f"guest={comma(live.name)},debug-threads=on",
        "-S",
        *machine.firmware(it),
        *machine.machine(it, accel),
        *machine.cpu(it, accel),
        *machine.bios(it),
        *machine.memory(it),
        *machine.smp(it),
        *machine.iothreads(it),
        *machine.numa(it),
        "-uuid",
        str(live.uuid),
        *display.no_display(it),
        "-no-user-config",
        "-nodefaults",
        *chardevs.monitor(monitor),
        *boot.clock(it),
        *boot.power(it),
        *boot.boot(it),
        *controllers.controllers(it),
        *controllers.hubs(it),
        *disks.disks(it),
        *nets.interfaces(it),
        *chardevs.serials(it),
        *chardevs.channels(it),
        *chardevs.consoles(it),
        *display.inputs(it),
        *display.audios(it),
        *display.graphics(it),
        *display.videos(it),
        *display.sounds(it),
        *extras.watchdogs(it),
        *extras.redirdevs(it),
        *extras.hostdevs(it),
        *extras.balloon(it),
        *extras.rngs(it),
        *extras.core_info(it),
        *extras.sandbox(it),
        *extras.panics(it),
    ]
    if live.qemu_commandline is not None:
        argv += live.qemu_commandline.args
    return [*argv, "-msg", "timestamp=on"]


def _refuse(live: Domain) -> None:
    if live.devices.tpms:
        raise ConfigUnsupported("a TPM is kept in a definition, but cannot be started")
