"""The cast: from what a scenario says of its domains to the documents the library is given.

Knows where domain documents lie and the few elements that a scenario may override. Must not know what the
library makes of a document; that is asked of `virtsim.api`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from virtsim.api import parse_domain
from virtsim.errors import VirtsimError
from virtsim.sim.document import Mistake
from virtsim.sim.grammar import DomainSpec, Scenario

__all__ = [
    "BARE_MACHINE",
    "MAX_XML_BYTES",
    "CastMember",
    "Casting",
    "check_document",
    "domain_document",
    "domain_xml",
    "find_document",
    "with_files",
]

#: The largest domain document; virtsim.model refuses larger ones with the same words.
MAX_XML_BYTES = 16 << 20

#: What a domain without a document is.
BARE_MACHINE = """<domain type='qemu'>
  <name>bare</name>
  <memory unit='MiB'>512</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <features><acpi/></features>
</domain>
"""

#: What stands around the folder of a file that a document names beside itself, until a run begins.
FILES_BEGIN, FILES_END = "{beside:", "}/"
#: Where a fake on the virtual clock believes such files to be.
MADE_UP_FILES = "/var/lib/virtsim/"

_QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"


def find_document(name: str, folder: Path) -> Path | None:
    """The file a scenario means: beside it, or in the folder above."""
    for base in (folder, folder.parent):
        path = base / name
        if path.is_file():
            return path
    return None


def check_document(data: bytes, shown: str, folder: Path) -> list[Mistake]:
    """What is wrong with a domain document; what nobody understands in it is a ``warning:``.

    Args:
        data: the document.
        shown: what to call it.
        folder: where the files lie that it names without a path.
    """
    try:
        parsed = parse_domain(data)
    except VirtsimError as error:
        line, column = getattr(error, "line", None) or 1, getattr(error, "column", None) or 1
        return [Mistake(shown, line, column, error.text.splitlines()[0])]
    warnings = [
        Mistake(shown, item.line or 1, item.column or 1, f"warning: {item.message}")
        for item in parsed.unclaimed
    ]
    missing = [
        Mistake(shown, line, 1, f"no file {name!r} beside the document")
        for line, name in _missing_files(data, folder)
    ]
    return [*warnings, *missing]


def _missing_files(data: bytes, folder: Path) -> list[tuple[int, str]]:
    """Line and name of the files that a right document means to lie beside itself and that do not."""
    return [
        (int(str(source.sourceline)), name)  # the stubs know no number
        for source in _parse(data).findall("devices/disk/source")
        if (name := source.get("file") or "") and not name.startswith("/") and not (folder / name).is_file()
    ]


def domain_xml(spec: DomainSpec, folder: Path) -> bytes:
    """The document of a domain: the one the scenario names or holds, with what the scenario overrides."""
    beside = folder
    if spec.xml is None:
        data = BARE_MACHINE.encode()
    elif spec.xml.lstrip().startswith("<"):
        data = spec.xml.strip().encode()
    else:
        path = find_document(spec.xml, folder)
        if path is None:
            raise FileNotFoundError(spec.xml)
        data = path.read_bytes()
        beside = path.parent
    root = _parse(data)
    _override(root, spec)
    for source in root.findall("devices/disk/source"):
        name = source.get("file")
        if name and not name.startswith("/"):
            source.set("file", f"{FILES_BEGIN}{beside}{FILES_END}{name}")
    return etree.tostring(root)


def with_files(xml: str, *, real: bool) -> str:
    """The document with the files it names beside itself in their real place, or in a made-up one.

    On the virtual clock no disk is opened, and where a scenario lies on this machine must not show in its
    journal.
    """
    begin, end = re.escape(FILES_BEGIN), re.escape(FILES_END)
    return re.sub(f"{begin}(.*?){end}", (lambda match: f"{match[1]}/") if real else MADE_UP_FILES, xml)


#: The declaration of a document that names its encoding: what stands before the name of it, and the name.
_DECLARED = re.compile(rb"""(<\?xml[^>]{0,200}?)\s+encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")


def _parse(data: bytes) -> etree._Element:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_blank_text=True)
    declared = _DECLARED.match(data)
    if declared is not None:  # libxml2 knows fewer names of encodings than Python, which the library asks
        data = declared[1] + data[declared.end() :].decode(declared[2].decode()).encode()
    return etree.fromstring(data, parser)


def _override(root: etree._Element, spec: DomainSpec) -> None:
    """Let the document say what the scenario wants."""
    _override_size(root, spec)
    _override_devices(root, spec)
    if spec.without:
        _drop(root, f"{{{_QEMU}}}capabilities")
        capabilities = etree.SubElement(root, f"{{{_QEMU}}}capabilities", nsmap={"qemu": _QEMU})
        for capability in spec.without:
            etree.SubElement(capabilities, f"{{{_QEMU}}}del", capability=capability)


def _override_size(root: etree._Element, spec: DomainSpec) -> None:
    if spec.memory is not None:
        for tag in ("memory", "currentMemory"):
            _replace(root, tag, str(spec.memory // 1024), unit="KiB")
    if spec.hugepages is not None:
        _drop(root, "memoryBacking")
        pages = etree.SubElement(etree.SubElement(root, "memoryBacking"), "hugepages")
        etree.SubElement(pages, "page", size=str(spec.hugepages // 1024), unit="KiB")
    if spec.vcpus is not None:
        _replace(root, "vcpu", str(spec.vcpus))
        _drop(root, "cpu/topology")


def _override_devices(root: etree._Element, spec: DomainSpec) -> None:
    devices = root.find("devices")
    if devices is None:
        devices = etree.SubElement(root, "devices")
    if spec.nics is not None:
        _drop(devices, "interface")
        for _ in range(spec.nics):
            etree.SubElement(etree.SubElement(devices, "interface", type="user"), "model", type="virtio")
    if spec.hostdevs is not None:
        _drop(devices, "hostdev")
        for number in range(spec.hostdevs):
            _add_hostdev(devices, number)


def _add_hostdev(devices: etree._Element, number: int) -> None:
    device = etree.SubElement(devices, "hostdev", mode="subsystem", type="pci", managed="yes")
    source = etree.SubElement(device, "source")
    bus, slot = divmod(number, 32)
    etree.SubElement(
        source, "address", domain="0x0000", bus=f"0x{0x40 + bus:02x}", slot=f"0x{slot:02x}", function="0x0"
    )


def _drop(root: etree._Element, path: str) -> None:
    for element in root.findall(path):
        parent = element.getparent()
        if parent is not None:
            parent.remove(element)


def _replace(root: etree._Element, tag: str, text: str, **attributes: str) -> None:
    """Set the text of a child, in its old place if it was there."""
    element = root.find(tag)
    if element is None:
        element = etree.SubElement(root, tag)
    for name in list(element.attrib):
        del element.attrib[name]
    element.text = text
    for name, value in attributes.items():
        element.set(name, value)


def _named(document: bytes, names: Iterable[str], *, template: bool) -> dict[str, str]:
    """The document under each of the names; copies of a template have no UUID and no MAC of their own."""
    root = _parse(document)
    if template:
        _drop(root, "uuid")
        _drop(root, "devices/interface/mac")
    result = {}
    for name in names:
        _replace(root, "name", name)
        result[name] = etree.tostring(root, encoding="unicode")
    return result


def domain_document(name: str, spec: DomainSpec, folder: Path) -> str:
    """The document of one domain by itself, outside of any scenario."""
    document = _named(domain_xml(spec, folder), [name], template=False)[name]
    return with_files(document, real=False)


@dataclass(frozen=True, slots=True)
class CastMember:
    """One domain of a run."""

    name: str
    xml: str
    memory_kib: int


@dataclass(frozen=True, slots=True)
class Casting:
    """All domains of a run.

    Attributes:
        members: by name, in the order of the scenario.
        template_of: name -> the name it was written under.
        instances: written name -> the domains it means.
    """

    members: dict[str, CastMember]
    template_of: dict[str, str]
    instances: dict[str, tuple[str, ...]]

    @classmethod
    def of(cls, scenario: Scenario, folder: Path) -> Casting:
        """Expand the templates of a scenario whose documents have been checked."""
        members: dict[str, CastMember] = {}
        template_of: dict[str, str] = {}
        instances: dict[str, tuple[str, ...]] = {}
        for written, spec in scenario.domains.items():
            template = spec.count is not None
            names = (
                tuple(f"{written}-{number}" for number in range(spec.count or 0)) if template else (written,)
            )
            document = domain_xml(spec, folder)
            memory_kib = parse_domain(document).domain.total_memory_kib
            for name, xml in _named(document, names, template=template).items():
                members[name] = CastMember(name, xml, math.ceil(memory_kib))
                template_of[name] = written
                instances[name] = (name,)
            instances[written] = names
        return cls(members, template_of, instances)

    def expand(self, written: Iterable[str]) -> list[str]:
        """The domains that names and template names mean, each once, in order."""
        return list(dict.fromkeys(name for entry in written for name in self.instances[entry]))
