"""What a fake was started with: QEMU's command line, read and refused as QEMU 7.2 does.

Knows options, their values and their errors. Must not know the machine that follows. Nothing is imported
here: this stands on the start-up path.
"""
