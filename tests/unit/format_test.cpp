// links: frontend ir

// netc fmt: the canonical form keeps meaning and comments, and is its own canonical form.
#include "frontend/ast_print.h"
#include "frontend/format.h"
#include "frontend/frontend.h"
#include "frontend/parse.h"
#include "ir/graph_text.h"

#include <catch2/catch.hpp>

#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

using namespace netc;

namespace {

std::string contents(const std::filesystem::path& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

// Every .net file of the repository that has no syntax error.
std::vector<std::filesystem::path> all_files() {
    std::vector<std::filesystem::path> files{NETC_SOURCE_DIR "/frontend/std.net"};
    for (const char* folder : {"/examples", "/tests/data/language", "/tests/golden"}) {
        const auto root = std::filesystem::path(NETC_SOURCE_DIR) += folder;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
            if (entry.path().extension() == ".net") files.push_back(entry.path());
        }
    }
    std::ranges::sort(files);
    return files;
}

std::optional<std::string> format(const std::string& text) {
    SourceMap sources;
    Diagnostics diagnostics;
    return format_file(sources, sources.add("a.net", text), diagnostics);
}

struct Read {
    bool ok = false;
    std::string tree;
    std::vector<std::string> tokens;
    std::vector<std::string> comments;
};

void collect(const SyntaxNode& node, std::vector<std::string>& tokens) {
    if (node.is(Rule::token)) tokens.emplace_back(node.text);
    for (const SyntaxNode& child : node.children) collect(child, tokens);
}

Read read(const std::string& text) {
    SourceMap sources;
    Diagnostics diagnostics;
    SyntaxText written;
    const ParsedFile parsed = parse(sources, sources.add("a.net", text), diagnostics, &written);
    Read result{parsed.ok, parsed.ok ? print_ast(parsed.file) : "", {}, {}};
    for (const SyntaxNode& part : written.parts) collect(part, result.tokens);
    for (const Comment& comment : written.comments) {
        std::string_view kept = comment.text;
        while (kept.ends_with(' ') || kept.ends_with('\t')) kept.remove_suffix(1);
        result.comments.emplace_back(kept);
    }
    return result;
}

// Everything that the elaborator makes of a text: the graphs of all its models.
std::string graphs(const std::filesystem::path& path, const std::string& text) {
    SourceMap sources;
    Diagnostics diagnostics;
    CheckOptions options;
    options.open_dimensions = true;
    const Result<CheckedFile> file = check_text(path.string(), text, options, sources, diagnostics);
    std::string all;
    for (const Diagnostic& diagnostic : diagnostics.all()) all += diagnostic.message + "\n";
    if (!file) return all;
    for (const Model& model : file->models) all += to_text(model.module);
    return all;
}

}  // namespace

TEST_CASE("format: every file keeps its meaning and its comments") {
    for (const std::filesystem::path& path : all_files()) {
        INFO(path);
        const std::string text = contents(path);
        const Read before = read(text);
        const std::optional<std::string> formatted = format(text);
        REQUIRE(formatted.has_value() == before.ok);
        if (!formatted) continue;
        const Read after = read(*formatted);
        CHECK(after.tree == before.tree);
        CHECK(after.comments == before.comments);
        CHECK(format(*formatted) == formatted);
        CHECK(graphs(path, *formatted) == graphs(path, text));
    }
}

TEST_CASE("format: white space and comments at any place") {
    std::mt19937 random(7);
    for (const std::filesystem::path& path : all_files()) {
        const Read original = read(contents(path));
        if (!original.ok) continue;
        for (int round = 0; round < 5; ++round) {
            std::string text;
            for (const std::string& token : original.tokens) {
                static constexpr const char* kBetween[] = {
                    " ", " ", " ", " ", "\n", " ", " ", "\n\n", "  # c1\n", "\n# c2 \n"};
                text += token;
                text += kBetween[random() % std::size(kBetween)];
            }
            INFO(path << "\n" << text);
            const Read before = read(text);
            REQUIRE(before.ok);
            const std::optional<std::string> formatted = format(text);
            REQUIRE(formatted);
            const Read after = read(*formatted);
            CHECK(after.tree == before.tree);
            CHECK(after.comments == before.comments);
            CHECK(format(*formatted) == formatted);
        }
    }
}

TEST_CASE("format: what it writes") {
    struct Case {
        const char* text;
        const char* wanted;
    };
    static constexpr Case kCases[] = {
        {"net 1\n\n\n\n", "net 1\n"},
        {"net   1 # one\r\nconst a=1\r\n", "net 1  # one\nconst a = 1\n"},
        {"\xEF\xBB\xBFnet 1\nconst a=[1,2,]", "net 1\nconst a = [1, 2]\n"},
        {"net 1\nconst a=-2^-1*( 3+ 4)//5", "net 1\nconst a = -2^-1 * (3 + 4) // 5\n"},
        {"net 1\nfn f(x:real[*S,])->real[*S]=x+1.0",
         "net 1\nfn f(x: real[*S]) -> real[*S] = x + 1.0\n"},
        {"net 1\nconst a=1\nconst long=2", "net 1\nconst a    = 1\nconst long = 2\n"},
        {"net 1\nfn f(x:real[B]){if true{return x}else{return -x}}",
         "net 1\nfn f(x: real[B]) {\n  if true {\n    return x\n  } else {\n    return -x\n  "
         "}\n}\n"},
        {"net 1\nfn f(x:real[B]){\n\n  # why\n\n\n  return x # here\n  # end\n}",
         "net 1\nfn f(x: real[B]) {\n  # why\n\n  return x  # here\n  # end\n}\n"},
        {"net 1\nmodel M(x:f32[B,4])=x|>linear(3)\n|>relu|>linear(2)",
         "net 1\nmodel M(x: f32[B, 4]) =\n  x |> linear(3)\n    |> relu |> linear(2)\n"},
        {"net 1\ntrain M{loss=mse(out,y)\nmetric a=out\nepochs=3}\n# end",
         "net 1\ntrain M {\n  loss   = mse(out, y)\n  metric a = out\n  epochs = 3\n}\n# end\n"},
        {"net 1\nfn g(x:real[B])=x[0,:,1..2,...]",
         "net 1\nfn g(x: real[B]) = x[0, :, 1..2, ...]\n"},
    };
    for (const Case& c : kCases) {
        INFO(c.text);
        CHECK(format(c.text) == std::string(c.wanted));
    }
}

TEST_CASE("format: no line of the library is too long where it can break") {
    const std::string text = *format(contents(NETC_SOURCE_DIR "/frontend/std.net"));
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        INFO(line);
        CHECK((line.size() <= kFormatWidth || line.find('#') != std::string::npos ||
               line.find('"') != std::string::npos));
        CHECK((line.empty() || line.back() != ' '));
    }
}

TEST_CASE("format: a file with a syntax error stays as it is") {
    for (const char* text : {"", "net 1\nmodel", "net 1\nconst a = (1", "\x01\x02", "net 9\n",
                             "net 1\nconst a = \"b"}) {
        SourceMap sources;
        Diagnostics diagnostics;
        INFO(text);
        CHECK_FALSE(format_file(sources, sources.add("a.net", text), diagnostics));
        CHECK(diagnostics.has_errors());
    }
}

// Judged by its growth: processors differ by a factor of ten.
TEST_CASE("format: the time grows with the lines") {
    const auto seconds_for = [](int blocks) {
        std::string text = "net 1\n";
        for (int i = 0; i < blocks; ++i) {
            text += "\n## A block.\nlayer block" + std::to_string(i) +
                    "(out: int, drop: float = 0.5)(x: real[B, I]) -> real[B, out] {\n"
                    "  let a = x |> linear(out) |> relu |> dropout(drop)   # comment\n"
                    "  var b = a + 1.0\n  if out > 3 { b = b * 2.0 }\n  return b\n}\n";
        }
        const std::clock_t start =
            std::clock();  // of this process: others may keep the machine busy
        CHECK(format(text));
        return double(std::clock() - start) / CLOCKS_PER_SEC;
    };
    seconds_for(125);
    const double few = seconds_for(125), many = seconds_for(1250);
    INFO("1,000 lines took " << few << " s, 10,000 lines " << many << " s");
    CHECK(many < 30 * few);
}
