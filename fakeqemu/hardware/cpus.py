"""CPUs: their models, their places in the topology, and those that come later.

Knows hw/i386/x86.c, hw/core/machine.c, hw/ppc/spapr.c and hw/s390x of QEMU 7.2: ids, checks and their
texts. Must not know threads of the host.
"""

from __future__ import annotations

from fakeqemu.hardware.objects import Object
from fakeqemu.registry import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.hardware.facts import Facts
    from fakeqemu.hardware.registry import Registry

__all__ = ["build", "check_new", "default_kind", "place_list", "props_of", "shapes", "taken"]

_X86 = ("x86_64", "i386")
#: CPU model of a machine that names none.
_DEFAULTS = {
    "x86_64": "qemu64", "i386": "qemu32", "aarch64": "cortex-a15", "ppc64": "power9_v2.0", "s390x": "qemu",
    "riscv64": "rv64",
}  # fmt: skip
#: Suffix of a CPU model's QOM type, and what aliases stand for.
_SUFFIX = {"aarch64": "arm-cpu", "ppc64": "powerpc64-cpu", "s390x": "s390x-cpu", "riscv64": "riscv-cpu"}
_ALIASES = {"power9": "power9_v2.0", "power8": "power8_v2.0", "power10": "power10_v2.0"}
#: Machine types that cannot say which CPUs may come (has_hotpluggable_cpus).
WITHOUT_PLACES = ("none", "microvm", "isapc")
_made: dict[tuple[str, str], dict[str, Any]] = {}


def _error(text: str) -> CommandError:
    return CommandError("GenericError", text)


def default_kind(registry: Registry) -> str:
    """The QOM type of the machine's CPUs."""
    arch = registry.arch
    model = (registry.machine.line.cpu or _DEFAULTS.get(arch, "max")).partition(",")[0]
    if arch == "ppc64":
        model = _ALIASES.get(model.lower(), model.lower())
        return f"{model}-{_SUFFIX[arch]}"
    return f"{model}-{_SUFFIX.get(arch, f'{arch}-cpu')}"


def shapes(facts: Facts, kind: str) -> dict[str, Any]:
    """What a CPU of a model is made of; empty when it has not been recorded. Shared by all machines."""
    key = (facts.path or "", kind)
    found = _made.get(key)
    if found is None:
        model = facts.get(f"cpu {kind}")
        found = {}
        if model is not None:
            for where, (shown, entries) in facts.get(f"shape {model['shape']}").items():
                values = model["values"][where]
                found[where] = [
                    shown,
                    [[*entry, *value] for entry, value in zip(entries, values, strict=True)],
                ]
        _made[key] = found
    return found


def build(registry: Registry) -> None:
    """The CPUs that are there from the start."""
    line = registry.machine.line
    if line.machine == "none":
        return
    from fakeqemu.hardware.board import place_of_cpu

    step = line.topology[3] if registry.arch == "ppc64" else 1
    for index in range(0, line.cpus, step):
        kind = core_kind(registry) if registry.arch == "ppc64" else registry.cpu_kind
        cpu = Object(registry, kind, None, place_of_cpu(registry, index // step), {})
        cpu.place = index
        registry.cpus.append(cpu)


def props_of(registry: Registry, index: int) -> dict[str, int]:
    """A CPU's place in the topology, as ``query-hotpluggable-cpus`` words it."""
    line = registry.machine.line
    _, dies, cores, threads = line.topology
    if registry.arch == "s390x":
        return {"core-id": index}
    if registry.arch == "ppc64":
        return {"core-id": index // threads * threads} | _node(registry, index)
    if registry.arch == "riscv64":
        return {"core-id": index}
    thread, rest = index % threads, index // threads
    core, rest = rest % cores, rest // cores
    die, socket = rest % dies, rest // dies
    if registry.arch == "aarch64":
        # hw/arm/virt.c, virt_possible_cpu_arch_ids
        return (
            {"core-id": core, "thread-id": thread, "cluster-id": 0}
            | _node(registry, index)
            | {"socket-id": socket}
        )
    if dies > 1:
        return (
            {"core-id": core, "thread-id": thread}
            | _node(registry, index)
            | {"die-id": die, "socket-id": socket}
        )
    return {"core-id": core, "thread-id": thread} | _node(registry, index) | {"socket-id": socket}


def _node(registry: Registry, index: int) -> dict[str, int]:
    nodes = nodes_of(registry)
    if not nodes:
        return {}
    line = registry.machine.line
    given = _numa_cpus(registry).get(index)
    if given is not None:
        return {"node-id": given}
    # hw/core/numa.c: by sockets, where nothing says otherwise (x86_get_default_cpu_node_id).
    sockets, dies, cores, threads = line.topology
    del sockets
    return {"node-id": index // (dies * cores * threads) % nodes}


def _numa_cpus(registry: Registry) -> dict[int, int]:
    """The node of each CPU that a ``-numa node,cpus=...`` names."""
    found: dict[int, int] = {}
    node = 0
    argv = registry.machine.argv
    for position, word in enumerate(argv[:-1]):
        if word not in ("-numa", "--numa") or not argv[position + 1].startswith("node"):
            continue
        for part in argv[position + 1].split(",")[1:]:
            name, _, value = part.partition("=")
            if name == "nodeid" and value.isdigit():
                node = int(value)
            first, dash, last = value.partition("-")
            if name == "cpus" and first.isdigit():
                end = int(last) if dash and last.isdigit() else int(first)
                found |= dict.fromkeys(range(int(first), min(end, 4096) + 1), node)
        node += 1
    return found


def nodes_of(registry: Registry) -> int:
    """How many NUMA nodes there are; one by itself where memory slots ask for it, and on a pseries anyway."""
    line, argv = registry.machine.line, registry.machine.argv
    given = 0
    if "-numa" in argv or "--numa" in argv:
        for position, word in enumerate(argv[:-1]):
            if word in ("-numa", "--numa") and argv[position + 1].startswith("node"):
                given += 1
    if given:
        return given
    if registry.arch == "ppc64" and registry.family == "pseries":  # auto_enable_numa
        return 1
    auto = registry.arch in (*_X86, "aarch64") and line.slots > 0
    return 1 if auto and registry.family in ("pc", "q35", "virt") else 0


def taken(registry: Registry) -> dict[int, Object]:
    """The CPUs by their index."""
    return {cpu.place: cpu for cpu in registry.cpus}


def place_list(registry: Registry) -> list[dict[str, Any]]:
    """The places for CPUs, the last one first; one that is taken has a path."""
    line = registry.machine.line
    step = line.topology[3] if registry.arch == "ppc64" else 1
    held, found = taken(registry), []
    for index in reversed(range(0, line.max_cpus, step)):
        place: dict[str, Any] = {"props": props_of(registry, index), "vcpus-count": step}
        if index in held:
            place["qom-path"] = held[index].path
        place["type"] = registry.cpu_kind if registry.arch != "ppc64" else core_kind(registry)
        found.append(place)
    return found


def fast_list(registry: Registry) -> list[dict[str, Any]]:
    """``query-cpus-fast``: the CPUs with the ids of their threads."""
    machine = registry.machine
    step = machine.line.topology[3] if registry.arch == "ppc64" else 1
    ids = machine.host.thread_ids(machine.line.max_cpus, machine.pid)
    s390 = registry.arch == "s390x"
    found = []
    for cpu in registry.cpus:
        for index in range(cpu.place, cpu.place + step):
            entry: dict[str, Any] = {"thread-id": ids[index % len(ids)] if ids else machine.pid}
            props = props_of(registry, index)
            if props:
                entry["props"] = props
            entry["qom-path"] = (
                cpu.path
                if step == 1 and registry.arch != "ppc64"
                else f"{cpu.path}/thread[{index - cpu.place}]"
            )
            if s390:
                entry["cpu-state"] = "operating" if index == 0 else "stopped"
            entry["cpu-index"] = index
            entry["target"] = registry.arch
            found.append(entry)
    return found


def core_kind(registry: Registry) -> str:
    """What a pseries plugs: cores of the CPU's model."""
    return registry.cpu_kind.replace("-powerpc64-cpu", "-spapr-cpu-core")


def is_cpu(registry: Registry, kind: str) -> bool:
    """Whether a device model is a CPU (or a core)."""
    return kind.endswith(("-cpu", "-spapr-cpu-core")) and kind in registry.machine.profile.names("device")


def check_new(registry: Registry, kind: str, options: dict[str, Any]) -> int:
    """The index of a CPU to come.

    Raises:
        CommandError: it cannot come; QEMU's texts (x86_cpu_pre_plug, spapr_core_pre_plug, s390_cpu_pre_plug).
    """
    wanted = core_kind(registry) if registry.arch == "ppc64" else registry.cpu_kind
    if kind != wanted:
        word = "core" if registry.arch == "ppc64" else "cpu"
        if registry.arch == "ppc64":
            raise _error(f"CPU core type should be {wanted}")
        raise _error(f"Invalid CPU type, expected {word} type: '{wanted}'")
    if registry.arch in _X86:
        return _check_x86(registry, options)
    return _check_core(registry, options)


def _number(options: dict[str, Any], name: str) -> int | None:
    value = options.get(name)
    if value is None:
        return None
    return int(str(value), 0)


def _check_x86(registry: Registry, options: dict[str, Any]) -> int:
    line = registry.machine.line
    sockets, dies, cores, threads = line.topology
    socket, die = _number(options, "socket-id"), _number(options, "die-id")
    core, thread = _number(options, "core-id"), _number(options, "thread-id")
    if die is None and dies == 1:
        die = 0
    for name, value, most in (
        ("socket-id", socket, sockets), ("die-id", die, dies), ("core-id", core, cores),
        ("thread-id", thread, threads),
    ):  # fmt: skip
        if value is None or value < 0:
            raise _error(f"CPU {name} is not set")
        if value >= most:
            raise _error(f"Invalid CPU {name}: {value} must be in range 0:{most - 1}")
    assert socket is not None and die is not None and core is not None and thread is not None  # noqa: S101, PT018
    index = ((socket * dies + die) * cores + core) * threads + thread
    apic = _apic_id(registry, index)
    if index in taken(registry):
        raise _error(f"CPU[{index}] with APIC ID {apic} exists")
    asked = _number(options, "apic-id")
    if asked is not None and asked != apic:
        raise _error(f"Invalid CPU APIC ID {asked}")  # never reached by managers: apic-id follows the rest
    node = _number(options, "node-id")
    has = _node(registry, index).get("node-id")
    if node is not None and node not in (-1, has):
        where = "/".join(
            f"{name}:{value}" for name, value in props_of(registry, index).items() if name != "node-id"
        )
        raise _error(f"node-id={node} must match numa node specified with -numa option ({where})")
    return index


def _apic_id(registry: Registry, index: int) -> int:
    _, dies, cores, threads = registry.machine.line.topology
    thread, rest = index % threads, index // threads
    core, rest = rest % cores, rest // cores
    die, socket = rest % dies, rest // dies
    bits = [(count - 1).bit_length() for count in (threads, cores, dies)]
    return ((socket << bits[2] | die) << bits[1] | core) << bits[0] | thread


def _check_core(registry: Registry, options: dict[str, Any]) -> int:
    line = registry.machine.line
    core = _number(options, "core-id")
    if registry.arch == "s390x":
        if core is None:
            core = 0
        if core >= line.max_cpus:
            raise _error(f"Unable to add CPU with core-id: {core}, maximum core-id: {line.max_cpus - 1}")
        if core in taken(registry):
            raise _error(f"Unable to add CPU with core-id: {core}, it already exists")
        return core
    threads = line.topology[3]
    core = core or 0
    if core % threads:
        raise _error(f"invalid core id {core}")
    if core >= line.max_cpus:
        raise _error(f"core id {core} out of range")
    if core in taken(registry):
        raise _error(f"core {core} already populated")
    return core
