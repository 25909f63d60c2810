"""A QEMU that is not there: takes a real QEMU command line, speaks QMP, and misbehaves on script.

Knows QEMU's command line, its QMP (from recorded profiles) and its manners. Must not know virtsim, nor
who talks to it. Nothing outside the standard library stands on its start-up path, and nothing is imported
here: this file is executed before the monitor socket exists, and that time is measured.
"""
