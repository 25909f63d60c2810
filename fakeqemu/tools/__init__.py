"""What stands behind the toolbox's commands.

Knows files, programs and click. Must not be imported by the machine or its drivers.
"""
