#!/bin/sh
# The lock, requirements.txt, from the ranges in pyproject.toml. Pins that still fit are kept; to move one,
# delete its line first. With --check nothing is written, and a lock that is out of date ends with 1.
set -eu

lock() {
    # The oldest Python that the course supports decides, not the one that happens to run.
    uv pip compile -q --all-extras --universal --python-version 3.11 \
        --custom-compile-command 'make lock' pyproject.toml -o "$1"
}

if [ "${1:-}" != --check ]; then
    lock requirements.txt
    exit
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp requirements.txt "$folder/requirements.txt"
code=0
UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-30}" lock "$folder/requirements.txt" >"$folder/log" 2>&1 || code=$?
if [ $code -eq 2 ] && grep -qi 'failed to fetch\|dns\|connect' "$folder/log"; then
    echo 'The package index cannot be reached: whether requirements.txt is in date was not checked.'
    exit
fi
if [ $code -ne 0 ]; then
    cat "$folder/log" >&2
    exit 1
fi
# The header names the command, which may have been another one.
sed '/^#/d' requirements.txt >"$folder/old"
sed '/^#/d' "$folder/requirements.txt" >"$folder/new"
if ! diff -U0 "$folder/old" "$folder/new" >"$folder/diff"; then
    sed '1,2d' "$folder/diff" >&2
    echo 'requirements.txt is out of date with pyproject.toml: run `make lock` and commit the result.' >&2
    exit 1
fi
