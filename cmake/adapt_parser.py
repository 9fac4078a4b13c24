#!/usr/bin/env python3
"""Makes a parser that ANTLR 4.9 generated fit the C++ runtime 4.10, in place.

usage: adapt_parser.py FOLDER NAME...      (NetLexer NetParser: NAME.h and NAME.cpp in FOLDER)

Ubuntu 24.04 ships the tool in version 4.9 and the runtime in version 4.10. Between the two the serialized
automaton changed from version 3 (16-bit words, all but the first shifted by 2, after a UUID) to version 4 (plain
32-bit numbers), and a few declarations with it. Every replacement must happen, so that another
version of the tool is an error here and not a puzzle later.
"""
import pathlib
import re
import sys

UUID_WORDS = 8
# State types that are followed by one more state: the starts of blocks, and the end of a loop.
WITH_STATE = (3, 4, 5, 12)


class Words:
    def __init__(self, words):
        self.words, self.at = [(word - 2) & 0xFFFF for word in words], 0

    def next(self):
        self.at += 1
        return self.words[self.at - 1]

    def next32(self):
        low = self.next()
        return low | self.next() << 16


def signed(word):
    return -1 if word == 0xFFFF else word


def upgrade(words):
    """The words of version 3 as the numbers of version 4."""
    if words[0] != 3:
        sys.exit(f"adapt_parser: the automaton has version {words[0]}, not 3")
    data, out = Words(words[1 + UUID_WORDS:]), [4]

    def take(count=1):
        for _ in range(count):
            out.append(data.next())

    def take_list(width=1):
        count = data.next()
        out.append(count)
        take(count * width)

    is_lexer = data.next() == 0
    out.append(0 if is_lexer else 1)
    take()  # the largest token type
    states = data.next()
    out.append(states)
    for _ in range(states):
        kind = data.next()
        out.append(kind)
        if kind:
            out.append(signed(data.next()))
            if kind in WITH_STATE:
                take()
    take_list()  # states that are not greedy
    take_list()  # states that decide by precedence
    rules = data.next()
    out.append(rules)
    for _ in range(rules):
        take()
        if is_lexer:
            out.append(signed(data.next()))
    take_list()  # modes
    sets = []
    for read in (data.next, data.next32):
        for _ in range(data.next()):
            intervals, with_end = data.next(), data.next()
            sets.append([intervals, with_end] + [read() for _ in range(2 * intervals)])
    out.append(len(sets))
    for one in sets:
        out.extend(one)
    edges = data.next()
    out.append(edges)
    for _ in range(edges):
        take(3)
        out.extend(signed(data.next()) for _ in range(3))
    take_list()  # decisions
    if is_lexer:
        actions = data.next()
        out.append(actions)
        for _ in range(actions):
            take()
            out.extend(signed(data.next()) for _ in range(2))
    if data.at != len(data.words):
        sys.exit(f"adapt_parser: {len(data.words) - data.at} words are left over")
    return out


def replace(text, pattern, replacement, file):
    text, count = re.subn(pattern, replacement, text, flags=re.DOTALL)
    if not count:
        sys.exit(f"adapt_parser: {file}: nothing matches {pattern}")
    return text


def adapt(folder, name):
    header, source = folder / f"{name}.h", folder / f"{name}.cpp"
    text = header.read_text()
    text = replace(text, r"(getTokenNames\(\) const) override", r"\1", header)
    if "getSerializedATN" in text:
        text = replace(text, r"[^\n]*getSerializedATN\(\)[^\n]*\n", "", header)
    text = replace(text, r"static antlr4::atn::ATN _atn;",
                   "static std::unique_ptr<antlr4::atn::ATN> _atn;", header)
    text = replace(text, r"return _atn;", "return *_atn;", header) if "return _atn;" in text else text
    text = replace(text, r"std::vector<uint16_t> _serializedATN", "std::vector<int32_t> _serializedATN",
                   header)
    header.write_text(text)

    text = source.read_text()
    segments = r"static (?:const uint16_t|uint16_t const) serializedATNSegment\d+\[\] = \{(.*?)\};"
    words = [int(word, 16) for body in re.findall(segments, text, re.DOTALL)
             for word in re.findall(r"0x[0-9a-f]+", body)]
    numbers = ", ".join(str(number) for number in upgrade(words))
    text = replace(text, r"  static (?:const uint16_t|uint16_t const) serializedATNSegment0.*(?=  atn::ATNDeserializer)",
                   f"  _serializedATN = {{{numbers}}};\n\n", source)
    text = replace(text, r"std::vector<uint16_t> (\w+::_serializedATN)", r"std::vector<int32_t> \1", source)
    text = replace(text, r"\natn::ATN (\w+::_atn);", r"\nstd::unique_ptr<atn::ATN> \1;", source)
    text = replace(text, r"\(this, _atn,", "(this, *_atn,", source)
    text = replace(text, r"_atn\.get", "_atn->get", source)
    text = text.replace("return _atn;", "return *_atn;")
    text = re.sub(r"(?:const )?std::vector<u?int\w+> \w+::getSerializedATN\(\) const \{.*?\n\}\n", "",
                  text, flags=re.DOTALL)
    text = replace(text, r"std::string name = (_vocabulary\.getLiteralName\(i\));", r"std::string name(\1);",
                   source)
    text = replace(text, r"_serializedATN = \{", "_serializedATN = std::vector<int32_t>{", source)
    source.write_text(text)


if __name__ == "__main__":
    for each in sys.argv[2:]:
        adapt(pathlib.Path(sys.argv[1]), each)
