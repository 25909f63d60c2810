"""QEMU's object model: the paths that managers walk."""

from __future__ import annotations

from fakeqemu.glib import hash_order
from fakeqemu.model import model_of
from fakeqemu.qjson import remembered
from fakeqemu.registry import CommandError, command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.machine import FakeQemu
    from fakeqemu.model import Model
    from fakeqemu.qjson import Raw
    from fakeqemu.session import Session

__all__ = ["device_list_properties", "qom_get", "qom_list", "qom_list_properties", "qom_set"]

#: What every device has.
_DEVICE = (("type", "string"), ("parent_bus", "link<bus>"), ("realized", "bool"), ("hotplugged", "bool"),
           ("hotpluggable", "bool"))  # fmt: skip
#: What a CPU is asked for; a real one has some 400 properties, and a manager asks for each bool among them.
_CPU = (*_DEVICE, ("unavailable-features", "strList"), ("filtered-features", "X86CPUFeatureWordInfo"),
        ("feature-words", "X86CPUFeatureWordInfo"), ("family", "int"), ("model", "int"), ("stepping", "int"),
        ("vendor", "string"), ("model-id", "string"), ("socket-id", "int32"), ("core-id", "int32"),
        ("thread-id", "int32"), ("node-id", "int32"))  # fmt: skip
_BALLOON = (("guest-stats", "guest statistics"), ("guest-stats-polling-interval", "int"))
_PLUGGED: dict[str, Any] = {"realized": True, "hotplugged": False, "hotpluggable": True}
#: A statistic that the guest has not reported.
UNKNOWN = (1 << 64) - 1
_STATISTICS = (
    "stat-swap-in", "stat-swap-out", "stat-major-faults", "stat-minor-faults", "stat-free-memory",
    "stat-total-memory", "stat-available-memory", "stat-disk-caches", "stat-htlb-pgalloc", "stat-htlb-pgfail",
)  # fmt: skip
_CPUS = "/machine/unattached/device["
_JSON_NAMES = {"bool": "boolean", "string": "string", "str": "string", "int": "integer"}


class Node:
    """An object: its type, its properties with their types, and the values that are known."""

    __slots__ = ("kind", "properties", "values")

    def __init__(self, kind: str, properties: dict[str, str], values: dict[str, Any]) -> None:
        self.kind, self.properties, self.values = kind, properties, values


def _container(children: dict[str, str]) -> Node:
    listed = {name: f"child<{children[name]}>" for name in reversed(hash_order(children))}
    return Node("container", {"type": "string"} | listed, {})


def _device(machine: FakeQemu, model: Model, device: Any) -> Node:
    properties, values = machine.profile.properties(device.kind)
    properties, values = dict(_DEVICE) | properties, _PLUGGED | values
    for name, value in device.options.items():
        properties.setdefault(name, "str")
        values[name] = value
    if device.kind.startswith("virtio-balloon"):
        properties |= dict(_BALLOON)
        values |= {"guest-stats-polling-interval": 0, "guest-stats": _guest_stats(machine, model)}
    return Node(device.kind, properties, values)


def _guest_stats(machine: FakeQemu, model: Model) -> dict[str, Any]:
    """What the guest's driver last said: nothing, before it runs and is asked to."""
    stats = dict.fromkeys(_STATISTICS, UNKNOWN)
    asked = any(
        name == "guest-stats-polling-interval" and value for (_, name), value in model.set_properties.items()
    )
    if not asked or machine.runstate != "running":
        return {"stats": stats, "last-update": 0}
    stats |= {
        "stat-total-memory": model.actual, "stat-free-memory": model.actual // 2,
        "stat-available-memory": model.actual // 4 * 3, "stat-disk-caches": model.actual // 8,
        "stat-swap-in": 0, "stat-swap-out": 0, "stat-major-faults": 0, "stat-minor-faults": 0,
        "stat-htlb-pgalloc": 0, "stat-htlb-pgfail": 0,
    }  # fmt: skip
    return {"stats": stats, "last-update": (machine.wall_ns + machine.now_ns) // 1_000_000_000}


def _cpu(model: Model, index: int) -> Node:
    values = {
        "realized": True, "hotplugged": False, "hotpluggable": True, "unavailable-features": [], "family": 15,
        "filtered-features": [], "feature-words": [], "model": 107, "stepping": 1, "vendor": "AuthenticAMD",
        "model-id": "QEMU Virtual CPU version 2.5+", "node-id": -1, **model.cpu_props(index),
    }  # fmt: skip
    return Node(model.cpu_type, dict(_CPU), values)


def find(machine: FakeQemu, path: str) -> Node:
    """The object at a path, absolute or partial.

    Raises:
        CommandError: there is none.
    """
    model, line = model_of(machine), machine.line
    parts = [part for part in path.split("/") if part]
    where, name = "/" + "/".join(parts), parts[-1] if parts else ""
    if path.startswith("/"):
        children = _children(machine, model, where)
        if children is not None:
            node = _container(children)
            if where == "/machine":
                node.kind = f"{line.machine}-machine"
            return node
        if where.startswith(_CPUS):
            for index in range(model.cpus):
                if where == model.cpu_path(index):
                    return _cpu(model, index)
    device = model.device(name)
    if device is not None and (where == f"/machine/peripheral/{name}" or path == name):
        return _device(machine, model, device)
    if name in line.objects and (where == f"/objects/{name}" or path == name):
        thing = line.objects[name]
        return Node(thing.kind, {"type": "string"} | dict.fromkeys(thing.options, "str"), dict(thing.options))
    raise CommandError("DeviceNotFound", f"Device '{path}' not found")


def _children(  # noqa: PLR0911 - one for each container
    machine: FakeQemu, model: Model, where: str
) -> dict[str, str] | None:
    """What a container holds, by name and type; None when there is no container at that path."""
    line = machine.line
    if where == "/":
        return {"objects": "container", "machine": f"{line.machine}-machine", "chardevs": "container"}
    if where == "/machine":
        return {"peripheral": "container", "peripheral-anon": "container", "unattached": "container"}
    if where == "/machine/peripheral":
        return {device.id: device.kind for device in line.devices if device.id is not None}
    if where == "/machine/unattached":
        return {model.cpu_path(index).rpartition("/")[2]: model.cpu_type for index in range(model.cpus)}
    if where == "/objects":
        return {name: thing.kind for name, thing in line.objects.items()}
    if where == "/chardevs":
        return {name: f"chardev-{thing.backend}" for name, thing in line.chardevs.items()}
    return {} if where == "/machine/peripheral-anon" else None


@command("qom-list", takes=True)
def qom_list(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> Raw:
    """The properties and children of an object."""
    del session
    listed = tuple(find(machine, arguments["path"]).properties.items())
    return remembered(("qom-list", listed), lambda: [{"name": name, "type": kind} for name, kind in listed])


def _property(node: Node, name: str) -> CommandError:
    return CommandError("GenericError", f"Property '{node.kind}.{name}' not found")


@command("qom-get", takes=True)
def qom_get(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> Any:
    """The value of a property."""
    del session
    node, name = find(machine, arguments["path"]), arguments["property"]
    if name == "type":
        return node.kind
    if name not in node.properties:
        raise _property(node, name)
    changed = model_of(machine).set_properties
    key = (arguments["path"], name)
    if key in changed:
        return changed[key]
    if name in node.values:
        return node.values[name]
    if node.properties[name].startswith(("child<", "link<")):
        return f"{arguments['path'].rstrip('/')}/{name}"
    return {"bool": False, "str": "", "string": ""}.get(node.properties[name], 0)


@command("qom-set", takes=True)
def qom_set(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> None:
    """Set a property."""
    del session
    node, name, value = find(machine, arguments["path"]), arguments["property"], arguments["value"]
    if name not in node.properties:
        raise _property(node, name)
    wanted = _JSON_NAMES.get(node.properties[name])
    kinds = {"boolean": bool, "string": str, "integer": int}
    if wanted is not None and type(value) is not kinds[wanted]:
        raise CommandError("GenericError", f"Invalid parameter type for '{name}', expected: {wanted}")
    model_of(machine).set_properties[arguments["path"], name] = value


@command("device-list-properties", takes=True)
def device_list_properties(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> Raw | list[Any]:
    """The properties of a device model, as recorded; of one that was not recorded, those every device has."""
    del session
    name = arguments["typename"]
    recorded = machine.profile.recorded("device-list-properties", {"typename": name})
    if recorded is not None:
        return recorded
    if name not in machine.profile.names("device"):
        raise CommandError("DeviceNotFound", f"Device '{name}' not found")
    return []


@command("qom-list-properties", takes=True)
def qom_list_properties(machine: FakeQemu, session: Session, arguments: dict[str, Any]) -> Raw:
    """The properties of a type, as recorded."""
    del session
    recorded = machine.profile.recorded("qom-list-properties", arguments)
    if recorded is None:
        raise CommandError("DeviceNotFound", f"Class '{arguments['typename']}' not found")
    return recorded
