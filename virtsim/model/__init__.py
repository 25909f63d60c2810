"""NOUNS: libvirt's documents as frozen dataclasses, one line for each leaf.

Knows the XML of domains: names, codecs, defaults, order. Must not know states, sockets, asyncio or time, nor
what QEMU makes of any of it.
"""

from __future__ import annotations

from virtsim.model._plan import evolve
from virtsim.model._read import Unclaimed
from virtsim.model.domain import Domain, ParsedDomain, dump_domain, parse_domain, without_secrets

__all__ = ["Domain", "ParsedDomain", "Unclaimed", "dump_domain", "evolve", "parse_domain", "without_secrets"]
