"""Documents that mean harm: one XMLError with a line, in bounded time and memory."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

import pytest

from virtsim.errors import XMLError
from virtsim.model import parse_domain
from virtsim.model._stream import MAX_DEPTH, MAX_UNCLAIMED

HEAD = "<domain type='qemu'><name>a</name><memory>1000</memory><os><type>hvm</type></os>"
MIB = 1024 * 1024


def laughs() -> str:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return f'<!DOCTYPE lolz [<!ENTITY l0 "lol">{entities}]><domain type="qemu"><name>&l9;</name></domain>'


BAD: dict[str, Callable[[], str | bytes]] = {
    "100 MiB": lambda: HEAD + " " * (100 * MIB),
    "100 MiB of bytes": lambda: HEAD.encode() + b"<a/>" * (25 * MIB),
    "billion laughs": laughs,
    "external entity": lambda: (
        '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><domain type="qemu"><name>&x;</name></domain>'
    ),
    "external DTD": lambda: '<!DOCTYPE d SYSTEM "http://127.0.0.1:1/d.dtd"><domain type="qemu"/>',
    "parameter entity": lambda: '<!DOCTYPE d [<!ENTITY % p SYSTEM "file:///dev/zero"> %p;]><domain/>',
    "deep": lambda: "<domain type='qemu'>" + "<a>" * MAX_DEPTH + "</a>" * MAX_DEPTH + "</domain>",
    "deep, never closed": lambda: "<domain type='qemu'>" + "<a>" * 100_000,
    "deep metadata": lambda: HEAD + "<metadata>" + "<a>" * 300 + "</a>" * 300 + "</metadata></domain>",
    "many elements": lambda: HEAD + "<a/>" * 2 * MIB + "</domain>",
    "many attributes": lambda: HEAD + "<x " + " ".join(f"a{n}=''" for n in range(500_000)) + "/></domain>",
    "a thousand attributes": lambda: (
        "<domain type='qemu' " + " ".join(f"a{n}=''" for n in range(1_001)) + "/>"
    ),
    "many namespaces": lambda: "<domain " + " ".join(f"xmlns:a{n}='u'" for n in range(2_000)) + "/>",
    "NUL": lambda: HEAD + "<title>\0</title></domain>",
    "NUL bytes": lambda: b"\0" * 100,
    "control character": lambda: HEAD + "<title>\x01</title></domain>",
    "reference to a control character": lambda: HEAD + "<title>&#1;</title></domain>",
    "lone surrogate": lambda: HEAD + "<title>\ud800</title></domain>",
    "bad UTF-8": lambda: HEAD.encode() + b"<title>\xff\xfe</title></domain>",
    "bad UTF-16": lambda: b"\xff\xfe<",
    "unknown encoding": lambda: b"<?xml version='1.0' encoding='klingon'?><domain/>",
    "encoding that is no text": lambda: b"<?xml version='1.0' encoding='zlib'?><domain/>",
    "cut short": lambda: HEAD,
    "two roots": lambda: HEAD + "</domain><domain/>",
    "half a megabyte of <": lambda: "<" * (MIB // 2),
    "negative size": lambda: HEAD.replace("1000", "-5") + "</domain>",
    "negative zero size": lambda: HEAD.replace("1000", "-0") + "</domain>",
    "fraction": lambda: HEAD.replace("1000", "1.5") + "</domain>",
    "huge number": lambda: HEAD.replace("1000", "9" * 100_000) + "</domain>",
    "digits of another script": lambda: HEAD.replace("1000", "\u0661\u0662") + "</domain>",
    "wrong unit": lambda: HEAD.replace("<memory>", "<memory unit='GiBs'>") + "</domain>",
    "huge vcpus": lambda: HEAD + "<vcpu>99999999999</vcpu></domain>",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BAD)
def test_is_refused(name: str) -> None:
    document = BAD[name]()
    tracemalloc.start()
    begin = time.process_time()
    try:
        with pytest.raises(XMLError) as raised:
            parse_domain(document)
        spent = time.process_time() - begin
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert raised.value.line is not None
    assert len(str(raised.value)) < 1000
    assert spent < 5
    assert peak < 64 * MIB


def test_a_flood_of_mistakes_is_listed_up_to_a_bound() -> None:
    begin = time.process_time()
    unclaimed = parse_domain(HEAD + "".join(f"<a{n}/>" for n in range(50_000)) + "</domain>").unclaimed
    assert len(unclaimed) == MAX_UNCLAIMED
    assert time.process_time() - begin < 5


def test_a_long_text_is_no_crime() -> None:
    text = "x" * (4 * MIB)
    domain = parse_domain(f"{HEAD}<description>{text}</description></domain>").domain
    assert domain.description == text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1"])
def test_other_encodings(encoding: str) -> None:
    head = f"<?xml version='1.0' encoding='{encoding.removesuffix('-sig')}'?>"
    domain = parse_domain((head + HEAD + "<title>\u00e4</title></domain>").encode(encoding)).domain
    assert domain.title == "\u00e4"
