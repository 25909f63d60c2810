"""The toolbox's command ``server``.

Knows click. Must not know how a process is made (`fakeqemu.driver.server`).
"""

from __future__ import annotations

import click

__all__ = ["server"]


@click.command()
@click.argument("socket", metavar="SOCKET")
def server(socket: str) -> None:
    """Start fake QEMUs for whoever connects to SOCKET.

    Each takes about a millisecond, for all is loaded. A request is a line of JSON with the command line, the
    environment and the numbers of the descriptors that come beside it. The server runs until SIGTERM; what it
    has started lives on.
    """
    from fakeqemu.driver.server import serve_path

    try:
        serve_path(socket)
    except OSError as error:
        raise click.ClickException(f"{socket}: {error.strerror or error}") from error
