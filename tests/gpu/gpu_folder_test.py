#!/usr/bin/env python3
"""The folder of `./dev gpu` on a driver that needs no GPU: it does all of its calls, finds that their results are not the
CPU's (that driver computes nothing), and writes them down.

usage: gpu_folder_test.py --pack PROGRAM --run PROGRAM --driver LIBRARY
"""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

A = None


def run(*command, **environment):
    environment = {**{k: v for k, v in os.environ.items() if k != "NETC_PTXAS"}, **environment}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


class Folder(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.temporary.name)
        cls.packed = run(A.pack, cls.folder, "xor", "softmax", "matmul_1024")

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def test_a_file_for_each_network(self):
        self.assertEqual(self.packed.returncode, 0, self.packed.stderr)
        self.assertEqual(sorted(each.name for each in self.folder.glob("*.gpu")),
                         ["01-xor.gpu", "02-softmax.gpu", "12-matmul_1024.gpu"])
        again = self.folder / "again"
        self.assertEqual(run(A.pack, again, "xor").returncode, 0)
        self.assertEqual((again / "01-xor.gpu").read_bytes(), (self.folder / "01-xor.gpu").read_bytes())

    def test_results_and_times(self):
        out = self.folder / "all.md"
        done = run(A.run, "--out", out, self.folder, NETC_CUDA_DRIVER=A.driver, NETC_FAKE_CUDA_MEMORY="4000000000")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("xor                  DIFFERENT", done.stdout)
        text = out.read_text()
        self.assertIn("# Fake GPU 0, ", text)
        self.assertIn("driver for CUDA 12.4", text)
        self.assertIn("**different**: loss of call 1", text)
        self.assertNotIn("failed", text)
        for name in ("xor", "softmax", "matmul_1024"):
            self.assertIn(f"\n### {name}, batch ", text)

    def test_results_of_one(self):
        out = self.folder / "one.md"
        done = run(A.run, "--tests", "--only", "softmax", "--out", out, self.folder, NETC_CUDA_DRIVER=A.driver)
        self.assertEqual(done.returncode, 1)
        text = out.read_text()
        self.assertIn("| softmax | ", text)
        self.assertNotIn("xor", text)
        self.assertNotIn("## Times", text)

    def test_failures_are_rows(self):
        out = self.folder / "failed.md"
        done = run(A.run, "--tests", "--only", "xor", "--out", out, self.folder, NETC_CUDA_DRIVER=A.driver,
                   NETC_FAKE_CUDA_FAIL="cuModuleLoadDataEx:1:218")
        self.assertEqual(done.returncode, 1)
        self.assertIn("| xor | 0 | 0 | 0.0e+00 | **failed**: ", out.read_text())

    def test_without_a_driver(self):
        done = run(A.run, self.folder, NETC_CUDA_DRIVER=str(self.folder / "none.so"))
        self.assertEqual(done.returncode, 4)
        self.assertIn("none.so", done.stderr)

    def test_a_file_that_is_none(self):
        (self.folder / "bad").mkdir()
        (self.folder / "bad" / "01-bad.gpu").write_bytes(b"\x07" * 100)
        done = run(A.run, "--tests", self.folder / "bad", NETC_CUDA_DRIVER=A.driver)
        self.assertEqual(done.returncode, 3)
        self.assertIn("01-bad.gpu", done.stderr)

    def test_what_it_needs(self):
        needed = run("ldd", A.run)
        if needed.returncode != 0:
            self.skipTest("no ldd")
        for library in ("LLVM", "stdc++", "fmt", "antlr", "png", "zip"):
            self.assertNotIn(library, needed.stdout)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("pack", "run", "driver"):
        parser.add_argument(f"--{name}", required=True)
    A, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest])
