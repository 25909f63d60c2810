"""The process driver: a machine's actions, carried out with real sockets, terminals, threads and signals.

Knows the kernel. Must not know QMP. Nothing is imported here: this stands on the start-up path.
"""
