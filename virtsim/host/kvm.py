"""Whether KVM works here, found out by using it.

Knows three calls of the KVM interface. Must not know what QEMU does with it.

The device node proves nothing: it is there in containers whose host forbids it, on machines whose firmware
has virtualisation switched off, and inside guests without nested virtualisation.
"""

from __future__ import annotations

import errno
import fcntl
import os

__all__ = ["kvm_usable"]

# linux/kvm.h (Linux 6.1): KVMIO is 0xAE; _IO(type, nr) without a size is (type << 8) | nr
# (asm-generic/ioctl.h).
_KVM_GET_API_VERSION = 0xAE00
_KVM_CREATE_VM = 0xAE01
_KVM_CREATE_VCPU = 0xAE41

#: The only version of the interface there ever was since Linux 2.6.22; the kernel's documentation
#: (Documentation/virt/kvm/api.rst, 4.1) tells applications to refuse any other.
_API_VERSION = 12


def kvm_usable(device: str = "/dev/kvm") -> tuple[bool, str]:
    """Make a virtual machine with one processor and throw it away.

    Args:
        device: the node to open.

    Returns:
        Whether KVM can be used, and one sentence on how that is known. Never raises for a missing or broken
        device.
    """
    try:
        system = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        return False, f"{device} cannot be opened: {_reason(error)}"
    try:
        return _try_it(system, device)
    finally:
        os.close(system)


def _try_it(system: int, device: str) -> tuple[bool, str]:
    try:
        version = _ioctl(system, _KVM_GET_API_VERSION)
    except OSError as error:
        return False, f"{device} is not KVM: {_reason(error)}"
    if version != _API_VERSION:
        return False, f"{device} speaks version {version} of the KVM interface, not {_API_VERSION}"
    try:
        machine = _ioctl(system, _KVM_CREATE_VM)
    except OSError as error:
        return False, f"{device} makes no virtual machine: {_reason(error)}"
    try:
        os.close(_ioctl(machine, _KVM_CREATE_VCPU))
    except OSError as error:
        return False, f"{device} makes no virtual processor: {_reason(error)}"
    finally:
        os.close(machine)
    return True, f"{device} made a virtual machine with one processor"


def _ioctl(descriptor: int, request: int) -> int:
    while True:
        try:
            return fcntl.ioctl(descriptor, request, 0)
        except InterruptedError:
            # KVM_CREATE_VM gives EINTR when a signal arrives; QEMU tries again as well (kvm-all.c,
            # do_kvm_create_vm).
            continue


def _reason(error: OSError) -> str:
    number = error.errno or errno.EIO
    return os.strerror(number)
