#!/usr/bin/env python3
"""Runs the RUN: lines of a text in tests/golden.

usage: run_golden.py --netc PROGRAM --filecheck PROGRAM FILE

A line that holds `RUN: COMMAND` is run by sh in a fresh directory; a backslash at its end joins it
with the next RUN line. In it `%s` is the file, `%S` its folder, `%t` a scratch path; `netc` and `FileCheck` are
the programs given, `not COMMAND` succeeds when the command ends with a user's error (1 to 4).
"""
import argparse
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

PRELUDE = """set -o pipefail
netc() { %(netc)s "$@"; }
FileCheck() { %(filecheck)s --dump-input=never "$@"; }
not() { "$@"; status=$?; if [ $status -ge 1 ] && [ $status -le 4 ]; then return 0; fi
        echo "not: $1 ended with status $status" >&2; return 1; }
"""


def commands(text):
    pending = ""
    for line in re.findall(r"RUN:(.*)$", text, re.MULTILINE):
        pending += line.strip()
        if pending.endswith("\\"):
            pending = pending[:-1] + " "
            continue
        yield pending
        pending = ""
    if pending:
        yield pending


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--netc", required=True)
    parser.add_argument("--filecheck", required=True)
    parser.add_argument("file", type=pathlib.Path)
    arguments = parser.parse_args()
    prelude = PRELUDE % {"netc": shlex.quote(arguments.netc),
                         "filecheck": shlex.quote(arguments.filecheck)}
    found = list(commands(arguments.file.read_text(errors="replace")))
    if not found:
        print(f"{arguments.file}: no RUN: line")
        return 1
    with tempfile.TemporaryDirectory() as scratch:
        for command in found:
            script = (command.replace("%s", shlex.quote(str(arguments.file)))
                      .replace("%S", shlex.quote(str(arguments.file.parent)))
                      .replace("%t", shlex.quote(f"{scratch}/t")))
            done = subprocess.run(["bash", "-c", prelude + script], cwd=scratch, text=True,
                                  errors="replace", capture_output=True, timeout=300)
            if done.returncode != 0:
                print(f"{arguments.file}: status {done.returncode} from\n  {script}")
                print(done.stdout, done.stderr, sep="\n")
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
