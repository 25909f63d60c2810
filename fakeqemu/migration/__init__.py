"""Live migration: guest memory, both ends of a stream, and what ``query-migrate`` says of it.

Knows migration/ of QEMU 7.2: states, counters, capabilities, parameters, and the texts of their errors; and
the stream, which is the fake's own. Must not know sockets (a driver carries `Connect`, `Adopt` and `Listen`
out), nor what the parts of a machine put into their sections (`saved` and `restored` are theirs).
"""
