"""Hypothesis strategies for the whole model, made from what its fields declare."""

from __future__ import annotations

import dataclasses
from typing import Any

from hypothesis import strategies as st

from virtsim.model import Domain, evolve
from virtsim.model._codec import UUID_TEXT, Codec
from virtsim.model._fields import Variants
from virtsim.model._macs import MAC
from virtsim.model.features import Features
from virtsim.model.memory import MemoryBacking

#: What XML can carry at all.
_CHARS = st.characters(
    exclude_categories=("Cs",),
    exclude_characters=[chr(n) for n in range(32) if n not in (9, 10, 13)] + ["\ufffe", "\uffff"],
)
_TEXT = st.text(_CHARS, min_size=1, max_size=12)
_METADATA = st.sampled_from(
    ["<metadata/>", "<metadata><a:b xmlns:a='urn:x' c='\u00e4&lt;'>\n text <d/></a:b></metadata>"]
)


def values_of(codec: Codec) -> st.SearchStrategy[Any]:
    """The values of a leaf."""
    if codec.words:
        return st.sampled_from([codec.decode(word) for word in codec.words])
    if codec.bounds is not None:
        return st.integers(*codec.bounds)
    if codec is UUID_TEXT:
        return st.uuids()
    if codec is MAC:
        return st.lists(st.integers(0, 255), min_size=6, max_size=6).map(
            lambda octets: ":".join(f"{octet:02x}" for octet in octets)
        )
    return _TEXT


def objects_of(kind: Any) -> st.SearchStrategy[Any]:
    """Objects of a class of the model, or of one of several."""
    if isinstance(kind, Variants):
        return st.one_of([objects_of(cls) for cls in kind.classes.values()])
    fields = {field.name: _field(field) for field in dataclasses.fields(kind) if "xml" in field.metadata}
    made = st.builds(kind, **fields)
    if kind is MemoryBacking:  # what is inside an element cannot be there without it
        return made.map(lambda m: evolve(m, hugepages=m.hugepages or bool(m.pages)))
    if kind is Features:
        return made.map(lambda f: evolve(f, apic=f.apic or f.apic_eoi is not None))
    return made


def _field(field: dataclasses.Field[Any]) -> st.SearchStrategy[Any]:
    spec = field.metadata["xml"]
    if spec.form == "flag":
        return st.booleans()
    if spec.form == "raw":
        return st.none() | _METADATA
    made = values_of(spec.kind) if isinstance(spec.kind, Codec) else objects_of(spec.kind)
    if spec.many:
        return st.lists(made, max_size=2).map(tuple)
    if spec.form == "sub" and not spec.empty:
        nothing = spec.kind()
        made = made.map(lambda found: None if found == nothing else found)
    return made if field.default is not None else st.none() | made


def domains() -> st.SearchStrategy[Domain]:
    """Domains of every shape that the XML can hold; few of them can be started."""
    return objects_of(Domain)
