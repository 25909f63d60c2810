"""The way in: from a document to a model, whatever the document is.

Knows encodings, limits, and how libvirt words a syntax error. Must not know any element of libvirt's.
"""

from __future__ import annotations

import codecs
import re
from typing import Any
from xml.parsers import expat

from virtsim.errors import ErrorCode, XMLError
from virtsim.model._explain import libxml_words
from virtsim.model._stream import MAX_BYTES, MAX_ELEMENTS, Reader, Unclaimed

__all__ = ["MAX_BYTES", "Unclaimed", "parse"]

_DECLARED = re.compile(rb"<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")


def parse(document: str | bytes, tag: str, cls: type, label: str) -> tuple[Any, tuple[Unclaimed, ...]]:
    """Read a document whose root is ``<tag>`` into an object of ``cls``.

    Args:
        document: text, or bytes in UTF-8 or the encoding that they declare.
        tag: name of the root element.
        cls: class of the model for it.
        label: what libvirt calls such a document in its messages, such as "domain_definition".

    Returns:
        The object, and what nobody claimed, in document order.

    Raises:
        XMLError: too large, not well-formed, with a DTD, or with a value that cannot be read; nothing is left
            behind.
    """
    data = _utf8(document, label)
    reader = Reader(data, tag, cls, label)
    try:
        reader.parser.Parse(data, True)  # noqa: FBT003 - the C function takes no keywords
    except expat.ExpatError as error:
        raise _syntax_error(data, label, error) from None
    finally:
        del reader.parser  # it holds the reader's methods: a cycle would keep the document until a collection
    return reader.result, tuple(reader.unclaimed)


def _utf8(document: str | bytes, label: str) -> bytes:
    """The document as UTF-8, whatever it says of itself."""
    if len(document) > MAX_BYTES:
        raise XMLError(f"({label}): document of more than {MAX_BYTES} bytes", line=1, column=1)
    if isinstance(document, str):
        data = document.encode("utf-8", "surrogatepass")
    elif document[:2] in (b"\xff\xfe", b"\xfe\xff"):
        data = _recoded(document, "utf-16", label)
    elif (declared := _DECLARED.match(document)) is not None:
        data = _recoded(document, declared.group(1).decode(), label)
    else:
        data = document
    if len(data) > MAX_BYTES:
        raise XMLError(f"({label}): document of more than {MAX_BYTES} bytes", line=1, column=1)
    # Counted before the parser sees them: it would keep every name, and all attributes of one element at
    # once.
    if len(data) > MAX_ELEMENTS and max(data.count(b"<"), data.count(b"=")) > 2 * MAX_ELEMENTS:
        raise XMLError(f"({label}): more than {MAX_ELEMENTS} elements or attributes", line=1, column=1)
    return data


def _recoded(document: bytes, encoding: str, label: str) -> bytes:
    try:
        if not codecs.lookup(encoding)._is_text_encoding:  # noqa: SLF001 - as bytes.decode() itself asks
            raise LookupError(encoding)
        return document.decode(encoding).encode("utf-8")
    except (LookupError, ValueError):
        raise XMLError(
            f"({label}):1: Document labelled {encoding} cannot be read as that",
            line=1,
            column=1,
            code=ErrorCode.VIR_ERR_XML_DETAIL,
        ) from None


def _syntax_error(data: bytes, label: str, error: expat.ExpatError) -> XMLError:
    words, line, column = libxml_words(data) or (
        expat.ErrorString(error.code),
        error.lineno,
        error.offset + 1,
    )
    lines = data.split(b"\n", line)
    text = lines[line - 1].decode("utf-8", "replace")[:80] if len(lines) >= line else ""
    detail = f"({label}):{line}: {words}\n{text}\n{'-' * min(max(column - 1, 0), 80)}^"
    return XMLError(detail, line=line, column=column, code=ErrorCode.VIR_ERR_XML_DETAIL)
