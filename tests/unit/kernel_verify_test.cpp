// links: ir
// What the verifier and the parser of kernel text find, each with its message.
#include <catch2/catch.hpp>

#include "ir/kernel.h"

using namespace netc;

namespace {

std::string message(const std::string& params, const std::string& outer, const std::string& body) {
    const std::string text = "kernel {" + params + " outer (" + outer + ") " + body + "}";
    const Result<Kernel> kernel = parse_kernel(text);
    if (!kernel) return kernel.error().message;
    const Status status = verify(*kernel);
    return status ? "" : status.error().message;
}

void check(const std::string& found, const std::string& wanted) {
    INFO("found: " << found);
    CHECK((wanted.empty() ? found.empty() : found.find(wanted) != std::string::npos));
}

const std::string kParams = "param x: in f32[B, 8] param y: out f32[B, 8] param n: in i32[B]";

}  // namespace

TEST_CASE("a kernel that is right") {
    check(message(kParams, "b: B, j: 8", "stage () { store y[b, j] = x[b, 7 - j] }"), "");
    check(message(kParams, "b: B", "stage (j: 2, k: 4) { store y[b, 4*j + k] = x[b, k] }"), "");
}

TEST_CASE("what the verifier refuses") {
    const std::string bj = "b: B, j: 8";
    check(message(kParams, bj, "stage () { store y[b, j] = x[b, j + 1] }"),
          "its index runs from 1 to 8");
    check(message(kParams, bj, "stage () { store y[b, j] = padded(x[b, j + 1]) }"), "");
    check(message(kParams, bj, "stage () { store y[b, 0] = x[b, j] }"), "writes an element twice");
    check(message(kParams, "b: B", "stage (j: 3, k: 3) { store y[b, 2*j + k] = x[b, k] }"),
          "writes an element twice");
    check(message(kParams, bj, "stage () { store x[b, j] = x[b, j] }"), "only read");
    check(message(kParams, bj, "stage () { store y[b, j] = y[b, j] }"), "only written");
    check(message(kParams, bj, "stage () { store y[b, j] = x[b] }"),
          "has 2 dims, is indexed with 1");
    check(message(kParams, bj, "stage () { store y[b, j] = n[b] }"), "stores i32 into p1");
    check(message(kParams, bj, "stage () { store y[b, j] = x[b, j] + cast(n[b], f64) }"),
          "has an operand of f64");
    check(message(kParams, bj, "stage () { }"), "stores nothing");
    check(message(kParams + " local l: f32[]", bj, "stage () { store y[b, j] = l[] }"),
          "before it is written");
    check(message(kParams, "b: B",
                  "stage () { reduce (k: 8) lanes(k) state s0: f32 = 0 s0 -> s0 + x[b, k] store "
                  "y[b, 0] = s0 }"),
          "1 states, 0 merges");
    check(message(kParams, "b: B",
                  "stage () { reduce (k: 8) sequential state s0: f32 = 0 s0 -> s0 + x[b, k] store "
                  "y[b, 0] = s0 * x[b, k] }"),
          "where it does not live");
    check(message("param x: in f32[B, 8] lanes param y: out f32[8]", "j: 8",
                  "stage () { store y[j] = x[0, j] }"),
          "batch lanes");
    check(message("param x: in f32[8] order(1) param y: out f32[8]", "j: 8",
                  "stage () { store y[j] = x[j] }"),
          "no permutation");
}

TEST_CASE("what the parser refuses") {
    check(message(kParams, "b: B", "stage () { store y[b, q] = 1 }"), "no axis `q`");
    check(message(kParams, "b: B", "stage () { store z[b] = 1 }"), "no buffer `z`");
    check(message(kParams, "b: B, b: B", "stage () { store y[b, 0] = 1 }"), "is taken");
    check(message(kParams, "b: B", "stage () { store y[b, b*b] = 1 }"), "no product of axes");
    check(message(kParams, "b: B", "stage () { store y[b, 0] = frob(1) }"), "no function `frob`");
    check(message(kParams, "b: B", "stage () { store y[b, 0] = }"), "expected a value");
    check(message(kParams, "b: B", "stage () { let"), "expected");
    check(parse_kernel("").error().message, "expected `kernel`");
}

TEST_CASE("names and the order of axes do not matter") {
    const auto text = [](const std::string& source) { return to_text(*parse_kernel(source)); };
    const std::string first =
        text("kernel { param x: in f32[B, 8] param y: inout f32[B, 8] outer (b: B, j: 8) "
             "stage () { store y[b, j] = (x[b, j] - 1.5) * (x[b, j] - 1.5) / -0 + inf }}");
    CHECK(first ==
          text("kernel { param in_: in f32[B, 8] param out_: inout f32[B, 8] outer (q: B, r: 8) "
               "stage () { let v = in_[q, r] - 1.5 store out_[q, r] = v * v / -0 + inf }}"));
    CHECK(first == text(first));
    CHECK(first.find("let v0 = p0[i0, i1] - 1.5") != std::string::npos);
}
