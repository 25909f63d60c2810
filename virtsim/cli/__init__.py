"""The mouth: the ``virtsim`` command, one file for each noun.

Knows words, options and exit statuses. It must not know how anything is done: a command imports
`virtsim.api`, `virtsim.sim` or `virtsim.report` when it is called, and nothing below them.
"""
