"""Asks a real QEMU everything a manager probes, and writes it down as a profile.

Knows which questions there are. Must not know what the answers are for. Twice the same QEMU gives the same
bytes: no times, no paths, no process ids; members in a fixed order; gzip without a time stamp.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from fakeqemu.profile import key_of

__all__ = ["RecordError", "record", "write_profile"]

#: Asked without arguments of a machine of type none.
PLAIN = (
    "query-version", "query-target", "query-qmp-schema", "query-commands", "query-kvm", "query-machines",
    "query-cpu-definitions", "query-tpm-models", "query-tpm-types", "query-command-line-options",
    "query-migrate-capabilities", "query-migrate-parameters", "query-chardev-backends",
    "query-sev-capabilities",
    "query-sgx-capabilities", "query-gic-capabilities", "query-jobs", "query-block-jobs", "query-migrate",
    "query-dump", "query-fdsets", "query-replay", "query-tpm", "query-pr-managers", "query-stats-schemas",
    "query-audiodevs", "query-display-options", "query-colo-status",
    "query-dirty-rate", "query-xen-replication-status",
)  # fmt: skip
#: Device models whose properties libvirt 7.0.0 to 9.0.0 asks for (qemu_capabilities.c), and those of usual
#: guests.
DEVICES = (
    "virtio-blk-pci", "virtio-net-pci", "virtio-scsi-pci", "virtio-blk-ccw", "virtio-net-ccw",
    "virtio-scsi-ccw",
    "vfio-pci", "scsi-hd", "ide-hd", "PIIX4_PM", "usb-redir", "usb-storage", "kvm-pit", "VGA",
    "vmware-svga", "qxl",
    "virtio-gpu-pci", "virtio-gpu-device", "ICH9-LPC", "virtio-balloon-pci", "virtio-balloon-ccw",
    "virtio-balloon-device", "intel-iommu", "mch", "nvdimm", "pcie-root-port", "usb-host",
    "vhost-user-fs-device", "virtio-mem-pci", "virtio-iommu-pci",
)  # fmt: skip
TYPES = ("memory-backend-file", "memory-backend-memfd", "max-{arch}-cpu", "none-machine")
EXPANSIONS = (
    {"type": "static", "model": {"name": "max"}},
    {"type": "full", "model": {"name": "max"}},
    {"type": "static", "model": {"name": "host"}},
)
_BUILTIN = {
    "str": "string", "int": "integer", "number": "number", "bool": "boolean", "null": "null", "any": "any",
}  # fmt: skip
_PATIENCE_S = 60.0


class RecordError(Exception):
    """The QEMU could not be asked."""


class _Client:
    """As much of a QMP client as a list of questions needs."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(_PATIENCE_S)
        try:
            self._socket.connect(path)
        except OSError:
            self._socket.close()
            raise
        self._lines = self._socket.makefile("rb")
        self.greeting = self._lines.readline().decode("ascii").rstrip()
        self.ask("qmp_capabilities", {})

    def ask(self, command: str, arguments: dict[str, Any]) -> str:
        """The line of the reply, events left out."""
        message = {"execute": command, **({"arguments": arguments} if arguments else {})}
        self._socket.sendall(json.dumps(message).encode() + b"\n")
        while line := self._lines.readline():
            if b'"event"' not in line[:120]:
                return line.decode("ascii").rstrip()
        raise RecordError(f"QEMU closed the monitor when asked {command}")

    def close(self) -> None:
        """End the conversation."""
        self._lines.close()
        self._socket.close()


def record(qemu: str) -> dict[str, str]:
    """Ask a QEMU; returns the profile's members in order: name -> JSON text as QEMU wrote it.

    Args:
        qemu: path of a ``qemu-system-...`` program.

    Raises:
        RecordError: it does not start or stops answering.
    """
    with tempfile.TemporaryDirectory(prefix="fakeqemu-") as directory:
        path = f"{directory}/monitor.sock"
        quiet = ["-S", "-no-user-config", "-nodefaults", "-display", "none", "-machine", "none,accel=tcg"]
        argv = [qemu, *quiet, "-qmp", f"unix:{path},server=on,wait=off"]
        try:
            with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:  # noqa: S603
                try:
                    client = _connect(path, process)
                    members = _ask_all(client)
                    client.ask("quit", {})
                    client.close()
                finally:
                    process.kill()
        except OSError as error:
            raise RecordError(f"{qemu}: {error.strerror}") from error
    arch = json.loads(members["query-target"])["arch"]
    return _with_header(members, arch)


def _connect(path: str, process: subprocess.Popen[bytes]) -> _Client:
    for _ in range(600):
        try:
            return _Client(path)
        except (FileNotFoundError, ConnectionRefusedError):
            if process.poll() is not None:
                words = process.stderr.read().decode(errors="replace").strip() if process.stderr else ""
                raise RecordError(words or f"QEMU left with status {process.returncode}") from None
            time.sleep(0.05)  # noqa: TID251 - a tool that waits for a real process
    raise RecordError("the monitor socket did not show up within 30 s")


def _ask_all(client: _Client) -> dict[str, str]:
    members: dict[str, str] = {"greeting": client.greeting}

    def ask(command: str, arguments: dict[str, Any]) -> None:
        reply = client.ask(command, arguments)
        if reply.startswith('{"return": '):
            members[key_of(command, arguments)] = reply[len('{"return": ') : -1]
        elif '"class": "CommandNotFound"' not in reply:
            # Told from a value by the mark: a refusal is a fact as well.
            members[f"! {key_of(command, arguments)}"] = reply[len('{"error": ') : -1]

    for command in PLAIN:
        ask(command, {})
    ask("qom-list-types", {})
    ask("qom-list-types", {"abstract": True})
    arch = json.loads(members["query-target"])["arch"]
    for name in DEVICES:
        ask("device-list-properties", {"typename": name})
    for name in TYPES:
        ask("qom-list-properties", {"typename": name.format(arch=arch)})
    for expansion in EXPANSIONS:
        ask("query-cpu-model-expansion", expansion)
    return members


def _with_header(members: dict[str, str], arch: str) -> dict[str, str]:
    greeting = members.pop("greeting")
    version = json.loads(members["query-version"])
    # What the host at hand offers is no fact about the program: see query-kvm.
    members.pop("query-kvm", None)
    digest = hashlib.sha256("\n".join(f"{key} {text}" for key, text in members.items()).encode()).hexdigest()
    number = "{major}.{minor}.{micro}".format(**version["qemu"])
    provenance = {
        "format": "fakeqemu/profile@1", "program": f"qemu-system-{arch}", "version": number,
        "package": version.get("package", ""), "machine": "none,accel=tcg", "sha256": digest,
    }  # fmt: skip
    facts = {"greeting": greeting, "version": version, "arch": arch}
    arguments = compile_arguments(json.loads(members["query-qmp-schema"]))
    head = {"provenance": provenance, "facts": facts, "arguments": arguments}
    return {key: json.dumps(value, separators=(",", ":")) for key, value in head.items()} | members


def compile_arguments(schema: list[dict[str, Any]]) -> dict[str, Any]:
    """What commands accept: the part of ``query-qmp-schema`` that argument checking needs."""
    entities = {entity["name"]: entity for entity in schema}
    types: dict[str, Any] = {}

    def name(kind: str) -> str:
        entity = entities[kind]
        if entity["meta-type"] == "builtin":
            return _BUILTIN[kind]
        if entity["meta-type"] == "array":
            return f"[{name(entity['element-type'])}]"
        if kind not in types:
            types[kind] = {}
            types[kind].update(made(entity))
        return kind

    def made(entity: dict[str, Any]) -> dict[str, Any]:
        if entity["meta-type"] == "enum":
            return {"enum": entity["values"]}
        if entity["meta-type"] == "alternate":
            return {"alternate": [name(member["type"]) for member in entity["members"]]}
        found: dict[str, Any] = {
            "members": [
                [member["name"], name(member["type"]), int("default" in member)]
                for member in entity["members"]
            ]
        }
        if "tag" in entity:
            found["tag"] = entity["tag"]
            found["variants"] = {variant["case"]: name(variant["type"]) for variant in entity["variants"]}
        return found

    commands = {
        entity["name"]: name(entity["arg-type"]) for entity in schema if entity["meta-type"] == "command"
    }
    oob = [
        entity["name"] for entity in schema if entity["meta-type"] == "command" and entity.get("allow-oob")
    ]
    return {"commands": commands, "oob": oob, "types": types}


def write_profile(members: dict[str, str], path: Path) -> None:
    """Write a profile; the same members give the same bytes."""
    lines = ",\n".join(f"{json.dumps(key)}:\t{text}" for key, text in members.items())
    data = f"{{\n{lines}\n}}\n".encode("ascii")
    path.write_bytes(gzip.compress(data, compresslevel=9, mtime=0))
