"""Facts of a real QEMU, as recorded by `fakeqemu.record`: loaded when and as far as they are asked for.

Knows the profile file. Must not know the machine. A profile is gzip'ed JSON with one member a line, in this
order: ``provenance``, ``facts`` (small), ``arguments`` (what commands accept), then one recorded reply a
line, named by its command and arguments; a name with ``!`` before it holds a recorded refusal. The loader
uses the lines: nothing but the wanted members is parsed, and a recorded reply is sent as the text it was.
"""

from __future__ import annotations

import zlib

from fakeqemu.qjson import Raw, encode, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["DIRECTORY", "Profile", "ProfileError", "key_of", "profile_for"]

DIRECTORY = __file__.rpartition("/")[0] + "/profiles"
_CHUNK = 1 << 15
_cache: dict[str, Profile] = {}


class ProfileError(Exception):
    """A profile that cannot be read."""


def key_of(command: str, arguments: dict[str, Any]) -> str:
    """The member under which a reply is recorded: the command, and its arguments."""
    return f"{command} {encode(arguments)}" if arguments else command


class Profile:
    """One recorded QEMU; shared by every machine of the program.

    Args:
        path: the file.
    """

    __slots__ = ("_arguments", "_facts", "_lines", "_names", "_properties", "_rest", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self._facts: dict[str, Any] | None = None
        self._arguments: dict[str, Any] | None = None
        self._names: dict[str, frozenset[str]] = {}
        self._lines: dict[str, str] = {}
        self._properties: dict[str, tuple[dict[str, str], dict[str, Any]]] = {}
        self._rest: tuple[Any, bytes, bytes] | None = None
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - pathlib is too slow for the start-up path
                self._rest = (zlib.decompressobj(31), file.read(), b"")
        except OSError as error:
            raise ProfileError(f"{path}: {error.strerror}") from error

    def _line(self, key: str) -> str | None:
        """The text of a member; reads on in the file until it has been met."""
        while key not in self._lines and self._rest is not None:
            stream, packed, partial = self._rest
            try:
                data = partial + stream.decompress(packed, _CHUNK)
            except zlib.error as error:
                raise ProfileError(f"{self.path}: {error}") from error
            *lines, partial = data.split(b"\n")
            for line in lines:
                name, colon, value = line.decode("ascii").partition("\t")
                if colon:
                    self._lines[parse(name.rstrip(": "))] = value.removesuffix(",")
            packed = stream.unconsumed_tail
            self._rest = None if stream.eof or not packed else (stream, packed, partial)
        return self._lines.get(key)

    @property
    def facts(self) -> dict[str, Any]:
        """Version, greeting, target, and what else is small and often asked for."""
        if self._facts is None:
            self._facts = parse(self._line("facts") or "{}")
        return self._facts

    @property
    def provenance(self) -> dict[str, Any]:
        """Where the facts come from: program, version, package."""
        found: dict[str, Any] = parse(self._line("provenance") or "{}")
        return found

    @property
    def greeting(self) -> str:
        """The line with which a monitor opens the conversation."""
        text: str = self.facts["greeting"]
        return text

    @property
    def arguments(self) -> dict[str, Any]:
        """What commands accept: ``commands`` (name -> type), ``types``, ``oob`` (may be out of band)."""
        if self._arguments is None:
            self._arguments = parse(self._line("arguments") or "{}")
        return self._arguments

    @property
    def commands(self) -> dict[str, str]:
        """Every command of this QEMU, with the name of its arguments' type."""
        found: dict[str, str] = self.arguments["commands"]
        return found

    @property
    def oob_commands(self) -> list[str]:
        """Commands that may be sent out of band."""
        found: list[str] = self.arguments["oob"]
        return found

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


def profile_for(program: str) -> Profile:
    """The shipped profile of a program such as ``qemu-system-x86_64``; x86_64 for a name that says nothing.

    Raises:
        ProfileError: none is shipped for that architecture.
    """
    name = program.rpartition("-")[2] if program.startswith("qemu-system-") else "x86_64"
    found = _cache.get(name)
    if found is None:
        from posix import listdir

        fitting = sorted(file for file in listdir(DIRECTORY) if file.startswith(f"{name}-"))
        if not fitting:
            raise ProfileError(f"no profile of {program}")
        found = _cache[name] = Profile(f"{DIRECTORY}/{fitting[-1]}")
    return found
