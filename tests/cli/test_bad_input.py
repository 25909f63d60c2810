# ruff: noqa: E501  (a table of documents and what is said of them)
"""Whatever is put in front of it: a clear error, the right exit status, no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.commands import Virtsim

SCENARIO = "name: x\ndomains: {web: {xml: x.xml}}\nsteps: [start: web]\n"
LAUGHS = (
    '<!DOCTYPE domain [<!ENTITY a "haha">'
    + "".join(
        f'<!ENTITY {new} "{f"&{old};" * 10}">' for old, new in zip("abcdefghi", "bcdefghij", strict=True)
    )
    + "]><domain type='qemu'><name>&j;</name></domain>"
)
EXTERNAL = (
    '<!DOCTYPE domain [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    "<domain type='qemu'><name>&x;</name><memory>1024</memory></domain>"
)


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(SCENARIO, encoding="utf-8")


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("gone.yaml", None, "gone.yaml:1:1: "),
        ("broken.yaml", "name: [x\nsteps: {", "broken.yaml:"),
        ("empty.yaml", "", "empty.yaml:1:1: the document is empty"),
        ("keys.yaml", "nama: x\ndomains: {w: {}}\nsteps: [start: w]\n", "keys.yaml:1:1: unknown key 'nama'; did you mean 'name'?"),
        ("units.yaml", "name: x\ndomains: {w: {memory: 3 bananas}}\nsteps: [start: w]\n", "units.yaml:2:23: unknown unit 'bananas'"),
        ("less.yaml", "name: x\ndomains: {w: {memory: -4GiB}}\nsteps: [start: w]\n", "less.yaml:2:23: a size cannot be negative"),
        ("deep.yaml", "[" * 4000, "deep.yaml:1:33: nested deeper"),
        ("big.yaml", "#" * (2 << 20), "big.yaml:1:1: is larger than 1048576 bytes"),
        ("noxml.yaml", SCENARIO.replace("x.xml", "gone.xml"), "noxml.yaml:2:22: no file 'gone.xml'"),
    ],
)  # fmt: skip
def test_a_bad_scenario_exits_with_2(
    virtsim: Virtsim, command: str, name: str, text: str | None, expected: str
) -> None:
    if text is not None:
        Path(name).write_text(text, encoding="utf-8")

    done = virtsim(command, name)

    assert done.status == 2
    assert expected in done.err


@pytest.mark.parametrize(
    ("xml", "line"),
    [
        (LAUGHS, "x.xml:1:"),
        (EXTERNAL, "x.xml:1:"),
        ("<domain", "x.xml:1:"),
        ("", "x.xml:1:"),
        ("<network/>", "x.xml:1:"),
        ("<domain type='qemu'>\n<name>x</name>\n<memory unit='bananas'>5</memory></domain>", "x.xml:3:"),
        ("<domain type='qemu'>\n<name>x</name>\n<memory>-5</memory></domain>", "x.xml:3:"),
        ("<a>" * 5000, "x.xml:1:"),
        ("<domain>\0</domain>", "x.xml:1:"),
    ],
    ids=["laughs", "external", "cut", "empty", "network", "unit", "negative", "deep", "nul"],
)
@pytest.mark.parametrize(
    "words", [["run", "s.yaml"], ["check", "s.yaml"], ["check", "x.xml"], ["argv", "x.xml"]]
)
def test_a_bad_document_exits_with_2_and_its_own_line(
    virtsim: Virtsim, words: list[str], xml: str, line: str
) -> None:
    Path("x.xml").write_text(xml, encoding="utf-8")

    done = virtsim(*words)

    assert done.status == 2
    assert done.err.startswith(line)
    assert "root:" not in done.err + done.out


@pytest.mark.parametrize("words", [["run", "s.yaml"], ["check", "x.xml"], ["argv", "x.xml"]])
def test_a_document_of_100_mib_is_not_even_read(virtsim: Virtsim, words: list[str]) -> None:
    with Path("x.xml").open("wb") as sparse:
        sparse.truncate(100 << 20)

    done = virtsim(*words)

    assert done.status == 2
    assert done.err == "x.xml:1:1: is larger than 16777216 bytes\n"


def test_a_folder_is_not_a_document(virtsim: Virtsim) -> None:
    Path("d.xml").mkdir()

    assert virtsim("argv", "d.xml").err == "d.xml:1:1: this is a directory\n"


NEVER = {
    "deadlock": (
        "policy: fdpass\nfake: {web: [{at: start, greeting: {never: true}}]}\n",
        "start: web",
        "deadlock at ",
    ),
    "end of time": ("end: 100s\n", "wait: 200s", "end of time: the run may last until 100"),
    "live-lock": ("", "call: user.py:spin", "live-lock at "),
}


@pytest.mark.parametrize("why", NEVER)
def test_a_scenario_that_never_ends_is_ended_and_says_where_it_hangs(virtsim: Virtsim, why: str) -> None:
    head, step, expected = NEVER[why]
    Path("user.py").write_text(
        "import asyncio\nasync def spin(stage):\n    while True:\n        await asyncio.sleep(0)\n",
        encoding="utf-8",
    )
    Path("never.yaml").write_text(
        f"name: x\n{head}domains: {{web: {{}}}}\nsteps: [{step}]\n", encoding="utf-8"
    )

    done = virtsim("run", "never.yaml")

    assert done.status == 1
    assert f"the scenario cannot go on: {expected}" in done.out
    assert "the scenario: " in done.out
    assert done.err == ""
