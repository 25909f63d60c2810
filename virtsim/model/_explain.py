"""The words of complaints about a document: what is unknown, what was probably meant, what libxml2 would say.

Knows the plan of a class, and which of libvirt's words the model does not have yet. Must not know how a
document is read.
"""

from __future__ import annotations

import difflib
import re
from typing import Any

from virtsim.model._plan import Leaf, Node, Raw, Sub

__all__ = [
    "attribute_place",
    "bad_value",
    "libxml_words",
    "missing_leaf",
    "unknown_attribute",
    "unknown_element",
]

#: Elements that libvirt 9.0.0 knows at these places and the model does not have.
NOT_MODELLED: dict[str, frozenset[str]] = {
    "domain": frozenset(
        [
            "genid",
            "maxMemory",
            "blkiotune",
            "memtune",
            "vcpus",
            "iothreadids",
            "defaultiothread",
            "cputune",
            "numatune",
            "sysinfo",
            "bootloader",
            "bootloader_args",
            "idmap",
            "perf",
            "keywrap",
            "launchSecurity",
            "on_lockfailure",
        ]
    ),
    "devices": frozenset(
        [
            "lease",
            "filesystem",
            "smartcard",
            "parallel",
            "redirfilter",
            "nvram",
            "shmem",
            "memory",
            "iommu",
            "vsock",
            "crypto",
        ]
    ),
    "disk": frozenset(
        [
            "auth",
            "mirror",
            "backingStore",
            "backenddomain",
            "geometry",
            "blockio",
            "iotune",
            "encryption",
            "vendor",
            "product",
            "wwn",
            "privateData",
            "throttlefilters",
            "transient",
        ]
    ),
    "interface": frozenset(
        [
            "bandwidth",
            "vlan",
            "virtualport",
            "port",
            "guest",
            "ip",
            "route",
            "script",
            "downscript",
            "backenddomain",
            "filterref",
            "tune",
            "coalesce",
            "teaming",
            "backend",
            "portForward",
        ]
    ),
    "os": frozenset(["acpi", "initarg", "initenv", "initdir", "inituser", "initgroup", "smbios"]),
}


def unknown_element(tag: str, parent: str, node: Node, count: int, entry: Node | Sub | Raw | None) -> str:
    """One sentence about an element that nobody claims, or that stands there once more than it may."""
    name, parent = _local(tag), _local(parent)
    if entry is not None:
        return f"<{name}> is there {count} times in <{parent}>; only the first one is read"
    if name in NOT_MODELLED.get(parent, ()):
        return f"<{name}> in <{parent}> is libvirt's, but is not supported here; it is left out"
    known = [_local(child) for child in node.children]
    if not known:
        return f"unknown element <{name}>: <{parent}> has no elements"
    return f"unknown element <{name}> in <{parent}>{_nearest(name, known, '<{}>')}"


def unknown_attribute(name: str, tag: str, node: Node) -> str:
    """One sentence about an attribute that nobody claims."""
    known = [_local(attr) for attr in node.attrs]
    if not known:
        return f"unknown attribute '{_local(name)}': <{_local(tag)}> has no attributes"
    return f"unknown attribute '{_local(name)}' of <{_local(tag)}>{_nearest(_local(name), known, repr_of)}"


repr_of = "'{}'"


def _nearest(word: str, known: list[str], form: str) -> str:
    close = difflib.get_close_matches(word[:100], known, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {form.format(close[0])}?"
    shown = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
    return f"; known: {shown}"


def bad_value(leaf: Leaf, element: str, text: str, hint: str) -> str:
    """Libvirt's sentence for a value that cannot be read (``virXMLPropEnum``, ``virXMLPropUInt`` and kin)."""
    if leaf.words.bad:
        return leaf.words.bad.format(text)
    if leaf.unit is not None:
        where = f"./{element}[1]" if leaf.attr is None else f"./@{leaf.attr}"
        return f"Invalid value '{text}' for element or attribute '{where}'"
    if leaf.attr is not None:
        return f"Invalid value for attribute '{leaf.attr}' in element '{element}': '{text}'.{hint}"
    return f"Invalid value for element '{element}': '{text}'.{hint}"


def missing_leaf(path: str, element: str) -> str:
    """Libvirt's sentence for a leaf that must be there and is not."""
    above, _, attr = path.rpartition("@")
    if not attr or "@" not in path:
        return f"missing element <{path}> in <{element}>"
    inner = above.strip("/").rpartition("/")[2] or element
    return f"Missing required attribute '{attr}' in element '{inner}'"


def attribute_place(data: bytes, index: int, name: str) -> tuple[int, int]:
    """Where an attribute stands, seen from the ``<`` of its element: (lines below, column or columns on)."""
    local = re.escape(_local(name).encode())
    found = re.compile(rb"\s(?:[\w.-]+:)?" + local + rb"\s*=").search(data, index, index + 65536)
    if found is None:
        return 0, 0
    before = data[index : found.start() + 1].decode("utf-8", "replace")
    lines = before.count("\n")
    return (lines, len(before) - before.rfind("\n")) if lines else (0, len(before))


def libxml_words(data: bytes) -> tuple[str, int, int] | None:
    """What libxml2 says of a document that is not well-formed: (text, line, column); None if it accepts it.

    libxml2 stops at the first error, fetches nothing and expands nothing; the caller has refused DTDs.
    """
    from lxml import etree  # noqa: PLC0415 - only a broken document pays for it

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        etree.fromstring(data, parser)
    except etree.XMLSyntaxError:
        log: Any = parser.error_log
        first = next((entry for entry in log if entry.level_name == "FATAL"), None)
        if first is None:
            return None
        return first.message.strip(), max(first.line, 1), max(first.column, 1)
    except ValueError:
        return None
    return None


def _local(name: str) -> str:
    return name.rpartition(" ")[2]
