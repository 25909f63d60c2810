"""What stands behind the toolbox's commands.

Knows files, programs and click. Must not know the inside of a machine, and no machine or driver imports it.
"""
