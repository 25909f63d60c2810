#!/bin/sh
# What to say when pip could not install a package.
echo "pip could not install what virtsim needs (see its message above)." >&2
echo "  It needs a package index once; behind a proxy or mirror set HTTPS_PROXY or PIP_INDEX_URL." >&2
echo "  The packages are listed in pyproject.toml under [project] dependencies." >&2
