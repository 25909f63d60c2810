"""Hotplug conversations: their steps, and how they are played to a QEMU, real or not."""

from __future__ import annotations

import json
import re
import select
from typing import Any

from tests.helpers.processes import Client

__all__ = [
    "ANONYMOUS",
    "BASE",
    "PERIPHERAL",
    "add",
    "cpu",
    "differences",
    "gone",
    "look",
    "new",
    "play",
    "put",
]

BASE = ("-S", "-nodefaults", "-display", "none", "-accel", "tcg")


def add(driver: str, ident: str | None = None, **options: Any) -> tuple[str, dict[str, Any]]:
    named = {"id": ident} if ident is not None else {}
    return "device_add", {
        "driver": driver,
        **named,
        **{name.replace("__", "-"): value for name, value in options.items()},
    }


def gone(ident: str) -> tuple[str, dict[str, Any]]:
    return "device_del", {"id": ident}


def new(kind: str, ident: str, **options: Any) -> tuple[str, dict[str, Any]]:
    return "object-add", {
        "qom-type": kind,
        "id": ident,
        **{name.replace("__", "-"): value for name, value in options.items()},
    }


def look(path: str, name: str) -> tuple[str, dict[str, Any]]:
    return "qom-get", {"path": path, "property": name}


def put(path: str, name: str, value: Any) -> tuple[str, dict[str, Any]]:
    return "qom-set", {"path": path, "property": name, "value": value}


def cpu(ident: str | None, **place: Any) -> tuple[str, dict[str, Any]]:
    return add("qemu64-x86_64-cpu", ident, **place)


PERIPHERAL = ("qom-list", {"path": "/machine/peripheral"})
ANONYMOUS = ("qom-list", {"path": "/machine/peripheral-anon"})


def tidy(command: str, arguments: dict[str, Any], value: Any) -> Any:
    if command == "qom-list" and arguments.get("path") == "/machine/unattached":
        # In which order the board made its parts shows in their order; with more CPUs a few change places.
        value = {"return": sorted(value["return"], key=lambda entry: entry["name"])}
    text = json.dumps(value)
    text = re.sub(r'"thread-id": \d{2,}', '"thread-id": 0', text)
    return json.loads(text)


def play(client: Client, steps: list[Any]) -> tuple[list[Any], list[Any]]:
    """The replies, and the events."""
    replies: list[Any] = []
    events: list[Any] = []
    for step in [*steps, "settle"]:
        if step == "settle":
            select.select([], [], [], 0.3)
        command, arguments = step if isinstance(step, tuple) else (step.replace("settle", "query-name"), {})
        client.send(json.dumps({"execute": command, "arguments": arguments}).encode())
        while True:
            message = client.message()
            if "event" in message:
                events.append((message["event"], message.get("data")))
                continue
            replies.append((command, arguments, tidy(command, arguments, message)))
            break
    return replies, events


def differences(real: list[Any], fake: list[Any]) -> list[Any]:
    """The replies that are not the same: (command, arguments, real, fake)."""
    return [(*one, other[2]) for one, other in zip(real, fake, strict=True) if one != other]
