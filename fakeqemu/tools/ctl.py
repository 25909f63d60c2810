"""``fakeqemu ctl``: speak to the control socket of a running fake.

Knows the protocol's lines and click. Must not know what the verbs do: the fake says that itself.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import click

__all__ = ["Client", "CtlError", "ctl"]

#: Longest line that is believed.
LONGEST = 64 << 20


class CtlError(Exception):
    """The fake cannot be reached, or says no."""


class Client:
    """One connection to a control socket.

    Args:
        path: the socket.
        timeout: seconds to wait for a line.
    """

    def __init__(self, path: str, timeout: float = 60.0) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        self._rest = b""
        try:
            self._socket.connect(path)
            self.hello = self._line()
        except (OSError, CtlError) as error:
            self._socket.close()
            raise CtlError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
        if "fakeqemu" not in self.hello:
            self._socket.close()
            what = " (it is a QMP monitor)" if "QMP" in self.hello else ""
            raise CtlError(f"{path}: no control socket of a fake{what}")

    def ask(self, do: str, **members: Any) -> Any:
        """Ask for something; the value of the reply.

        Raises:
            CtlError: the fake says no, or has gone.
        """
        try:
            self._socket.sendall(json.dumps({"do": do, **members}).encode() + b"\n")
            answer = self._line()
        except OSError as error:
            raise CtlError(str(error.strerror or error)) from error
        if "error" in answer:
            raise CtlError(str(answer["error"]))
        return answer.get("return")

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _line(self) -> dict[str, Any]:
        while b"\n" not in self._rest:
            data = self._socket.recv(1 << 16)
            if not data:
                raise CtlError("the fake has gone")
            self._rest += data
            if len(self._rest) > LONGEST:
                raise CtlError(f"a line is longer than {LONGEST}")
        line, _, self._rest = self._rest.partition(b"\n")
        try:
            answer = json.loads(line)
        except ValueError as error:
            raise CtlError(f"no control socket: {error}") from error
        if not isinstance(answer, dict):
            raise CtlError("no control socket: no object")
        return answer


def _value(text: str) -> Any:
    """A value as YAML or JSON, from the command line."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise click.BadParameter(f"neither YAML nor JSON: {text!r}") from error


def _mapping(text: str) -> dict[str, Any]:
    """``a.b=value`` or a mapping in YAML or JSON."""
    name, equals, value = text.partition("=")
    if equals and name.replace(".", "").replace("_", "").replace("-", "").isalnum():
        found: Any = _value(value)
        for part in reversed(name.split(".")):
            found = {part: found}
        return dict(found)
    found = _value(text)
    if not isinstance(found, dict):
        raise click.BadParameter(f"no mapping: {text!r}")
    return found


def _deep(into: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    for key, value in more.items():
        old = into.get(key)
        into[key] = _deep(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return into


def _words(texts: tuple[str, ...]) -> dict[str, Any]:
    words: dict[str, Any] = {}
    for text in texts:
        _deep(words, _mapping(text))
    return words


@click.group()
@click.argument("socket_path", metavar="SOCKET")
@click.option(
    "--timeout", default=60.0, show_default=True, help="Seconds to wait for an answer; `wait` has its own."
)
@click.pass_context
def ctl(context: click.Context, socket_path: str, timeout: float) -> None:
    """Change a running fake, and ask what it was asked.

    SOCKET is the path that the script's `ctl:` or FAKEQEMU_CTL names. The answer is printed as JSON.
    Words are given as NAME=VALUE (guest.powerdown=ignore) or as a mapping in YAML.
    """
    context.obj = (socket_path, timeout)


def _ask(context: click.Context, do: str, **members: Any) -> Any:
    path, timeout = context.obj
    given = {name: value for name, value in members.items() if value is not None and value is not False}
    try:
        with Client(path, timeout) as client:
            return client.ask(do, **given)
    except CtlError as error:
        raise click.ClickException(str(error)) from error


def _say(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


@ctl.command()
@click.pass_context
def hello(context: click.Context) -> None:
    """Who is there, and what can be asked."""
    _say(_ask(context, "hello"))


@ctl.command()
@click.pass_context
def state(context: click.Context) -> None:
    """Run state, clients, words and counters."""
    _say(_ask(context, "state"))


@ctl.command("set")
@click.argument("words", nargs=-1, required=True)
@click.pass_context
def set_(context: click.Context, words: tuple[str, ...]) -> None:
    """Change words of `at: start` while it runs.

    For example guest.powerdown=ignore, or jobs.rate=1MiB/s.
    """
    _say(_ask(context, "set", words=_words(words)))


@ctl.command()
@click.argument("event")
@click.argument("data", required=False)
@click.option("--after", metavar="DURATION", help="Not now, but after this time.")
@click.pass_context
def emit(context: click.Context, event: str, data: str | None, after: str | None) -> None:
    """Send an event, with DATA as a mapping in YAML or JSON."""
    _say(_ask(context, "emit", event=event, data=_mapping(data) if data is not None else None, after=after))


@ctl.command()
@click.argument("words", nargs=-1, required=True)
@click.pass_context
def do(context: click.Context, words: tuple[str, ...]) -> None:
    """Do now what a rule may do at a time.

    For example stall=5s, guest=panic, close=true.
    """
    _say(_ask(context, "do", words=_words(words)))


@ctl.command()
@click.pass_context
def unstall(context: click.Context) -> None:
    """Let a main loop go on that hangs."""
    _say(_ask(context, "unstall"))


def _listing(name: str, about: str) -> None:
    @ctl.command(name, help=about)
    @click.option("--match", help="Only names that fit; * and ? as in file names.")
    @click.option("--since", type=int, help="Only those with a higher number.")
    @click.option("--limit", type=int, help="So many at most.")
    @click.option("--clear", is_flag=True, help="Forget them.")
    @click.pass_context
    def listing(
        context: click.Context, match: str | None, since: int | None, limit: int | None, *, clear: bool
    ) -> None:
        _say(_ask(context, name, match=match, since=since, limit=limit, clear=clear))


_listing("calls", "The commands that came, and what became of them.")
_listing("events", "The events that left.")


@ctl.command()
@click.option("--add", metavar="FILE", help="A script whose rules `on:` a step go before all others.")
@click.option("--remove", metavar="NAME", help="Remove the rules whose name fits.")
@click.pass_context
def rules(context: click.Context, add: str | None, remove: str | None) -> None:
    """List the rules and how often they were met; add and remove some."""
    found: Any = None
    if add is not None:
        from fakeqemu.scripts.check import check_text

        try:
            loaded, mistakes = check_text(Path(add).read_bytes(), str(Path(add).parent))
        except OSError as error:
            raise click.ClickException(f"{add}: {error.strerror}") from error
        for line, column, message in mistakes:
            click.echo(f"{add}:{line}:{column}: {message}")
        if mistakes:
            raise SystemExit(2)
        found = loaded
    _say(_ask(context, "rules", add=found, remove=remove))


@ctl.command()
@click.argument("kind", type=click.Choice(["command", "event", "runstate"]))
@click.argument("match", required=False)
@click.option("--since", type=int, help="What came since this number counts already.")
@click.option("--within", "within", default="10s", show_default=True, help="Give up after this time.")
@click.pass_context
def wait(context: click.Context, kind: str, match: str | None, since: int | None, within: str) -> None:
    """Wait for a command, an event or a run state."""
    from fakeqemu.scripts.units import parse_duration_ns

    try:
        seconds = parse_duration_ns(within) / 1e9
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--within") from error
    path, timeout = context.obj
    context.obj = (path, max(timeout, seconds + 5))
    _say(_ask(context, "wait", **{"for": kind}, match=match, since=since, timeout=within))


@ctl.command()
@click.option("-o", "--output", metavar="FILE", help="Where to write it; standard output without it.")
@click.pass_context
def save(context: click.Context, output: str | None) -> None:
    """Save the state of the machine."""
    found = _ask(context, "save")["state"]
    if output is None:
        _say(found)
    else:
        Path(output).write_text(json.dumps(found) + "\n", encoding="utf-8")


@ctl.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_context
def load(context: click.Context, file: Path) -> None:
    """Take over a state that was saved."""
    try:
        found = json.loads(file.read_bytes())
    except ValueError as error:
        raise click.ClickException(f"{file}: not JSON: {error}") from error
    _say(_ask(context, "load", state=found))


@ctl.command()
@click.option("--signal", "signum", metavar="NAME", help="The signal; SIGSEGV without it.")
@click.option("--stderr", help="Last words.")
@click.pass_context
def crash(context: click.Context, signum: str | None, stderr: str | None) -> None:
    """Die by a signal."""
    _say(_ask(context, "crash", signal=signum, stderr=stderr))


@ctl.command("exit")
@click.option("--code", type=int, help="The exit status; 1 without it.")
@click.option("--stderr", help="Last words.")
@click.pass_context
def exit_(context: click.Context, code: int | None, stderr: str | None) -> None:
    """Leave with a status."""
    _say(_ask(context, "exit", code=code, stderr=stderr))
