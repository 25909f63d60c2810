"""``-daemonize``: the process that was started waits, and its grandchild is the machine.

Knows os_daemonize() and os_setup_post() of QEMU 7.2's os-posix.c. Must not know the machine. Imported when a
command line asks for it.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # typeshed has no stub for it
import posix
from select import epoll

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fakeqemu.driver.process import Process

__all__ = ["detach", "fork"]


def fork(driver: Process) -> None:
    """Go on in a process of a session of its own; the first one waits until that is set up."""
    read, write = posix.pipe2(posix.O_CLOEXEC)
    if posix.fork():
        posix.close(write)
        _signal.pthread_sigmask(_signal.SIG_UNBLOCK, driver.routed())
        posix._exit(0 if posix.read(read, 1) == b"\0" else 1)  # noqa: SLF001 - it is what it is
    posix.close(read)
    posix.setsid()
    if posix.fork():
        posix._exit(0)  # noqa: SLF001
    posix.umask(0o027)
    driver.parent = write
    driver.epoll.close()
    driver.epoll = epoll()
    driver.machine.pid = posix.getpid()


def detach(driver: Process, _action: object) -> None:
    """The machine is set up: let the first process go, and leave its directory and streams."""
    if driver.parent is None:
        return
    posix.chdir("/")
    null = posix.open("/dev/null", posix.O_RDWR | posix.O_CLOEXEC)
    for fd in (0, 1, 2):
        posix.dup2(null, fd)
    if null > 2:
        posix.close(null)
    posix.write(driver.parent, b"\0")
    posix.close(driver.parent)
    driver.parent = None
