"""The same words about disks to the fake and to a real QEMU 7.2: the same words back, to the byte.

What may differ is in `tidy`: names that QEMU makes up by chance, and times. The files that the fake leaves are
judged by qemu-img and qemu-io.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.conformance.fakeqemu.block_talks import FILES, TALKS
from tests.helpers.processes import Program, fake_argv, real_argv

pytestmark = pytest.mark.real_qemu

BASE = ["-accel", "tcg", "-S", "-display", "none"]
BOARD = {"drives": ["-machine", "pc", "-vga", "none", "-net", "none"]}
USUAL = ["-machine", "q35", "-nodefaults"]

#: Command and real QEMU's answer where the fake's may be another one, with the reason.
KNOWN = {
    # A shrunk image: QEMU gives the L2 table of what it discards a cluster of its own, and keeps it.
    "resizing": ("actual-size", "virtual-size", "wr_highest_offset"),
    # An internal snapshot: QEMU writes its table into the file; the fake remembers it.
    "snapshots": ("virtual-size",),
}


def tidy(line: bytes, loose: tuple[str, ...] = ()) -> str:
    text = line.decode()
    text = re.sub(r'"timestamp": \{[^}]*\}, ', "", text)
    text = re.sub(r"#block\d+", "#block", text)
    text = re.sub(r'"(idle_time_ns|date-sec|date-nsec)": \d+', r'"\1": 0', text)
    for name in loose:
        text = re.sub(rf'"{name}": \d+', f'"{name}": 0', text)
    return text


def held(argv: list[str], directory: Path, name: str) -> list[tuple[str, list[str]]]:
    """Each command with all that came until its reply."""
    directory.mkdir()
    for line in FILES:
        subprocess.run(["qemu-img", *line.split()], cwd=directory, check=True)
    more, commands = TALKS[name]
    path = directory / "monitor"
    words = [*BOARD.get(name, USUAL), *BASE, *more, "-qmp", f"unix:{path},server=on,wait=off"]
    program = Program([*argv, *words], directory)
    said = []
    with program, program.client(path) as client:
        client.negotiate()
        for command, arguments in commands:
            message = {"execute": command, "id": "x"}
            if arguments:
                message["arguments"] = arguments
            client.send(json.dumps(message).encode())
            heard: list[str] = []
            while not heard or '"id": "x"' not in heard[-1]:
                line = client.line()
                assert line, f"gone after {command} {arguments}"
                heard.append(tidy(line, KNOWN.get(name, ())))
            said.append((f"{command} {json.dumps(arguments)}", heard))
    return said


@pytest.mark.parametrize("name", sorted(TALKS))
def test_a_conversation_about_disks(tmp_path, name):
    real = held(real_argv(), tmp_path / "real", name)
    fake = held(fake_argv(), tmp_path / "fake", name)
    different = [
        f"{told[0]}\n  real {told[1]}\n  fake {said[1]}"
        for told, said in zip(real, fake, strict=True)
        if told != said
    ]
    assert not different, "\n".join(different)
