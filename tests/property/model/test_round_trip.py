"""For every model: what is written is read back the same. For every text: a model or an XMLError."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.domains import DOCUMENTS, command_line, kept
from tests.helpers.model_strategies import domains
from virtsim.errors import VirtsimError, XMLError
from virtsim.model import Domain, dump_domain, evolve, parse_domain

CORPUS = [path.read_text() for path in DOCUMENTS]


@given(domains())
def test_what_is_written_is_read_back(domain: Domain) -> None:
    parsed = parse_domain(dump_domain(domain))
    assert parsed.domain == domain
    assert parsed.unclaimed == ()


@given(domains(), st.sampled_from(["pc", "q35"]))
def test_completion_and_command_line_refuse_politely(domain: Domain, machine: str) -> None:
    system = evolve(domain.os, type="hvm", arch=None, machine=machine, boot=(), nvram=None, firmware=None)
    domain = evolve(domain, name="a", os=system, cpu=None, vcpus=1, vcpu_current=None, memory_kib=65536)
    with suppress(VirtsimError):
        done = kept(dump_domain(domain))
        assert parse_domain(dump_domain(done)).domain == done
        assert all(isinstance(argument, str) for argument in command_line(done))


@given(st.sampled_from(CORPUS), st.data())
def test_a_damaged_document_is_read_or_refused(document: str, data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(document)))
    end = data.draw(st.integers(begin, min(begin + 40, len(document))))
    middle = data.draw(
        st.sampled_from(["", "<", ">", "'", "/>", "<a>", "&", "-1", "\0", "\u00e4", "]]>", "<![CDATA["])
    )
    damaged = document[:begin] + middle + document[end:]
    with suppress(VirtsimError):
        done = kept(damaged)
        assert parse_domain(dump_domain(done)).domain == done


@given(st.binary(max_size=300))
def test_no_bytes_surprise_the_reader(document: bytes) -> None:
    with suppress(XMLError):
        parse_domain(document)
