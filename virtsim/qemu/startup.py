"""The conversation that starts a guest: which commands, in which order, for which definition.

Source: libvirt 8.5.0 ``qemuProcessLaunch`` after the monitor is open, checked against the log of libvirt
9.0.0 with QEMU 7.2. One departure: libvirt asks for each of the processor's 398 boolean properties one by
one; virtsim lists them and reads the two summaries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from virtsim.states._generated_enums import DomainEventID

if TYPE_CHECKING:
    from virtsim.model import Domain
    from virtsim.qemu.vm import VirtualMachine

__all__ = ["BEFORE_OVERRIDE_ENDS", "greet", "set_up"]

#: Until this command has been answered, a QEMU that is gone is reported as having "exited while connecting"
#: (``qemuProcessWaitForMonitor`` ends there).
BEFORE_OVERRIDE_ENDS = "query-chardev"

#: virConnectDomainEventAgentLifecycleState and -Reason: disconnected (2), because the domain was started (1).
_AGENT_DISCONNECTED, _AGENT_DISCONNECTED_STATE, _AGENT_DOMAIN_STARTED = 2, 2, 1
_AGENT_CONNECTED_STATE = 1
_AGENT_CHANNEL = "org.qemu.guest_agent.0"

#: Summaries of a processor's features, asked for where QEMU has them.
_CPU_SUMMARIES = ("feature-words", "unavailable-features")


async def greet(vm: VirtualMachine) -> None:
    """The commands of ``qemuProcessWaitForMonitor``: from qmp_capabilities to query-chardev."""
    await vm.execute("qmp_capabilities")
    capabilities = await vm.execute("query-migrate-capabilities")
    if any(item.get("capability") == "events" for item in _items(capabilities)):
        await vm.execute(
            "migrate-set-capabilities", {"capabilities": [{"capability": "events", "state": True}]}
        )
    chardevs = await vm.execute("query-chardev")
    _report_agent(vm, chardevs)


async def set_up(vm: VirtualMachine) -> None:
    """The commands from there to ``cont``."""
    run = vm.run
    assert run is not None  # noqa: S101  (the start holds the job)
    live = run.live
    await _read_cpus(vm)
    await vm.execute("query-iothreads")
    await _set_passwords(vm, live)
    for nic in live.devices.interfaces:
        if nic.link == "down" and nic.alias is not None:
            await vm.execute("set_link", {"name": nic.alias, "up": False})
    await _set_balloon(vm, live)
    if live.on_reboot == "destroy":
        await vm.execute("set-action", {"reboot": "shutdown"})
    await vm.execute("qom-list", {"path": "/machine/peripheral"})
    await vm.execute("query-block")


async def _read_cpus(vm: VirtualMachine) -> None:
    await vm.execute("query-hotpluggable-cpus")
    cpus = _items(await vm.execute("query-cpus-fast"))
    path = cpus[0].get("qom-path") if cpus else None
    if not isinstance(path, str):
        return
    # Hundreds of entries come; one look at each is enough.
    properties = await vm.execute("qom-list", {"path": path})
    listed = properties if isinstance(properties, list) else ()
    there = {item["name"] for item in listed if type(item) is dict and item.get("name") in _CPU_SUMMARIES}
    for name in _CPU_SUMMARIES:
        if name in there:
            await vm.execute("qom-get", {"path": path, "property": name})


async def _set_passwords(vm: VirtualMachine, live: Domain) -> None:
    for graphics in live.devices.graphics:
        if graphics.type in {"vnc", "spice"} and graphics.passwd is not None:
            protocol = {"protocol": graphics.type}
            await vm.execute("set_password", {**protocol, "password": graphics.passwd, "connected": "keep"})
            await vm.execute("expire_password", {**protocol, "time": "never"})


async def _set_balloon(vm: VirtualMachine, live: Domain) -> None:
    """``qemuProcessSetupBalloon`` and ``qemuProcessRefreshBalloonState``."""
    balloon = live.devices.balloon
    if balloon is None or balloon.model == "none":
        return
    if balloon.stats_period_s:
        path = f"/machine/peripheral/{balloon.alias}"
        await vm.execute("qom-list", {"path": "/machine/peripheral"})
        await vm.execute("qom-list", {"path": path})
        await vm.execute(
            "qom-set",
            {"path": path, "property": "guest-stats-polling-interval", "value": balloon.stats_period_s},
        )
    current_kib = live.current_memory_kib if live.current_memory_kib is not None else live.memory_kib
    await vm.execute("balloon", {"value": current_kib * 1024})
    await vm.execute("query-balloon")


def _report_agent(vm: VirtualMachine, chardevs: Any) -> None:
    """query-chardev says whether the guest has opened the agent's channel; libvirt reports it as an event."""
    run = vm.run
    assert run is not None  # noqa: S101  (the start holds the job)
    for channel in run.live.devices.channels:
        if channel.target_name != _AGENT_CHANNEL:
            continue
        label = f"char{channel.alias}"
        opened = any(
            item.get("label") == label and item.get("frontend-open") is True for item in _items(chardevs)
        )
        state = _AGENT_CONNECTED_STATE if opened else _AGENT_DISCONNECTED_STATE
        vm.driver.emit(vm, DomainEventID.AGENT_LIFECYCLE, state, _AGENT_DOMAIN_STARTED)


def _items(reply: Any) -> list[dict[str, Any]]:
    """The objects of a reply that ought to be a list of objects; anything else counts as none."""
    return [item for item in reply if isinstance(item, dict)] if isinstance(reply, list) else []
