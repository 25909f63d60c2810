"""What a fake was started with: QEMU's command line, read as QEMU 7.2 reads it.

Knows options and their errors. Must not know the machine. On the start-up path, so nothing is imported but
the package's own small modules.

The checks run in QEMU's order: option by option first (unknown options, syntax), then machine, objects,
character devices, topology, memory, block devices, network, monitors, devices. The first failure ends it.
"""

from __future__ import annotations

from fakeqemu.cmdline.keyval import OptionError, number, parse
from fakeqemu.cmdline.options import (
    CHECKED,
    FLAGS,
    HELPFUL,
    KNOWN_CPUS,
    KNOWN_DEVICES,
    MACHINES,
    NEEDY,
    USUAL,
    USUAL_PROPERTIES,
    WITH_VALUE,
    X86_LACKS,
)
from fakeqemu.cmdline.parts import ArgvError, Device
from fakeqemu.cmdline.readers import READERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fakeqemu.cmdline.parts import Chardev, Monitor
    from fakeqemu.cmdline.targets import Target
    from fakeqemu.facts.profile import Profile

__all__ = ["ArgvError", "CommandLine"]

MIB = 1 << 20
_NO_MACHINE = "unsupported machine type\nUse -machine help to list supported machines"


def _usual(name: str, value: str) -> bool:
    """Whether an option's value is one that need not be checked."""
    if name == "name" and value.count(",") == 1:
        return value.startswith("guest=") and value.endswith(",debug-threads=on")
    if name == "vnc":
        address, _, more = value.partition(",")
        port = address.rpartition(":")[2]
        plain = not more or (more.startswith("audiodev=") and "," not in more)
        return plain and (
            address.startswith("unix:") or (port.isdigit() and len(port) < 5 and ":" in address)
        )
    return (value in USUAL and name != "audiodev") or value.startswith("{")


class CommandLine:
    """The parsed command line. ``output`` is set when QEMU would only print something and leave."""

    __slots__ = (
        "accel", "actions", "blockdevs", "chardevs", "cpu", "cpus", "daemonize", "devices", "drives",
        "fdsets", "freeze", "incoming", "last", "loadvm", "machine", "machine_options", "max_cpus", "max_ram",
        "monitors", "name",
        "netdevs",
        "no_defaults", "numa", "objects", "output", "pidfile", "program", "ram", "slots", "spice", "target",
        "topology",
        "uuid", "vnc", "warnings",
    )  # fmt: skip

    def __init__(self, argv: Sequence[str]) -> None:
        """Read ``argv``, program name included.

        Raises:
            ArgvError: QEMU would refuse it.
        """
        self.program = argv[0].rpartition("/")[2].removeprefix("fake") if argv else "qemu-system-x86_64"
        self.name: str | None = None
        self.uuid: str | None = None
        self.ram = 128 * MIB
        self.slots, self.max_ram = 0, 0
        #: Descriptors that were handed in, in sets: (number of the set, descriptor, what was said of it).
        self.fdsets: tuple[tuple[int, int, str | None], ...] = ()
        self.cpus, self.max_cpus, self.topology = 1, 1, (1, 1, 1, 1)
        self.machine = "pc-i440fx-7.2"
        self.machine_options: dict[str, str] = {}
        self.cpu: str | None = None
        self.accel = ""
        self.freeze = self.daemonize = False
        self.pidfile: str | None = None
        self.actions = {"reboot": "reset", "shutdown": "poweroff", "panic": "shutdown", "watchdog": "reset"}
        self.chardevs: dict[str, Chardev] = {}
        self.monitors: list[Monitor] = []
        self.devices: list[Device] = []
        self.objects: dict[str, Device] = {}
        self.netdevs: dict[str, Device] = {}
        self.blockdevs: dict[str, Device] = {}
        self.drives: list[Device] = []
        self.vnc: list[str] = []
        self.spice: str | None = None
        self.incoming: str | None = None
        self.loadvm: str | None = None
        self.output: str | None = None
        self.warnings: list[str] = []
        #: The numbers of the NUMA nodes.
        self.numa: list[int] = []
        self.last: dict[str, str] = {}
        #: None for the x86 programs, whose facts stand here.
        self.target: Target | None = None
        if not self.program.endswith(("x86_64", "i386")):
            from fakeqemu.cmdline.targets import other_target

            self.target = other_target(self.program)
            if self.target is not None:
                self.machine, self.ram = self.target.machine or "", self.target.ram
        self._options(argv)
        if self.output is None:
            self._machine()

    # -- option by option -----------------------------------------------------------------------------------

    def _options(self, argv: Sequence[str]) -> None:
        position, end = 1, len(argv)
        while position < end:
            word = argv[position]
            position += 1
            if not word.startswith("-") or word == "-":
                self.drives.append(Device("hd", None, {"file": word}, word))
                continue
            name = word[2:] if word.startswith("--") else word[1:]
            if name in FLAGS:
                if self._lacks(name):
                    raise self._error(f"{word}: Option not supported for this target")
                self._flag(name)
            elif name not in WITH_VALUE:
                raise self._error(f"{word}: invalid option")
            elif position == end:
                raise self._error(f"{word}: requires an argument")
            else:
                value = argv[position]
                position += 1
                if self._lacks(name):
                    raise self._error(f"{word} {value}: Option not supported for this target")
                self._one(name, value, f"-{name} {value}")

    def _lacks(self, name: str) -> bool:
        """Whether only programs of other architectures have the option."""
        return name in X86_LACKS if self.target is None else self.target.lacks(name)

    def _one(self, name: str, value: str, text: str) -> None:
        if value in ("help", "?") and name in HELPFUL:
            self.output = self.output or f"{'machine' if name == 'M' else name} help"
            return
        reader = READERS.get(name)
        try:
            if name in CHECKED and not _usual(name, value):
                from fakeqemu.cmdline.values import check

                check(self, name, value, text)
            if reader is not None:
                reader(self, value, text)
        except OptionError as error:
            raise self._error(f"{text}: {error}") from None

    def _error(self, text: str) -> ArgvError:
        said = "".join([f"{self.program}: {warning}\n" for warning in self.warnings])
        return ArgvError(f"{said}{self.program}: {text}\n")

    def error(self, text: str) -> ArgvError:
        """QEMU's message, with what it has warned of before."""
        return self._error(text)

    def warn(self, text: str) -> None:
        """Say something on standard error when the start is under way."""
        self.warnings.append(text)

    def _flag(self, name: str) -> None:
        if name == "S":
            self.freeze = True
        elif name == "daemonize":
            self.daemonize = True
        elif name == "no-shutdown":
            self.actions["shutdown"] = "pause"
        elif name == "no-reboot":
            self.actions["reboot"] = "shutdown"
        elif name == "enable-kvm":
            self.accel = "kvm"
        elif name in ("h", "help", "version", "audio-help"):
            self.output = name

    # -- the machine ----------------------------------------------------------------------------------------

    def _machine(self) -> None:
        if not self.machine:
            raise self._error(
                "No machine specified, and there is no default\nUse -machine help to list supported machines"
            )
        if self.target is not None:
            self.machine = self.target.aliases.get(self.machine, self.machine)
            if self.machine in MACHINES and self.machine != "none":
                raise self._error(_NO_MACHINE)
        try:
            self._topology()
            self._memory()
        except OptionError as error:
            raise self._error(str(error)) from None
        for monitor in self.monitors:
            if monitor.chardev not in self.chardevs:
                raise self._error(f'{monitor.text}: chardev "{monitor.chardev}" not found')

    def _topology(self) -> None:  # noqa: C901, PLR0912 - QEMU's own rule, in its order
        smp = parse(self.last["smp"], "cpus") if "smp" in self.last else {}
        given: dict[str, int] = {}
        for key, value in smp.items():
            if key not in ("cpus", "sockets", "dies", "clusters", "cores", "threads", "maxcpus"):
                raise OptionError(f"Parameter 'smp.{key}' is unexpected")
            try:
                given[key] = number(value, key)
            except OptionError:
                raise OptionError(f"Parameter 'smp.{key}' expects integer") from None
        if any(value == 0 for value in given.values()):
            self.warnings.append(
                "warning: Deprecated CPU topology (considered invalid): CPU topology parameters must be"
                " greater"
                " than zero"
            )
        levels = self._levels()
        for level in ("dies", "clusters"):
            if given.get(level, 0) > 1 and level not in levels:
                raise OptionError(f"{level} not supported by this machine's CPU topology")
        cpus, most = given.get("cpus", 0), given.get("maxcpus", 0)
        sockets, dies = given.get("sockets", 0), given.get(levels[0], 0) or 1 if levels else 1
        cores, threads = given.get("cores", 0), given.get("threads", 0)
        # hw/core/machine-smp.c: what is left out follows from the rest; cores before sockets since 6.2.
        if not cpus and not most:
            sockets, cores, threads = sockets or 1, cores or 1, threads or 1
        else:
            most = most or cpus
            if not cores:
                sockets, threads = sockets or 1, threads or 1
                cores = most // (sockets * dies * threads)
            elif not sockets:
                threads = threads or 1
                sockets = most // (dies * cores * threads)
            threads = threads or most // (sockets * dies * cores or 1)
        product = sockets * dies * cores * threads
        most = most or product
        cpus = cpus or most
        between = f"{levels[0]} ({dies}) * " if levels else ""
        shape = f"sockets ({sockets}) * {between}cores ({cores}) * threads ({threads})"
        if product != most:
            raise OptionError(
                "Invalid CPU topology: product of the hierarchy must match maxcpus:"
                f" {shape} != maxcpus ({most})"
            )
        if most < cpus:
            raise OptionError(
                "Invalid CPU topology: maxcpus must be equal to or greater than smp:"
                f" {shape} == maxcpus ({most}) < smp_cpus ({cpus})"
            )
        limit: int | None
        if self.target is not None:
            limit = self.target.limit(self.machine)
        else:
            few = {"none": 1, "microvm": 288, "isapc": 1}
            limit = few.get(self.machine, 288 if "q35" in self.machine else 255)
        if limit is not None and cpus > limit:
            raise OptionError(
                f"Invalid SMP CPUs {cpus}. The max CPUs supported by machine '{self.machine}' is {limit}"
            )
        self.cpus, self.max_cpus, self.topology = cpus, most, (sockets, dies, cores, threads)

    def _levels(self) -> tuple[str, ...]:
        """The levels of the topology between socket and core."""
        if self.target is None:
            return ("dies",) if self.machine.startswith("pc-") else ()
        return self.target.levels(self.machine)

    def _memory(self) -> None:
        if self.slots and not self.max_ram:
            raise OptionError("slots specified but no max-size")
        if self.max_ram and self.max_ram < self.ram:
            raise OptionError(
                f"invalid value of maxmem: maximum memory size (0x{self.max_ram:x}) must be"
                f" at least the initial memory size (0x{self.ram:x})"
            )
        backend = self.machine_options.get("memory-backend")
        if backend is not None:
            memory = self.objects.get(backend)
            if memory is None:
                raise OptionError(f"Memory backend '{backend}' not found")
            amount = memory.options.get("size")
            if isinstance(amount, int) and amount != self.ram:
                raise OptionError("Machine memory size does not match the size of the memory backend")

    def check_machine(self, known: Callable[[str, str], bool]) -> None:
        """What needs names that only the profile has.

        Args:
            known: ``known("machine" | "cpu" | "device", name)``: true when there is such a thing.

        Raises:
            ArgvError: an unknown machine type, CPU model or device model.
        """
        # A kernel's arguments need a kernel (softmmu/vl.c).
        for option in ("append", "initrd"):
            if option in self.last and "kernel" not in self.last:
                raise self._error(f"-{option} only allowed with -kernel option")
        if self.machine not in MACHINES and not known("machine", self.machine):
            raise self._error(_NO_MACHINE)
        if self.cpu is not None and self.cpu not in KNOWN_CPUS and not known("cpu", self.cpu):
            # Only PowerPC's models are found whatever their case (ppc_cpu_class_by_name).
            found = self.cpu.lower()
            if "-ppc" not in self.program or not known("cpu", found):
                raise self._error(f"unable to find CPU model '{self.cpu}'")
            self.cpu = found
        for device in self.devices:
            usual = self.target is None and device.kind in KNOWN_DEVICES
            if not usual and not known("device", device.kind):
                raise self._error(f"{device.text}: '{device.kind}' is not a valid device model name")

    def check_properties(self, profile: Callable[[], Profile]) -> None:
        """The properties that are not among the usual ones, against those that were recorded.

        Raises:
            ArgvError: there is no such property, or it cannot have that value.
        """
        for key, value in self.machine_options.items():
            if f"{key}={value}" not in USUAL_PROPERTIES and key not in USUAL_PROPERTIES:
                from fakeqemu.cmdline.properties import check_machine_options

                check_machine_options(self, profile())
                break
        if self.last.get("cpu", "").find(",") >= 0 or self.cpu == "host":
            from fakeqemu.cmdline.properties import check_cpu

            check_cpu(self, profile())
        for command, things, text in (
            ("object-add", self.objects, "Parameter '{}' is unexpected"),
            ("netdev_add", self.netdevs, "Invalid parameter '{}'"),
        ):
            for thing in things.values():
                if not USUAL_PROPERTIES.issuperset(thing.options) or thing.kind in NEEDY:
                    from fakeqemu.cmdline.properties import check_member

                    check_member(self, profile(), command, thing, text)
        for device in self.devices:
            if not USUAL_PROPERTIES.issuperset(device.options):
                from fakeqemu.cmdline.properties import check_device

                check_device(self, profile(), device)

    def check_references(self) -> None:
        """What a device or monitor names must exist.

        Raises:
            ArgvError: it does not.
        """
        for device in self.devices:
            for key, there in (("netdev", self.netdevs), ("drive", None), ("chardev", self.chardevs)):
                name = device.options.get(key)
                if isinstance(name, str) and name not in (self._drives() if there is None else there):
                    owner = device.kind if key == "chardev" else device.kind.replace("-pci", "-device")
                    raise self._error(f"{device.text}: Property '{owner}.{key}' can't find value '{name}'")

    def images(self) -> list[tuple[str, str]]:
        """The files that are opened as disks: (option, path) each."""
        found: list[tuple[str, object]] = []
        for device in self.blockdevs.values():
            nodes = (device.options, device.options.get("file"))
            found += [
                (device.text, node.get("filename"))
                for node in nodes
                if isinstance(node, dict) and node.get("driver") in ("file", "host_device", "host_cdrom")
            ]
        found += [(drive.text, drive.options.get("file")) for drive in self.drives]
        return [(text, path) for text, path in found if isinstance(path, str) and path]

    def _drives(self) -> set[str]:
        return {*self.blockdevs, *(str(drive.id) for drive in self.drives if drive.id)}

    def count(self, *drivers: str) -> int:
        """How many ``-device`` are of one of these models."""
        return sum(device.kind in drivers for device in self.devices)

    @property
    def nics(self) -> int:
        """Number of network interfaces."""
        return len({*self.netdevs}) + len(
            [device for device in self.devices if "mac" in device.options and "netdev" not in device.options]
        )

    @property
    def hostdevs(self) -> int:
        """Number of assigned host PCI devices."""
        return self.count("vfio-pci")
