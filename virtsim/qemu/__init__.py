"""CRAFT: how a QEMU is built, started, talked to and ended.

Knows QEMU's command line and monitor, and the rules by which libvirt waits, kills and keeps order. It
must not know who calls (no API names), whether QEMU is real, or which clock runs.
"""
