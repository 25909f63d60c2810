"""A virtual machine: ``<domain>``, and the way in and out of its XML."""

from __future__ import annotations

import uuid as uuids
from dataclasses import dataclass

from virtsim.errors import ErrorCode
from virtsim.model._codec import ONOFF, TEXT, UINT, UUID_TEXT, YESNO, choice
from virtsim.model._fields import Wording, at, each, raw, sub
from virtsim.model._plan import evolve
from virtsim.model._read import Unclaimed, parse
from virtsim.model._write import build
from virtsim.model.clock import Clock
from virtsim.model.cpu import Cpu
from virtsim.model.devices import Devices
from virtsim.model.features import Features
from virtsim.model.memory import MemoryBacking
from virtsim.model.os import Os
from virtsim.model.qemu_namespace import QemuCapabilities, QemuCommandline
from virtsim.model.seclabel import SecLabel

__all__ = ["Domain", "ParsedDomain", "dump_domain", "parse_domain", "without_secrets"]

_ACTIONS = choice("destroy", "restart", "rename-restart", "preserve")
_CRASH_ACTIONS = choice(
    "destroy", "restart", "rename-restart", "preserve", "coredump-destroy", "coredump-restart"
)

_INTERNAL = ErrorCode.VIR_ERR_INTERNAL_ERROR
_UNSUPPORTED = ErrorCode.VIR_ERR_CONFIG_UNSUPPORTED
_TYPE = Wording("invalid domain type {}", "missing domain type attribute", _UNSUPPORTED, _INTERNAL)
_NAME = Wording(missing="missing name information", code=ErrorCode.VIR_ERR_NO_NAME)


def _action(name: str) -> Wording:
    return Wording(f"unknown {name} action: {{}}", code=_UNSUPPORTED)


@dataclass(frozen=True, slots=True)
class Domain:
    """``<domain>``, as written, as kept, or live: one class for all three."""

    type: str = at("@type", choice("kvm", "qemu"), "kvm", required=True, words=_TYPE)
    id: int | None = at("@id", UINT)
    name: str = at("name", TEXT, "", required=True, words=_NAME)
    uuid: uuids.UUID | None = at("uuid", UUID_TEXT, words=Wording("malformed uuid element", code=_INTERNAL))
    title: str | None = at("title")
    description: str | None = at("description")
    metadata: str | None = raw("metadata")
    memory_kib: int = at("memory", default=0, unit="unit")
    memory_dump_core: bool | None = at("memory/@dumpCore", ONOFF)
    current_memory_kib: int | None = at("currentMemory", unit="unit")
    memory_backing: MemoryBacking | None = sub("memoryBacking", MemoryBacking, empty=False)
    vcpu_placement: str | None = at("vcpu/@placement", choice("static", "auto"))
    vcpu_cpuset: str | None = at("vcpu/@cpuset")
    vcpu_current: int | None = at("vcpu/@current", UINT)
    vcpus: int = at("vcpu", UINT, 1, words=Wording("maximum vcpus count must be an integer"))
    iothreads: int | None = at("iothreads", UINT)
    resource_partition: str | None = at("resource/partition")
    os: Os = sub("os", Os, Os())
    features: Features | None = sub("features", Features, empty=False)
    cpu: Cpu | None = sub("cpu", Cpu, empty=False)
    clock: Clock | None = sub("clock", Clock)
    on_poweroff: str | None = at("on_poweroff", _ACTIONS, words=_action("on_poweroff"))
    on_reboot: str | None = at("on_reboot", _ACTIONS, words=_action("on_reboot"))
    on_crash: str | None = at("on_crash", _CRASH_ACTIONS, words=_action("on_crash"))
    suspend_to_mem: bool | None = at("pm/suspend-to-mem/@enabled", YESNO)
    suspend_to_disk: bool | None = at("pm/suspend-to-disk/@enabled", YESNO)
    devices: Devices = sub("devices", Devices, Devices())
    seclabels: tuple[SecLabel, ...] = each("seclabel", SecLabel)
    qemu_commandline: QemuCommandline | None = sub("qemu:commandline", QemuCommandline, empty=False)
    qemu_capabilities: QemuCapabilities | None = sub("qemu:capabilities", QemuCapabilities, empty=False)

    @property
    def emulator(self) -> str | None:
        """The program that runs the machine."""
        return self.devices.emulator

    @property
    def total_memory_kib(self) -> int:
        """``virDomainDefGetMemoryTotal``: initial memory and memory devices, of which there are none here."""
        return self.memory_kib

    @property
    def nic_count(self) -> int:
        """Number of network interfaces."""
        return len(self.devices.interfaces)

    @property
    def hostdev_count(self) -> int:
        """Number of host devices, those of interfaces of type hostdev too (``def->nhostdevs``)."""
        nics = sum(1 for nic in self.devices.interfaces if nic.type == "hostdev")
        return len(self.devices.hostdevs) + nics

    @property
    def fd_pass(self) -> bool:
        """Whether the monitor's socket may be passed as a descriptor.

        False where ``<qemu:capabilities>`` deletes ``chardev-fd-pass``.
        """
        forced = self.qemu_capabilities
        return forced is None or "chardev-fd-pass" not in forced.delete


@dataclass(frozen=True, slots=True)
class ParsedDomain:
    """What became of a document.

    Attributes:
        domain: the model.
        unclaimed: what the model does not stand for, in the order of the document; () is the rule.
    """

    domain: Domain
    unclaimed: tuple[Unclaimed, ...]


def parse_domain(xml: str | bytes) -> ParsedDomain:
    """Read a ``<domain>`` document.

    Time and memory are bounded whatever the document is; nothing outside of it is read.

    Raises:
        XMLError: with line and column, and libvirt's text where libvirt has one.
    """
    domain, unclaimed = parse(xml, "domain", Domain, "domain_definition")
    return ParsedDomain(domain, unclaimed)


def dump_domain(domain: Domain) -> str:
    """The canonical XML of a domain: ``parse_domain(dump_domain(d)).domain == d``."""
    return build(domain, "domain")


def without_secrets(domain: Domain) -> Domain:
    """The domain as libvirt shows it without VIR_DOMAIN_XML_SECURE: passwords of displays left out."""
    if not any(graphics.passwd for graphics in domain.devices.graphics):
        return domain
    graphics = tuple(evolve(g, passwd=None) for g in domain.devices.graphics)
    return evolve(domain, devices=evolve(domain.devices, graphics=graphics))
