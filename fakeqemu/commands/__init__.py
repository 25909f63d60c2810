"""What commands do: one module for each family.

Knows QEMU's behaviour, command by command. Must not know how a command was asked for, nor the order of
checks: that is `fakeqemu.protocol.dispatch`. To add one, write a function with ``@command`` in its family; to
add a family, name its module in `fakeqemu.registry`.
"""
