#!/usr/bin/env python3
"""Runs each fuzz target over its corpus.

usage: run_fuzz.py BUILD_DIRECTORY SECONDS

New inputs go to BUILD_DIRECTORY/corpus/NAME, crashes to BUILD_DIRECTORY/crashes; tests/fuzz/corpus is only read.
"""
import pathlib
import subprocess
import sys


def main():
    build, seconds = pathlib.Path(sys.argv[1]).resolve(), int(sys.argv[2])
    source = pathlib.Path(__file__).resolve().parent.parent / "tests" / "fuzz" / "corpus"
    targets = sorted(path for path in (build / "fuzz").glob("*_fuzz") if path.is_file())
    if not targets:
        print("there is no fuzz target")
        return 1
    crashes = build / "crashes"
    crashes.mkdir(exist_ok=True)
    failed = 0
    for target in targets:
        name = target.name.removesuffix("_fuzz")
        found = build / "corpus" / name
        found.mkdir(parents=True, exist_ok=True)
        corpora = [str(path) for path in (found, source / name) if path.is_dir()]
        print(f"== {name}, {seconds} s", flush=True)
        done = subprocess.run([str(target), f"-max_total_time={seconds}", "-timeout=10",
                               "-rss_limit_mb=4096", f"-artifact_prefix={crashes}/{name}-",
                               "-print_final_stats=1", *corpora])
        failed += done.returncode != 0
    print(f"{len(targets) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
