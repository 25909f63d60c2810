"""Asks a real QEMU what its machines, devices and CPUs are made of, and writes that down as facts.

Knows how to bring a device of any model into being, and how to walk QOM. Must not know what the facts are
for. A tool: nothing of it runs with a fake. Twice the same QEMU gives the same bytes.

    python -m fakeqemu.hardware.record qemu-system-x86_64 FILE
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from fakeqemu.hardware.facts import pack

__all__ = ["main", "record"]

_PATIENCE_S = 30.0
#: Architecture -> (machine types whose trees are recorded, the one on which devices are looked at).
MACHINES: dict[str, tuple[tuple[str, ...], str]] = {
    "x86_64": (("pc", "q35", "microvm", "isapc", "none"), "q35"),
    "i386": (("pc", "q35", "microvm", "isapc", "none"), "q35"),
    "aarch64": (("virt", "none"), "virt"),
    "ppc64": (("pseries", "none"), "pseries"),
    "s390x": (("s390-ccw-virtio", "none"), "s390-ccw-virtio"),
    "riscv64": (("virt", "none"), "virt"),
}
#: CPU models of machines that cannot run the default one or have none.
_CPUS = {"aarch64": "cortex-a57"}
#: What a model needs before and in its ``-device``; the first fitting prefix counts.
_NEEDS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("virtio-blk", ("-blockdev", "null-co,node-name=n"), ",drive=n"),
    ("scsi-hd", ("-blockdev", "null-co,node-name=n"), ",drive=n"),
    ("ide-hd", ("-blockdev", "null-co,node-name=n"), ",drive=n"),
    ("nvme-ns", ("-blockdev", "null-co,node-name=n", "-device", "nvme,serial=a,id=nv"), ",drive=n"),
    ("nvme", ("-blockdev", "null-co,node-name=n"), ",drive=n,serial=a"),
    ("usb-storage", ("-blockdev", "null-co,node-name=n"), ",drive=n"),
    ("sd-card", ("-blockdev", "null-co,node-name=n", "-device", "sdhci-pci"), ",drive=n"),
    ("floppy", ("-device", "isa-fdc"), ""),
    ("pc-dimm", ("-object", "memory-backend-ram,id=r,size=128M"), ",memdev=r"),
    ("nvdimm", ("-object", "memory-backend-ram,id=r,size=128M"), ",memdev=r"),
    ("virtio-mem", ("-object", "memory-backend-ram,id=r,size=128M"), ",memdev=r"),
    ("virtio-pmem", ("-object", "memory-backend-ram,id=r,size=128M"), ",memdev=r"),
    ("ivshmem-plain", ("-object", "memory-backend-ram,id=r,size=1M,share=on"), ",memdev=r"),
    ("virtio-crypto", ("-object", "cryptodev-backend-builtin,id=c"), ",cryptodev=c"),
    ("usb-serial", ("-chardev", "null,id=c"), ",chardev=c"),
    ("usb-braille", ("-chardev", "null,id=c"), ",chardev=c"),
    ("usb-redir", ("-chardev", "null,id=c"), ",chardev=c"),
    ("usb-ccid", (), ""),
    ("ccid-card-passthru", ("-chardev", "null,id=c", "-device", "usb-ccid"), ",chardev=c"),
    ("usb-mtp", (), ",rootdir=/"),
    ("pci-serial", ("-chardev", "null,id=c"), ""),
    ("virtserialport", ("-device", "virtio-serial-{bus}"), ""),
    ("virtconsole", ("-device", "virtio-serial-{bus}", "-chardev", "null,id=c"), ",chardev=c"),
    ("virtio-9p", ("-fsdev", "local,id=f,path=/,security_model=none"), ",fsdev=f,mount_tag=t"),
    ("virtio-input-host", (), ",evdev=/dev/null"),
    ("hda-", ("-device", "intel-hda"), ""),
    ("scsi-", (), ""),
    ("ipmi-bmc-sim", (), ""),
    ("isa-ipmi", ("-device", "ipmi-bmc-sim,id=bmc"), ",bmc=bmc"),
    ("pci-ipmi", ("-device", "ipmi-bmc-sim,id=bmc"), ",bmc=bmc"),
    ("pci-bridge", (), ",chassis_nr=9"),
    ("acpi-erst", ("-object", "memory-backend-ram,id=r,size=64K"), ",memdev=r"),
    ("can-", ("-object", "can-bus,id=cb"), ""),
)


#: User objects that can be made anywhere, and what they need.
OBJECTS = {
    "authz-list": "", "authz-simple": ",identity=y", "can-bus": "", "cryptodev-backend-builtin": "",
    "filter-buffer": ",netdev=n,interval=1000", "filter-dump": ",netdev=n,file=/dev/null",
    "filter-mirror": ",netdev=n,outdev=c", "filter-redirector": ",netdev=n,outdev=c",
    "filter-rewriter": ",netdev=n", "iothread": "", "main-loop": "",
    "memory-backend-file": ",size=1M,mem-path=/dev/shm/fakeqemu-record", "memory-backend-memfd": ",size=1M",
    "memory-backend-ram": ",size=1M", "rng-builtin": "", "rng-egd": ",chardev=c", "rng-random": "",
    "secret": ",data=y", "thread-context": "", "throttle-group": "", "tls-cipher-suites": "",
    "tls-creds-anon": ",endpoint=server",
}  # fmt: skip


#: What differs from one moment to the next.
_MOVING = ("rtc-time",)


class _Qemu:
    """A stopped machine to ask."""

    def __init__(self, program: str, *words: str, defaults: bool = False) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="fakeqemu-")
        path = self._directory.name + "/m"
        argv = [program, "-S", "-accel", "tcg", "-display", "none", "-no-user-config"]
        argv += [] if defaults else ["-nodefaults"]
        argv += [
            "-chardev",
            f"socket,id=monitor,path={path},server=on,wait=off",
            "-mon",
            "monitor,mode=control",
        ]
        self._process = subprocess.Popen(  # noqa: S603
            [*argv, *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            cwd=self._directory.name,
        )  # fmt: skip
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(_PATIENCE_S)
        while self._socket.connect_ex(path):
            if self._process.poll() is not None:
                _, words_ = self._process.communicate()
                self.close()
                raise RuntimeError(words_.decode(errors="replace").strip())
            time.sleep(0.01)  # noqa: TID251 - a tool that waits for a real process
        self._lines = self._socket.makefile("rb")
        try:
            self._lines.readline()
            self.ask("qmp_capabilities")
        except OSError as error:
            self.close()
            raise RuntimeError("gone") from error

    def ask(self, command: str, **arguments: Any) -> Any:
        """The value of a reply; the error's text in an exception."""
        try:
            self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        except OSError as error:
            raise RuntimeError("gone") from error
        while line := self._read():
            reply = json.loads(line)
            if "error" in reply:
                raise LookupError(reply["error"]["class"], reply["error"]["desc"])
            if "return" in reply:
                return reply["return"]
        raise RuntimeError("gone")

    def _read(self) -> bytes:
        try:
            return self._lines.readline()
        except (OSError, ValueError):
            return b""

    def close(self) -> None:
        """End it."""
        self._socket.close()
        if hasattr(self, "_lines"):
            self._lines.close()
        self._process.kill()
        self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()
        self._directory.cleanup()

    def node(self, path: str) -> list[Any]:
        """The properties of an object: [name, type], with its value where it has one."""
        found: list[Any] = []
        for entry in self.ask("qom-list", path=path):
            name, kind = entry["name"], entry["type"]
            if kind.startswith("child<") or name == "type" or name in _MOVING:
                found.append([name, kind])
                continue
            try:
                found.append([name, kind, self.ask("qom-get", path=path, property=name)])
            except LookupError as error:
                found.append([name, kind, None, error.args[1]])
        return found

    def tree(self, path: str, relative: str = "") -> dict[str, Any]:
        """An object and all below it, by path from there."""
        kind = self.ask("qom-get", path=path, property="type")
        properties = self.node(path)
        found: dict[str, Any] = {relative: [kind, properties]}
        for name, kind, *_ in properties:
            if kind.startswith("child<"):
                found |= self.tree(f"{path.rstrip('/')}/{name}", f"{relative}/{name}" if relative else name)
        return found


def _words(arch: str, machine: str) -> list[str]:
    words = ["-machine", machine]
    if arch in _CPUS and machine != "none":
        words += ["-cpu", _CPUS[arch]]
    return words


def _rooms(arch: str) -> list[str]:
    """Buses for devices to sit on."""
    if arch == "s390x":
        return ["-device", "virtio-scsi-ccw"]
    controllers = ["-device", "qemu-xhci", "-device", "virtio-scsi-pci"]
    return controllers if arch == "ppc64" else [*controllers, "-device", "pcie-root-port,id=rp,chassis=9"]


def _device(program: str, arch: str, machine: str, kind: str, *, pci: bool) -> dict[str, Any] | None:
    """What one device of a model is made of; None when none can be made here."""
    before, more = next(((pre, post) for start, pre, post in _NEEDS if kind.startswith(start)), ((), ""))
    before = tuple(word.replace("{bus}", "ccw" if arch == "s390x" else "pci") for word in before)
    root = arch not in ("s390x", "ppc64") and pci
    memory = ["-m", "256M,slots=4,maxmem=4G"] if "memdev" in more else ["-m", "256M"]
    machine_words = _words(arch, machine + (",nvdimm=on" if kind == "nvdimm" else ""))
    for place in ("", ",bus=rp") if root else ("",):
        device = f"{kind},id=x{more}{place}"
        try:
            qemu = _Qemu(program, *machine_words, *memory, *_rooms(arch), *before, "-device", device)
        except RuntimeError:
            continue
        try:
            return _looked_at(qemu, pci=pci)
        except (RuntimeError, LookupError):
            continue
        finally:
            qemu.close()
    return None


def listings(program: str, arch: str, facts: dict[str, Any]) -> dict[str, Any]:
    """What PCI devices list behind a root port, and when they come later: name and type of each entry.

    Args:
        program: the QEMU.
        arch: its architecture; only those with PCI Express are asked.
        facts: what has been recorded: only models in it are looked at.
    """
    found: dict[str, Any] = {}
    if arch not in ("x86_64", "aarch64", "riscv64"):
        return found
    plain, express = ("pc", "q35") if arch == "x86_64" else ("virt", "virt")
    for kind in [name[7:] for name, fact in facts.items() if name.startswith("device ") and "pci" in fact]:
        ways: dict[str, Any] = {}
        for way, machine, bus, hot in (
            ("express", express, ",bus=rp", False),
            ("hot", plain, "", True),
            ("hot express", express, ",bus=rp", True),
        ):
            entries = _listing(program, _words(arch, machine), kind, bus, hot=hot)
            if entries is not None:
                ways[way] = entries
        if ways:
            found[f"listing {kind}"] = ways
            sys.stderr.write(f"{kind}: {', '.join(ways)}\n")
    return found


def _listing(program: str, words: list[str], kind: str, bus: str, *, hot: bool) -> list[list[str]] | None:
    before, more = next(((pre, post) for start, pre, post in _NEEDS if kind.startswith(start)), ((), ""))
    port = ["-device", "pcie-root-port,id=rp,chassis=9"] if bus else []
    device = f"{kind},id=x{more}{bus}"
    try:
        argv = [*words, "-m", "256M,slots=4,maxmem=4G", *port, *before]
        qemu = _Qemu(program, *argv, *(() if hot else ("-device", device)))
    except RuntimeError:
        return None
    try:
        if hot:
            pairs = dict(pair.partition("=")[::2] for pair in device.split(",")[1:])
            qemu.ask("device_add", driver=kind, **pairs)
        listed = qemu.ask("qom-list", path="/machine/peripheral/x")
        return [[entry["name"], entry["type"]] for entry in listed]
    except (RuntimeError, LookupError):
        return None
    finally:
        qemu.close()


def _looked_at(qemu: _Qemu, *, pci: bool) -> dict[str, Any]:
    """The device ``x`` of a machine: its tree, and its PCI function."""
    path = "/machine/peripheral/x"
    found: dict[str, Any] = {"tree": json.loads(json.dumps(qemu.tree(path)).replace(path, "$"))}
    functions = [it for bus in (qemu.ask("query-pci") if pci else ()) for it in _functions(bus)]
    for function in functions:
        if function["qdev_id"] == "x":
            known = {"bus", "slot", "qdev_id", "function"}
            found["pci"] = {key: value for key, value in function.items() if key not in known}
    return found


def _functions(bus: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for device in bus["devices"]:
        found.append(device)
        found += _functions(
            device.get("pci_bridge", {"devices": ()})
            | {"devices": device.get("pci_bridge", {}).get("devices", ())}
        )
    return found


def _refusals(program: str, kinds: list[str], *words: str) -> dict[str, list[str]]:
    """What ``device_add`` of a bare model brings: on the empty machine, it tells the bus the model needs.

    An empty text is a success; ``?`` means that QEMU did not survive the question.
    """
    found: dict[str, list[str]] = {}
    left = list(kinds)
    while left:
        qemu = _Qemu(program, *words)
        made = 0
        try:
            while left and made < 8:
                kind = left.pop(0)
                found[kind] = ["GenericError", "?"]
                try:
                    qemu.ask("device_add", driver=kind)
                    found[kind] = []
                    made += 1
                except LookupError as error:
                    found[kind] = list(error.args)
        except RuntimeError:
            pass
        finally:
            qemu.close()
    return found


def record(program: str) -> dict[str, Any]:
    """Ask a QEMU everything; returns the facts by name."""
    empty = _Qemu(program, "-machine", "none")
    arch = empty.ask("query-target")["arch"]
    kinds = sorted(
        entry["name"] for entry in empty.ask("qom-list-types", implements="device", abstract=False)
    )
    cpus = sorted(
        {entry["typename"]: entry["name"] for entry in (_maybe(empty, "query-cpu-definitions") or [])}.items()
    )
    pcis = {entry["name"] for entry in empty.ask("qom-list-types", implements="pci-device")}
    empty.close()
    facts: dict[str, Any] = {}
    machines, main_machine = MACHINES[arch]
    for machine in machines:
        for defaults in (False, True):
            try:
                words = [
                    *_words(arch, machine),
                    "-m",
                    "64M" if machine == "isapc" else "256M" if arch == "ppc64" else "128M",
                ]
                qemu = _Qemu(program, *words, defaults=defaults)
            except RuntimeError:
                continue
            name = f"machine {machine}" + (" defaults" if defaults else "")
            facts[name] = {"tree": qemu.tree("/"), "pci": _maybe(qemu, "query-pci")}
            qemu.close()
    models = {typename for typename, _ in cpus}
    plain = [kind for kind in kinds if kind not in models]
    facts["refusals none"] = _refusals(program, plain, "-machine", "none")
    words = ["-device", "virtio-serial-ccw"] if arch == "s390x" else ["-device", "virtio-serial-pci"]
    rooms = [word for word in _rooms(arch) if word != "-device" and "root-port" not in word]
    words += [word for room in rooms for word in ("-device", room)]
    bare_machine = "pc" if main_machine == "q35" else main_machine
    facts["refusals"] = _refusals(program, plain, *_words(arch, bare_machine), *words)
    for kind in kinds:
        if kind in models:
            continue
        found = _device(program, arch, main_machine, kind, pci=kind in pcis)
        sys.stderr.write(f"{kind}: {'made' if found else 'not to be made'}\n")
        if found is not None:
            facts[f"device {kind}"] = found
    _record_cpus(program, main_machine, cpus, facts)
    for kind, more in OBJECTS.items():
        before = ("-netdev", "user,id=n", "-chardev", "null,id=c")
        try:
            qemu = _Qemu(program, "-machine", "none", *before, "-object", f"{kind},id=x{more}")
        except RuntimeError:
            continue
        path = "/objects/x"
        facts[f"object {kind}"] = {"tree": json.loads(json.dumps(qemu.tree(path)).replace(path, "$"))}
        qemu.close()
    return facts | listings(program, arch, facts)


def _maybe(qemu: _Qemu, command: str) -> Any:
    try:
        return qemu.ask(command)
    except LookupError:
        return None


def _record_cpus(program: str, machine: str, cpus: list[tuple[str, str]], facts: dict[str, Any]) -> None:
    """Each CPU model: where its properties and children are those of the first, only the values."""
    shapes: list[Any] = []
    for typename, name in cpus:
        try:
            qemu = _Qemu(program, "-machine", machine, "-m", "256M", "-cpu", name)
        except RuntimeError:
            continue
        path = qemu.ask("query-cpus-fast")[0]["qom-path"]
        tree = json.loads(json.dumps(qemu.tree(path)).replace(path, "$"))
        qemu.close()
        shape = {where: [kind, [entry[:2] for entry in entries]] for where, (kind, entries) in tree.items()}
        shape[""][0] = "$kind"
        if shape not in shapes:
            shapes.append(shape)
        values = {where: [entry[2:] for entry in entries] for where, (_, entries) in tree.items()}
        facts[f"cpu {typename}"] = {"shape": shapes.index(shape), "values": values}
        sys.stderr.write(f"{typename}: shape {shapes.index(shape)}\n")
    for number, shape in enumerate(shapes):
        facts[f"shape {number}"] = shape


def main(words: list[str]) -> int:
    """``record PROGRAM FILE``."""
    program, path = words
    Path(path).write_bytes(pack(record(program)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
