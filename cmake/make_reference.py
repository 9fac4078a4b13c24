#!/usr/bin/env python3
"""Writes docs/reference/ from what `netc doc` and `netc ops` print.

usage: make_reference.py --netc PROGRAM [--check] FOLDER    --check: only says whether it is stale
"""
import argparse
import pathlib
import subprocess
import sys

PAGES = {"library.md": "doc", "operators.md": "ops"}
HEAD = "<!-- Made by cmake/make_reference.py from `netc {}`; do not edit. -->\n\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--netc", required=True)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("folder", type=pathlib.Path)
    arguments = parser.parse_args()
    stale = []
    for name, verb in PAGES.items():
        done = subprocess.run([arguments.netc, verb], capture_output=True, text=True, check=True)
        text = HEAD.format(verb) + done.stdout
        page = arguments.folder / name
        if page.exists() and page.read_text() == text:
            continue
        stale.append(name)
        if not arguments.check:
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(text)
    if arguments.check and stale:
        print(f"stale: {', '.join(stale)}; run cmake/make_reference.py --netc build/release/bin/netc docs/reference")
    return 1 if arguments.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
