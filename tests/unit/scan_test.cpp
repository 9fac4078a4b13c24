// links: frontend passes backends ir
// Loops over time: the values of lstm and gru against their formulas, a loop against its steps written out,
// random numbers in a loop, the size of programs, and the page that documents all this.
#include "backends/interpreter.h"
#include "frontend/frontend.h"
#include "frontend/render.h"
#include "ir/graph_text.h"
#include "ir/graph_verify.h"
#include "ir/philox.h"
#include "passes/pipeline.h"

#include <catch2/catch.hpp>

#include <cmath>
#include <fstream>
#include <sstream>

using namespace netc;

namespace {

using Values = std::vector<double>;

CheckedFile checked(const std::string& text) {
    SourceMap sources;
    Diagnostics diagnostics;
    Result<CheckedFile> file = check_text("test.net", text, {}, sources, diagnostics);
    if (!file) FAIL(text << "\n" << render(diagnostics, sources));
    return std::move(*file);
}

Program program_of(const CheckedFile& file) {
    CompileOptions options;
    options.entries = {"init", "prepare", "forward"};
    PassRunner run;
    Result<Program> program = compile(file.models.at(0), nullptr, options, run);
    if (!program) FAIL(program.error().message);
    return std::move(*program);
}

// A model after `init`, in double precision.
struct Running {
    Program program;
    Interpretation exact;

    explicit Running(const std::string& text)
        : program(program_of(checked(text))), exact(*Interpretation::make(program)) {
        exact.set_hyper(5, 1, std::nan(""));
        REQUIRE(exact.run("init", 1).ok());
        REQUIRE(exact.run("prepare", 1).ok());
    }
    Status try_run(const Values& x, std::int64_t batch) {
        REQUIRE(exact.set_input("forward", "x", x).ok());
        return exact.run("forward", batch);
    }
    Values run(const Values& x, std::int64_t batch) {
        const Status status = try_run(x, batch);
        if (!status) FAIL(status.error().message);
        return *exact.output("forward", "out");
    }
    Values variable(const std::string& name) const { return *exact.variable(name); }
};

Values wave(std::size_t count) {
    Values values;
    for (std::size_t i = 0; i < count; ++i)
        values.push_back(std::sin(1.7 * static_cast<double>(i)));
    return values;
}

void check_equal(const Values& found, const Values& wanted, double margin) {
    REQUIRE(found.size() == wanted.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
        INFO("element " << i);
        CHECK(found[i] == Approx(wanted[i]).margin(margin));
    }
}

double sigmoid(double z) { return 1 / (1 + std::exp(-z)); }

constexpr std::size_t kSteps = 5, kIn = 3, kHidden = 4;

// row @ matrix, [rows, columns].
Values times(const Values& row, const Values& matrix, std::size_t columns) {
    Values result(columns);
    for (std::size_t i = 0; i < row.size(); ++i) {
        for (std::size_t j = 0; j < columns; ++j) result[j] += row[i] * matrix[i * columns + j];
    }
    return result;
}

// Runs `step(x_t, h)` over all steps of each of two samples; stacks h.
template <class Step>
Values by_formula(const Values& x, Step step) {
    Values all;
    for (std::size_t b = 0; b < 2; ++b) {
        Values h(kHidden), c(kHidden);
        for (std::size_t t = 0; t < kSteps; ++t) {
            const auto begin = x.begin() + static_cast<std::ptrdiff_t>((b * kSteps + t) * kIn);
            step(Values(begin, begin + kIn), h, c);
            all.insert(all.end(), h.begin(), h.end());
        }
    }
    return all;
}

}  // namespace

TEST_CASE("lstm has the values of its formula") {
    Running model("net 1\nmodel M(x: f32[B, 5, 3]) -> f32[B, 5, 4] = x |> lstm(4)\n");
    const Values x = wave(2 * kSteps * kIn);
    const Values wx = model.variable("lstm_1.wx"), wh = model.variable("lstm_1.wh");
    Values bias = wave(4 * kHidden);
    REQUIRE(model.exact.set_variable("lstm_1.bias", bias).ok());
    REQUIRE(model.exact.run("prepare", 1).ok());
    const Values wanted = by_formula(x, [&](const Values& xt, Values& h, Values& c) {
        const Values a = times(xt, wx, 4 * kHidden), r = times(h, wh, 4 * kHidden);
        for (std::size_t j = 0; j < kHidden; ++j) {
            const auto gate = [&](std::size_t k) {
                const std::size_t at = k * kHidden + j;
                return a[at] + r[at] + bias[at];
            };
            c[j] = sigmoid(gate(1)) * c[j] + sigmoid(gate(0)) * std::tanh(gate(3));
            h[j] = sigmoid(gate(2)) * std::tanh(c[j]);
        }
    });
    check_equal(model.run(x, 2), wanted, 1e-12);
}

TEST_CASE("gru resets behind the recurrent product") {
    Running model("net 1\nmodel M(x: f32[B, 5, 3]) -> f32[B, 5, 4] = x |> gru(4)\n");
    const Values x = wave(2 * kSteps * kIn);
    const Values wx = model.variable("gru_1.wx"), wh = model.variable("gru_1.wh");
    Values bias = wave(3 * kHidden);
    REQUIRE(model.exact.set_variable("gru_1.bias", bias).ok());
    REQUIRE(model.exact.run("prepare", 1).ok());
    const Values wanted = by_formula(x, [&](const Values& xt, Values& h, Values&) {
        const Values a = times(xt, wx, 3 * kHidden), u = times(h, wh, 3 * kHidden);
        for (std::size_t j = 0; j < kHidden; ++j) {
            const auto in = [&](std::size_t k) {
                return a[k * kHidden + j] + bias[k * kHidden + j];
            };
            const double r = sigmoid(in(0) + u[j]), z = sigmoid(in(1) + u[kHidden + j]);
            const double n = std::tanh(in(2) + r * u[2 * kHidden + j]);
            h[j] = (1 - z) * n + z * h[j];
        }
    });
    check_equal(model.run(x, 2), wanted, 1e-12);
}

TEST_CASE("a loop is its steps written out") {
    const std::string head = "net 1\nmodel M(x: f32[B, 4, 3]) -> f32[B, 4, 2] {\n"
                             " param w: f32[3, 2] = xavier_uniform()\n var h = x[:, 0] @ w\n";
    const std::string step = "h = tanh(h * 0.5 + v @ w)\n";
    for (const bool reverse : {false, true}) {
        std::string loop =
            head + " let y = scan v in unstack(x, 1, reverse=" + (reverse ? "true" : "false") +
            ") {\n" + step + " yield h * h + v[:, 0..2]\n}\n" +
            " return y + permute([0, 2, 1])(expand(h, 4))\n}\n";
        std::string written = head;
        for (int k = 0; k < 4; ++k) {
            const std::string t = std::to_string(reverse ? 3 - k : k);
            written += " let v" + t + " = x[:, " + t + "]\n h = tanh(h * 0.5 + v" + t +
                       " @ w)\n let y" + t + " = reshape([B, 1, 2])(h * h + v" + t + "[:, 0..2])\n";
        }
        written += " return concat(1)(y0, y1, y2, y3) + permute([0, 2, 1])(expand(h, 4))\n}\n";
        Running a(loop), b(written);
        REQUIRE(a.variable("w") == b.variable("w"));
        const Values x = wave(3 * 12);
        check_equal(a.run(x, 3), b.run(x, 3), 1e-12);
    }
}

TEST_CASE("each step of a loop draws its own numbers") {
    Running model("net 1\nmodel M(x: f32[B, 3, 4]) -> f32[B, 3, 4] {\n"
                  " let y = scan v in unstack(x, 1) { yield random_uniform(v) }\n return y\n}\n");
    const Values y = model.run(wave(24), 2);
    // Row-major in a step: the element of sample b and column j is 4 b + j, and so is its word.
    for (std::size_t i = 0; i < y.size(); ++i) {
        CHECK(y[i] >= 0);
        CHECK(y[i] < 1);
        for (std::size_t k = 0; k < i; ++k) CHECK(y[i] != y[k]);
    }
}

TEST_CASE("a program does not grow with the number of steps") {
    const auto program = [](const std::string& steps) {
        return program_of(
            checked("net 1\nmodel M(x: f32[B, " + steps +
                    ", 3]) -> f32[B, 2] {\n let h = x |> lstm(4)\n return h[:, -1] |> "
                    "linear(2)\n}\n"));
    };
    const Program few = program("10"), many = program("1000");
    CHECK(few.find("forward")->calls.size() == many.find("forward")->calls.size());
    REQUIRE(many.find("forward")->loops.size() == 1);
    CHECK(many.find("forward")->loops[0].steps == 1000);
}

TEST_CASE("as compares with the batch when the program runs") {
    Running model("net 1\nmodel M(x: f32[B, 3]) -> f32[4, 3] = (x as f32[4, 3]) * 2.0\n");
    const Values x = wave(12);
    Values wanted;
    for (const double value : x) wanted.push_back(2 * value);
    check_equal(model.run(x, 4), wanted, 1e-12);
    const Status status = model.try_run(wave(15), 5);
    REQUIRE(!status);
    CHECK(status.error().status == kExitRun);
    CHECK(status.error().message.find("f32[B, 3] as f32[4, 3]") != std::string::npos);
}

TEST_CASE("the program on the page about scan is right, and its text reads back in") {
    std::ifstream file(std::string(NETC_SOURCE_DIR) + "/docs/language_rules.md");
    std::stringstream page;
    page << file.rdbuf();
    const std::string text = page.str();
    const std::size_t construct = text.find("**`scan x_t in");
    REQUIRE(construct != std::string::npos);
    const std::size_t begin = text.find("```\n", construct) + 4;
    const CheckedFile checked_file = checked(text.substr(begin, text.find("```", begin) - begin));
    const Module& module = checked_file.models.at(0).module;
    REQUIRE(verify(module).ok());
    const std::string printed = to_text(module);
    CHECK(printed.find("body 0 step(") != std::string::npos);
    const Result<Module> read = parse_module(printed);
    if (!read) FAIL(read.error().message);
    CHECK(to_text(*read) == printed);
    REQUIRE(verify(*read).ok());
    (void)program_of(checked_file);
}

TEST_CASE("the verifier knows what a scan promises") {
    const CheckedFile file =
        checked("net 1\nmodel M(x: f32[B, 5, 4]) -> f32[B, 5, 4] {\n"
                " var h = zeros_like([B, 4])\n let y = scan v in unstack(x, 1) {\n"
                "  h = tanh(h + v)\n  yield h\n }\n return y\n}\n");
    const auto broken = [&](auto change) {
        Module module = file.models.at(0).module;
        Function& function = *module.find("forward");
        change(function);
        const Status status = verify(module);
        return status ? std::string() : status.error().message;
    };
    CHECK(broken([](Function&) {}).empty());
    CHECK(broken([](Function& f) { f.bodies[0].inputs.pop_back(); }) != "");
    CHECK(broken([](Function& f) { f.bodies.clear(); }).find("no such body") != std::string::npos);
    CHECK(broken([](Function& f) { f.bodies[0].results.pop_back(); }).find("no such result") !=
          std::string::npos);
    CHECK(broken([](Function& f) {
              for (Node& node : f.nodes) {
                  if (node.op == OpId::scan) node.attributes.set("body", std::int64_t{1});
              }
          }).find("no such body") != std::string::npos);
}
