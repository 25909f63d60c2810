# ruff: noqa: E501  (a table of documents and what is said of them)
"""Every mistake in a scenario at once, each at its place, with the nearest word."""

from __future__ import annotations

from pathlib import Path

import pytest

from virtsim.sim.load import MistakesError, find_scenarios, load_scenario

HEAD = "name: a scenario\ndomains:\n  web: {}\n"
RIGHT = HEAD + "steps:\n  - start: web\n"


def write(folder: Path, text: str, name: str = "s.yaml") -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return name


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def mistakes_of(folder: Path, text: str) -> list[str]:
    with pytest.raises(MistakesError) as caught:
        load_scenario(write(folder, text))
    return [str(mistake) for mistake in caught.value.mistakes]


def test_a_right_scenario_is_loaded(tmp_path: Path) -> None:
    loaded = load_scenario(write(tmp_path, RIGHT))

    assert loaded.id == "s"
    assert list(loaded.cast.members) == ["web"]
    assert loaded.cast.members["web"].memory_kib == 512 * 1024
    assert loaded.lines["steps", 0] == 5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("abowt: x\n" + RIGHT, "s.yaml:1:1: unknown key 'abowt'; did you mean 'about'?"),
        (
            "policy: {name: fdpass, limit: 3s}\n" + RIGHT,
            "s.yaml:1:9: monitor policy 'fdpass' waits without a limit and cannot be given one",
        ),
        ("policy: {name: poll200, limit: 1000h}\n" + RIGHT, "s.yaml:1:9: the limit of a monitor policy is 0 to 2592000000 ms: 3600000000"),
        ("policy: fdpas\n" + RIGHT, "s.yaml:1:9: unknown policy 'fdpas'; did you mean 'fdpass'?"),
        ("end: 5\n" + RIGHT, "s.yaml:1:6: a duration needs a unit, as in 105s, 1500ms or 1h30m; did you mean 5s or 5ms?"),
        ("end: 5 parsecs\n" + RIGHT, "s.yaml:1:6: not a duration: '5 parsecs'; write 105s, 1500ms or 1h30m"),
        ("clocks: [virtuel]\n" + RIGHT, "s.yaml:1:10: 'virtuel' is not possible here; did you mean 'virtual'?"),
        ("clocks: virtual\n" + RIGHT, "s.yaml:1:9: expected a list"),
        ("name: x\ndomains:\n  web: {memory: -402GiB}\nsteps: [start: web]\n", "s.yaml:3:17: a size cannot be negative: '-402GiB'"),
        ("name: x\ndomains:\n  web: {memory: 402}\nsteps: [start: web]\n", "s.yaml:3:17: a size needs a unit, as in 512MiB or 402GiB"),
        ("name: x\ndomains:\n  web: {memory: 1XB}\nsteps: [start: web]\n", "s.yaml:3:17: unknown unit 'XB' in '1XB': use B, KiB, MiB, GiB, TiB, PiB, kB, MB, GB, TB, PB"),
        ("name: x\ndomains:\n  web: {nics: -1}\nsteps: [start: web]\n", "s.yaml:3:15: must be at least 0"),
        ("name: x\ndomains:\n  w b: {}\nsteps: [start: w b]\n", "s.yaml:3:3: 'w b' cannot be a name: letters, digits and _ . + - only, at most 64"),
        ("name: x\ndomains:\n  w: {count: 2}\n  w-1: {}\nsteps: [start: w]\n", "s.yaml:4:3: 'w-1' is already the name of another domain"),
        ("name: x\ndomains: {}\nsteps: [wait: 1s]\n", "s.yaml:2:10: must not be empty"),
        ("name: x\ndomains: {w: {}}\nsteps: 5\n", "s.yaml:3:8: expected a list"),
        ("name: x\ndomains: {w: {}}\n", "s.yaml:1:1: 'steps' is missing"),
        ("[1]", "s.yaml:1:1: a scenario is a mapping: name, domains, steps, ..."),
        (HEAD + "steps:\n  - start: wbe\n", "s.yaml:5:12: no domain 'wbe'; did you mean 'web'?"),
        (HEAD + "steps:\n  - stert: web\n", "s.yaml:5:5: unknown key 'stert'; did you mean 'start'?"),
        (HEAD + "steps:\n  - {start: web, destroy: web}\n", "s.yaml:5:5: a step has exactly one verb; this one has start and destroy"),
        (HEAD + "steps:\n  - {at: 5s}\n", "s.yaml:5:5: a step has exactly one verb; this one has none"),
        (HEAD + "steps:\n  - {destroy: web, paused: true}\n", "s.yaml:5:5: 'paused' goes with start and create_xml, not with 'destroy'"),
        (HEAD + "steps:\n  - {start: web, expect: {returns: 5}}\n", "s.yaml:5:5: 'returns' goes with 'call'"),
        (HEAD + "steps:\n  - join: bg\n", "s.yaml:5:11: no background step 'bg'"),
        (HEAD + "steps:\n  - {start: web, as: x}\n  - {stat: web, as: x}\n", "s.yaml:6:21: the label 'x' is taken"),
        (HEAD + "steps:\n  - parallel: [{start: nobody}]\n", "s.yaml:5:24: no domain 'nobody'; known: web"),
        (HEAD + "steps:\n  - wait_for: {domain: wbe, state: runnix}\n", "s.yaml:5:36: unknown state 'runnix'; did you mean 'RUNNING'?"),
        (HEAD + "steps:\n  - kill: {domain: web, signal: SIGTREM}\n", "s.yaml:5:33: unknown signal 'SIGTREM'; did you mean 'SIGTERM'?"),
        (HEAD + "steps:\n  - kill: wbe\n", "s.yaml:5:11: no domain 'wbe'; did you mean 'web'?"),
        (HEAD + "steps:\n  - call: nothere.py:f\n", "s.yaml:5:11: no file 'nothere.py' beside the scenario"),
        (HEAD + "steps:\n  - call: os.system\n", "s.yaml:5:11: code is written file.py:function"),
        (HEAD + "steps:\n  - {start: web, expect: {reason: bootd}}\n", "s.yaml:5:26: unknown reason 'bootd'; did you mean 'BOOTED'?"),
        (HEAD + "steps:\n  - {start: web, expect: {error: {code: VIR_ERR_SYSTEM}}}\n", "s.yaml:5:41: unknown error code 'VIR_ERR_SYSTEM'; did you mean 'VIR_ERR_SYSTEM_ERROR'?"),
        (HEAD + "steps:\n  - {start: web, expect: {error: {matches: '('}}}\n", "s.yaml:5:44: not a regular expression: missing ), unterminated subpattern at position 0"),
        (HEAD + "steps:\n  - {start: web, expect: {attempts: many}}\n", "s.yaml:5:37: expected how many attempts, or the list of their times: [1ms, 3ms, 7ms]"),
        (HEAD + "steps:\n  - {start: web, expect: {events: [[web, RESUMD, UNPAUSED]]}}\n", "s.yaml:5:36: unknown event 'RESUMD'; did you mean 'RESUMED'?"),
        (HEAD + "steps:\n  - {start: web, expect: {events: [[web, RESUMED]]}}\n", "s.yaml:5:36: RESUMED has a detail; known: FROM_SNAPSHOT, MIGRATED, POSTCOPY, POSTCOPY_FAILED, UNPAUSED"),
        (HEAD + "steps:\n  - {start: web, expect: {events: [[wbe, REBOOT]]}}\n", "s.yaml:5:36: no domain 'wbe'; did you mean 'web'?"),
        (RIGHT + "expect: {states: {wbe: runnixg}}\n", "s.yaml:6:19: no domain 'wbe'; did you mean 'web'?"),
        (RIGHT + "expect: {leftovers: some}\n", "s.yaml:6:21: 'some' is not possible here; known: none"),
        (RIGHT + "expect: {event_counts: {STARTED/BOTED: 1}}\n", "s.yaml:6:24: unknown detail 'BOTED' of STARTED; did you mean 'BOOTED'?"),
        (RIGHT + "fake: {wbe: []}\n", "s.yaml:6:8: no domain 'wbe'; did you mean 'web'?"),
        (RIGHT + "fake:\n  web:\n    - {on: command, do: {dealy: 1s}}\n", "s.yaml:8:26: unknown word 'dealy', did you mean 'delay'?"),
    ],
)  # fmt: skip
def test_a_mistake_has_its_place_and_the_nearest_word(tmp_path: Path, text: str, expected: str) -> None:
    assert any(found.startswith(expected) for found in mistakes_of(tmp_path, text)), mistakes_of(
        tmp_path, text
    )


def test_all_mistakes_are_said_at_once(tmp_path: Path) -> None:
    text = (
        "nama: x\npolicy: none\ndomains:\n  web: {memory: 1, xml: gone.xml}\n"
        "fake: {web: [{at: start}]}\nsteps:\n  - start: wbe\n"
    )

    found = mistakes_of(tmp_path, text)

    assert [mistake.split(":")[1] for mistake in found] == ["1", "1", "2", "4", "4", "5", "7"]


def test_a_document_beside_the_scenario_or_above_it_is_found(tmp_path: Path) -> None:
    (tmp_path / "act").mkdir()
    xml = "<domain type='qemu'><name>x</name><memory>131072</memory><os><type>hvm</type></os></domain>"
    (tmp_path / "x.xml").write_text(xml, encoding="utf-8")
    text = "name: x\ndomains: {web: {xml: x.xml}}\nsteps: [start: web]\n"
    write(tmp_path, text)
    write(tmp_path / "act", text)

    for path in ("s.yaml", "act/s.yaml"):
        assert load_scenario(path).cast.members["web"].memory_kib == 131072


def test_a_mistake_in_a_document_has_the_documents_line(tmp_path: Path) -> None:
    (tmp_path / "x.xml").write_text(
        "<domain type='qemu'>\n<name>x</name>\n<memory>lots</memory></domain>", "utf-8"
    )

    (mistake,) = mistakes_of(tmp_path, "name: x\ndomains: {web: {xml: x.xml}}\nsteps: [start: web]\n")

    assert mistake.startswith("x.xml:3:")


def test_a_mistake_in_a_document_inside_the_scenario_has_the_scenarios_line(tmp_path: Path) -> None:
    text = "name: x\ndomains:\n  web:\n    xml: |\n      <domain type='qemu'>\n      <name>x</nim>\n      </domain>\nsteps: [start: web]\n"

    (mistake,) = mistakes_of(tmp_path, text)

    assert mistake.startswith("s.yaml:6:")


def test_what_nobody_understands_in_a_document_is_a_warning(tmp_path: Path) -> None:
    xml = "<domain type='qemu'><name>x</name><memory>131072</memory><os><type>hvm</type></os><zork/></domain>"
    (tmp_path / "x.xml").write_text(xml, encoding="utf-8")

    loaded = load_scenario(write(tmp_path, "name: x\ndomains: {web: {xml: x.xml}}\nsteps: [start: web]\n"))

    (warning,) = loaded.warnings
    assert warning.message.startswith("warning: ")
    assert "zork" in warning.message


def test_a_file_that_a_document_names_beside_itself_must_be_there(tmp_path: Path) -> None:
    xml = (
        "<domain type='qemu'><name>x</name><memory>131072</memory><os><type>hvm</type></os><devices>\n"
        "<disk type='file' device='cdrom'><source file='x.iso'/><target dev='hda' bus='ide'/></disk>"
        "</devices></domain>"
    )
    (tmp_path / "x.xml").write_text(xml, encoding="utf-8")
    text = "name: x\ndomains: {web: {xml: x.xml}}\nsteps: [start: web]\n"

    assert mistakes_of(tmp_path, text) == ["x.xml:2:1: no file 'x.iso' beside the document"]
    (tmp_path / "x.iso").touch()
    assert f"{tmp_path}" in load_scenario("s.yaml").cast.members["web"].xml


def test_overrides_and_templates_make_the_documents(tmp_path: Path) -> None:
    text = (
        "name: x\ndomains:\n  gpu: {memory: 2GiB, hugepages: 2MiB, vcpus: 3, nics: 2, hostdevs: 1,"
        " without: [chardev-fd-pass], count: 2}\nsteps: [start: gpu]\n"
    )

    cast = load_scenario(write(tmp_path, text)).cast

    assert cast.instances["gpu"] == ("gpu-0", "gpu-1")
    assert cast.members["gpu-1"].memory_kib == 2 * 1024 * 1024
    xml = cast.members["gpu-1"].xml
    assert "<name>gpu-1</name>" in xml
    assert '<page size="2048" unit="KiB"/>' in xml
    assert "<vcpu>3</vcpu>" in xml
    assert xml.count("<interface ") == 2
    assert xml.count("<hostdev ") == 1
    assert 'del capability="chardev-fd-pass"' in xml


def test_rules_for_all_come_after_a_domains_own(tmp_path: Path) -> None:
    text = (
        "name: x\ndomains: {web: {}, db: {}}\nfake:\n"
        "  web: [{on: command, match: stop, do: {delay: 1s}}, {at: start, linger: 1s}]\n"
        "  '*': [{on: command, do: {delay: 2s}}, {at: start, linger: 2s, ignore: [SIGTERM]}]\n"
        "steps: [start: web]\n"
    )

    scripts = load_scenario(write(tmp_path, text)).scripts

    assert [rule.get("match") for rule in scripts["web"]["on"]] == ["stop", None]
    assert scripts["web"]["start"]["linger"] == 10**9
    assert scripts["web"]["start"]["ignore"] == [15]
    assert scripts["db"]["start"]["linger"] == 2 * 10**9


def test_folders_mean_the_scenarios_below_them(tmp_path: Path) -> None:
    for name in ("010-b", "020-a", "020-a/domains", "020-a/.hidden"):
        (tmp_path / name).mkdir()
    for name in ("020-a/z.yaml", "010-b/y.yml", "020-a/domains/no.yaml", "020-a/.hidden/no.yaml", "x.yaml"):
        (tmp_path / name).write_text(RIGHT)

    assert find_scenarios(["."]) == [("010-b/y.yml", "010-b/y"), ("020-a/z.yaml", "020-a/z"), ("x.yaml", "x")]
    assert find_scenarios(["020-a"]) == [("020-a/z.yaml", "020-a/z")]
    assert find_scenarios(["x.yaml", "x.yaml"]) == [("x.yaml", "x")]


def test_paths_that_mean_nothing_are_mistakes(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(MistakesError) as caught:
        find_scenarios(["gone.yaml", "empty"])

    assert [str(mistake) for mistake in caught.value.mistakes] == [
        "empty:1:1: holds no scenario (*.yaml)",
        "gone.yaml:1:1: no such file or folder",
    ]
