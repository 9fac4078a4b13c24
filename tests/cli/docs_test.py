#!/usr/bin/env python3
"""Every program in the documentation is checked without a warning, is in its canonical form, and trains.

usage: docs_test.py --netc PROGRAM [--update]

A block of a page that begins with `net 1` is a program; `# file: NAME` on its second line says under which name the
programs behind it import it. The data that the programs read are made here, tiny.
"""
import argparse
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import unittest
import zipfile
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
NETC = ""


def npy(dtype, shape, data):
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


def png(size, color):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes(color) * size for _ in range(size))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def safetensors(tensors):
    header, data = {}, b""
    for name, shape in tensors.items():
        count = 1
        for extent in shape:
            count *= extent
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + 4 * count]}
        data += struct.pack(f"<{count}f", *([0.1] * count))
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def make_data(folder):
    rows = "".join(f"{i % 7},{i % 5 if i != 4 else ''},{i % 3},{i % 2},{'red green blue'.split()[i % 3]},{0.5 * i}\n"
                   for i in range(40))
    (folder / "points.csv").write_text("a,b,c,d,kind,label\n" + rows)
    images = bytes(i * 7 % 256 for i in range(20 * 28 * 28))
    labels = bytes(i % 10 for i in range(20))
    (folder / "train-images").write_bytes(struct.pack(">IIII", 2051, 20, 28, 28) + images)
    (folder / "train-labels").write_bytes(struct.pack(">II", 2049, 20) + labels)
    with zipfile.ZipFile(folder / "digits.npz", "w") as file:
        file.writestr("images.npy", npy("|u1", (20, 28, 28), images))
        file.writestr("labels.npy", npy("<i4", (20,), struct.pack("<20i", *labels)))
    for kind, color in (("cat", (200, 30, 30)), ("dog", (20, 40, 220))):
        (folder / "photos" / kind).mkdir(parents=True)
        for i in range(4):
            (folder / "photos" / kind / f"{i}.png").write_bytes(png(24, color))
        (folder / "readings" / kind).mkdir(parents=True)
        for i in range(2):
            (folder / "readings" / kind / f"{i}.csv").write_text("".join(f"{t * i},{t % 5}\n" for t in range(48)))
    for batch in (1, 2):
        (folder / f"data_batch_{batch}.bin").write_bytes(b"".join(bytes([i]) + bytes(3072) for i in range(10)))
    (folder / "text.txt").write_text("to be or not to be, that is the question\n" * 8)
    (folder / "earlier.safetensors").write_bytes(safetensors({"linear_1.weight": [2, 16], "linear_1.bias": [16]}))


def programs():
    for page in sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "docs/reference").glob("*.md")]):
        text = page.read_text()
        for block in re.finditer(r"^```\w*\n(net 1\n.*?)^```", text, re.S | re.M):
            yield f"{page.name}:{text.count(chr(10), 0, block.start()) + 2}", block[1]


class Documentation(unittest.TestCase):
    def netc(self, folder, *arguments):
        done = subprocess.run([NETC, *arguments], cwd=folder, capture_output=True, text=True, timeout=300,
                              env={**os.environ, "NETC_CACHE_DIR": str(folder / "cache")})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done

    def test_programs(self):
        count = sections = 0
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            make_data(folder)
            for place, text in programs():
                with self.subTest(place):
                    count += 1
                    file = re.match(r"net 1\n# file: (\S+)\n", text)
                    path = file[1] if file else "program.net"
                    (folder / path).write_text(text)
                    self.assertEqual(self.netc(folder, "check", path).stderr, "")
                    if place.startswith("language.md"):
                        self.netc(folder, "fmt", path)
                        self.assertEqual((folder / path).read_text(), text, "docs_test.py --update writes the canonical form")
                    for model in set(re.findall(r"^model (\w+)", text, re.M)) - set(re.findall(r"^train (\w+)", text, re.M)):
                        dims = ["--dim", "T=5"] if re.search(r"\bT\b", text) else []
                        self.netc(folder, "dump", path, model, "--stage=schedule", "--entry=forward", *dims)
                    for model, section in re.findall(r"^train (\w+)(?: as (\w+))?", text, re.M):
                        sections += 1
                        self.netc(folder, "train", path, section or model, "--quiet", "--run", f"runs/{count}-{sections}",
                                  "--threads", "1")
        self.assertGreater(count, 20)
        self.assertGreater(sections, 20)


def update(page):
    """Brings the programs of a page into their canonical form."""
    text = page.read_text()
    with tempfile.TemporaryDirectory() as name:
        path = pathlib.Path(name) / "program.net"
        for _, program in [pair for pair in programs() if pair[0].startswith(page.name)]:
            path.write_text(program)
            subprocess.run([NETC, "fmt", str(path)], check=True)
            text = text.replace(program, path.read_text())
    page.write_text(text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--netc", required=True, type=os.path.abspath)
    parser.add_argument("--update", action="store_true")
    known, rest = parser.parse_known_args()
    NETC = known.netc
    if known.update:
        update(ROOT / "docs/language.md")
        sys.exit()
    unittest.main(argv=[sys.argv[0], *rest])
