from __future__ import annotations

import gzip
import json

import pytest

from fakeqemu.facts.profile import DIRECTORY, Profile, ProfileError, key_of, profile_for
from fakeqemu.facts.record import compile_arguments, write_profile


def test_the_shipped_profile_is_json_and_says_where_it_is_from():
    path = f"{DIRECTORY}/x86_64-7.2.json.gz"
    with gzip.open(path) as file:
        data = json.load(file)
    assert data["provenance"]["program"] == "qemu-system-x86_64"
    assert list(data)[:3] == ["provenance", "facts", "index"]
    assert Profile(path).provenance == data["provenance"]
    assert Profile(path).value("query-version") == data["query-version"]


def test_only_what_is_asked_for_is_read(monkeypatch):
    profile = Profile(f"{DIRECTORY}/x86_64-7.2.json.gz")
    read = []
    monkeypatch.setattr(Profile, "_read", lambda self, offset, length: read.append(length) or b"")
    assert profile.greeting.startswith('{"QMP": ')
    assert profile.arch == "x86_64"
    assert read == []
    monkeypatch.undo()
    assert profile.recorded("query-nonsense") is None
    assert profile.value("query-target") == {"arch": "x86_64"}


def test_profiles_are_shared():
    assert profile_for("qemu-system-x86_64") is profile_for("qemu-kvm")


def test_an_architecture_without_profile():
    with pytest.raises(ProfileError, match="no profile of qemu-system-vax"):
        profile_for("qemu-system-vax")


def test_a_profile_that_is_not_there_or_damaged(tmp_path):
    with pytest.raises(ProfileError, match="No such file"):
        Profile(str(tmp_path / "none"))
    (tmp_path / "bad").write_bytes(b"not gzip at all")
    with pytest.raises(ProfileError, match="incorrect header"):
        Profile(str(tmp_path / "bad"))


def test_writing_a_profile_twice_gives_the_same_bytes(tmp_path):
    members = {
        "provenance": "{}",
        "facts": "{}",
        "query-x": "[1]",
        key_of("query-y", {"a": 1}): '"é"'.encode().decode("ascii", "ignore"),
    }
    for name in ("one", "two"):
        write_profile(members, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    profile = Profile(str(tmp_path / "one"))
    assert profile.value("query-x") == [1]
    assert profile.value("query-y", {"a": 1}) == ""


def test_the_argument_types_are_cut_out_of_the_schema():
    schema = [
        {"name": "str", "meta-type": "builtin", "json-type": "string"},
        {"name": "1", "meta-type": "enum", "values": ["a", "b"]},
        {"name": "[1]", "meta-type": "array", "element-type": "1"},
        {
            "name": "2",
            "meta-type": "object",
            "members": [{"name": "n", "type": "[1]"}, {"name": "o", "type": "str", "default": None}],
        },
        {"name": "3", "meta-type": "alternate", "members": [{"type": "str"}, {"type": "2"}]},
        {
            "name": "4",
            "meta-type": "object",
            "members": [{"name": "k", "type": "1"}],
            "tag": "k",
            "variants": [{"case": "a", "type": "2"}],
        },
        {"name": "5", "meta-type": "object", "members": [{"name": "x", "type": "3"}]},
        {"name": "do", "meta-type": "command", "arg-type": "4", "ret-type": "2", "allow-oob": True},
        {"name": "go", "meta-type": "command", "arg-type": "5", "ret-type": "2"},
    ]
    made = compile_arguments(schema)
    assert made["commands"] == {"do": "4", "go": "5"}
    assert made["oob"] == ["do"]
    assert made["types"]["2"] == {"members": [["n", "[1]", 0], ["o", "string", 1]]}
    assert made["types"]["4"]["variants"] == {"a": "2"}
    assert made["types"]["3"] == {"alternate": ["string", "2"]}
