"""Facts of a real QEMU, as recorded by `fakeqemu.facts.record`: loaded when and as far as they are asked for.

Knows the profile file. Must not know the machine.

What a profile offers, beside the recorded replies (`Profile.recorded`, `refusal`, `value`):

* ``profile.qom(machine_type)``: the QOM tree of a machine as it stands before the guest runs, path by path:
  ``view.kind(path)``, ``view.properties(path)`` (name -> type, in QEMU's order), ``view.values(path)``
  (name -> value), ``view.paths``. ``machine_type`` is a name or alias of that QEMU (``pc``, ``q35``,
  ``virt``, ``pseries``, ``s390-ccw-virtio``, ``none``), started with ``-S -nodefaults``; ``"pc defaults"``
  is the same without ``-nodefaults``. None when it was not recorded.
* ``profile.properties(device)``: types and defaults of a device model's properties.
* ``profile.schema()``: ``query-qmp-schema`` by entity name, for whoever checks replies and events.

The file is JSON in gzip, one member of the object a line, cut into blocks that are gzip members of their own
(``gzip -dc`` reads the whole). The first block holds ``provenance``, ``facts`` and ``index``: the first key
and the length of every other block; the keys are sorted. So a fact costs one block, and a recorded reply is
sent as the text it was. A key is a command with its arguments; ``! `` before it marks a refusal. Replies that
repeat each other (thousands of properties) are numbers of parts; a block ``~ COMMAND`` holds the parts, one a
line, and ``~`` tells how they are put together.
"""

from __future__ import annotations

import zlib

from fakeqemu.protocol.qjson import Raw, encode, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakeqemu.facts.qomview import QomView

__all__ = ["DIRECTORY", "Profile", "ProfileError", "key_of", "profile_for", "profile_named"]

DIRECTORY = __file__.rpartition("/")[0] + "/profiles"
#: What is read of a file to get at its first block; larger first blocks take a second look.
_HEAD = 1 << 12
#: Bytes of recorded text that are kept at hand, all together.
_KEPT = 1 << 19
_cache: dict[str, Profile] = {}


class ProfileError(Exception):
    """A profile that cannot be read, or is not there."""


def key_of(command: str, arguments: dict[str, Any]) -> str:
    """The member under which a reply is recorded: the command, and its arguments."""
    return f"{command} {encode(arguments)}" if arguments else command


class _Types(dict[str, "dict[str, Any]"]):
    """The types of commands' arguments, by their numbers, which are names of nothing else in the text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def __missing__(self, name: str) -> dict[str, Any]:
        at = self._text.find(f'"{name}":{{')
        if at < 0:
            raise KeyError(name)
        found = self[name] = parse(self._text, at + len(name) + 3)
        return found  # type: ignore[no-any-return]


class Profile:
    """One recorded QEMU; shared by every machine of the program.

    Args:
        path: the file.
    """

    __slots__ = ("_arguments", "_facts", "_held", "_index", "_lines", "_names", "_offsets", "_properties",
                 "_schema", "_tables", "_views", "path")  # fmt: skip

    def __init__(self, path: str) -> None:
        self.path = path
        self._facts: dict[str, Any] | None = None
        self._arguments: dict[str, Any] | None = None
        self._names: dict[str, frozenset[str]] = {}
        self._lines: dict[str, str | None] = {}
        self._held = 0
        self._index: list[str] = []
        self._offsets: list[int] = []
        self._properties: dict[str, tuple[dict[str, str], dict[str, Any]]] = {}
        self._schema: dict[str, dict[str, Any]] | None = None
        self._tables: dict[str, bytes] = {}
        self._views: dict[str, QomView | None] = {}
        self._open()

    # -- the file -------------------------------------------------------------------------------------------

    def _read(self, offset: int, length: int) -> bytes:
        try:
            with open(self.path, "rb", buffering=0) as file:  # noqa: PTH123 - pathlib is too slow at start-up
                if offset:
                    file.seek(offset)
                return file.read(length)
        except OSError as error:
            raise ProfileError(f"{self.path}: {error.strerror}") from error

    def _open(self) -> None:
        """Read the first block: what the start needs, and where the rest lies."""
        packed = self._read(0, _HEAD)
        stream = zlib.decompressobj(31)
        try:
            head = stream.decompress(packed)
            while not stream.eof:
                more = self._read(len(packed), _HEAD)
                if not more:
                    raise ProfileError(f"{self.path}: cut short")
                packed += more
                head += stream.decompress(more)
        except zlib.error as error:
            raise ProfileError(f"{self.path}: {error}") from error
        lines = dict(_lines(head))
        if "facts" not in lines or "index" not in lines:
            raise ProfileError(f"{self.path}: not a profile of this version")
        for key in ("provenance", "facts"):
            self._lines[key] = lines[key]
        position = len(packed) - len(stream.unused_data)
        for key, length in parse(lines["index"]):
            self._index.append(key)
            self._offsets.append(position)
            position += length
        self._offsets.append(position)

    def _line(self, key: str) -> str | None:
        """The text of a member; None when there is none."""
        if key in self._lines:
            return self._lines[key]
        from _bisect import bisect_right

        # The blocks of parts come last, and sort last.
        number = bisect_right(self._index, key) - 1
        text = None
        if number >= 0:
            start, end = self._offsets[number : number + 2]
            try:
                block = zlib.decompress(self._read(start, end - start), 31)
            except zlib.error as error:
                raise ProfileError(f"{self.path}: {error}") from error
            # A key is ASCII, as JSON writes it, and stands at the beginning of a line.
            mark = f"\n{encode(key)}:\t".encode("ascii", "replace")
            found = block.find(mark)
            if found >= 0:
                found += len(mark)
                text = block[found : block.index(b"\n", found)].decode("ascii").removesuffix(",")
                if text.startswith('{"of":['):
                    text = self._unfolded(key.partition(" ")[0], text)
        self._keep(key, text)
        return text

    def _unfolded(self, command: str, text: str) -> str:
        """Put a reply together from its parts."""
        between, before, after = parse(self._line("~") or "{}")[command]
        if command not in self._tables:
            number = self._index.index(f"~ {command}")
            start, end = self._offsets[number : number + 2]
            self._tables[command] = zlib.decompress(self._read(start, end - start), 31)
        # The first two lines and the last are the array's own.
        parts = self._tables[command].split(b"\n")
        chosen = [parse(parts[part + 2].decode("ascii").removesuffix(",")) for part in parse(text)["of"]]
        return f"{before}{between.join(chosen)}{after}"

    def _keep(self, key: str, text: str | None) -> None:
        self._held += len(key) + len(text or "")
        if self._held > _KEPT:
            self._lines = {name: self._lines[name] for name in ("provenance", "facts")}
            self._held = len(key) + len(text or "")
        self._lines[key] = text

    def keys(self) -> list[str]:
        """Every member, in order: a long walk, for tools and tests."""
        found = ["provenance", "facts"]
        for start, end in zip(self._offsets, self._offsets[1:], strict=False):
            block = zlib.decompress(self._read(start, end - start), 31)
            found += [key for key, _ in _lines(block)]
        return [key for key in found if not key.startswith("~")]

    # -- facts ----------------------------------------------------------------------------------------------

    @property
    def facts(self) -> dict[str, Any]:
        """Version, greeting, target, and what else is small and often asked for."""
        if self._facts is None:
            self._facts = parse(self._line("facts") or "{}")
        return self._facts

    @property
    def provenance(self) -> dict[str, Any]:
        """Where the facts come from: program, version, package, modules that were there."""
        found: dict[str, Any] = parse(self._line("provenance") or "{}")
        return found

    @property
    def greeting(self) -> str:
        """The line with which a monitor opens the conversation."""
        text: str = self.facts["greeting"]
        return text

    @property
    def arch(self) -> str:
        """The architecture, as ``query-target`` names it."""
        name: str = self.facts["arch"]
        return name

    @property
    def arguments(self) -> dict[str, Any]:
        """What commands accept: ``commands`` (name -> type), ``types``, ``oob`` (may be out of band)."""
        if self._arguments is None:
            text = self._line("arguments") or '{"commands":{},"oob":[],"types":{}}'
            # The types come last; each is parsed when it is asked for.
            cut = text.index(',"types":{')
            self._arguments = parse(text[:cut] + "}")
            self._arguments["types"] = _Types(text[cut:])
        return self._arguments

    @property
    def commands(self) -> dict[str, str]:
        """Every command of this QEMU, with the name of its arguments' type."""
        found: dict[str, str] = self.arguments["commands"]
        return found

    def knows(self, command: str) -> bool:
        """Whether this QEMU has a command of that name; costs no look at what it takes."""
        names = self.facts.get("commands")
        return command in self.commands if names is None else f" {command} " in names

    @property
    def oob_commands(self) -> list[str]:
        """Commands that may be sent out of band."""
        found: list[str] = self.arguments["oob"]
        return found

    def schema(self) -> dict[str, dict[str, Any]]:
        """``query-qmp-schema`` by the names of its entities. Large: for tools and tests."""
        if self._schema is None:
            self._schema = {entity["name"]: entity for entity in self.value("query-qmp-schema") or ()}
        return self._schema

    # -- recorded replies -----------------------------------------------------------------------------------

    def recorded(self, command: str, arguments: dict[str, Any] | None = None) -> Raw | None:
        """The recorded reply to a command, ready to be sent; None when there is none."""
        text = self._line(key_of(command, arguments or {}))
        return None if text is None else Raw(text)

    def refusal(self, command: str, arguments: dict[str, Any] | None = None) -> dict[str, str] | None:
        """The recorded error reply to a command: its class and text; None when there is none."""
        text = self._line(f"! {key_of(command, arguments or {})}")
        return None if text is None else parse(text)

    def value(self, command: str, arguments: dict[str, Any] | None = None) -> Any:
        """The recorded reply as a value; None when there is none."""
        text = self._line(key_of(command, arguments or {}))
        return None if text is None else parse(text)

    def printed(self, option: str) -> str | None:
        """What the program writes to its standard output for an option such as ``-machine help``."""
        text: str | None = self.value(f"# {option}")
        return text

    def properties(self, device: str) -> tuple[dict[str, str], dict[str, Any]]:
        """The recorded properties of a device model: their types, and the defaults that are known."""
        found = self._properties.get(device)
        if found is None:
            entries = self.value("device-list-properties", {"typename": device}) or ()
            types = {entry["name"]: entry["type"] for entry in entries}
            defaults = {
                entry["name"]: entry["default-value"] for entry in entries if "default-value" in entry
            }
            found = self._properties[device] = types, defaults
        return found

    def names(self, kind: str) -> frozenset[str]:
        """The names of all machines, CPU models or device models: ``kind`` is machine, cpu or device."""
        if kind not in self._names:
            command = {
                "machine": "query-machines",
                "cpu": "query-cpu-definitions",
                "device": "qom-list-types",
            }[kind]
            found = {entry["name"] for entry in self.value(command) or ()}
            if kind == "machine":
                found |= {entry["alias"] for entry in self.value(command) or () if "alias" in entry}
            self._names[kind] = frozenset(found)
        return self._names[kind]

    def qom(self, machine_type: str) -> QomView | None:
        """The recorded QOM tree of a machine type (see the module's text); None when there is none."""
        if machine_type not in self._views:
            from fakeqemu.facts.qomview import QomView

            value = self.value(f"qom {machine_type}")
            self._views[machine_type] = None if value is None else QomView(value)
        return self._views[machine_type]


def _lines(block: bytes) -> list[tuple[str, str]]:
    """The members of a block: key and text each."""
    found = []
    for line in block.decode("ascii").split("\n"):
        name, tab, text = line.partition(":\t")
        if tab:
            found.append((parse(name), text.removesuffix(",")))
    return found


def profile_named(name: str) -> Profile:
    """The shipped profile of that name: an architecture (``aarch64``) or a file's stem (``aarch64-7.2``).

    Raises:
        ProfileError: none of that name is shipped.
    """
    found = _cache.get(name)
    if found is None:
        from posix import listdir

        # The newest version comes last.
        fitting = sorted(
            file
            for file in listdir(DIRECTORY)
            if file.startswith(f"{name}-") or file.removesuffix(".json.gz") == name
        )
        if not fitting:
            raise ProfileError(f"no profile of qemu-system-{name}")
        path = f"{DIRECTORY}/{fitting[-1]}"
        found = next((known for known in _cache.values() if known.path == path), None) or Profile(path)
        _cache[name] = found
    return found


def profile_for(program: str) -> Profile:
    """The shipped profile of a program such as ``qemu-system-x86_64``; x86_64 for a name that says nothing.

    Raises:
        ProfileError: none is shipped for that architecture.
    """
    return profile_named(arch_of(program))


def arch_of(program: str) -> str:
    """The architecture that a program's name tells: ``qemu-system-aarch64``, with or without a path."""
    name = program.rpartition("/")[2]
    return name.rpartition("-")[2] if name.removeprefix("fake").startswith("qemu-system-") else "x86_64"
