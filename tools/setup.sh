#!/bin/sh
# Make or update .venv: the lock, then this package. Called by the Makefile; run from the repository's root.
#   PYTHON             the Python that makes .venv (default: the first on PATH that is new enough)
#   RAVINES_NO_SYSTEM  when 1, leave the system's packages alone
#   RAVINES_COMPILE    when 0, leave compiling to whoever imports: for an environment that is used once
set -eu
export PIP_DISABLE_PIP_VERSION_CHECK=1

good() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    for name in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
        path=$(command -v "$name") || continue
        if good "$path"; then
            echo "$path"
            return
        fi
    done
    echo "This needs Python 3.11 or newer, and there is none${PYTHON:+ at $PYTHON}: install it, or name one with \`make PYTHON=/path/to/python ...\`." >&2
    exit 1
}

# A .venv whose Python is gone or too old, or that was cut off before it had pip, cannot be repaired, and
# one that was moved has scripts that point at its old place.
usable() {
    good .venv/bin/python || return 1
    [ -x .venv/bin/uv ] || .venv/bin/python -m pip --version >/dev/null 2>&1 || return 1
    [ ! -f .venv/.ready ] || [ "$(cat .venv/.ready)" = "$PWD" ]
}
if [ -e .venv ] && ! usable; then
    rm -rf .venv
fi
if [ ! -e .venv ]; then
    python=$(find_python)
    if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        echo "$python cannot make virtual environments: install its venv module (on Debian and Ubuntu: apt-get install python3-venv)." >&2
        exit 1
    fi
    echo "Making .venv with $("$python" --version)."
    "$python" -m venv .venv
fi

rm -f .venv/.ready
# uv is the only package whose version is left open: it installs the lock and is no part of it.
# (-qq: pip's warnings about its own settings say nothing here; its errors are still shown.)
[ -x .venv/bin/uv ] || .venv/bin/python -m pip install -qq uv
quiet=-q
[ -t 2 ] && quiet=
echo "Installing the lock into .venv (about 5 GB on Linux; seconds from a cache, else minutes)."
# Compiled once here (20 s), not by each of the many processes that import torch: that costs each one 4 s.
compile=--compile-bytecode
[ "${RAVINES_COMPILE:-1}" != 0 ] || compile=
.venv/bin/uv pip install $quiet $compile --python .venv/bin/python -r requirements.txt
# setuptools comes from the lock: with build isolation another one would be fetched.
.venv/bin/uv pip install $quiet --python .venv/bin/python --no-deps --no-build-isolation -e .
# An editable install leaves out data files: the kernel that the pages are run with.
[ ! -x .venv/bin/jupyter ] || .venv/bin/jupyter kernelspec install --log-level=ERROR --sys-prefix --name warm autograde/kernelspec

# The system's packages: bubblewrap for the grader's sandbox, chromium to look at the pages in the tests.
# They are asked for once, and the course goes on without them.
has() {
    for name in "$@"; do command -v "$name" >/dev/null 2>&1 && return; done
    return 1
}
if [ "${RAVINES_NO_SYSTEM:-0}" != 1 ] && [ ! -e .venv/.system ] && [ "$(uname)" = Linux ]; then
    missing=
    has bwrap || missing="$missing bubblewrap"
    has chromium chromium-browser google-chrome google-chrome-stable || missing="$missing chromium"
    if [ -n "$missing" ] && has apt-get; then
        if [ "$(id -u)" = 0 ]; then
            as_root=env
        elif has sudo && sudo -n true >/dev/null 2>&1; then
            as_root="sudo -n env"
        else
            as_root=
        fi
        if [ -n "$as_root" ]; then
            echo "Installing$missing with apt-get (once; the log is .venv/system.log)."
            apt="$as_root DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=60"
            still=
            $apt update >.venv/system.log 2>&1 </dev/null || true
            # One by one: a package that this system does not have must not cost the other.
            for package in $missing; do
                $apt install -y --no-install-recommends "$package" >>.venv/system.log 2>&1 </dev/null ||
                    still="$still $package"
            done
            missing=$still
        fi
    fi
    if [ -n "$missing" ]; then
        echo "Not installed:$missing. The course works without; to have all of it: sudo apt-get install$missing (or your system's way)."
    fi
    : >.venv/.system
fi

printf '%s' "$PWD" >.venv/.ready
