#!/usr/bin/env python3
"""What editors colour: every word of the grammar, and JSON that reads."""
import json
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
GRAMMAR = (ROOT / "frontend/Net.g4").read_text()


def words():
    rules = re.sub(r"//[^\n]*", "", GRAMMAR)
    found = set(re.findall(r"'([a-z][a-z0-9]*)'", rules))
    return found - {"ep", "st", "min", "h", "s"}  # units behind numbers


class Editors(unittest.TestCase):
    def test_the_grammar_has_words(self):
        self.assertIn("scan", words())
        self.assertIn("bf16", words())

    def test_textmate(self):
        text = (ROOT / "editors/vscode/syntaxes/netc.tmLanguage.json").read_text()
        json.loads(text)
        coloured = set(re.findall(r"[a-z][a-z0-9]*", " ".join(re.findall(r"\\b\(([^)]*)\)", text))))
        self.assertEqual(words() - coloured, set())

    def test_vim(self):
        text = (ROOT / "editors/vim/syntax/netc.vim").read_text()
        coloured = {word for line in text.splitlines() if line.startswith("syntax keyword")
                    for word in line.split()[3:]}
        self.assertEqual(words() - coloured, set())

    def test_every_file_that_vs_code_is_told_of_is_there(self):
        folder = ROOT / "editors/vscode"
        package = json.loads((folder / "package.json").read_text())
        json.loads((folder / "language-configuration.json").read_text())
        contributes = package["contributes"]
        for entry in contributes["grammars"]:
            self.assertTrue((folder / entry["path"]).exists())
        for entry in contributes["languages"]:
            self.assertTrue((folder / entry["configuration"]).exists())
            self.assertEqual(entry["extensions"], [".net"])


if __name__ == "__main__":
    unittest.main()
