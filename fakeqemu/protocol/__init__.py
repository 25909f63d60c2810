"""QMP: QEMU's JSON, sessions, the order in which everything happens to a command, and the schema as law.

Knows how something is asked and answered. Must not know what any command does. Nothing is imported here: this
stands on the start-up path.
"""
