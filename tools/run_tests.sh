#!/bin/sh
# Everything that `make test` runs, in order of cost; goes on after a failure so that one run shows all of them.
# usage: PYTHON=.venv/bin/python run_tests.sh "OTHER INTERPRETERS"
set -u
bin=$(dirname "$PYTHON")
others=${1:-}
failed=""

step() {
    name=$1
    shift
    echo "== $name"
    "$@" || failed="$failed $name"
}

step ruff "$bin/ruff" check --quiet .
step format "$bin/ruff" format --quiet --check .
step codespell "$bin/codespell"
step mypy "$bin/mypy"

rm -f .coverage .coverage.*
if [ -n "$others" ]; then
    current=$("$PYTHON" -c 'import sys; print("py%d%d" % sys.version_info[:2])')
    envs=$(echo "py311 py312 py313" | tr ' ' '\n' | grep -v "$current" | paste -sd, -)
    # shellcheck disable=SC2086
    step pythons "$bin/tox" -q run -e "$envs" --discover $others -- -n 2 tests/unit tests/contract tests/sim
fi
step tests "$bin/pytest" -q -n 2 --cov --cov-report=
step coverage "$PYTHON" tools/check_coverage.py

if [ -n "$failed" ]; then
    echo "FAILED:$failed"
    exit 1
fi
echo "all passed"
