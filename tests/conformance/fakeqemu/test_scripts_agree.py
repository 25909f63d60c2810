"""Scripts and the control socket mean the same in a process and in the loop."""

from __future__ import annotations

import asyncio
import json

import pytest

from fakeqemu.scripts.check import compile_text
from fakeqemu.scripts.script import Script
from fakeqemu.tools.ctl import Client, CtlError
from tests.conformance.fakeqemu.test_drivers_agree import WORDS, as_process, as_task
from tests.helpers.processes import Program, fake_argv
from virtsim.sim.launcher import SimLauncher
from virtsim.sim.loop import run
from virtsim.sim.net import net_of

#: What a client hears of them is the same, byte for byte.
SCRIPTS = {
    "split": "- {on: reply, do: {split: true}}",
    "split with gaps": "- {on: event, do: {split: {size: 30, gap: 1ms}}}",
    "duplicate": "- {on: event, match: RESUME, do: {duplicate: 2}}",
    "reorder": "- {on: event, match: STOP, do: {reorder: true}}",
    "lie": "- {on: command, match: query-status, do: {lie: {running: true, deep.0.a: 1}, omit: [status]}}",
    "extra": "- {on: greeting, do: {extra: true}}\n- {on: event, do: {extra: {x-new: null}}}",
    "id": "- {on: reply, match: stop, do: {id: {odd: [1]}}}",
    "slow": "- {on: accept, do: {slow: 20KiB/s}}",
    "deaf": "- {on: event, match: RESUME, do: {stop_reading: 50ms}}",
    "stall": "- {on: command, match: stop, do: {stall: 50ms}}",
    "drawn": "- {on: command, do: {delay: {lognormal: {median: 2ms, sigma: 1}, max: 20ms}}}",
    "signal": "- {on: command, match: query-status, do: {signal: SIGTERM}}",
    "exit status": "- {on: exit, do: {exit: {code: 9, stderr: gone}}}",
    "message": "- {on: message, skip: 2, count: 1, do: {emit: {event: HEARD}}}",
    "time": "- {at: 1ms, every: 1ms, count: 3, do: {emit: {event: TICK}}}\n- {on: exec, do: {delay: 30ms}}",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_client_hears_the_same(name, tmp_path):
    assert as_process(SCRIPTS[name], tmp_path) == as_task(SCRIPTS[name])


TALK = [
    {"do": "state"},
    {"do": "set", "words": {"guest": {"powerdown": "ignore"}}},
    {"do": "rules", "add": [{"on": "command", "match": "stop", "do": {"drop": True}}]},
    {"do": "emit", "event": "X", "data": {"a": 1}},
    {"do": "emti"},
    {"do": "events"},
    {"do": "calls"},
    {"do": "do", "words": {"stall": True}},
    {"do": "wait", "for": "event", "match": "NEVER", "timeout": "10ms"},
    {"do": "unstall"},
    {"do": "wait", "for": "runstate", "match": "pre*"},
    {"do": "exit", "code": 4, "stderr": "as told"},
]
SCRIPT = "- {at: start, ctl: CTL}"


def tidy(answer):
    """Without what is another one each time."""
    text = json.dumps(answer, sort_keys=True)
    answer = json.loads(text, object_hook=lambda node: node | {k: 0 for k in node if k.endswith("_ns")})
    if isinstance(answer, dict) and "words" in answer:
        answer["words"].pop("ctl", None)
        answer |= {"pid": 0} if "pid" in answer else {}
    return answer


def told_process(directory):
    path = directory / "ctl"
    argv = fake_argv(*WORDS, "-qmp", f"unix:{directory}/m,server=on,wait=off")
    answers = []
    with Program(argv, directory, script=SCRIPT.replace("CTL", str(path))) as program:
        with program.client(directory / "m"):  # the control socket was there first
            pass
        with Client(str(path)) as client:
            for request in TALK:
                try:
                    answers.append(client.ask(**request))
                except CtlError as error:
                    answers.append(str(error))
        code, words = program.ended()
    return list(map(tidy, answers)), code, words


def told_task():
    async def main():
        net = net_of(asyncio.get_running_loop())
        net.files.make_dirs("/run")
        script = SCRIPT.replace("CTL", "/run/ctl")
        compiled = Script.from_compiled(compile_text(script.encode(), "script"))
        launcher = SimLauncher(script_for=lambda _argv: compiled, seed="0", files=net.files)
        argv = ["/usr/bin/qemu-system-x86_64", *WORDS, "-qmp", "unix:/run/m,server=on,wait=off"]
        process = await launcher.spawn(argv, log="/run/log")
        reader, writer = await asyncio.open_unix_connection("/run/ctl")
        assert "fakeqemu" in json.loads(await reader.readline())
        answers = []
        for request in TALK:
            writer.write(json.dumps(request).encode() + b"\n")
            answer = json.loads(await reader.readline())
            answers.append(tidy(answer.get("return", answer.get("error"))))
        status = await process.wait()
        writer.close()
        return answers, status.code, net.files.read("/run/log").decode()

    return run(main())


def test_the_control_socket_is_the_same(tmp_path):
    assert told_process(tmp_path) == told_task()
