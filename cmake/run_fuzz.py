#!/usr/bin/env python3
"""Runs each fuzz target over its corpus, as many at a time as there are processors.

usage: run_fuzz.py BUILD_DIRECTORY SECONDS

New inputs go to BUILD_DIRECTORY/corpus/NAME, what each target said to BUILD_DIRECTORY/logs/NAME, crashes to
BUILD_DIRECTORY/crashes; tests/fuzz/corpus is only read.
"""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys


def run(target, build, source, seconds):
    """What to print, and whether nothing was found."""
    name = target.name.removesuffix("_fuzz")
    found = build / "corpus" / name
    found.mkdir(parents=True, exist_ok=True)
    log = build / "logs" / name
    corpora = [str(path) for path in (found, source / name) if path.is_dir()]
    with log.open("w") as out:
        done = subprocess.run([str(target), f"-max_total_time={seconds}", "-timeout=10",
                               "-rss_limit_mb=4096", f"-artifact_prefix={build}/crashes/{name}-",
                               "-print_final_stats=1", *corpora], stdout=out, stderr=out)
    said = log.read_text(errors="replace")
    runs = re.search(r"stat::number_of_executed_units: *(\d+)", said)
    line = f"{name}: {runs[1] if runs else 'no'} runs in {seconds} s"
    if done.returncode == 0:
        return line, True
    return f"{line}, status {done.returncode}\n{said[-4000:]}", False


def main():
    build, seconds = pathlib.Path(sys.argv[1]).resolve(), int(sys.argv[2])
    source = pathlib.Path(__file__).resolve().parent.parent / "tests" / "fuzz" / "corpus"
    targets = sorted(path for path in (build / "fuzz").glob("*_fuzz") if path.is_file())
    if not targets:
        print("there is no fuzz target")
        return 1
    for folder in ("crashes", "logs"):
        (build / folder).mkdir(exist_ok=True)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for text, passed in pool.map(lambda target: run(target, build, source, seconds), targets):
            print(text, flush=True)
            failed += not passed
    print(f"{len(targets) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
