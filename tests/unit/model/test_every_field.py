"""The corpus exercises every field that the model declares: an untested field is a field that may be lost."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from typing import Any

import virtsim.model
from tests.helpers.domains import DOCUMENTS
from virtsim.model import parse_domain
from virtsim.model._plan import plan


def model_classes() -> set[type]:
    found: set[type] = set()
    for module in pkgutil.walk_packages(virtsim.model.__path__, "virtsim.model."):
        for thing in vars(importlib.import_module(module.name)).values():
            fields = (
                dataclasses.fields(thing)
                if isinstance(thing, type) and dataclasses.is_dataclass(thing)
                else ()
            )
            if any("xml" in field.metadata for field in fields):
                found.add(thing)
    return found


def seen_fields(value: Any, seen: set[tuple[type, str]]) -> None:
    for field in dataclasses.fields(value):
        if "xml" not in field.metadata:
            continue
        found = getattr(value, field.name)
        absent = found is None or found == () or (field.metadata["xml"].form == "flag" and not found)
        if not absent:
            seen.add((type(value), field.name))
        for below in found if isinstance(found, tuple) else (found,):
            if dataclasses.is_dataclass(below):
                seen_fields(below, seen)


def test_every_declared_field_is_read_somewhere_in_the_corpus() -> None:
    seen: set[tuple[type, str]] = set()
    for document in DOCUMENTS:
        seen_fields(parse_domain(document.read_bytes()).domain, seen)
    declared = {
        (cls, field.name)
        for cls in model_classes()
        for field in dataclasses.fields(cls)
        if "xml" in field.metadata
    }
    missing = sorted(f"{cls.__name__}.{name}" for cls, name in declared - seen)
    assert not missing


def test_no_two_fields_claim_one_place() -> None:
    for cls in model_classes():
        plan(cls)  # raises TypeError if they do
