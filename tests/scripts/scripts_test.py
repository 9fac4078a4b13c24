#!/usr/bin/env python3
"""Tests of the scripts that judge the others: they must notice what they are there for."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def run(*command):
    return subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True)


class Layering(unittest.TestCase):
    def offences(self, path, line):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / path
            file.parent.mkdir(parents=True)
            file.write_text(f"#pragma once\n{line}\n")
            done = run(ROOT / "cmake/check_layering.py", folder)
            self.assertEqual(done.returncode, 0 if "every" in done.stdout else 1)
            return done.stdout.count(f"{path}:2:")

    def test_downhill(self):
        self.assertEqual(self.offences("passes/a.cpp", '#include "ir/graph.h"'), 0)
        self.assertEqual(self.offences("cli/a.cpp", '#include "frontend/ast.h"'), 0)
        self.assertEqual(self.offences("runtime/a.cpp", '#include "backends/backend.h"'), 0)
        self.assertEqual(self.offences("backends/a.h", "#include <llvm/IR/Module.h>"), 0)
        self.assertEqual(self.offences("frontend/parse.cpp", '#include "NetParser.h"'), 0)

    def test_uphill(self):
        self.assertEqual(self.offences("ir/a.h", '#include "passes/fuse.h"'), 1)
        self.assertEqual(self.offences("frontend/a.cpp", '#include "passes/fuse.h"'), 1)
        self.assertEqual(self.offences("runtime/a.cpp", '#include "backends/cpu/emit.h"'), 1)
        self.assertEqual(self.offences("passes/a.cpp", "#include <llvm/IR/Module.h>"), 1)
        self.assertEqual(self.offences("frontend/ast.cpp", "#include <antlr4-runtime.h>"), 1)
        self.assertEqual(self.offences("ir/a.h", '#  include "../cli/verbs.h"'), 1)


class Golden(unittest.TestCase):
    def status(self, text):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            netc = folder / "netc"
            netc.write_text('#!/bin/sh\necho "$1"; exit "${2:-0}"\n')
            netc.chmod(0o755)
            file = folder / "a.net"
            file.write_text(text)
            return run(ROOT / "tests/run_golden.py", "--netc", netc, "--filecheck", "/bin/cat",
                       file).returncode

    def test_statuses(self):
        self.assertEqual(self.status("# RUN: netc check"), 0)
        self.assertEqual(self.status("# RUN: netc check 1"), 1)
        self.assertEqual(self.status("# RUN: netc check 1 | true"), 1)
        self.assertEqual(self.status("# RUN: not netc check 1"), 0)
        self.assertEqual(self.status("# RUN: not netc check 70"), 1)
        self.assertEqual(self.status("# RUN: not netc check"), 1)
        self.assertEqual(self.status("# RUN: netc \\\n# RUN: check 1"), 1)
        self.assertEqual(self.status("# nothing"), 1)


if __name__ == "__main__":
    unittest.main()
