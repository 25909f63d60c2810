#!/bin/sh
# Make a virtual environment, or say what is missing and how to get it.
# usage: make_venv.sh PYTHON DIRECTORY
set -eu
python=$1
directory=$2

if ! command -v "$python" >/dev/null 2>&1; then
    echo "virtsim needs Python 3.11 or newer, and there is no '$python' here." >&2
    echo "  Debian, Ubuntu:  apt install python3 python3-venv" >&2
    echo "  another one:     make PYTHON=/path/to/python3.12 demo" >&2
    exit 3
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "virtsim needs Python 3.11 or newer; '$python' is $("$python" -V 2>&1)." >&2
    echo "  another one:     make PYTHON=/path/to/python3.12 demo" >&2
    exit 3
fi
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    echo "This Python lacks the module venv (or ensurepip)." >&2
    echo "  Debian, Ubuntu:  apt install python${version}-venv" >&2
    echo "  Fedora:          dnf install python3" >&2
    exit 3
fi
"$python" -m venv "$directory"
