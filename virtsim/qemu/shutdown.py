"""The end of a client: what becomes of its domains when a connection is closed."""

from __future__ import annotations

from virtsim.qemu import stop
from virtsim.qemu.vm import VirtualMachine

__all__ = ["client_gone", "let_go"]

#: Whom waiting callers see while a client's domains are destroyed.
_API = "virCloseCallbacksRun"


async def client_gone(vm: VirtualMachine) -> None:
    """Destroy a domain that was started with START_AUTODESTROY: SHUTOFF/DESTROYED, STOPPED/DESTROYED.

    Raises:
        VirtsimError: as `stop.destroy` does; the domain stays then.
    """
    vm.autodestroy = None
    if vm.active:
        await stop.destroy(vm, graceful=False, api=_API)


async def let_go(vm: VirtualMachine) -> None:
    """End the tasks and the monitor of a running domain; QEMU itself stays, with its files."""
    run = vm.run
    if run is None:
        return
    await run.end_tasks()
    if run.monitor is not None:
        run.monitor.close()
        run.monitor = None
