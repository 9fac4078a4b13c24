#!/usr/bin/env python3
"""fmt, doc, explain FILE, summary, dump --format and plot, as a user calls them.

usage: tools_test.py --netc PROGRAM
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
NETC = ""
LENET = str(ROOT / "examples/lenet5.net")


class Tools(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name)

    def tearDown(self):
        self.folder.cleanup()

    def netc(self, *arguments, status=0, **environment):
        done = subprocess.run([NETC, *arguments], cwd=self.path, capture_output=True, text=True,
                              env={**os.environ, "NETC_CACHE_DIR": str(self.path / "cache"), **environment})
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        for word in ["terminate", "std::", "exception", "internal error"]:
            self.assertNotIn(word, done.stderr)
        return done

    def write(self, name, text):
        (self.path / name).write_text(text)
        return name

    # ------------------------------------------------------------ fmt

    def test_fmt_writes_only_what_changes(self):
        canonical = "net 1\nconst a = 1\n"
        name = self.write("a.net", canonical)
        before = (self.path / name).stat()
        self.netc("fmt", name)
        after = (self.path / name).stat()
        self.assertEqual((before.st_ino, before.st_mtime_ns), (after.st_ino, after.st_mtime_ns))
        self.write("b.net", "net 1\nconst   a=1")
        (self.path / "b.net").chmod(0o640)
        (self.path / "link.net").symlink_to("b.net")
        self.netc("fmt", name, "link.net")
        self.assertTrue((self.path / "link.net").is_symlink())
        self.assertEqual((self.path / "b.net").read_text(), canonical)
        self.assertEqual((self.path / "b.net").stat().st_mode & 0o777, 0o640)
        self.assertEqual(sorted(p.name for p in self.path.iterdir()), ["a.net", "b.net", "link.net"])

    def test_fmt_check(self):
        self.write("a.net", "net 1\nconst a = 1\n")
        self.write("b.net", "net 1\nconst a=1\n")
        self.assertEqual(self.netc("fmt", "a.net", "--check").stdout, "")
        self.assertEqual(self.netc("fmt", "a.net", "b.net", "--check", status=1).stdout, "b.net\n")
        self.assertEqual((self.path / "b.net").read_text(), "net 1\nconst a=1\n")

    def test_fmt_leaves_what_is_wrong_alone(self):
        for text in ["", "net 1\nmodel M(", "net 1\nconst a = 1 2\n", "net 1\nconst a=\xff"]:
            (self.path / "a.net").write_bytes(text.encode("latin-1"))
            self.write("b.net", "net 1\nconst a=1")
            self.assertIn("error[", self.netc("fmt", "a.net", "b.net", status=1).stderr)
            self.assertEqual((self.path / "a.net").read_bytes(), text.encode("latin-1"))
            self.assertEqual((self.path / "b.net").read_text(), "net 1\nconst a = 1\n")
        self.assertIn("nowhere.net", self.netc("fmt", "nowhere.net", status=3).stderr)
        self.assertIn("directory", self.netc("fmt", ".", status=3).stderr)

    # ------------------------------------------------------------ doc

    def test_doc(self):
        self.assertIn("layer linear(out: int", self.netc("doc", "linear").stdout)
        self.assertIn("row-major", self.netc("doc", "reshape").stdout)
        whole = self.netc("doc").stdout
        for heading in ["### relu", "### conv", "### einsum", "## dense"]:
            self.assertIn(heading, whole)
        self.write("a.net", "net 1\n## Doubles\n## it.\nfn double(x: real[*S]) = 2.0 * x\nfn _hidden(x: real[*S]) = x\n")
        text = self.netc("doc", "a.net").stdout
        self.assertIn("### double\n\n```net\nfn double(x: real[*S])\n```\n\nDoubles\nit.\n", text)
        self.assertNotIn("_hidden", text)
        self.assertEqual(self.netc("doc", "a.net", "double").stdout, text.split("\n\n", 1)[1])
        self.assertIn("`nope`", self.netc("doc", "nope", status=2).stderr)
        self.assertIn("`nope`", self.netc("doc", "a.net", "nope", status=2).stderr)
        self.netc("doc", "nowhere.net", status=3)

    # ------------------------------------------------------------ explain and summary

    def lines(self, *arguments):
        """The values by their names; a formula and a source stand behind each."""
        result = {}
        for line in self.netc("explain", *arguments).stdout.splitlines():
            match = re.fullmatch(r"(.+?)  +(.+?)  (.+) \[(.+ \d{4}.*|as netc compiles it)\]", line)
            self.assertTrue(match, line)
            result.setdefault(match[1], []).append(match[2])
        return result

    def test_explain_file(self):
        # By hand: 3 (2 + 1) + 1 (3 + 1) parameters; 2^3, and 1 + 3 + 3 regions of three lines.
        self.write("a.net", "net 1\nmodel M(x: f32[B, 2]) = x |> linear(3) |> relu |> linear(1)\n")
        found = self.lines("a.net")
        self.assertEqual(found["parameters"], ["13"])
        self.assertEqual(found["levels of hinges"], ["2"])
        self.assertEqual(found["linear regions"], ["at most 8", "at most 7"])
        # Two layers of two on a line: j_1 = 0 gives 1 * 3, j_1 = 1 gives 2 * 3.
        self.write("b.net", "net 1\nmodel M(x: f32[B, 1]) = x |> linear(2) |> relu |> linear(2) |> relu |> linear(1)\n")
        self.assertEqual(self.lines("b.net")["linear regions"], ["at most 16", "at most 9"])
        self.write("c.net", "net 1\nmodel M(x: f32[B, 2]) = x |> linear(3) |> tanh |> linear(1)\n")
        self.assertEqual(self.lines("c.net")["linear regions"], ["no bound"])
        # 5, then a step of 2: 6, 6 + 2 (5 - 1), 14 + 2.
        found = self.lines(LENET)
        self.assertEqual(found["receptive field"], ["16 x 16"])
        self.assertEqual(found["parameters"], ["61_706"])
        work = 2 * (28 * 28 * 6 * 25 + 10 * 10 * 16 * 150 + 400 * 120 + 120 * 84 + 84 * 10)
        self.assertEqual(found["FLOP a sample"], [f"{work / 1e3:.1f} k"])

    def test_explain_with_weights(self):
        self.write("a.net", "net 1\nmodel M(x: f32[B, 2]) {\n  param w: f32[2, 1] = [[3], [4]]\n  return x @ w\n}\n")
        self.netc("init", "a.net", "-o", "w.safetensors")
        found = self.lines("a.net", "--weights", "w.safetensors")
        self.assertEqual(found["noise, all layers"], ["5"])
        self.assertEqual(found["Lipschitz, all layers"], ["at most 5"])

    def test_explain_as_json(self):
        explained = json.loads(self.netc("explain", LENET, "--json").stdout)
        self.assertEqual(explained["model"], "LeNet5")
        lines = {line["what"]: line for line in explained["lines"]}
        self.assertEqual(lines["parameters"]["value"], "61_706")
        self.assertEqual(set(lines["parameters"]), {"what", "value", "formula", "source"})
        page = json.loads(self.netc("explain", "E0303", "--json").stdout)
        self.assertEqual(page["code"], "E0303")
        self.assertEqual(page["explanation"], self.netc("explain", "E0303").stdout)

    def test_explain_refuses(self):
        self.assertIn("E9999", self.netc("explain", "E9999", status=2).stderr)
        self.netc("explain", "nowhere.net", status=3)
        self.write("a.net", "net 1\nmodel M(x: f32[B, 2]) = x |> linaer(3)\n")
        self.assertIn("E0101", self.netc("explain", "a.net", status=1).stderr)

    def test_summary(self):
        text = self.netc("summary", LENET).stdout
        self.assertTrue(text.startswith("LeNet5: x f32[B, 1, 28, 28] -> out f32[B, 10]\n"), text)
        self.assertRegex(text, r"\nconv_1 +conv +f32\[B, 6, 28, 28\] +156 ")
        self.assertRegex(text, r"\ntotal +61_706 ")

    # ------------------------------------------------------------ dump

    def test_dump_dot(self):
        for stage in ["graph", "optimized"]:
            dot = self.netc("dump", LENET, f"--stage={stage}", "--format=dot").stdout
            self.assertEqual(dot.count("{"), dot.count("}"))
            self.assertIn('label="conv_1"', dot)
            self.assertIn('digraph "LeNet5"', dot)
            nodes = set(re.findall(r"^ +(f\d+n\d+) \[", dot, re.M))
            for a, b in re.findall(r"^  (\w+) -> (\w+) ", dot, re.M):
                self.assertIn(a, nodes)
                self.assertTrue(b in nodes or re.fullmatch(r"f\d+r\d+", b))
            self.assertIn("f32[B, 10]", dot)
        for name in ("graph", "optimized"):
            text = self.netc("dump", LENET, f"--stage={name}", "--entry=forward").stdout
            self.assertEqual(re.findall(r"^function (\w+)", text, re.M), ["forward"])
        self.netc("dump", LENET, "--stage=llvm", "--format=dot", status=2)
        self.netc("dump", LENET, "--format=png", status=2)

    def test_dump_svg(self):
        text = self.netc("dump", LENET, "--format=svg", PATH=self.folder.name, status=4).stderr
        self.assertIn("Graphviz", text)
        layout = self.path / "dot"
        layout.write_text("#!/bin/sh\necho \"<svg>$1</svg>\"\n/bin/cat > given\n")
        layout.chmod(0o755)
        svg = self.netc("dump", LENET, "--format=svg", PATH=self.folder.name).stdout
        self.assertEqual(svg, "<svg>-Tsvg</svg>\n")
        dot = self.netc("dump", LENET, "--format=dot").stdout
        self.assertEqual((self.path / "given").read_text(), dot)
        layout.write_text("#!/bin/sh\nexit 1\n")
        self.netc("dump", LENET, "--format=svg", PATH=self.folder.name, status=4)

    # ------------------------------------------------------------ plot

    def svg(self, *arguments):
        self.netc("plot", *arguments, "-o", "p.svg")
        return xml.etree.ElementTree.parse(self.path / "p.svg").getroot()

    def test_decision_boundary(self):
        # x + y >= 0 is one class: below the falling diagonal lies the other.
        self.write("a.net", "net 1\nmodel M(x: f32[B, 2]) -> f32[B, 1] {\n  param w: f32[2, 1] = [[1], [1]]\n"
                   "  return x @ w\n}\n")
        self.netc("init", "a.net", "-o", "w.safetensors")
        paths = [e for e in self.svg("a.net", "--weights", "w.safetensors").iter() if e.tag.endswith("path")]
        area = {}
        for path in paths:  # a picture of 128 x 128 cells, each path those of one colour
            fill = path.get("fill")
            for x, y, wide in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\3z", path.get("d")):
                area[fill] = area.get(fill, 0) + int(wide)
                # The middle of the picture is 0, y points down.
                sign = (int(x) + int(wide) / 2 - 64) - (int(y) + 0.5 - 64)
                if abs(sign) > int(wide) + 1:
                    self.assertEqual(fill, "#d55e00" if sign > 0 else "#0072b2")
        self.assertEqual(len(area), 2)
        self.assertEqual(sum(area.values()), 128 * 128)

    def test_decision_boundary_with_samples(self):
        self.write("a.net", """net 1
model M(x: f32[B, 2]) -> f32[B, 1] = x |> linear(4) |> tanh |> linear(1)
train M {
  target y: f32[B, 1]
  data = circles(n = 100, noise = 0.1, seed = 1)
  loss = bce_with_logits(out, y)
  epochs = 1
}
""")
        self.netc("train", "a.net", "--run", "r", "--quiet")
        circles = [e for e in self.svg("a.net", "--weights", "r").iter() if e.tag.endswith("circle")]
        self.assertEqual(len(circles), 100)
        self.assertEqual(len({c.get("fill") for c in circles}), 2)
        self.svg("r")
        self.netc("train", "a.net", "--run", "s", "--quiet", "--seed", "2")
        words = "".join(self.svg("r", "s").itertext())
        self.assertIn("r training", words)
        self.assertIn("s training", words)

    def test_filters(self):
        self.netc("init", LENET, "-o", "w.safetensors")
        rects = [e for e in self.svg(LENET, "--weights", "w.safetensors", "--filters")
                 if e.tag.endswith("rect")]
        self.assertEqual(len(rects), 6 * 5 * 5)
        for r in rects:
            self.assertRegex(r.get("fill"), r"^#(..)\1\1$")

    def test_plot_refuses(self):
        self.netc("init", LENET, "-o", "w.safetensors")
        text = self.netc("plot", LENET, "--weights", "w.safetensors", "-o", "p.svg", status=2).stderr
        self.assertIn("784", text)
        self.netc("plot", LENET, "-o", "p.svg", status=2)
        self.netc("plot", LENET, "--weights", "nowhere", "-o", "p.svg", status=3)
        self.netc("plot", "nowhere", "-o", "p.svg", status=3)
        self.write("a.net", "net 1\nmodel M(x: i32[B, 2]) = cast(x, f32)\n")
        self.netc("init", "a.net", "-o", "v.safetensors")
        self.netc("plot", "a.net", "--weights", "v.safetensors", "-o", "p.svg", status=2)
        self.netc("plot", "a.net", "--weights", "v.safetensors", "--filters", "-o", "p.svg", status=2)
        self.assertFalse((self.path / "p.svg").exists())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--netc", required=True)
    arguments, rest = parser.parse_known_args()
    NETC = arguments.netc
    unittest.main(argv=[sys.argv[0], *rest])
