"""``virtsim argv``: the QEMU command line of a domain."""

from __future__ import annotations

import json

import click

from virtsim.cli.exits import Exit, Problem

__all__ = ["SCHEMA", "argv"]

#: Name and version of what ``--json`` prints.
SCHEMA = "virtsim/argv@1"


@click.command()
@click.argument("document", metavar="DOMAIN.xml")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def argv(document: str, as_json: bool) -> None:
    """Show the QEMU command line of a domain, one argument per line.

    What a start would draw by chance (UUID, MAC addresses) is derived from the document, so the same
    document always gives the same command line. What is understood by nobody is said on standard error.
    """
    from virtsim.api import native_argv, parse_domain
    from virtsim.errors import VirtsimError, XMLError
    from virtsim.sim.load import MistakesError, read_domain_file

    try:
        data = read_domain_file(document)
        words = native_argv(data, accel="kvm")
    except MistakesError as failure:
        raise Problem(str(failure), Exit.USAGE) from None
    except XMLError as error:
        place = f"{document}:{error.line or 1}:{error.column or 1}"
        raise Problem(f"{place}: {error.text.splitlines()[0]}", Exit.USAGE) from None
    except VirtsimError as error:
        raise Problem(f"{document}:1:1: {error.text}", Exit.USAGE) from None
    for item in parse_domain(data).unclaimed:
        click.echo(f"{document}:{item.line or 1}:{item.column or 1}: warning: {item.message}", err=True)
    if as_json:
        click.echo(json.dumps({"schema": SCHEMA, "argv": words}))
    else:
        for word in words:
            click.echo(word)
