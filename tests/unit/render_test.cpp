// links: frontend
// Diagnostics: the registry, the collector, suggestions, and the layout of messages.
#include "frontend/diagnostics.h"
#include "frontend/render.h"
#include "frontend/suggest.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <set>

using namespace netc;

namespace {

// A source and spans in it, found by their text.
struct Source {
    SourceMap map;
    std::uint32_t file;

    explicit Source(std::string text) : file(map.add("a.net", std::move(text))) {}

    Span at(std::string_view piece, std::size_t nth = 1) const {
        std::size_t found = map.text(file).find(piece);
        while (--nth > 0) found = map.text(file).find(piece, found + 1);
        REQUIRE(found != std::string_view::npos);
        return {file, static_cast<std::uint32_t>(found),
                static_cast<std::uint32_t>(found + piece.size())};
    }
};

}  // namespace

TEST_CASE("diagnostics: every code is unique, explained, and as its severity says") {
    std::set<std::string_view> codes, names;
    for (const DiagnosticInfo& entry : diagnostic_registry()) {
        INFO(entry.code);
        CHECK(codes.insert(entry.code).second);
        CHECK(names.insert(entry.name).second);
        CHECK(entry.code.size() == 5);
        CHECK(entry.code[0] == (entry.severity == Severity::error ? 'E' : 'W'));
        CHECK(entry.explanation.size() > 40);
        CHECK(!entry.message.empty());
        CHECK(find_diagnostic(entry.code) == &entry);
        CHECK(find_diagnostic(entry.name) == &entry);
        CHECK(render_explanation(entry).find(entry.code) != std::string::npos);
    }
    CHECK(find_diagnostic("e0302")->name == "inner_dimensions_differ");
    CHECK(find_diagnostic("E9999") == nullptr);
}

TEST_CASE("diagnostics: values fill the holes, a repeated hole the same") {
    CHECK(diagnose<Code::inner_dimensions_differ>({}, "@", 100, 784).message ==
          "`@` needs equal inner dimensions: 100 is not 784");
    CHECK(diagnose<Code::concat_disagrees>({}, 1).message ==
          "`concat(1)` joins dimension 1; all other dimensions must agree");
    CHECK(diagnose<Code::unknown_name>({}, "layer", "{odd}").message ==
          "there is no layer called `{odd}`");
}

TEST_CASE("diagnostics: one error a place, twenty in all") {
    Diagnostics diagnostics;
    for (std::uint32_t i = 0; i < 25; ++i) {
        diagnostics.add(diagnose<Code::unknown_name>({0, i, i + 1}, "layer", i));
        diagnostics.add(diagnose<Code::missing_value>({0, i, i + 1}, "x", "y"));
    }
    CHECK(diagnostics.all().size() == 20);
    CHECK(diagnostics.left_out() >= 5);
    CHECK(diagnostics.has_errors());

    Diagnostics strict;
    strict.treat_warnings_as_errors();
    strict.add(diagnose<Code::no_version>({}));
    CHECK(strict.has_errors());
    Diagnostics lenient;
    lenient.add(diagnose<Code::no_version>({}));
    CHECK(!lenient.has_errors());
    CHECK(lenient.warning_count() == 1);
}

TEST_CASE("render: several labels on one line, a note with its own line, help") {
    const Source source("net 1\nlayer dense(o: int)(x: real[B, I]) -> real[B, o] {\n  param w: "
                        "real[784, o] = zeros()\n"
                        "  return x @ w\n}\nmodel M(x: f32[B, 28, 28]) = x |> flatten |> "
                        "linear(100) |> dense(10)\n");
    const Diagnostic diagnostic =
        diagnose<Code::inner_dimensions_differ>(source.at("@"), "@", 100, 784)
            .text("the operator")
            .label(source.at("x @ w"), "f32[B, 100]; its last dimension is 100")
            .label({}, "nowhere: left out")
            .note_at(source.at("linear(100)"), "the 100 comes from here",
                     "in `dense(10)`, used by model `M`")
            .help("use the bound size instead: `param w: real[I, o]`");
    CHECK(render(diagnostic, source.map) ==
          R"(error[E0302]: `@` needs equal inner dimensions: 100 is not 784
  --> a.net:4:12
   |
 4 |   return x @ w
   |          --^--
   |          | the operator
   |          f32[B, 100]; its last dimension is 100
note: in `dense(10)`, used by model `M`
 6 | model M(x: f32[B, 28, 28]) = x |> flatten |> linear(100) |> dense(10)
   |                                              ----------- the 100 comes from here
help: use the bound size instead: `param w: real[I, o]`
)");
}

TEST_CASE("render: three marks side by side, other lines in their order") {
    const Source source("let h = conv(128)\n\n\nreturn h + x\n");
    const Diagnostic diagnostic = diagnose<Code::branches_differ>(source.at("+"), "+")
                                      .label(source.at("x"), "f32[B,  64, 8, 8]")
                                      .label(source.at("h"), "unused")
                                      .label(source.at("conv(128)"), "128 here");
    const std::string text = render(diagnostic, source.map);
    CHECK(text.find("4 | return h + x\n   |          ^ - f32[B,  64, 8, 8]\n") !=
          std::string::npos);
    CHECK(text.find(" 1 | let h = conv(128)\n   |     -   --------- 128 here\n   |     "
                    "unused\n...\n 4 |") != std::string::npos);
}

TEST_CASE("render: tabs, wide characters and control characters keep the marks in place") {
    const Source tabs("\tlet\ta = b\n");
    CHECK(render(diagnose<Code::unknown_name>(tabs.at("b"), "value", "b"), tabs.map)
              .find(" 1 |     let a = b\n   |             ^\n") != std::string::npos);
    const Source wide("# 日本語 x\n");
    CHECK(render(diagnose<Code::unknown_name>(wide.at("x"), "value", "x"), wide.map)
              .find("   |          ^\n") != std::string::npos);
    CHECK(wide.map.describe(wide.at("x")) == "a.net:1:7");
    const Source escape("a \x1b[31m b\n");
    const std::string shown =
        render(diagnose<Code::unknown_name>(escape.at("b"), "value", "b"), escape.map);
    CHECK(shown.find('\x1b') == std::string::npos);
    CHECK(shown.find("   |         ^\n") != std::string::npos);
}

TEST_CASE("render: a span over lines marks its first and its last") {
    const Source source("let a = f(\n  x,\n  y)\nz\n");
    const Diagnostic diagnostic =
        diagnose<Code::unknown_name>(source.at("f(\n  x,\n  y)"), "layer", "f").text("this call");
    CHECK(render(diagnostic, source.map) == R"(error[E0101]: there is no layer called `f`
  --> a.net:1:9
   |
 1 | let a = f(
   |         ^^
 2 |   x,
 3 |   y)
   |   ^^ this call
)");
}

TEST_CASE("render: a long line is seen through a window") {
    const Source source(std::string(5000, 'a') + " wrong " + std::string(5'000'000, 'b') + "\n");
    const std::string text =
        render(diagnose<Code::unknown_name>(source.at("wrong"), "value", "wrong").text("not found"),
               source.map);
    CHECK(text.size() < 500);
    const std::size_t mark = text.find("^^^^^ not found");
    REQUIRE(mark != std::string::npos);
    const std::size_t mark_line = text.rfind('\n', mark) + 1;
    const std::size_t source_line = text.rfind('\n', mark_line - 2) + 1;
    CHECK(text.substr(source_line + (mark - mark_line), 5) == "wrong");
}

TEST_CASE("render: another file, no place, colour") {
    SourceMap map;
    const std::uint32_t a = map.add("a.net", "x\n");
    const std::uint32_t b = map.add("b.net", "y\n");
    const Diagnostic both =
        diagnose<Code::declared_twice>({a, 0, 1}, "x").label({b, 0, 1}, "here too");
    CHECK(render(both, map) == R"(error[E0102]: `x` is declared twice
  --> a.net:1:1
   |
 1 | x
   | ^
  ::: b.net:1:1
 1 | y
   | - here too
)");
    CHECK(render(diagnose<Code::no_loss>({}, "M").help("add one"), map) ==
          "error[E0608]: the train section `M` has no loss\nhelp: add one\n");
    const std::string color = render(both, map, {true, 100});
    CHECK(color.find("\x1b[1;31merror[E0102]\x1b[0m") == 0);
    CHECK(color.find("\x1b[1;31m^\x1b[0m") != std::string::npos);
}

TEST_CASE("render: JSON has every field") {
    const Source source("net 1\n# ü\nconst a = b\n");
    Diagnostics diagnostics;
    diagnostics.add(diagnose<Code::unknown_name>(source.at("b"), "value", "b\xFF")
                        .text("not found")
                        .label(source.at("a"), "for this")
                        .note("a note")
                        .help("a help"));
    const auto json = nlohmann::json::parse(render_json(diagnostics, source.map));
    const auto& entry = json["diagnostics"][0];
    CHECK(entry["severity"] == "error");
    CHECK(entry["code"] == "E0101");
    CHECK(entry["file"] == "a.net");
    CHECK(entry["line"] == 3);
    CHECK(entry["column"] == 11);
    CHECK(entry["end_line"] == 3);
    CHECK(entry["end_column"] == 12);
    CHECK(entry["labels"].size() == 2);
    CHECK(entry["labels"][1]["text"] == "for this");
    CHECK(entry["notes"][0]["text"] == "a note");
    CHECK(entry["help"][0] == "a help");
    CHECK(render_json({}, source.map) == "{\"diagnostics\":[]}\n");
}

TEST_CASE("suggest: distance, then the words of other frameworks") {
    const std::vector<std::string> names = {"linear", "conv", "batch_norm", "relu",
                                            "k",      "out",  "pad",        "lr"};
    CHECK(suggest("liner", names) == "linear");
    CHECK(suggest("lienar", names) == "linear");
    CHECK(suggest("Linear", names) == "linear");
    CHECK(suggest("dense", names) == "linear");
    CHECK(suggest("BatchNorm2d", names) == "batch_norm");
    CHECK(suggest("kernel_size", names) == "k");
    CHECK(suggest("padding", names) == "pad");
    CHECK(suggest("learning_rate", names) == "lr");
    CHECK(suggest("something", names) == std::nullopt);
    CHECK(suggest("abc", names) == std::nullopt);
    CHECK(edit_distance("ab", "ba", 2) == 1);
    CHECK(edit_distance("kitten", "sitting", 3) == 3);
    CHECK(edit_distance("kitten", "sitting", 2) == 3);
    CHECK(edit_distance("", "abc", 5) == 3);
}
