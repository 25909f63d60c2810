"""Journals as a run would write them, for tests of the report: no runner, no library, only records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from virtsim.journal import SCHEMA, Journal

__all__ = ["Story", "backoff_ms", "crowd", "huge_start", "limit_failure", "write_story"]

MS = 1_000_000
STARTUP = (
    "qmp_capabilities",
    "query-migrate-capabilities",
    "migrate-set-capabilities",
    "query-chardev",
    "query-cpus-fast",
    "query-iothreads",
    "qom-list",
    "query-balloon",
    "query-block",
    "cont",
)


def backoff_ms(limit_ms: int) -> list[tuple[int, int]]:
    """(at, nap) of each attempt of backoff-adaptive, the last one at the limit."""
    attempts, at, nap = [], 0, 1
    while at < limit_ms:
        cut = min(nap, limit_ms - at)
        at += cut
        attempts.append((at, cut))
        nap = nap * 2 if nap < 1000 else 1000
    return attempts


class Story:
    """Tells a journal: a clock that is set by hand, and short words for common stretches."""

    def __init__(self, identity: str, title: str, domains: dict[str, int], **header: Any) -> None:
        self.ns = 0
        self.identity = identity
        self.journal = Journal(lambda: self.ns)
        self.call = 0
        self.ids: dict[str, int] = {}
        fields: dict[str, Any] = {
            "schema": SCHEMA,
            "version": "0.1.0",
            "scenario": {
                "id": identity,
                "name": title,
                "about": header.pop("about", ""),
                "source": header.pop("source", ""),
                "file": f"scenarios/{identity}.yaml",
            },
            "seed": "1",
            "clock": "virtual",
            "hypervisor": "fake",
            "policy": "backoff-adaptive",
            "domains": [{"name": name, "memory_kib": kib} for name, kib in domains.items()],
            "replay": f"virtsim run scenarios/{identity}.yaml --seed 1",
        }
        fields.update(header)
        self.note("header", "run", **fields)

    def note(self, kind: str, actor: str, **fields: Any) -> None:
        """One record now."""
        self.journal.observe(kind, actor, fields)

    def at(self, ms: float) -> Story:
        """Set the clock."""
        self.ns = round(ms * MS)
        return self

    def begin_call(self, domain: str, api: str) -> int:
        """An API call begins."""
        self.call += 1
        self.note("api.call", domain, call=self.call, api=api)
        return self.call

    def qmp(self, domain: str, name: str, call: int) -> None:
        """A command and its reply."""
        self.ids[domain] = self.ids.get(domain, 0) + 1
        number = f"libvirt-{self.ids[domain]}"
        self.note("qmp.command", domain, id=number, name=name, call=call)
        self.note("qmp.reply", domain, id=number, name=name, call=call)

    def spawn(self, domain: str, pid: int, call: int) -> None:
        """Everything up to the wait for the monitor."""
        job = {"job": "START", "api": "remoteDispatchDomainCreate", "call": call}
        self.note("job", domain, op="begin", **job)
        self.note("state", domain, state="PAUSED", reason="STARTING_UP", call=call)
        argv = ["/usr/bin/qemu-system-x86_64", "-name", f"guest={domain}", "-S", "-m", "size=421527552k"]
        self.note("spawn", domain, pid=pid, argv=argv, call=call)

    def wait(self, domain: str, limit_s: int, ready_ms: float, call: int, errno: int = 2) -> bool:
        """The monitor wait from now on, until the socket is met or the limit."""
        began = self.ns / MS
        path = f"/run/virtsim/{domain}/monitor.sock"
        self.note(
            "wait.begin",
            domain,
            policy="backoff-adaptive",
            limit_ns=limit_s * 1000 * MS,
            path=path,
            call=call,
        )
        shown = False
        number = 0
        for number, (at, nap) in enumerate(backoff_ms(limit_s * 1000), 1):
            if not shown and ready_ms <= at:
                shown = True
                self.at(began + ready_ms).note("socket", domain, path=path, what="listening")
            met = ready_ms <= at
            self.at(began + at)
            self.note("attempt", domain, n=number, nap_ns=nap * MS, errno=0 if met else errno, call=call)
            if met:
                self.note("wait.end", domain, n=number, outcome="connected", call=call)
                return True
        self.note("wait.end", domain, n=number, outcome="gave up", call=call)
        return False

    def running(self, domain: str, call: int) -> None:
        """From the greeting to RUNNING."""
        self.note("qmp.greeting", domain, version="7.2.0")
        for name in STARTUP:
            self.qmp(domain, name, call)
        self.note("qmp.event", domain, name="RESUME")
        self.note("state", domain, state="RUNNING", reason="BOOTED", call=call)
        self.note("event", domain, event="RESUMED", detail="UNPAUSED")
        self.note("event", domain, event="STARTED", detail="BOOTED")
        self.note("job", domain, op="end", job="START", api="remoteDispatchDomainCreate", call=call)

    def start(self, domain: str, pid: int, limit_s: int, ready_ms: float) -> None:
        """A whole successful start from now on."""
        call = self.begin_call(domain, "virDomainCreate")
        self.spawn(domain, pid, call)
        assert self.wait(domain, limit_s, ready_ms, call)
        self.running(domain, call)
        self.note("api.return", domain, call=call, api="virDomainCreate")

    def expect(self, step: str, what: str, expected: Any, actual: Any) -> None:
        """An expectation and what was seen."""
        self.note(
            "expect", "run", step=step, what=what, ok=expected == actual, expected=expected, actual=actual
        )

    def end(self, outcome: str = "passed", message: str = "") -> Story:
        """The last records."""
        self.note("leftovers", "run", processes=[], files=[], sockets=[], fds=[], tasks=[])
        self.note("end", "run", outcome=outcome, **({"message": message} if message else {}))
        return self


def huge_start(ready_s: float = 105.0) -> Story:
    """402 GiB of 1 GiB pages: 105 s of zeroing, met at attempt 114, stopped at the end."""
    story = Story(
        "020-monitor/402-gib",
        "402 GiB of 1 GiB hugepages",
        {"huge": 402 << 20},
        about="Zeroing takes 105 s; the adaptive limit of 432 s waits for it and meets it within a second.",
        source="libvirt commits 67dcb797ed, 85af0b803c",
    )
    story.note("step.begin", "run", step="1", verb="start", target="huge", line=12)
    story.note("fault", "huge", rule=1, action="memory zeroing 3.83GiB/s")
    story.start("huge", 1000, 432, ready_s * 1000)
    took = story.ns
    story.note("step.end", "run", step="1", outcome="ok", elapsed_ns=took)
    story.expect("1", "state of huge", "RUNNING", "RUNNING")
    story.expect("1", "attempts of huge", 114, 114)
    story.note("step.begin", "run", step="2", verb="destroy", target="huge", line=15)
    call = story.begin_call("huge", "virDomainDestroy")
    story.note("signal", "huge", pid=1000, signal=15, delivered=True)
    story.note("qmp.event", "huge", name="SHUTDOWN", data={"guest": False, "reason": "host-signal"})
    story.note("exit", "huge", pid=1000, code=0)
    story.note("qmp.closed", "huge", reason="eof")
    story.at(took / MS + 200)
    story.note("state", "huge", state="SHUTOFF", reason="DESTROYED", call=call)
    story.note("event", "huge", event="STOPPED", detail="DESTROYED")
    story.note("api.return", "huge", call=call, api="virDomainDestroy")
    story.note("step.end", "run", step="2", outcome="ok", elapsed_ns=200 * MS)
    return story.end()


def limit_failure(outcome: str = "failed") -> Story:
    """80 GiB and a GPU: 277 s needed, given up at the limit of 110 s; an expectation about it is not met."""
    story = Story(
        "020-monitor/80-gib-gpu",
        "80 GiB and one GPU: the limit is too short",
        {"gpu": 80 << 20},
        about="Pinning the guest's memory for the GPU takes 277 s; 30 s + 1 s/GiB ends the wait at 110 s.",
        source="timing of VFIO guests",
    )
    story.note("step.begin", "run", step="1", verb="start", target="gpu", line=9)
    call = story.begin_call("gpu", "virDomainCreate")
    story.spawn("gpu", 1000, call)
    story.wait("gpu", 110, 277_000, call)
    story.note("signal", "gpu", pid=1000, signal=15, delivered=True)
    story.at(120_000).note("signal", "gpu", pid=1000, signal=9, delivered=True)
    story.note("exit", "gpu", pid=1000, signal=9)
    story.at(120_200).note("state", "gpu", state="SHUTOFF", reason="FAILED", call=call)
    text = "monitor socket did not show up: No such file or directory"
    story.note("job", "gpu", op="end", job="START", api="remoteDispatchDomainCreate", call=call)
    story.note("api.return", "gpu", call=call, api="virDomainCreate", error={"code": 38, "text": text})
    story.note("step.end", "run", step="1", outcome="failed", elapsed_ns=story.ns, error=text)
    if outcome == "failed":
        story.expect("1", "state of gpu", "RUNNING", "SHUTOFF")
    story.expect("1", "attempts of gpu", 119, 119)
    return story.end(outcome, "1 of 2 expectations not met" if outcome == "failed" else "")


def crowd(count: int, *, alike: bool) -> Story:
    """``count`` domains started at the same instant, ready at the same time or each at its own."""
    names = [f"vm-{number}" for number in range(count)]
    story = Story("090-crowd/all-at-once", f"{count} domains at once", dict.fromkeys(names, 1 << 20))
    for number, name in enumerate(names):
        story.at(0)
        story.start(name, 1000 + number, 31, 20 if alike else 20 + 25 * number)
    story.journal.records.sort(key=lambda record: record["t"])
    story.at(40_000)
    return story.end()


def write_story(run_dir: Path, story: Story, cut: int = 0) -> Path:
    """Write a story's journal below a run's folder, less its last ``cut`` characters."""
    path = run_dir / story.identity / "journal.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(item, ensure_ascii=False, separators=(",", ":")) for item in story.journal.records)
    text = "".join(f"{line}\n" for line in lines)
    path.write_text(text[: len(text) - cut], encoding="utf-8")
    return path
