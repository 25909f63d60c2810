"""The mapping between frozen dataclasses and XML: what one field declares.

Knows paths, codecs and defaults. Must not know any element of libvirt's, nor how XML is read or written: the
reader (``_stream``) and the writer (``_write``) each walk the plan that ``_plan`` makes of the fields.

A class of the model is an element; a field is a leaf of it, an element below it, or a list of either::

    @dataclass(frozen=True, slots=True)
    class Watchdog:
        model: str | None = at("@model", choice("i6300esb", "ib700"))
        action: str | None = at("@action", TEXT)
        alias: str | None = at("alias/@name")
        address: Address | None = sub("address", ADDRESS)

The order of the fields is the order of the XML. ``None``, ``False`` and ``()`` mean "not written".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from virtsim.errors import ErrorCode
from virtsim.model._codec import KIB, TEXT, Codec

__all__ = ["Spec", "Variants", "Wording", "at", "each", "flag", "raw", "sub"]


@dataclass(frozen=True, slots=True)
class Wording:
    """What libvirt says where it does not use its general sentences.

    Attributes:
        bad: for a value that cannot be read; ``{}`` is the value.
        missing: for a required leaf that is not there.
        code: libvirt's error code for a bad value.
        missing_code: the code for a missing one, or None: the same.
    """

    bad: str = ""
    missing: str = ""
    code: ErrorCode = ErrorCode.VIR_ERR_XML_ERROR
    missing_code: ErrorCode | None = None


@dataclass(frozen=True, slots=True)
class Variants:
    """An element whose attribute decides which class describes it.

    Attributes:
        key: the attribute.
        classes: its value -> class.
        default: the value to assume where the attribute is missing, or None when it must be there.
    """

    key: str
    classes: Mapping[str, type]
    default: str | None = None


Kind = type | Codec | Variants


@dataclass(frozen=True, slots=True)
class Spec:
    """What one field of a class declares.

    Attributes:
        path: ``a/b`` element text, ``a/@b`` attribute, ``.`` the element's own text.
        kind: codec of a leaf, or the class (or classes) of an element.
        form: ``leaf``, ``flag``, ``sub``, ``raw``.
        many: whether it may repeat; the field is a tuple.
        required: reading fails where it is missing.
        unit: name of the attribute beside the leaf that holds the unit of a size in KiB.
        empty: whether an element with nothing in it means something.
        words: libvirt's own words for this leaf.
    """

    path: str
    kind: Kind
    form: str
    many: bool = False
    required: bool = False
    unit: str | None = None
    empty: bool = True
    words: Wording = Wording()


def at(
    path: str,
    codec: Codec = TEXT,
    default: Any = None,
    *,
    required: bool = False,
    unit: str | None = None,
    words: Wording = Wording(),
) -> Any:
    """A leaf: text of an element or an attribute."""
    spec = Spec(path, KIB if unit is not None else codec, "leaf", required=required, unit=unit, words=words)
    return dataclasses.field(default=default, metadata={"xml": spec})


def flag(path: str) -> Any:
    """True where the (empty) element is there."""
    return dataclasses.field(default=False, metadata={"xml": Spec(path, TEXT, "flag")})


def sub(path: str, kind: type | Variants, default: Any = None, *, empty: bool = True) -> Any:
    """An element with a class of its own; None where it is missing (or empty, with ``empty=False``)."""
    return dataclasses.field(default=default, metadata={"xml": Spec(path, kind, "sub", empty=empty)})


def each(path: str, kind: Kind) -> Any:
    """A tuple: an element, or with a codec one leaf, that may repeat."""
    form = "leaf" if isinstance(kind, Codec) else "sub"
    return dataclasses.field(default=(), metadata={"xml": Spec(path, kind, form, many=True)})


def raw(path: str) -> Any:
    """A whole element with everything in it, as it was written."""
    return dataclasses.field(default=None, metadata={"xml": Spec(path, TEXT, "raw")})
