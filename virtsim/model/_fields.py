"""The mapping between frozen dataclasses and XML: what a field declares, and the plan made of it.

Knows paths, codecs and defaults. Must not know any element of libvirt's, nor how XML is read or written: the
reader (``_read``) and the writer (``_write``) each walk the plan made here.

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
import functools
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from virtsim.errors import ErrorCode
from virtsim.model._codec import TEXT, UINT64, Codec

__all__ = ["NAMESPACES", "Leaf", "Node", "Raw", "Spec", "Sub", "Variants", "Wording", "at", "each", "evolve", "flag", "plan", "raw", "sub"]

#: Prefixes that paths may use; the reader reports names of a namespace as "uri local".
NAMESPACES: dict[str, str] = {"qemu": "http://libvirt.org/schemas/domain/qemu/1.0"}


@dataclass(frozen=True, slots=True)
class Wording:
    """What libvirt says where it does not use its general sentences.

    Attributes:
        bad: for a value that cannot be read; ``{}`` is the value.
        missing: for a required leaf that is not there.
        code: libvirt's error code for both.
    """

    bad: str = ""
    missing: str = ""
    code: ErrorCode = ErrorCode.VIR_ERR_XML_ERROR


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


T = TypeVar("T")
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
    words: Wording = Wording(),  # noqa: B008 - frozen
) -> Any:
    """A leaf: text of an element or an attribute."""
    spec = Spec(path, UINT64 if unit is not None else codec, "leaf", required=required, unit=unit, words=words)
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


@dataclass(slots=True)
class Leaf:
    """One scalar of the plan: field name, attribute (None: the element's text) and codec."""

    name: str
    attr: str | None
    codec: Codec
    unit: str | None = None
    words: Wording = Wording()


@dataclass(slots=True)
class Raw:
    """An element that is kept as it was written."""

    name: str
    tag: str


@dataclass(slots=True)
class Sub:
    """An element that becomes an object of its own (or, for a list of leaves, one value)."""

    name: str
    tag: str
    many: bool
    empty: bool
    kind: Kind
    scalar: Node | None = None


@dataclass(slots=True)
class Node:
    """One element of a class's plan; elements without a class of their own share their parent's object."""

    tag: str
    attrs: dict[str, Leaf | None] = dataclasses.field(default_factory=dict)
    text: Leaf | None = None
    flag: str | None = None
    children: dict[str, Node | Sub | Raw] = dataclasses.field(default_factory=dict)
    required: list[tuple[str, Spec]] = dataclasses.field(default_factory=list)
    lists: list[str] = dataclasses.field(default_factory=list)
    written: tuple[Leaf, ...] = ()
    order: tuple[Node | Sub | Raw, ...] = ()


@functools.cache
def _layout(cls: type) -> tuple[Callable[[Any], tuple[Any, ...]], dict[str, int]]:
    names = [field.name for field in dataclasses.fields(cls)]
    return operator.attrgetter(*names), {name: index for index, name in enumerate(names)}


def evolve(value: T, **changes: Any) -> T:
    """The same object with some fields changed: ``dataclasses.replace``, three times as fast.

    Raises:
        KeyError: there is no such field.
    """
    cls = type(value)
    getter, places = _layout(cls)
    values = list(getter(value))
    for name, new in changes.items():
        values[places[name]] = new
    return cls(*values)


@functools.cache
def plan(cls: type) -> Node:
    """The plan of a class: made once, in the order of its fields.

    Raises:
        TypeError: two fields of the class claim the same place.
    """
    root = Node("")
    for field in dataclasses.fields(cls):
        spec = field.metadata.get("xml")
        if spec is not None:
            _add(root, field.name, spec)
    _freeze(root)
    return root


def _add(root: Node, name: str, spec: Spec) -> None:
    steps = [_qualified(step) for step in spec.path.split("/") if step != "."]
    attr = steps.pop()[1:] if steps and steps[-1].startswith("@") else None
    last = steps.pop() if steps and (spec.many or spec.form in ("sub", "raw")) else None
    node = root
    for step in steps:
        below = node.children.setdefault(step, Node(step))
        if not isinstance(below, Node):
            raise TypeError(f"{name}: {spec.path} lies below an element that another field claims")
        node = below
    if spec.required:
        root.required.append((name, spec))
    if last is None:
        _claim(node, name, attr, spec)
        return
    if last in node.children:
        raise TypeError(f"{name}: {spec.path} is claimed twice")
    if spec.many:
        root.lists.append(name)
    if spec.form == "raw":
        node.children[last] = Raw(name, last)
        return
    entry = Sub(name, last, spec.many, spec.empty, spec.kind)
    if spec.form == "leaf":
        entry.scalar = Node(last)
        _claim(entry.scalar, "value", attr, dataclasses.replace(spec, many=False))
        _freeze(entry.scalar)
    node.children[last] = entry


def _claim(node: Node, name: str, attr: str | None, spec: Spec) -> None:
    if spec.form == "flag":
        node.flag = name
        return
    if not isinstance(spec.kind, Codec):
        raise TypeError(f"{name}: {spec.path} is a leaf and needs a codec")
    leaf = Leaf(name, attr, spec.kind, spec.unit, spec.words)
    if (attr is None and node.text is not None) or (attr is not None and attr in node.attrs):
        raise TypeError(f"{name}: {spec.path} is claimed twice")
    if attr is None:
        node.text = leaf
    else:
        node.attrs[attr] = leaf
    if spec.unit is not None:
        node.attrs[spec.unit] = None


def _freeze(node: Node) -> None:
    node.written = tuple(leaf for leaf in node.attrs.values() if leaf is not None)
    node.order = tuple(node.children.values())
    for child in node.order:
        if isinstance(child, Node):
            _freeze(child)


def _qualified(step: str) -> str:
    prefix, colon, local = step.partition(":")
    return f"{NAMESPACES[prefix]} {local}" if colon else step
