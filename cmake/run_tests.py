#!/usr/bin/env python3
"""Runs ctest and ends with one plain line: `N passed, N failed[, N skipped]`.

usage: run_tests.py BUILD_DIRECTORY [CTEST ARGUMENTS]

A test is skipped when it exits with 77; a line `SKIPPED: reason` that any test printed is repeated, and
so are the last lines of a test that failed.
"""
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree as xml

LAST_LINES = 40  # of a failed test's output


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    report = build / "tests.xml"
    report.unlink(missing_ok=True)
    done = subprocess.run(["ctest", "--test-dir", str(build), "--output-on-failure", "-j2",
                           "--test-output-size-passed", "65536",
                           "--output-junit", str(report), *sys.argv[2:]])
    if not report.exists():
        print("ctest made no report")
        print("0 passed, 1 failed")
        return 1
    passed, failed, skipped = 0, [], 0
    for case in xml.parse(report).getroot().iter("testcase"):
        name, status = case.get("name"), case.get("status")
        output = case.findtext("system-out") or ""
        for reason in re.findall(r"^SKIPPED: (.*)$", output, re.MULTILINE):
            print(f"skipped: {name}: {reason}")
        if status == "run":
            passed += 1
        elif case.find("skipped") is not None and status in ("notrun", "disabled") \
                and "SKIP" in (case.find("skipped").get("message") or ""):
            skipped += 1
        else:
            failed.append((name, output))
    for name, output in failed:
        print(f"failed: {name}")
        for line in output.splitlines()[-LAST_LINES:]:
            print(f"  | {line}")
    if passed + len(failed) == 0:
        print("no test ran")
    print(f"{passed} passed, {len(failed)} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or done.returncode not in (0, 8) or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
