"""kvm_usable believes only in what it has done."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from virtsim.host import kvm as module
from virtsim.host.kvm import kvm_usable


def open_descriptors() -> list[str]:
    return sorted(each.name for each in Path("/proc/self/fd").iterdir())


def test_the_answer_on_this_machine_is_a_sentence_and_no_descriptor_stays() -> None:
    before = open_descriptors()
    usable, sentence = kvm_usable()

    assert isinstance(usable, bool)
    assert sentence.startswith("/dev/kvm ")
    assert open_descriptors() == before


def test_a_missing_node_is_said_so(tmp_path: Path) -> None:
    path = str(tmp_path / "kvm")

    assert kvm_usable(path) == (False, f"{path} cannot be opened: No such file or directory")


def test_a_node_that_is_not_kvm_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "kvm"
    path.touch()

    assert kvm_usable(str(path)) == (False, f"{path} is not KVM: Inappropriate ioctl for device")


class Kernel:
    """Answers the calls from a table: request -> what it returns or raises."""

    def __init__(self, **answers: object) -> None:
        self.answers = {
            module._KVM_GET_API_VERSION: answers.get("version", 12),
            module._KVM_CREATE_VM: answers.get("machine"),
            module._KVM_CREATE_VCPU: answers.get("processor"),
        }
        self.interruptions = int(str(answers.get("interruptions", 0)))

    def ioctl(self, descriptor: int, request: int, argument: int) -> int:
        if self.interruptions:
            self.interruptions -= 1
            raise InterruptedError(errno.EINTR, "signal")
        answer = self.answers[request]
        if isinstance(answer, OSError):
            raise answer
        return answer if isinstance(answer, int) else os.open("/dev/null", os.O_RDONLY)


@pytest.mark.parametrize(
    ("kernel", "usable", "words"),
    [
        (Kernel(), True, "made a virtual machine with one processor"),
        (Kernel(interruptions=3), True, "made a virtual machine with one processor"),
        (Kernel(version=11), False, "speaks version 11 of the KVM interface, not 12"),
        (
            Kernel(machine=OSError(errno.ENOMEM, "")),
            False,
            "makes no virtual machine: Cannot allocate memory",
        ),
        (Kernel(processor=OSError(errno.EEXIST, "")), False, "makes no virtual processor: File exists"),
    ],
)
def test_every_step_must_succeed(
    kernel: Kernel, usable: bool, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.fcntl, "ioctl", kernel.ioctl)
    before = open_descriptors()

    assert kvm_usable("/dev/null") == (usable, f"/dev/null {words}")
    assert open_descriptors() == before
