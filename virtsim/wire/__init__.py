"""SENTENCES: protocol engines that turn bytes into frozen events and back.

Knows grammar, limits and turn-taking of each protocol. Must not know sockets, loops, clocks, domains or what
a sentence means to anybody: an engine does no I/O, so the same bytes always give the same events.
"""
