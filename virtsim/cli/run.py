"""``virtsim run``: runs scenarios, shows how they went, writes the report."""

from __future__ import annotations

import io
import os
import shutil
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from virtsim.cli.exits import Exit, Problem, cannot_write, report_bug, say

if TYPE_CHECKING:
    from virtsim.sim.load import Loaded
    from virtsim.sim.runner import Result
    from virtsim.sim.world import Options

__all__ = ["run"]

_WORDS = {"passed": "green", "failed": "red", "error": "red", "skipped": "yellow", "interrupted": "yellow"}


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option("--clock", type=click.Choice(["virtual", "real"]), default="virtual", show_default=True)
@click.option("--hypervisor", type=click.Choice(["fake", "qemu"]), default="fake", show_default=True)
@click.option(
    "--net", type=click.Choice(["memory", "real"]), default="memory", show_default=True,
    help="Sockets of the virtual clock: in memory, or the kernel's as a cross-check.",
)  # fmt: skip
@click.option(
    "--policy", metavar="NAME", help="How to wait for the monitor, instead of what the scenario says."
)
@click.option("--seed", metavar="SEED", help="Root of all chance, instead of what the scenario says.")
@click.option(
    "--jobs", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes to run in."
)
@click.option(
    "-k", "expression", metavar="EXPR", help="Only scenarios whose name fits, as in 'monitor and not slow'."
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the report.  [default: reports/latest]"
)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Copy results.json to this file.")
@click.option("--junit", "junit_file", type=click.Path(path_type=Path), help="Copy junit.xml to this file.")
def run(paths: tuple[str, ...], **chosen: Any) -> int:
    """Run scenarios: files, or folders of them.

    Prints a line for each scenario, a summary, and the path of the report. A failed expectation says what was
    expected and seen, and how to run that scenario again. Nothing is run when any file has a mistake.
    """
    options = _options(chosen)
    loaded = _load(paths, chosen["expression"])
    _prepare_host(options)
    out = _prepare_out(chosen["out"])
    results: list[Result] = []
    interrupted = False
    try:
        with _term_is_interrupt(), _progress(len(loaded)) as show:
            for result in _results(loaded, options, out, chosen["jobs"]):
                results.append(result)
                show(result)
                if result.outcome == "interrupted":
                    raise KeyboardInterrupt
    except KeyboardInterrupt:
        interrupted = True
    _summary(results, len(loaded))
    _report(out, chosen)
    if interrupted:
        click.echo("virtsim: interrupted; the report of what ran is written", err=True)
        return Exit.INTERRUPTED
    return _status(results)


# -- before


def _options(chosen: dict[str, Any]) -> Options:
    from virtsim.api import policy
    from virtsim.errors import VirtsimError
    from virtsim.sim.world import Options

    if chosen["hypervisor"] == "qemu" and chosen["clock"] == "virtual":
        raise click.UsageError("a real QEMU needs --clock real: it cannot be made to skip time")
    if chosen["net"] == "real" and chosen["clock"] == "real":
        raise click.UsageError(
            "--net goes with --clock virtual: the real clock has the kernel's sockets anyway"
        )
    if chosen["policy"] is not None:
        try:
            policy(chosen["policy"])
        except VirtsimError as error:
            raise click.UsageError(error.detail) from None
    return Options(**{name: chosen[name] for name in ("clock", "hypervisor", "net", "policy", "seed")})


def _load(paths: Iterable[str], expression: str | None) -> list[Loaded]:
    """All scenarios, or all mistakes."""
    from virtsim.sim.document import Mistake
    from virtsim.sim.load import MistakesError, find_scenarios, load_scenario
    from virtsim.sim.select import select

    mistakes: list[Mistake] = []
    loaded = []
    try:
        found = find_scenarios(list(paths))
    except MistakesError as failure:
        raise Problem(str(failure), Exit.USAGE) from None
    for path, name in found:
        try:
            loaded.append(load_scenario(path, name))
        except MistakesError as failure:
            mistakes += failure.mistakes
    if mistakes:
        raise Problem("\n".join(map(str, dict.fromkeys(mistakes))), Exit.USAGE)
    for warning in dict.fromkeys(warning for entry in loaded for warning in entry.warnings):
        click.echo(str(warning), err=True)
    if expression is None:
        return loaded
    try:
        chosen = select(expression, [f"{entry.id} {entry.scenario.name}" for entry in loaded])
    except ValueError as error:
        raise click.UsageError(f"-k {expression!r}: {error}") from None
    if not chosen:
        raise click.UsageError(f"-k {expression!r} fits none of {len(loaded)} scenarios")
    return [loaded[index] for index in chosen]


def _prepare_host(options: Options) -> None:
    """Look for what a run on this host needs, and clean up after runs that were killed."""
    from virtsim.sim.emulator import emulator_version
    from virtsim.sim.world import MissingError, clean_up, find_emulator, find_fake, try_run_directory

    try:
        if options.hypervisor == "qemu":
            emulator_version(find_emulator(options.emulator))
        elif options.clock == "real":
            find_fake()
        if options.clock == "real" or options.net == "real":
            for line in clean_up():
                click.echo(f"an earlier run was killed: {line}", err=True)
            try_run_directory()
    except MissingError as missing:
        raise Problem(f"virtsim run: {missing}", Exit.MISSING) from None


def _prepare_out(wanted: Path | None) -> Path:
    """The report's folder, empty; the default one's former content is kept beside it as ``previous``."""
    out = wanted if wanted is not None else Path("reports") / "latest"
    try:
        if wanted is None and out.is_dir():
            previous = out.with_name("previous")
            if previous.is_dir():
                shutil.rmtree(previous)
            out.rename(previous)
        elif out.is_dir() and any(out.iterdir()):
            if not _is_report(out):
                raise Problem(f"virtsim run: {out}: not empty, and not a report of ours", Exit.USAGE)
            shutil.rmtree(out)
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write("run", out, error) from None
    return out


def _is_report(folder: Path) -> bool:
    """Whether a folder holds nothing but what a run writes, also one that was killed half-way."""
    from virtsim.report import FILES

    names = {*FILES.values(), *(f".{name}.new" for name in FILES.values()), "journal.jsonl"}
    return all(path.is_dir() or path.name in names for path in folder.rglob("*"))


# -- while


def _results(loaded: list[Loaded], options: Options, out: Path, jobs: int) -> Iterator[Result]:
    """Results in the order of the scenarios, from this process or from several."""
    from virtsim.sim.jobs import run_one, run_parallel

    if jobs == 1 or len(loaded) == 1:
        for entry in loaded:
            yield run_one(entry, options, out)
    else:
        yield from run_parallel(loaded, options, out, jobs)


@contextmanager
def _term_is_interrupt() -> Iterator[None]:
    """Let SIGTERM, which a CI server sends, clean up and report as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _progress(total: int) -> Iterator[Any]:
    """A progress bar on standard error, if somebody looks at it."""
    if not sys.stderr.isatty():
        yield _show
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("scenarios", total=total)

        def show(result: Result) -> None:
            bar.stop()  # standard output may be the same terminal: no line may begin behind the bar
            _show(result)
            bar.advance(task)
            bar.start()

        yield show


def _show(result: Result) -> None:
    """One line for a scenario, and what was wrong with it."""
    colour = None if os.environ.get("NO_COLOR") else _WORDS[result.outcome]
    word = click.style(f"{result.outcome:<11}", fg=colour)
    took = f"{result.clock_ns / 1e9:.3f} s" if result.outcome != "skipped" else result.message
    say(f"{word} {result.id}  ({took})")
    if result.outcome in {"passed", "skipped"}:
        return
    if result.message:
        say(_indented(result.message))
    for check in result.failed:
        where = f"step {check.step}: " if check.step else ""
        say(f"    {where}{check.what}")
        say(f"        expected {check.expected}")
        say(f"        saw      {check.actual}")
    if result.traceback:
        report_bug(f"{result.id}: {result.message}", result.traceback)
    say(f"    {result.replay}")


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


# -- after


def _summary(results: list[Result], total: int) -> None:
    """A table of how many went how, on standard output."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE, show_footer=False)
    table.add_column("outcome")
    table.add_column("scenarios", justify="right")
    table.add_column("time on their clock", justify="right")
    for outcome in _WORDS:
        chosen = [result for result in results if result.outcome == outcome]
        if chosen:
            seconds = sum(result.clock_ns for result in chosen) / 1e9
            table.add_row(outcome, str(len(chosen)), f"{seconds:.3f} s")
    if len(results) < total:
        table.add_row("not run", str(total - len(results)), "")
    text = io.StringIO()
    Console(file=text, width=80, highlight=False, force_terminal=sys.stdout.isatty()).print(table)
    say(text.getvalue().rstrip("\n"))


def _report(out: Path, chosen: dict[str, Any]) -> None:
    from virtsim.report import ReportError, write_report

    try:
        files = write_report(out)
        for key in ("json", "junit"):
            path = chosen[f"{key}_file"]
            if path is not None:
                _copy(files[key], path)
    except ReportError as error:
        raise Problem(f"virtsim run: {error}", Exit.USAGE) from None
    except OSError as error:
        raise cannot_write("run", out, error) from None
    say(f"report: {files['html']}")


def _copy(source: Path, path: Path) -> None:
    try:
        shutil.copyfile(source, path)
    except OSError as error:
        raise cannot_write("run", path, OSError(error.errno, error.strerror, str(path))) from None


def _status(results: list[Result]) -> int:
    outcomes = {result.outcome for result in results}
    if "error" in outcomes:
        return Exit.INTERNAL
    return Exit.FAILED if "failed" in outcomes else Exit.OK
