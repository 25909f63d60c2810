"""From XML to a model, in one pass, with an account of every leaf that nobody claimed.

Knows the plan of a class, and what a hostile document may do. Must not know any element of libvirt's.

The document is streamed through expat: no tree is built, no DTD is accepted, nothing outside of the document
is ever read, and what is kept is bounded by the limits below. libxml2 is asked only for the wording of a
syntax error,
because that is what libvirt shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from xml.parsers import expat

from virtsim.errors import ErrorCode, XMLError
from virtsim.model._codec import scale_to_kib
from virtsim.model._explain import (
    attribute_place,
    bad_value,
    missing_leaf,
    unknown_attribute,
    unknown_element,
)
from virtsim.model._fields import Spec, Variants
from virtsim.model._plan import Leaf, Node, Raw, Sub, plan
from virtsim.model._write import escape

__all__ = ["MAX_ATTRIBUTES", "MAX_BYTES", "MAX_DEPTH", "MAX_ELEMENTS", "MAX_UNCLAIMED", "Reader", "Unclaimed"]

#: libvirt's own bound on a document is 4 MiB on the wire (REMOTE_STRING_MAX) and libxml2's 10 MB for one
#: text.
MAX_BYTES = 16 * 1024 * 1024
#: libxml2's ``xmlParserMaxDepth`` without XML_PARSE_HUGE.
MAX_DEPTH = 256
#: Elements of a document; a domain of 400 disks has about 5,000.
MAX_ELEMENTS = 200_000
#: Attributes, or namespaces, of one element.
MAX_ATTRIBUTES = 1_000
#: Findings that are listed one by one.
MAX_UNCLAIMED = 200


@dataclass(frozen=True, slots=True)
class Unclaimed:
    """A piece of the document that no field of the model stands for; it is not kept.

    Attributes:
        path: where it is, such as ``/domain/devices/disk[2]/driver/@cahce``.
        line: 1-based.
        column: 1-based, in characters.
        message: one sentence for the user, with the nearest word where there is one.
    """

    path: str
    line: int
    column: int
    message: str


_NONE: dict[str, str] = {}


class _Frame:
    """An open element."""

    __slots__ = ("attrs", "cls", "column", "line", "node", "owner", "seen", "tag", "text", "values")

    def __init__(
        self,
        node: Node,
        values: dict[str, Any],
        tag: str,
        line: int,
        column: int,
        *,
        owner: Sub | None = None,
        cls: type | None = None,
    ) -> None:
        self.node = node
        self.values = values
        self.tag = tag
        self.line = line
        self.column = column
        self.text: list[str] | None = [] if node.text is not None else None
        self.attrs: dict[str, str] = _NONE
        self.seen: dict[str, int] = {}
        self.owner = owner
        self.cls = cls


class Reader:
    """Expat's callbacks, and the stack of open elements between them."""

    def __init__(self, data: bytes, tag: str, cls: type, label: str) -> None:
        self.data, self.tag, self.cls, self.label = data, tag, cls, label
        self.stack: list[_Frame] = []
        self.skipped = 0
        self.raw: tuple[Raw, int] | None = None
        self.scope: dict[str, str] = {}
        self.unclaimed: list[Unclaimed] = []
        self.result: Any = None
        self.parser = parser = expat.ParserCreate("utf-8", " ")
        parser.buffer_text = True
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.CharacterDataHandler = self.characters
        parser.StartDoctypeDeclHandler = self.doctype
        parser.StartNamespaceDeclHandler = self.namespace

    # -- what expat calls -------------------------------------------------------------------------------

    def doctype(self, *_: Any) -> None:
        raise self.syntax("a document type declaration is not accepted")

    def namespace(self, prefix: str | None, uri: str | None) -> None:
        if not self.skipped and prefix and uri:
            self.scope[prefix] = uri
            if len(self.scope) > MAX_ATTRIBUTES:
                raise self.fault(f"more than {MAX_ATTRIBUTES} namespaces")

    def start(self, tag: str, attrs: dict[str, str]) -> None:
        stack = self.stack
        if self.skipped:
            self.skipped += 1
            self.check_depth()
            return
        parser = self.parser
        line, column = parser.CurrentLineNumber, parser.CurrentColumnNumber + 1
        if not stack:
            if tag != self.tag:
                raise self.fault(f"expecting root element of '{self.tag}', not '{_local(tag)[:100]}'")
            self.enter(_Frame(plan(self.cls), {}, tag, line, column, cls=self.cls), attrs)
            return
        above = stack[-1]
        count = above.seen[tag] = above.seen.get(tag, 0) + 1
        entry = above.node.children.get(tag)
        if entry is None or (count > 1 and not (isinstance(entry, Sub) and entry.many)):
            self.skipped = 1
            if len(self.unclaimed) < MAX_UNCLAIMED:
                message = unknown_element(tag, above.tag, above.node, count, entry)
                self.report(f"{self.path()}/{_local(tag)}", message)
        elif isinstance(entry, Node):
            self.enter(_Frame(entry, above.values, tag, line, column), attrs)
        elif isinstance(entry, Raw):
            self.raw = (entry, parser.CurrentByteIndex)
            self.skipped = 1
        elif entry.scalar is not None:
            self.enter(_Frame(entry.scalar, {}, tag, line, column, owner=entry), attrs)
        else:
            kind = entry.kind
            cls = self.variant(kind, tag, attrs) if isinstance(kind, Variants) else kind
            assert isinstance(cls, type)  # noqa: S101 - a codec has a scalar plan
            self.enter(_Frame(plan(cls), {}, tag, line, column, owner=entry, cls=cls), attrs)

    def characters(self, text: str) -> None:
        if self.skipped:
            return
        frame = self.stack[-1]
        if frame.text is not None:
            frame.text.append(text)
        elif not text.isspace() and len(self.unclaimed) < MAX_UNCLAIMED:
            self.report(self.path(), f"<{_local(frame.tag)}> takes no text")

    def end(self, _: str) -> None:
        if self.skipped:
            self.skipped -= 1
            if self.raw is not None and not self.skipped:
                self.keep_raw(*self.raw)
            return
        frame = self.stack.pop()
        leaf = frame.node.text
        if leaf is not None and frame.text and (text := "".join(frame.text)):
            frame.values[leaf.name] = self.decode(leaf, text, frame)
        entry = frame.owner
        if entry is None:
            if frame.cls is not None:
                self.result = self.make(frame, frame.cls)
            return
        made = frame.values.get("value") if frame.cls is None else self.make(frame, frame.cls)
        if made is None:
            return
        values = self.stack[-1].values
        if entry.many:
            values.setdefault(entry.name, []).append(made)
        else:
            values[entry.name] = made

    # -- what they share --------------------------------------------------------------------------------

    def enter(self, frame: _Frame, attrs: dict[str, str]) -> None:
        self.stack.append(frame)
        if len(attrs) > MAX_ATTRIBUTES:
            raise self.fault(f"more than {MAX_ATTRIBUTES} attributes in element '{_local(frame.tag)}'")
        self.check_depth()
        node = frame.node
        if node.flag is not None:
            frame.values[node.flag] = True
        if not attrs:
            return
        frame.attrs = attrs
        for name, text in attrs.items():
            if name not in node.attrs:
                if len(self.unclaimed) < MAX_UNCLAIMED:
                    self.report_attribute(frame, name)
            elif (leaf := node.attrs[name]) is not None:
                frame.values[leaf.name] = self.decode(leaf, text, frame)

    def make(self, frame: _Frame, cls: type) -> Any:
        values = frame.values
        for name, spec in frame.node.required:
            if name not in values:
                raise self.missing(spec, frame)
        if not values and frame.owner is not None and not frame.owner.empty:
            return None
        for name in frame.node.lists:
            if name in values:
                values[name] = tuple(values[name])
        return cls(**values)

    def decode(self, leaf: Leaf, text: str, frame: _Frame) -> Any:
        try:
            if leaf.unit is not None:
                return scale_to_kib(text, frame.attrs.get(leaf.unit))
            return leaf.codec.decode(text)
        except (LookupError, OverflowError) as error:
            code = (
                ErrorCode.VIR_ERR_OVERFLOW
                if isinstance(error, OverflowError)
                else ErrorCode.VIR_ERR_INVALID_ARG
            )
            raise XMLError(str(error.args[0]), line=frame.line, column=frame.column, code=code) from None
        except ValueError as error:
            detail = bad_value(leaf, _local(frame.tag), text[:200], str(error))
            raise XMLError(detail, line=frame.line, column=frame.column, code=leaf.words.code) from None

    def variant(self, kind: Variants, tag: str, attrs: dict[str, str]) -> type:
        word = attrs.pop(kind.key, kind.default)
        if word is None:
            raise self.fault(f"Missing required attribute '{kind.key}' in element '{tag}'")
        found = kind.classes.get(word)
        if found is None:
            raise self.fault(f"Invalid value for attribute '{kind.key}' in element '{tag}': '{word[:200]}'.")
        return found

    def keep_raw(self, entry: Raw, begin: int) -> None:
        """Keep the text of the element, with the prefixes it inherits declared on it."""
        data, stop = self.data, self.parser.CurrentByteIndex
        name = data[begin + 1 : begin + 1 + len(entry.tag.encode())]
        if data.startswith(b"</" + name, stop):
            stop = data.index(b">", stop) + 1
        text = data[begin:stop].decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
        head = text[: text.index(">")]
        cut = 1 + len(name.decode())
        inherited = "".join(
            f' xmlns:{prefix}="{escape(uri, attribute=True)}"'
            for prefix, uri in self.scope.items()
            if f"{prefix}:" in text and f"xmlns:{prefix}" not in head
        )
        self.stack[-1].values[entry.name] = text[:cut] + inherited + text[cut:]
        self.raw = None

    def path(self) -> str:
        steps = []
        for above, frame in zip((None, *self.stack), self.stack, strict=False):
            many = frame.owner is not None and frame.owner.many and above is not None
            steps.append(f"/{_local(frame.tag)}" + (f"[{above.seen[frame.tag]}]" if many and above else ""))
        return "".join(steps)

    def report_attribute(self, frame: _Frame, name: str) -> None:
        line, column = attribute_place(self.data, self.parser.CurrentByteIndex, name)
        message = unknown_attribute(name, frame.tag, frame.node)
        column = column if line else frame.column + column
        self.note(f"{self.path()}/@{_local(name)}", frame.line + line, column, message)

    def report(self, path: str, message: str) -> None:
        self.note(path, self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber + 1, message)

    def note(self, path: str, line: int, column: int, message: str) -> None:
        self.unclaimed.append(Unclaimed(path, line, column, message))

    def check_depth(self) -> None:
        if len(self.stack) + self.skipped > MAX_DEPTH:
            raise self.syntax(f"Excessive depth in document: {MAX_DEPTH} use XML_PARSE_HUGE option")

    def fault(self, detail: str) -> XMLError:
        return XMLError(
            detail, line=self.parser.CurrentLineNumber, column=self.parser.CurrentColumnNumber + 1
        )

    def syntax(self, detail: str) -> XMLError:
        error = self.fault(f"({self.label}):{self.parser.CurrentLineNumber}: {detail}")
        error.code = ErrorCode.VIR_ERR_XML_DETAIL
        return error

    @staticmethod
    def missing(spec: Spec, frame: _Frame) -> XMLError:
        code = spec.words.missing_code or spec.words.code
        detail = spec.words.missing or missing_leaf(spec.path, _local(frame.tag))
        return XMLError(detail, line=frame.line, column=frame.column, code=code)


def _local(name: str) -> str:
    return name.rpartition(" ")[2]
