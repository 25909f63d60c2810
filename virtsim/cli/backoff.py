"""``virtsim backoff``: what a waiting policy does, attempt by attempt."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from virtsim.cli.exits import Exit, Problem
from virtsim.cli.options import DURATION_MS, SIZE_KIB

if TYPE_CHECKING:
    from virtsim.api import Plan

__all__ = ["SCHEMA", "backoff"]

#: Name and version of what ``--json`` prints.
SCHEMA = "virtsim/backoff@1"


@click.command()
@click.option(
    "--policy", "policy_name", default="eventful", show_default=True, metavar="NAME", help="Waiting policy."
)
@click.option("--memory", type=SIZE_KIB, default="512MiB", show_default=True, help="Guest memory.")
@click.option("--ready", type=DURATION_MS, help="When QEMU's socket appears (fd passing: when it greets).")
@click.option("--nics", type=click.IntRange(0), default=0, help="Network interfaces.")
@click.option("--hostdevs", type=click.IntRange(0), default=0, help="Host devices.")
@click.option("--limit", type=DURATION_MS, help="A limit instead of the policy's own.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def backoff(
    policy_name: str,
    memory: int,
    ready: int | None,
    nics: int,
    hostdevs: int,
    limit: int | None,
    as_json: bool,
) -> None:
    """Show how a policy waits for QEMU's monitor: each attempt, the limit, and when the socket is met.

    Times are milliseconds from the start of QEMU. Without --ready the socket never appears.
    """
    from virtsim.api import GuestSize, plan, policy
    from virtsim.errors import VirtsimError

    try:
        chosen = policy(policy_name, limit)
        guest = GuestSize(memory, nics, hostdevs)
    except VirtsimError as error:
        raise Problem(f"virtsim backoff: {error.detail}", Exit.USAGE) from None
    result = plan(chosen, guest, ready)
    if as_json:
        click.echo(json.dumps(_as_json(policy_name, result)))
        return
    limit_text = "no limit" if result.limit_ms is None else f"limit {result.limit_ms} ms"
    click.echo(f"{policy_name}: {limit_text}")
    click.echo(f"{'attempt':>7}  {'at ms':>10}  {'nap ms':>8}")
    for number, attempt in enumerate(result.attempts, 1):
        click.echo(f"{number:>7}  {attempt.at_ms:>10}  {attempt.nap_ms:>8}")
    click.echo(_verdict(result, ready))


def _as_json(name: str, result: Plan) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "policy": name,
        "limit_ms": result.limit_ms,
        "attempts": [{"at_ms": attempt.at_ms, "nap_ms": attempt.nap_ms} for attempt in result.attempts],
        "met_at_ms": result.met_at_ms,
        "attempt": result.attempt,
        "greeted_at_ms": result.greeted_at_ms,
    }


def _verdict(result: Plan, ready: int | None) -> str:
    if result.met_at_ms is None:
        return f"not met: given up after attempt {result.attempt} at {result.attempts[-1].at_ms} ms"
    if result.greeted_at_ms is None:
        waited = "for ever" if result.limit_ms is None else f"until {result.limit_ms} ms"
        return (
            f"met at {result.met_at_ms} ms by attempt {result.attempt}, and waits {waited} for the greeting"
        )
    late = "" if ready is None else f", {result.greeted_at_ms - ready} ms after it was ready"
    text = f"met at {result.met_at_ms} ms by attempt {result.attempt}"
    return (
        text
        + (f", greeted at {result.greeted_at_ms} ms" if result.greeted_at_ms != result.met_at_ms else "")
        + late
    )
