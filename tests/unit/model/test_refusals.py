"""What cannot be read: libvirt 9.0.0's words and codes, with the line and column of the offence."""

from __future__ import annotations

import pytest

from virtsim.errors import ErrorCode, XMLError
from virtsim.model import parse_domain

OS = "<os><type arch='x86_64' machine='pc'>hvm</type></os>"
XML, UNSUPPORTED = ErrorCode.VIR_ERR_XML_ERROR, ErrorCode.VIR_ERR_CONFIG_UNSUPPORTED
INTERNAL = ErrorCode.VIR_ERR_INTERNAL_ERROR


def domain(body: str = "", devices: str = "", name: str = "<name>a</name>", memory: str = "1000") -> str:
    return (
        f"<domain type='qemu'>{name}<memory>{memory}</memory>{OS}{body}<devices>{devices}</devices></domain>"
    )


#: (document, whole text as virsh shows it, code); each was compared with ``virsh define`` of libvirt 9.0.0.
REFUSALS = [
    ("<domain><name>a</name></domain>", "internal error: missing domain type attribute", INTERNAL),
    ("<domain type='zzz'/>", "unsupported configuration: invalid domain type zzz", UNSUPPORTED),
    ("<foo/>", "XML error: expecting root element of 'domain', not 'foo'", XML),
    ("<domain type='qemu'/>", "missing name information", ErrorCode.VIR_ERR_NO_NAME),
    (domain(name="<name></name>"), "missing name information", ErrorCode.VIR_ERR_NO_NAME),
    (
        "<domain type='qemu'><name>a</name><os/></domain>",
        "XML error: an os <type> must be specified",
        XML,
    ),
    (domain(memory="-1"), "XML error: Invalid value '-1' for element or attribute './memory[1]'", XML),
    (domain(memory="x"), "XML error: Invalid value 'x' for element or attribute './memory[1]'", XML),
    (
        domain(memory="9" * 23),
        f"XML error: Invalid value '{'9' * 23}' for element or attribute './memory[1]'",
        XML,
    ),
    (
        domain().replace("<memory>", "<memory unit='parsec'>"),
        "invalid argument: unknown suffix 'parsec'",
        ErrorCode.VIR_ERR_INVALID_ARG,
    ),
    (
        domain(memory="100").replace("<memory>", "<memory unit='EiB'>"),
        "numerical overflow: value too large: 100EiB",
        ErrorCode.VIR_ERR_OVERFLOW,
    ),
    (domain("<vcpu>x</vcpu>"), "XML error: maximum vcpus count must be an integer", XML),
    (domain("<vcpu>-1</vcpu>"), "XML error: maximum vcpus count must be an integer", XML),
    (domain("<vcpu>1_0</vcpu>"), "XML error: maximum vcpus count must be an integer", XML),
    (domain("<uuid>zz</uuid>"), "internal error: malformed uuid element", INTERNAL),
    (
        domain("<on_reboot>foo</on_reboot>"),
        "unsupported configuration: unknown on_reboot action: foo",
        UNSUPPORTED,
    ),
    (domain("<cpu mode='foo'/>"), "unsupported configuration: Invalid mode attribute 'foo'", UNSUPPORTED),
    (domain("<clock offset='x'/>"), "unsupported configuration: unknown clock offset 'x'", UNSUPPORTED),
    (
        domain(devices="<disk type='x'><target dev='vda'/></disk>"),
        "XML error: Invalid value for attribute 'type' in element 'disk': 'x'.",
        XML,
    ),
    (domain(devices="<disk/>"), "missing target information for device", ErrorCode.VIR_ERR_NO_TARGET),
    (
        domain(devices="<interface type='user'><mac address='zz'/></interface>"),
        "XML error: unable to parse mac address 'zz'",
        XML,
    ),
    (
        domain(devices="<controller type='foo'/>"),
        "XML error: Invalid value for attribute 'type' in element 'controller': 'foo'.",
        XML,
    ),
    (
        domain(devices="<interface type='user'><address type='pci' slot='x'/></interface>"),
        (
            "XML error: Invalid value for attribute 'slot' in element 'address': 'x'."
            " Expected non-negative integer value"
        ),
        XML,
    ),
    (
        domain(devices="<serial type='foo'/>"),
        "unsupported configuration: unknown type presented to host for character device: foo",
        UNSUPPORTED,
    ),
    (
        domain(devices="<graphics type='vnc' port='x'/>"),
        "internal error: cannot parse vnc port x",
        INTERNAL,
    ),
    (domain(devices="<rng model='virtio'/>"), "XML error: only one RNG backend is supported", XML),
    (domain(devices="<watchdog/>"), "internal error: watchdog must contain model name", INTERNAL),
    (
        domain(devices="<video><model type='foo'/></video>"),
        "unsupported configuration: unknown video model 'foo'",
        UNSUPPORTED,
    ),
    (
        domain(devices="<memballoon/>"),
        "XML error: Missing required attribute 'model' in element 'memballoon'",
        XML,
    ),
    (
        domain(devices="<channel type='pty'/>"),
        "XML error: target type must be specified for channel device",
        XML,
    ),
    (
        domain("<cpu><numa><cell id='0' cpus='0' memory='x'/></numa></cpu>"),
        "XML error: Invalid value 'x' for element or attribute './@memory'",
        XML,
    ),
]


@pytest.mark.parametrize(("document", "text", "code"), REFUSALS, ids=lambda value: str(value)[-40:])
def test_libvirts_words(document: str, text: str, code: ErrorCode) -> None:
    with pytest.raises(XMLError) as raised:
        parse_domain(document)
    assert (str(raised.value), raised.value.code) == (text, code)
    assert raised.value.line == 1
    assert raised.value.column is not None


def test_the_place_is_that_of_the_element() -> None:
    with pytest.raises(XMLError) as raised:
        parse_domain(
            "<domain type='qemu'>\n  <name>a</name>\n  <memory unit='furlong'>\n 5 </memory>\n</domain>"
        )
    assert (raised.value.line, raised.value.column) == (3, 3)


#: (document, first line of the text, line)
BROKEN = [
    ("", "Document is empty", 1),
    ("<domain type='qemu'>\n<name>a</domain>", "Opening and ending tag mismatch: name line 2 and domain", 2),
    ("x", "Start tag expected, '<' not found", 1),
    ("<domain type='qemu'>&foo;</domain>", "Entity 'foo' not defined", 1),
]


@pytest.mark.parametrize(("document", "text", "line"), BROKEN)
def test_syntax_errors_are_libxml2s(document: str, text: str, line: int) -> None:
    with pytest.raises(XMLError) as raised:
        parse_domain(document)
    assert str(raised.value).startswith(f"(domain_definition):{line}: {text}\n")
    assert str(raised.value).endswith("^")
    assert raised.value.code is ErrorCode.VIR_ERR_XML_DETAIL
    assert raised.value.line == line
