#!/usr/bin/env python3
"""NVIDIA's assembler takes the code of every example, no kernel spills registers, and no products by warpgroups wait for
one another. A file's first model is assembled for matrix units as well, bf16 and tf32 in turn; a product of large
matrices for both.

usage: ptxas_test.py --netc PROGRAM [--record FILE] [--only TEXT]

The assembler is the one that NETC_PTXAS names, else a `ptxas` in the PATH; without one the test is skipped (status 77).
FILE gets a line for each kernel: registers, bytes spilled, bytes of shared memory, blocks and threads of a launch.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGETS = ("sm_80", "sm_90a")
MODES = ("bf16", "tf32")
LARGE = (ROOT / "bench/workloads/matmul.net", "MatMul", "forward",
         ("--batch", "4096", "--dim", "K=4096", "--dim", "N=4096"))
SECTION = re.compile(r"^train\s+(\w+)(?:\s+as\s+(\w+))?", re.M)
MODEL = re.compile(r"^model\s+(\w+)", re.M)
SERIAL = re.compile(r"wgmma.mma_async instructions are serialized.*?'(\w+)'")
LAUNCH = re.compile(r"^//   (\w+): (\d+) blocks of (\d+) threads, (\d+) bytes of shared", re.M)
PROPERTIES = re.compile(r"Compiling entry function '(\w+)'.*?(\d+) bytes stack frame, (\d+) bytes spill stores, "
                        r"(\d+) bytes spill loads.*?Used (\d+) registers", re.S)


def subjects(text):
    """Names and entries to compile in a file: every section's training step, every other model's forward."""
    sections = [match.groups() for match in SECTION.finditer(text)]
    for model, section in sections:
        yield section or model, "train_step,forward"
    for model in MODEL.findall(text):
        if model not in (name for name, _ in sections):
            yield model, "forward"


def run(*command):
    return subprocess.run(command, capture_output=True, text=True)


def work_of(only):
    """File, model, entries, further options, mode of products, target."""
    files = [file for file in sorted((ROOT / "examples").rglob("*.net")) if only in str(file)]
    for number, file in enumerate(files):
        for which, (name, entries) in enumerate(subjects(file.read_text())):
            modes = ("f32", MODES[number % 2]) if which == 0 else ("f32",)
            yield from ((file, name, entries, (), mode, target) for mode in modes for target in TARGETS)
    if only in str(LARGE[0]):
        yield from ((*LARGE, mode, target) for mode in ("f32", *MODES) for target in TARGETS)


def assemble(netc, ptxas, file, name, entries, options, mode, target):
    """Rows of the record, and what is wrong."""
    title = f"{file.relative_to(ROOT)} {name} {mode} {target}"
    ptx = run(netc, "dump", file, name, "--stage=ptx", "--entry", entries, "--gpu", target,
              *(() if mode == "f32" else (f"--matmul={mode}",)), *options)
    if ptx.returncode != 0:
        return [], [f"{title}: netc dump gives status {ptx.returncode}: {ptx.stderr.strip()[:2000]}"]
    launches = {symbol: numbers for symbol, *numbers in LAUNCH.findall(ptx.stdout)}
    with tempfile.TemporaryDirectory() as folder:
        text = pathlib.Path(folder, "code.ptx")
        text.write_text(ptx.stdout)
        done = run(ptxas, "-v", f"-arch={target}", text, "-o", pathlib.Path(folder, "code.cubin"))
    if done.returncode != 0:
        return [], [f"{title}: ptxas: {done.stderr.strip()[:2000]}"]
    rows, wrong, found = [], [], set()
    for symbol, stack, stores, loads, registers in PROPERTIES.findall(done.stderr + done.stdout):
        blocks, threads, shared = launches.get(symbol, ("?", "?", "?"))
        found.add(symbol)
        rows.append("\t".join((title, symbol, registers, stack, stores, loads, shared, threads, blocks)))
        if int(stores) or int(loads):
            wrong.append(f"{title}: {symbol} spills: {stores} bytes stored, {loads} loaded, {registers} registers")
    wrong += [f"{title}: {symbol} multiplies by warpgroups one after the other"
              for symbol in SERIAL.findall(done.stderr + done.stdout)]
    if missing := set(launches) - found:
        wrong.append(f"{title}: ptxas says nothing about {', '.join(sorted(missing))}")
    return rows, wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--netc", required=True)
    parser.add_argument("--record", type=pathlib.Path)
    parser.add_argument("--only", default="", help="files with this in their path")
    arguments = parser.parse_args()
    ptxas = shutil.which(os.environ.get("NETC_PTXAS") or "ptxas")
    if ptxas is None:
        print("SKIPPED: there is no ptxas, and NETC_PTXAS names none")
        return 77
    work = list(work_of(arguments.only))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        done = list(pool.map(lambda each: assemble(arguments.netc, ptxas, *each), work))
    rows = [row for rows, _ in done for row in rows]
    wrong = [line for _, lines in done for line in lines]
    if arguments.record:
        head = "program\tkernel\tregisters\tstack\tspill stores\tspill loads\tshared\tthreads\tblocks"
        arguments.record.write_text("\n".join([head, *rows]) + "\n")
    for line in wrong:
        print(line)
    print(f"{len(work)} programs, {len(rows)} kernels, {len(wrong)} wrong")
    return 1 if wrong or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
