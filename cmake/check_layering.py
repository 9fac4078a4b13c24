#!/usr/bin/env python3
"""Checks that #include lines point downhill only, and that LLVM and ANTLR stay where they belong.

usage: check_layering.py [ROOT]    prints every offence as file:line, exits 1 if there is one
"""
import pathlib
import re
import sys

# What each folder may include, by path below the root. tests/, bench/ and examples/ may include all.
ALLOWED = {
    "ir": ("ir/",),
    "frontend": ("frontend/", "ir/"),
    "passes": ("passes/", "ir/"),
    "backends": ("backends/", "ir/"),
    "runtime": ("runtime/", "ir/", "backends/backend.h"),
    "cli": ("cli/", "runtime/", "backends/", "passes/", "frontend/", "ir/"),
}
FOLDERS = tuple(f"{name}/" for name in ALLOWED)
# Headers of others, and the only places that may name them.
CONFINED = [
    (re.compile(r"^(llvm|llvm-c|clang|lld)/"), lambda path: path.startswith("backends/"), "LLVM"),
    (re.compile(r"^(antlr4|Net(Lexer|Parser|Visitor|BaseVisitor)\.h)"),
     lambda path: path == "frontend/parse.cpp", "ANTLR"),
]
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')


def offences(root):
    for folder in (*ALLOWED, "tests", "bench", "examples"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in (".h", ".hpp", ".cpp", ".def", ".inc"):
                continue
            name = path.relative_to(root).as_posix()
            for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
                match = INCLUDE.match(line)
                if match:
                    yield from ((name, number, why) for why in judge(folder, name, match[2], root))


def judge(folder, name, header, root):
    for pattern, allowed, library in CONFINED:
        if pattern.match(header) and not allowed(name):
            yield f"{library} header <{header}> outside its place"
    if folder not in ALLOWED:
        return
    if header.startswith(FOLDERS):
        if not header.startswith(ALLOWED[folder]):
            yield f'"{header}": {folder}/ may not include it'
    elif header.startswith(("tests/", "bench/", "examples/")):
        yield f'"{header}": product code may not include it'
    elif "/" not in header and (root / folder / header).exists():
        yield f'"{header}": includes are rooted at the repository, write "{folder}/{header}"'
    elif header.startswith("../") or "/../" in header:
        yield f'"{header}": includes are rooted at the repository'


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    found = list(offences(root))
    for name, number, why in found:
        print(f"{name}:{number}: {why}")
    print(f"layering: {len(found)} offences" if found else "layering: every #include points downhill")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
