"""What real QEMUs answered when they were asked: profiles, how they are recorded, and how they are read.

Knows the questions and the file. Must not know the machine that answers from it. Nothing is imported here:
this stands on the start-up path.
"""
