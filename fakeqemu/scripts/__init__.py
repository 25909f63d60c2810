"""Behaviour scripts: the grammar, the compiled form, and what a rule does to a machine.

Knows words, rules and deeds. Must not know commands, nor what is inside of a machine. Nothing is imported
here: this stands on the start-up path of a fake with a script.
"""
