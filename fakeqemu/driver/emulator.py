"""The fake as ``<emulator>`` of a manager: no environment reaches it there, so it looks beside itself.

Knows where a wrapper (`fakeqemu.tools.install`) finds its behaviour. Must not know what a script says. On the
start-up path.

For a guest named ``web`` under a wrapper ``DIR/qemu-system-x86_64``, the first of these that there is:

1. the environment's ``FAKEQEMU_SCRIPT`` (libvirt: ``<qemu:env>``);
2. ``DIR/web.fakeqemu.yaml``, then ``DIR/web.fakeqemu.json``;
3. ``DIR/qemu-system-x86_64.fakeqemu.yaml``, then ``.json``; capability probes, which have no guest name,
   begin here;
4. what ``DIR/emulator.conf`` says.

``DIR/emulator.conf`` holds lines ``NAME=value`` for ``FAKEQEMU_SCRIPT``, ``FAKEQEMU_SEED``,
``FAKEQEMU_PRESET`` and ``FAKEQEMU_CTL``, each for where the environment does not have it.
"""

from __future__ import annotations

import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

__all__ = ["configure", "guest_name"]

CONFIG = "emulator.conf"
_KEYS = ("FAKEQEMU_CTL", "FAKEQEMU_PRESET", "FAKEQEMU_SCRIPT", "FAKEQEMU_SEED")
#: A longer configuration file is cut off here.
_MAX_CONFIG = 1 << 16


def configure(argv: Sequence[str], environment: MutableMapping[bytes, bytes]) -> None:
    """Put what lies beside the wrapper into the environment of this process.

    Args:
        argv: the command line, the wrapper's own path first.
        environment: as `posix.environ`.
    """
    directory, _, program = argv[0].rpartition("/")
    directory = directory or "."
    if b"FAKEQEMU_SCRIPT" not in environment:
        script = _script(directory, guest_name(argv), program)
        if script is not None:
            environment[b"FAKEQEMU_SCRIPT"] = script.encode("utf-8", "surrogateescape")
    for name, value in _settings(f"{directory}/{CONFIG}"):
        if name == "FAKEQEMU_SCRIPT" and not value.startswith("/"):
            value = f"{directory}/{value}"  # noqa: PLW2901 - the same value, in full
        environment.setdefault(name.encode(), value.encode("utf-8", "surrogateescape"))


def guest_name(argv: Sequence[str]) -> str | None:
    """The guest's name on a command line (``-name web`` or ``-name guest=web,...``), or None."""
    for number, word in enumerate(argv[1:-1], 2):
        if word in {"-name", "--name"}:
            first = argv[number].replace(",,", "\0").partition(",")[0].replace("\0", ",")
            return first.removeprefix("guest=")
    return None


def _script(directory: str, guest: str | None, program: str) -> str | None:
    for name in (guest, program):
        if not name or "/" in name:
            continue
        for kind in ("yaml", "json"):
            path = f"{directory}/{name}.fakeqemu.{kind}"
            try:
                posix.stat(path)
            except OSError:
                continue
            return path
    return None


def _settings(path: str) -> list[tuple[str, str]]:
    """What a configuration file says; what it says wrongly is told on standard error, and passed over."""
    try:
        fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return []
    try:
        text = posix.read(fd, _MAX_CONFIG).decode("utf-8", "surrogateescape")
    except OSError:
        return []
    finally:
        posix.close(fd)
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        name, equals, value = line.partition("=")
        if equals and name.strip() in _KEYS:
            found.append((name.strip(), value.strip()))
        elif line.strip() and not line.lstrip().startswith("#"):
            complaint = f"fakeqemu: {path}:{number}: no NAME=value with one of {', '.join(_KEYS)}\n"
            posix.write(2, complaint.encode("utf-8", "surrogateescape"))
    return found
