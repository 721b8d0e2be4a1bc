#!/usr/bin/env bash
# Tests the lower bounds of pyproject.toml: installs the lowest version of every direct dependency, and runs fast tests.
# usage: tools/lowest_versions.sh [TORCH]   TORCH: a requirement, such as torch==2.6.0; the range of pyproject.toml by default
#
# torch is not lowered by default: its old versions exist as large CUDA builds only on some platforms, and pip takes the
# CPU build that the machine has. Needs a Python whose wheels the lowest versions have (3.11), and 2 GB of disk.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
torch=${1:-$("$python" -c 'import tomllib
print(next(d for d in tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"] if d.startswith("torch")))')}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m venv "$work/resolver"
"$work/resolver/bin/pip" install --quiet uv
"$work/resolver/bin/uv" pip compile --quiet --resolution lowest-direct --annotation-style line --python "$python" \
    pyproject.toml | sed -n '/ddmi (pyproject.toml)/s/ *#.*//p' | grep -v '^torch==' >"$work/lowest.txt"
cat "$work/lowest.txt"

"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet "$torch" -r "$work/lowest.txt" pytest pytest-xdist hypothesis 'pyarrow==17.*'
"$work/venv/bin/pip" install --quiet --no-deps -e .
"$work/venv/bin/pip" check
"$work/venv/bin/ddmi" plugins --check
"$work/venv/bin/ddmi" doctor >/dev/null
"$work/venv/bin/python" -m pytest -n 0 -p no:cacheprovider -m 'not slow' \
    tests/settings tests/fields tests/sources tests/grids tests/training tests/report \
    tests/registry/test_registry.py tests/scaffold/test_scaffold.py tests/plugins/image tests/plugins/occupancy tests/plugins/video
