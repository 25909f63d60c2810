"""What nobody claims is reported with its place and the nearest word, and never kept in silence."""

from __future__ import annotations

import pytest

from virtsim.model import dump_domain, parse_domain

DOCUMENT = """\
<domain type='qemu' colour='red'>
  <name>a</name>
  <memory unit='MiB'>64</memory>
  <memori>64</memori>
  <os><type>hvm</type></os>
  <clock offset='utc'>late<timer name='rtc'/></clock>
  <name>b</name>
  <blkiotune><weight>800</weight></blkiotune>
  <devices>
    <disk><target dev='vda'/></disk>
    <disk>
      <driver name='qemu'
              cahce='none' type='raw'/>
      <target dev='vdb'><deep><er/></deep></target>
    </disk>
    <filesystem type='mount'/>
    <tablet/>
    <x:foreign xmlns:x='urn:x' x:y='1'/>
  </devices>
</domain>
"""

EXPECTED = [
    ("/domain/@colour", 1, 21, "unknown attribute 'colour' of <domain>; known: type, id"),
    ("/domain/memori", 4, 3, "unknown element <memori> in <domain>; did you mean <memory>?"),
    ("/domain/clock", 6, 27, "<clock> takes no text"),
    ("/domain/name", 7, 3, "<name> is there 2 times in <domain>; only the first one is read"),
    (
        "/domain/blkiotune",
        8,
        3,
        "<blkiotune> in <domain> is libvirt's, but is not supported here; it is left out",
    ),
    (
        "/domain/devices/disk[2]/driver/@cahce",
        13,
        15,
        "unknown attribute 'cahce' of <driver>; did you mean 'cache'?",
    ),
    ("/domain/devices/disk[2]/target/deep", 14, 25, "unknown element <deep>: <target> has no elements"),
    (
        "/domain/devices/filesystem",
        16,
        5,
        "<filesystem> in <devices> is libvirt's, but is not supported here; it is left out",
    ),
]


def test_places_and_words() -> None:
    found = [(u.path, u.line, u.column, u.message) for u in parse_domain(DOCUMENT).unclaimed]
    assert found[: len(EXPECTED)] == EXPECTED
    assert [place for place, *_ in found[len(EXPECTED) :]] == [
        "/domain/devices/tablet",
        "/domain/devices/foreign",
    ]
    assert found[-1][3].startswith("unknown element <foreign> in <devices>")


def test_a_clean_document_has_nothing_unclaimed_after_a_dump() -> None:
    parsed = parse_domain(DOCUMENT)
    assert parsed.domain.name == "a"
    assert parse_domain(dump_domain(parsed.domain)).unclaimed == ()


@pytest.mark.parametrize(
    ("inner", "kept"),
    [
        ("<metadata/>", "<metadata/>"),
        ("<metadata></metadata>", "<metadata></metadata>"),
        ("<metadata><!-- c --><a b='1>2'><![CDATA[<x>]]></a></metadata>", None),
        ("<metadata>\r\n  <a/>\r\n</metadata>", "<metadata>\n  <a/>\n</metadata>"),
        ("<metadata ><a>\u00e4\u20ac\U0001f600</a></metadata >", None),
        ("<metadata><a><metadata/></a></metadata>", None),
    ],
)
def test_metadata_is_kept_as_it_is(inner: str, kept: str | None) -> None:
    text = f"<domain type='qemu'><name>a</name><os><type>hvm</type></os>{inner}</domain>"
    parsed = parse_domain(text)
    assert parsed.unclaimed == ()
    assert parsed.domain.metadata == (kept or inner)
    assert parse_domain(dump_domain(parsed.domain)).domain == parsed.domain


def test_metadata_keeps_the_prefixes_that_it_inherits() -> None:
    text = (
        "<domain type='qemu' xmlns:app='urn:app' xmlns:other='urn:other'><name>a</name>"
        "<os><type>hvm</type></os><metadata><app:x/></metadata></domain>"
    )
    domain = parse_domain(text).domain
    assert domain.metadata == '<metadata xmlns:app="urn:app"><app:x/></metadata>'
    assert parse_domain(dump_domain(domain)).domain == domain
