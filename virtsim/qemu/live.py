"""The definition of a running machine: aliases, paths and ports on top of what is kept.

Knows where an instance's sockets lie and what a start chooses. Must not know the command line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from virtsim.model import evolve
from virtsim.model.address import VirtioSerialAddress
from virtsim.model.chardev import CharSource
from virtsim.model.devices import Channel, Graphics, GraphicsListen
from virtsim.model.domain import Domain
from virtsim.qemu.aliases import with_aliases

__all__ = ["InstancePaths", "make_live"]


@dataclass(frozen=True, slots=True)
class InstancePaths:
    """Where the files of one running domain lie; absolute paths.

    Attributes:
        dir: directory of this run of the domain.
        monitor: the monitor's socket.
        log: standard output and error of QEMU.
        pidfile: where the process id is written.
        channel_dir: directory of the channels' sockets, or None: the ``dir``.
    """

    dir: str
    monitor: str
    log: str
    pidfile: str
    channel_dir: str | None = None


def make_live(
    domain: Domain, *, domain_id: int, paths: InstancePaths, new_port: Callable[[], int] | None = None
) -> Domain:
    """The live definition of a complete domain.

    A VNC or SPICE display whose port is to be chosen (``autoport``) listens at a Unix socket in the
    instance's directory instead of a TCP port: two managers on one host, or a thousand domains of one run,
    cannot collide.
    A display with a port of its own gets that port.

    Args:
        domain: what ``complete`` made.
        domain_id: number of the running domain.
        paths: where its files lie.
        new_port: asked for a free TCP port (5900 and up) for each such display; then none is a Unix socket.
    """
    devices = with_aliases(domain.devices)
    channels = devices.channels
    if any(c.type == "unix" and (c.source is None or c.source.path is None) for c in channels):
        channels = tuple(_channel(c, paths) for c in channels)
        devices = evolve(devices, channels=channels)
    if devices.graphics:
        graphics = tuple(_graphics(g, paths, new_port) for g in devices.graphics)
        devices = evolve(devices, graphics=graphics)
    return evolve(domain, id=domain_id, devices=devices)


def _channel(channel: Channel, paths: InstancePaths) -> Channel:
    if channel.type != "unix" or (channel.source is not None and channel.source.path is not None):
        return channel
    base = paths.channel_dir or paths.dir
    name = channel.target_name
    if name is None and isinstance(at := channel.address, VirtioSerialAddress):
        name = f"vioser-{at.controller:02d}-{at.bus:02d}-{at.port:02d}.sock"
    path = f"{base}/{(name or channel.alias or '').replace('/', '_')}"
    return evolve(channel, source=CharSource(mode="bind", path=path))


def _graphics(graphics: Graphics, paths: InstancePaths, new_port: Callable[[], int] | None) -> Graphics:
    if graphics.type not in ("vnc", "spice"):
        return graphics
    unnamed = any(listen.type == "socket" and listen.socket is None for listen in graphics.listens)
    if not graphics.autoport and not unnamed:
        return graphics
    if new_port is not None and not unnamed:
        return evolve(graphics, port=new_port())
    socket = f"{paths.dir}/{graphics.type}.sock"
    return evolve(graphics, port=None, autoport=None, listens=(GraphicsListen(type="socket", socket=socket),))
