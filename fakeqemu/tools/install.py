"""``fakeqemu install-emulator``: wrappers that a manager under another user can run as its QEMU.

Knows interpreters, permissions and shebang lines. Must not know what the emulator does.
"""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = ["ARCHITECTURES", "InstallError", "install", "interpreter"]

#: Architectures for which a wrapper is written unless told otherwise.
ARCHITECTURES = ("x86_64", "i386", "aarch64", "ppc64", "s390x", "riscv64")
#: Oldest interpreter that runs the fake.
OLDEST = (3, 11)
#: Longest first line that every Linux honours (BINPRM_BUF_SIZE was 128 before Linux 5.1).
MAX_SHEBANG = 127
PACKAGE = Path(__file__).resolve().parents[1]
#: What the fake needs to read a script of rules that is not compiled.
_READER = "ruamel.yaml"

_WRAPPER = """\
#!{shebang}
# A QEMU that is not there, for a manager: written by "fakeqemu install-emulator".
# Its behaviour stands beside it: GUEST.fakeqemu.yaml, {program}.fakeqemu.yaml (or .json), emulator.conf;
# or in the environment's FAKEQEMU_SCRIPT.
import sys

sys.path.insert(0, {parent!r})
sys.path += {extra!r}
import posix

from fakeqemu.driver.emulator import configure

configure(sys.argv, posix.environ)
from fakeqemu.driver.process import main

main(sys.argv)
"""


class InstallError(Exception):
    """The wrappers cannot be written, or nobody could use them; the text says why."""


def install(
    directory: Path,
    *,
    architectures: Sequence[str] = ARCHITECTURES,
    python: str | None = None,
    copy: bool | None = None,
    script: Path | None = None,
) -> list[Path]:
    """Write a wrapper for each architecture, and what it needs, into a directory.

    Args:
        directory: where; made when it is missing.
        architectures: for which; a wrapper is called ``qemu-system-ARCHITECTURE``.
        python: the interpreter; None for one that every user can run.
        copy: put a copy of the package into the directory; None for when not every user can read this one.
        script: the behaviour of every wrapper; it is compiled, so no package is needed to read it.

    Returns:
        The wrappers.

    Raises:
        InstallError: no interpreter fits, or the script has mistakes.
        OSError: the directory cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    directory = directory.resolve()
    chosen = python if python is not None else interpreter()
    if _version(chosen) is None:
        raise InstallError(f"{chosen}: no Python {OLDEST[0]}.{OLDEST[1]} or newer")
    parent = PACKAGE.parent
    if copy or (copy is None and not public(PACKAGE)):
        parent = directory / "lib"
        _copy(parent / "fakeqemu")
    # Compiled now: the user of the wrapper may not be able to write beside the sources.
    subprocess.run(  # noqa: S603 - the interpreter that was asked for
        [chosen, "-I", "-m", "compileall", "-q", str(parent / "fakeqemu")], check=False
    )
    compiled = None if script is None else _compiled(script)
    wrappers = []
    for architecture in architectures:
        program = f"qemu-system-{architecture}"
        wrapper = directory / program
        _write(wrapper, _text(program, chosen, parent), 0o755)
        if compiled is not None:
            _write(directory / f"{program}.fakeqemu.json", compiled, 0o644)
        wrappers.append(wrapper)
    return wrappers


def _text(program: str, python: str, parent: Path) -> str:
    shebang = f"{python} -IS"
    if len(shebang) + 2 > MAX_SHEBANG or " " in python:
        # The first line is a shell's then; Python reads it as a string without use.
        shebang = f"/bin/sh\n''''exec {shlex.quote(python)} -I -S \"$0\" \"$@\" #'''"
    return _WRAPPER.format(shebang=shebang, program=program, parent=str(parent), extra=_reader())


def interpreter() -> str:
    """An interpreter that every user can run: this one, else one of the system's.

    Raises:
        InstallError: there is none.
    """
    here = os.path.realpath(sys.executable)
    names = [f"python3.{minor}" for minor in (13, 12, 11)] + ["python3"]
    system = [str(Path(folder) / name) for name in names for folder in ("/usr/bin", "/usr/local/bin")]
    for candidate in (here, *system):
        if os.access(candidate, os.X_OK) and public(Path(candidate)) and _version(candidate) is not None:
            return candidate
    raise InstallError(
        f"{here} cannot be run by every user, and no other Python {OLDEST[0]}.{OLDEST[1]} or newer was found;"
        " name one with --python"
    )


def _version(python: str) -> tuple[int, ...] | None:
    """The interpreter's version; None when it is too old, or none, or every user cannot read its library."""
    asks = "import os, sys; print(*sys.version_info[:2], os.path.dirname(os.__file__))"
    try:
        done = subprocess.run(  # noqa: S603 - an interpreter
            [python, "-I", "-S", "-c", asks], capture_output=True, text=True, check=True
        )
        major, minor, library = done.stdout.split(maxsplit=2)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None
    version = int(major), int(minor)
    return version if version >= OLDEST and library else None


def public(path: Path) -> bool:
    """Whether every user can read a path, through all its directories."""
    real = path.resolve()
    try:
        if not real.stat().st_mode & stat.S_IROTH:
            return False
        return all(folder.stat().st_mode & stat.S_IXOTH for folder in real.parents)
    except OSError:
        return False


def _reader() -> list[str]:
    """Where the package is that reads scripts of rules; empty when the wrapper's user could not read it."""
    from importlib.util import find_spec

    try:
        found = find_spec(_READER)
    except ModuleNotFoundError:
        found = None
    places: Iterable[str] = (found.submodule_search_locations or ()) if found is not None else ()
    folders = [Path(place).parents[1] for place in places]
    return [str(folder) for folder in folders if public(folder)]


def _copy(target: Path) -> None:
    """Copy the package, without what only its tools need."""
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(PACKAGE, target, ignore=shutil.ignore_patterns("__pycache__", "tools", "toolbox.py"))
    for path in (target.parent, target, *target.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _compiled(script: Path) -> str:
    import json

    from fakeqemu.scripts.check import compile_text
    from fakeqemu.scripts.script import ScriptError

    try:
        return json.dumps(compile_text(script.read_bytes(), str(script)))
    except ScriptError as error:
        raise InstallError(str(error)) from error


def _write(path: Path, text: str, mode: int) -> None:
    """Replace a file, which may be running."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.chmod(mode)
    fresh.replace(path)
