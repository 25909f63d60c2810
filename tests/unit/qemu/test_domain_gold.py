"""Documents, the definitions they become, their command lines: gold pairs, judged by libvirt when made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.helpers.domains import DOCUMENTS, PATHS, command_line, kept
from virtsim.model import dump_domain, parse_domain
from virtsim.qemu.live import make_live

STARTABLE = [path for path in DOCUMENTS if not path.name.startswith("leaves-")]


def agree(found: str, gold: Path) -> None:
    if os.environ.get("UPDATE_GOLD"):
        gold.write_text(found)
    assert found == gold.read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_everything_is_claimed(document: Path) -> None:
    assert parse_domain(document.read_text()).unclaimed == ()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_reading_what_was_written_gives_the_same(document: Path) -> None:
    domain = parse_domain(document.read_text()).domain
    written = dump_domain(domain)
    again = parse_domain(written)
    assert again.domain == domain
    assert again.unclaimed == ()
    assert dump_domain(again.domain) == written


def test_a_canonical_document_is_written_as_it_was() -> None:
    for document in DOCUMENTS:
        if document.name.startswith("leaves-"):
            text = document.read_text()
            assert dump_domain(parse_domain(text).domain) == text


@pytest.mark.parametrize("document", STARTABLE, ids=lambda path: path.stem)
def test_the_definition_is_as_libvirt_keeps_it(document: Path) -> None:
    agree(dump_domain(kept(document.read_text())), document.with_suffix(".kept.xml"))


@pytest.mark.parametrize("document", STARTABLE, ids=lambda path: path.stem)
def test_a_kept_definition_stays_as_it_is(document: Path) -> None:
    once = kept(dump_domain(kept(document.read_text())))
    assert kept(dump_domain(once)) == once


@pytest.mark.parametrize("document", STARTABLE, ids=lambda path: path.stem)
def test_the_command_line(document: Path) -> None:
    argv = command_line(kept(document.read_text()))
    agree("".join(argument + "\n" for argument in argv), document.with_suffix(".argv"))


@pytest.mark.parametrize("document", STARTABLE, ids=lambda path: path.stem)
def test_a_live_definition_can_be_read_back(document: Path) -> None:
    live = make_live(kept(document.read_text()), domain_id=4, paths=PATHS)
    read = parse_domain(dump_domain(live))
    assert read.unclaimed == ()
    assert read.domain == live
    assert read.domain.id == 4
