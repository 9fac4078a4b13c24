// links: frontend ir

// The parser: what the design's programs look like as trees, where things stand,
// and that no bytes whatever bring it down.
#include "frontend/ast_print.h"
#include "frontend/parse.h"
#include "frontend/render.h"
#include "frontend/standard_library.h"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

using namespace netc;

namespace {

struct Parsed {
    SourceMap sources;
    Diagnostics diagnostics;
    ParsedFile result;

    std::string messages() const { return render(diagnostics, sources); }
    std::string first_code() const {
        return diagnostics.all().empty() ? ""
                                         : std::string(info(diagnostics.all().front().code).code);
    }
};

std::unique_ptr<Parsed> parse_text(std::string text) {
    auto parsed = std::make_unique<Parsed>();
    const std::uint32_t file = parsed->sources.add("test.net", std::move(text));
    parsed->result = parse(parsed->sources, file, parsed->diagnostics);
    return parsed;
}

std::string read_file(const std::filesystem::path& path) {
    std::stringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

std::vector<std::filesystem::path> programs(const std::string& folder) {
    std::vector<std::filesystem::path> paths;
    const std::filesystem::path root =
        std::filesystem::path(NETC_SOURCE_DIR) / "tests/data/language" / folder;
    for (const auto& entry : std::filesystem::directory_iterator(root))
        paths.push_back(entry.path());
    std::sort(paths.begin(), paths.end());
    return paths;
}

// The tree of the expression in `fn f(x: int) = EXPRESSION`, without what is around it.
std::string tree_of(const std::string& expression) {
    const auto parsed = parse_text("net 1\nfn f(x: int) = " + expression);
    INFO(parsed->messages());
    REQUIRE(parsed->result.ok);
    const std::string text = print_ast(parsed->result.file);
    std::string out;
    std::istringstream lines(text.substr(text.find("body\n") + 5));
    for (std::string line; std::getline(lines, line);) out += line.substr(6) + "\n";
    return out;
}

const ast::Expr& body_of(const Parsed& parsed) {
    const auto& callable = std::get<ast::Callable>(parsed.result.file.items.front().kind);
    return *std::get<ast::ExprPtr>(callable.body);
}

}  // namespace

TEST_CASE("parse: the programs of the design parse without a message") {
    for (const std::string folder : {"examples", "faulty"}) {
        const auto paths = programs(folder);
        REQUIRE(paths.size() >= 17);
        for (const auto& path : paths) {
            const auto parsed = parse_text(read_file(path));
            INFO(path.string() << "\n" << parsed->messages());
            CHECK(parsed->result.ok);
            CHECK(parsed->diagnostics.all().empty());
            CHECK(print_ast(parsed->result.file).size() > 20);
        }
    }
}

TEST_CASE("parse: the library parses") {
    const auto parsed = parse_text(std::string(kStandardLibrary));
    INFO(parsed->messages());
    CHECK(parsed->result.ok);
    CHECK(parsed->result.file.items.size() >= 40);
}

TEST_CASE("parse: operators bind as the grammar says") {
    CHECK(tree_of("1 + 2 * 3 - 4") ==
          "-\n  +\n    int 1\n    *\n      int 2\n      int 3\n  int 4\n");
    CHECK(tree_of("-x ^ -2") == "negate\n  ^\n    name x\n    negate\n      int 2\n");
    CHECK(tree_of("2 ^ 3 ^ 4") == "^\n  int 2\n  ^\n    int 3\n    int 4\n");
    CHECK(tree_of("not x == 1 and y or z") ==
          "or\n  and\n    not\n      ==\n        name x\n        int 1\n    name y\n  name z\n");
    CHECK(tree_of("x |> f >> g |> h") ==
          "pipe\n  name x\n  compose\n    name f\n    name g\n  name h\n");
    CHECK(
        tree_of("x |> f(8) + x") ==
        "pipe\n  name x\n  +\n    call\n      name f\n      argument\n        int 8\n    name x\n");
    CHECK(tree_of("0..n - 1") == "..\n  int 0\n  -\n    name n\n    int 1\n");
    CHECK(tree_of("a // b % c") == "%\n  //\n    name a\n    name b\n  name c\n");
}

TEST_CASE("parse: literals") {
    CHECK(tree_of("1_000_000") == "int 1000000\n");
    CHECK(tree_of("9223372036854775807") == "int 9223372036854775807\n");
    CHECK(tree_of("1.5e-3") == "float 0.0015\n");
    CHECK(tree_of("[20ep, 500st, 1.5h, 30s, 5min]") ==
          "list\n  quantity 20ep\n  quantity 500st\n  quantity 1.5h\n  quantity 30s\n  quantity "
          "5min\n");
    CHECK(tree_of(R"("a\"\\\n\t")") == "string \"a\\\"\\\\\\n\\t\"\n");
    CHECK(tree_of("(true, false, real, [])") ==
          "tuple\n  bool true\n  bool false\n  dtype real\n  list\n");
}

TEST_CASE("parse: lambdas, conditions, repetitions") {
    CHECK(tree_of("x -> x * x") == "lambda x\n  *\n    name x\n    name x\n");
    CHECK(tree_of("(a, b) -> a") == "lambda a b\n  name a\n");
    CHECK(tree_of("a -> b -> c") == "lambda a\n  lambda b\n    name c\n");
    CHECK(tree_of("if a then b else if c then d else e") ==
          "if\n  name a\n  name b\n  if\n    name c\n    name d\n    name e\n");
    CHECK(tree_of("repeat 3 { f }") == "repeat\n  int 3\n  name f\n");
    CHECK(tree_of("repeat (n, (c, d)) in l { f(n) }") ==
          "repeat (n, (c, d))\n  name l\n  call\n    name f\n    argument\n      name n\n");
}

TEST_CASE("parse: calls, indices, members, ascriptions") {
    CHECK(tree_of("f(1, k = 2,)(x)") == "call\n  call\n    name f\n    argument\n      int 1\n    "
                                        "argument k\n      int 2\n  argument\n    name x\n");
    CHECK(tree_of("random(train = 0.8)") ==
          "call\n  name random\n  argument train\n    float 0.8\n");
    CHECK(tree_of("x[:, 0, -1, ..., 1..2, 1.., ..2, ..]") ==
          "index\n  name x\n  axis whole\n  axis at\n    int 0\n  axis at\n    negate\n      int "
          "1\n  axes between\n"
          "  axis range\n    from\n      int 1\n    to\n      int 2\n  axis range\n    from\n      "
          "int 1\n    to open\n"
          "  axis range\n    from open\n    to\n      int 2\n  axis range\n    from open\n    to "
          "open\n");
    CHECK(tree_of("b.name as f32[B, T + 1, *S, _]") ==
          "as f32[B, (T + 1), *S, _]\n  member name\n    name b\n");
}

TEST_CASE("parse: spans cover what was written") {
    const std::string text = "net 1\nfn f(x: int) = g(a, (b + c)) ^ 2  # note\n";
    const auto parsed = parse_text(text);
    const ast::Expr& power = body_of(*parsed);
    CHECK(parsed->sources.text(power.span) == "g(a, (b + c)) ^ 2");
    const auto& binary = std::get<ast::Binary>(power.kind);
    CHECK(parsed->sources.text(binary.op_span) == "^");
    const auto& call = std::get<ast::Call>(binary.left->kind);
    CHECK(parsed->sources.text(call.arguments_span) == "(a, (b + c))");
    CHECK(parsed->sources.text(call.arguments[1].value.span) == "(b + c)");
    CHECK(call.arguments[1].value.parenthesized);
    CHECK(parsed->sources.describe(call.arguments[1].span) == "test.net:2:21");
}

TEST_CASE("parse: spans count bytes, columns count characters") {
    const auto parsed =
        parse_text("net 1\n# größe 日本\nassert 1 == 2, \"größe {x} ü\" assert a == b\n");
    INFO(parsed->messages());
    REQUIRE(parsed->result.file.items.size() == 2);
    const auto& first = std::get<ast::Assert>(parsed->result.file.items[0].kind);
    REQUIRE(first.text.size() == 3);
    CHECK(first.text[0].text == "größe ");
    CHECK(parsed->sources.text(first.text[1].value->span) == "x");
    CHECK(parsed->sources.describe(first.text[1].value->span) == "test.net:3:24");
    CHECK(parsed->sources.text(parsed->result.file.items[1].span) == "assert a == b");
    CHECK(parsed->sources.describe(parsed->result.file.items[1].span) == "test.net:3:30");
}

TEST_CASE("parse: documentation comments belong to what follows") {
    const auto parsed = parse_text("net 1\n## stray\n\n## The width.\n## In units.\nconst width = "
                                   "3\n# plain\nconst other = 4\n"
                                   "train M {\n  ## labels\n  target y: i32[B]\n}\n");
    REQUIRE(parsed->result.file.items.size() == 3);
    CHECK(parsed->result.file.items[0].doc == "The width.\nIn units.");
    CHECK(parsed->result.file.items[1].doc.empty());
    CHECK(std::get<ast::Train>(parsed->result.file.items[2].kind).items[0].doc == "labels");
}

TEST_CASE("parse: statements and declarations as text") {
    const auto parsed = parse_text(R"(net 1
import "blocks.net" as b
const n: int = 3
option width: int = 8 "units"
layer f(out: int, k: int = 3)(x: real[*S, I]) -> (a: real[*S], int) {
  let (p, q): list = split(2)(x)
  var h = p
  param w: real[I, out] = zeros() with decay = false, lr = 2.0
  state s: real[I] = ones()
  for i in 0..n { h = h + q }
  if training { update s = h } else if a { yield h } else { return h }
  assert I > 0, "I is {I}"
  let y = scan t in unstack(x, 1) { yield t }
  return y
}
train M as fine { target y: i32[B] augment x = f(x) metric acc = accuracy(out, y) batch = 3 }
)");
    INFO(parsed->messages());
    REQUIRE(parsed->result.ok);
    CHECK(print_ast(parsed->result.file) == R"(file version 1
  import "blocks.net" as b
  const n: int
    int 3
  option width: int "units"
    int 8
  layer f
    configuration
      out: int
      k: int
        int 3
    inputs
      x: real[*S, I]
    result (a: real[*S], int)
    body
      let (p, q): list
        call
          call
            name split
            argument
              int 2
          argument
            name x
      var h
        name p
      param w: real[I, out]
        call
          name zeros
        argument decay
          bool false
        argument lr
          float 2
      state s: real[I]
        call
          name ones
      for i
        ..
          int 0
          name n
        do
          assign h
            +
              name h
              name q
      if
        name training
        then
          update s
            name h
        else
          if
            name a
            then
              yield
                name h
            else
              return
                name h
      assert
        >
          name I
          int 0
        text "I is "
        text of
          name I
      let y
        scan t
          call
            name unstack
            argument
              name x
            argument
              int 1
          do
            yield
              name t
      return
        name y
  train M as fine
    target y: i32[B]
    augment x
      call
        name f
        argument
          name x
    metric acc
      call
        name accuracy
        argument
          name out
        argument
          name y
    set batch
      int 3
)");
}

TEST_CASE("parse: line ends, marks and missing ends do not matter") {
    const std::string expected =
        print_ast(parse_text("net 1\nconst a = 1\nconst b = 2\n")->result.file);
    for (const std::string text :
         {"net 1\r\nconst a = 1\r\nconst b = 2\r\n", "net 1 const a = 1 const b = 2",
          "\xEF\xBB\xBFnet 1\nconst a = 1\n\n\nconst b = 2 # end",
          "net 1\tconst a=1\tconst b=2\t"}) {
        const auto parsed = parse_text(text);
        CHECK(parsed->diagnostics.all().empty());
        CHECK(print_ast(parsed->result.file) == expected);
    }
}

TEST_CASE("parse: a file that states no version gets a warning and is read") {
    const auto parsed = parse_text("const a = 1\n");
    CHECK(parsed->result.ok);
    CHECK(parsed->first_code() == "W0001");
}

TEST_CASE("parse: hostile texts end in a message") {
    const std::string head = "net 1\nfn f(x: int) = ";
    const auto many = [](std::string_view piece, std::size_t count) {
        std::string text;
        for (std::size_t i = 0; i < count; ++i) text += piece;
        return text;
    };
    CHECK(parse_text("")->first_code() == "E0008");
    CHECK(parse_text("# only a comment\n\n")->first_code() == "E0008");
    CHECK(parse_text(std::string("net 1\0", 6))->first_code() == "E0003");
    CHECK(parse_text("\x7F"
                     "ELF\x02\x01\x01")
              ->first_code() == "E0003");
    CHECK(parse_text("\xFF\xFE\x00n")->first_code() == "E0005");
    CHECK(parse_text("net 1\nconst a = \"\xC3\x28\"")->first_code() == "E0005");
    CHECK(parse_text(head + many("(", 100'000) + "x" + many(")", 100'000))->first_code() ==
          "E0006");
    CHECK(parse_text(head + many("[", 99) + "x" + many("]", 99))->result.ok);
    CHECK(parse_text(head + many("-", 100'000) + "x")->first_code() == "E0006");
    CHECK(parse_text(head + many("not ", 30'000) + "x")->first_code() == "E0006");
    CHECK(parse_text(head + many("x -> ", 30'000) + "x")->first_code() == "E0006");
    CHECK(parse_text(head + many("2 ^ ", 30'000) + "x")->first_code() == "E0006");
    CHECK(parse_text(head + many("if a then b else ", 20'000) + "x")->first_code() == "E0006");
    CHECK(parse_text(head + "x" + many(" + x", 10'000))->first_code() == "E0006");
    CHECK(parse_text(head + "x" + many(" |> f", 10'000))->result.ok);
    CHECK(parse_text(head + "x" + many("(y)", 3'000))->first_code() == "E0006");
    CHECK(parse_text(head + many("1, ", 300'000))->first_code() == "E0007");
    CHECK(parse_text("net 1\n# " + many("0123456789", 1'000'000))->first_code() == "E0007");
    CHECK(parse_text("net 1\n# " + many("0123456789", 500'000) + "\nconst a = 1")->result.ok);
    CHECK(parse_text(head + many("}", 1000))->first_code() == "E0003");
    CHECK(parse_text(head + "99999999999999999999")->first_code() == "E0009");
    CHECK(parse_text(head + "1e999")->first_code() == "E0009");
}

TEST_CASE("parse: mutilated programs never bring it down") {
    std::mt19937 random(7);
    const auto pick = [&](std::size_t below) {
        return std::uniform_int_distribution<std::size_t>(0, below - 1)(random);
    };
    const std::string signs = "(){}[],.:;=+-*/%^@<>|\"#!&'\\ \n\t\r\x80\xC3";
    for (const auto& path : programs("examples")) {
        const std::string whole = read_file(path);
        for (int round = 0; round < 60; ++round) {
            std::string text = whole;
            for (std::size_t edit = 0; edit <= pick(4); ++edit) {
                const std::size_t at = pick(text.size());
                switch (pick(4)) {
                    case 0: text.erase(at, pick(20)); break;
                    case 1: text.insert(at, 1, signs[pick(signs.size())]); break;
                    case 2: text[at] = static_cast<char>(pick(256)); break;
                    default: text.resize(std::max<std::size_t>(at, 1)); break;
                }
                if (text.empty()) text = "x";
            }
            const auto parsed = parse_text(text);
            CHECK(parsed->result.ok != parsed->diagnostics.has_errors());
            const std::string messages =
                parsed->messages() + render_json(parsed->diagnostics, parsed->sources);
            for (const char* word :
                 {"antlr", "ANTLR", "mismatched", "extraneous", "viable", "expecting", "<EOF>"}) {
                CHECK(messages.find(word) == std::string::npos);
            }
        }
    }
}
