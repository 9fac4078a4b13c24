#!/usr/bin/env python3
"""Writes docs/architecture.md: one small .net file on its way through the compiler.

usage: make_architecture_doc.py --netc PROGRAM [--check] docs/architecture.md

With --check nothing is written; the status is 1 when the document is not what netc prints today. The text
between the stages stands here, everything in the fences comes from `netc dump`.
"""
import argparse
import difflib
import pathlib
import subprocess
import sys
import tempfile

SOURCE = """net 1
model Tiny(x: f32[B, 2]) -> f32[B, 1] =
  x |> linear(3) |> tanh |> linear(1)
"""

HEAD = """# A file on its way through the compiler

This page is made by `cmake/make_architecture_doc.py` from what `netc dump` prints, and a test holds it to that. The file:

```
{source}```

netc is one program and the library behind it. Text goes in at the top, machine code comes out at the bottom, and nothing
flows back up:

```
model.net
   |  frontend/   parse, check, elaborate            syntax tree, then a graph
   |  passes/     simplify, differentiate, group, lower, order, plan memory
   |  backends/   interpreter or LLVM                kernels to machine code
   v
JIT for `netc train`, or an object file and a header for `netc compile`
```

Every stage below can be printed with `netc dump FILE --stage=NAME`.
"""

STAGES = [
    ("ast", "The syntax tree",
     "The parser (`frontend/parse.cpp`, the only file that knows ANTLR) makes an abstract syntax tree; each node knows its "
     "place in the text, and every later message points there."),
    ("graph", "The graph",
     "The elaborator runs the static part of the program (configuration, `repeat`, `if`, imports, the standard library) and "
     "leaves tensor operators, each with the type of its result. `B` is the batch, the only size that stays unknown."),
    ("optimized", "The graph after the passes",
     "Simplified, differentiated where an entry needs gradients, the optimizer's update made of ordinary nodes, and marked "
     "with groups: the nodes of one group become one kernel. A group is only a mark; there are no fused operators."),
    ("kernels", "Kernels",
     "One per group. A kernel fixes every result to the bit: its axes, the order of each sum, where a multiply and an add "
     "are fused. The interpreter runs this text in double precision and is what every backend is compared with."),
    ("schedule", "Schedules",
     "How each kernel runs on this machine: tiles, vectors, loop order, chunks for threads. A schedule changes the speed and no bit."),
    ("llvm", "LLVM IR",
     "The emitter (`backends/`, the only folder that knows LLVM) follows the schedule with explicit vector types. No "
     "fast-math flag is ever set."),
    ("asm", "Machine code", "What LLVM makes of it for x86-64-v3 (AVX2 and FMA)."),
]

LONGEST = 120  # lines of one stage; the rest of machine code says nothing new
WIDEST = 240  # characters of a line: tables of functions are longer


def dump(netc, file, stage):
    command = [netc, "dump", file.name, f"--stage={stage}", "--entry=forward", "--cpu=x86-64-v3"]
    done = subprocess.run(command, cwd=file.parent, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with status {done.returncode}\n{done.stderr}")
    lines = done.stdout.rstrip().splitlines()
    if len(lines) > LONGEST:
        lines[LONGEST:] = [f"... {len(lines) - LONGEST} more lines"]
    return "\n".join(line.rstrip() if len(line) <= WIDEST else line[:WIDEST] + " ..." for line in lines)


def document(netc):
    parts = [HEAD.format(source=SOURCE)]
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "tiny.net"
        file.write_text(SOURCE)
        for stage, title, text in STAGES:
            parts.append(f"## {title}: `--stage={stage}`\n\n{text}\n\n```\n{dump(netc, file, stage)}\n```\n")
    return "\n".join(parts)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--netc", required=True)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("document", type=pathlib.Path)
    arguments = parser.parse_args()
    made = document(str(pathlib.Path(arguments.netc).resolve()))
    if not arguments.check:
        arguments.document.write_text(made)
        return 0
    current = arguments.document.read_text() if arguments.document.exists() else ""
    if current == made:
        return 0
    sys.stdout.writelines(difflib.unified_diff(current.splitlines(True), made.splitlines(True),
                                               str(arguments.document), "what netc prints"))
    print(f"\n{arguments.document} is out of date. Make it anew with:\n"
          "  cmake/make_architecture_doc.py --netc build/release/bin/netc docs/architecture.md")
    return 1


if __name__ == "__main__":
    sys.exit(main())
