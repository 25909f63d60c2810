"""``fakeqemu check``, ``compile`` and ``presets``: behaviour scripts as files.

Knows files and click. Must not know what a script does.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from fakeqemu.scripts.script import MAX_FILE, ScriptError

__all__ = ["check", "compile_", "compiled_presets", "presets"]

PRESETS = Path(__file__).resolve().parents[1] / "scripts" / "presets"


def _read(name: str) -> bytes:
    with Path(name).open("rb") as file:
        return file.read(MAX_FILE + 1)


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
def check(files: tuple[str, ...]) -> None:
    """Check scripts: every mistake as file:line:column."""
    from fakeqemu.scripts.check import check_text

    wrong = False
    for name in files:
        try:
            data = _read(name)
        except OSError as error:
            click.echo(f"{name}: {error.strerror}", err=True)
            wrong = True
            continue
        for line, column, message in check_text(data, str(Path(name).parent))[1]:
            click.echo(f"{name}:{line}:{column}: {message}")
            wrong = True
    if wrong:
        raise SystemExit(2)


@click.command("compile")
@click.argument("file", metavar="FILE")
@click.option("-o", "--output", metavar="FILE", help="Where to write it; standard output without it.")
def compile_(file: str, output: str | None) -> None:
    """Compile a script to plain JSON.

    A fake reads it without any package and in no time.
    """
    from fakeqemu.scripts.check import compile_text

    try:
        text = rendered(compile_text(_read(file), file))
        if output is not None:
            Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from error
    except ScriptError as error:
        click.echo(str(error))
        raise SystemExit(2) from error
    if output is None:
        click.echo(text, nl=False)


@click.command()
@click.option("--write", is_flag=True, help="Compile them again, after a change of the YAML files.")
def presets(*, write: bool) -> None:
    """List the characters that a script can have.

    It begins with one by `preset: NAME`; FAKEQEMU_PRESET=NAME does so without a script.
    """
    for name, text in compiled_presets().items():
        if write:
            (PRESETS / f"{name}.json").write_text(text, encoding="utf-8")
        lines = (PRESETS / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
        click.echo(f"{name}\t{lines[0].lstrip('# ')}")


def compiled_presets() -> dict[str, str]:
    """The compiled form of every shipped character, as its JSON file should be."""
    from fakeqemu.scripts.check import compile_text

    found: dict[str, str] = {}
    for path in sorted(PRESETS.glob("*.yaml")):
        compiled = compile_text(path.read_bytes(), str(path))
        for rule in (*compiled["timed"], *compiled["on"]):
            rule["name"] = f"{path.stem} {rule['name']}"
        names = compiled["start"].get("rules", {})
        for word in names:
            names[word] = f"{path.stem} {names[word]}"
        found[path.stem] = rendered(compiled)
    return found


def rendered(compiled: dict[str, object]) -> str:
    """The text of a compiled script: a line for each rule."""
    parts = [f'"{key}": {json.dumps(compiled[key])}' for key in ("version", "start")]
    for key in ("timed", "on"):
        rules = compiled[key]
        lines = [f"  {json.dumps(rule)}" for rule in rules] if isinstance(rules, list) else []
        parts.append(f'"{key}": [\n' + ",\n".join(lines) + "\n]" if lines else f'"{key}": []')
    return "{" + ",\n".join(parts) + "}\n"
