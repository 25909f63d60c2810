"""From a model to canonical XML, as libvirt 9.0.0 indents and escapes it.

Knows the plan of a class. Must not know any element of libvirt's.
"""

from __future__ import annotations

import re
from typing import Any

from virtsim.model._fields import Variants
from virtsim.model._plan import NAMESPACES, Node, Raw, Sub, plan

__all__ = ["build", "escape"]

#: ``virBufferEscapeString``: these five, and control characters that XML cannot carry are left out.
_SPECIAL = re.compile("[<>&'\"\r\n\t\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_ESCAPES = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "'": "&apos;", '"': "&quot;", "\r": "&#13;"}
_PREFIXES = {uri: prefix for prefix, uri in NAMESPACES.items()}


def build(value: Any, tag: str) -> str:
    """The document for ``value``: two spaces for each level, a line feed at the end."""
    out: list[str] = []
    uses = [uri for uri in _PREFIXES if any(uri in name for name in _filled(value))]
    heads = "".join(f" xmlns:{_PREFIXES[uri]}='{uri}'" for uri in uses)
    _write(plan(type(value)), value, tag, "", out, tail=heads, force=True)
    out.append("")
    return "\n".join(out)


def _filled(value: Any) -> list[str]:
    """Qualified names of the root's children that will be written."""
    names = []
    for child in plan(type(value)).order:
        if " " not in child.tag:
            continue
        owned = (
            [child.name]
            if isinstance(child, Sub | Raw)
            else [part.name for part in child.order if isinstance(part, Sub | Raw)]
        )
        if any(getattr(value, name) for name in owned):
            names.append(child.tag)
    return names


def _write(
    node: Node,
    value: Any,
    tag: str,
    pad: str,
    out: list[str],
    *,
    head: str = "",
    tail: str = "",
    force: bool = False,
) -> None:
    head += _attributes(node, value)
    body = None
    if node.text is not None and (found := getattr(value, node.text.name)) is not None:
        body = escape(node.text.codec.encode(found))
        if node.text.unit is not None:
            head += f" {node.text.unit}='KiB'"
    head += tail
    mark = len(out)
    out.append("")
    inner = pad + "  "
    for child in node.order:
        if isinstance(child, Node):
            if child.owned is None or child.owned(value) != child.nothing:
                _write(child, value, child.tag, inner, out)
        else:
            _write_owned(child, getattr(value, child.name), inner, out)
    name = _prefixed(tag) if " " in tag else tag
    if len(out) > mark + 1:
        out[mark] = f"{pad}<{name}{head}>{body or ''}"
        out.append(f"{pad}</{name}>")
    elif body is not None:
        out[mark] = f"{pad}<{name}{head}>{body}</{name}>"
    elif head or force or (node.flag is not None and getattr(value, node.flag)):
        out[mark] = f"{pad}<{name}{head}/>"
    else:
        del out[mark]


def _attributes(node: Node, value: Any) -> str:
    text = ""
    for name, opening, encode, plain, following in node.spelled:
        found = getattr(value, name)
        if found is not None:
            written = encode(found)
            text += f"{opening}{written if plain else escape(written, attribute=True)}'{following}"
    return text


def _write_owned(child: Sub | Raw, found: Any, pad: str, out: list[str]) -> None:
    if found is None:
        return
    if isinstance(child, Raw):
        out.append(pad + found)
        return
    for item in found if child.many else (found,):
        if child.scalar is not None:
            _write(child.scalar, _Scalar(item), child.tag, pad, out)
            continue
        head = ""
        kind = child.kind
        if isinstance(kind, Variants):
            word = next(word for word, cls in kind.classes.items() if cls is type(item))
            head = f" {kind.key}='{word}'"
        _write(plan(type(item)), item, child.tag, pad, out, head=head, force=child.empty)


class _Scalar:
    """Stands for the object of a list of leaves."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def _prefixed(tag: str) -> str:
    uri, blank, local = tag.rpartition(" ")
    return f"{_PREFIXES[uri]}:{local}" if blank else tag


def escape(text: str, *, attribute: bool = False) -> str:
    """Text as ``virBufferEscapeString`` writes it; line feeds and tabs of an attribute as references."""
    if _SPECIAL.search(text) is None:
        return text

    def one(found: re.Match[str]) -> str:
        char = found.group()
        if char in "\n\t":
            return f"&#{ord(char)};" if attribute else char
        return _ESCAPES.get(char, "")

    return _SPECIAL.sub(one, text)
