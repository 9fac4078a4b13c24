// links: runtime ir
// predict: every kind of file that goes in and comes out.
#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include <sys/stat.h>

#include <filesystem>

#include "runtime/files/files.h"
#include "runtime/files/npz.h"
#include "tests/cli/expect.h"
#include "tests/cli/networks.h"
#include "tests/cli/run_command.h"
#include "tests/unit/image_files.h"

using namespace netc;

namespace {

// What goes in comes out, doubled.
const std::string kPixels = "net 1\nmodel Pixels(x: f32[B, 3, 1, 2]) -> f32[B, 3, 1, 2] = x * 2\n";
const std::string kRow = "net 1\nmodel Row(x: f32[B, 3]) -> f32[B, 3] = x * 2\n";

struct Bench {
    TemporaryDirectory directory;
    explicit Bench(const std::string& source) {
        directory.write("m.net", source);
        expect_success(run({"init", "m.net", "-o", "w.safetensors"}));
    }
    Outcome run(const std::vector<std::string>& arguments) const {
        return run_netc(arguments, directory.path());
    }
    Outcome predict(const std::string& input, std::vector<std::string> more = {"--json"}) const {
        more.insert(more.begin(),
                    {"predict", "m.net", "--weights", "w.safetensors", "--input", input});
        return run(more);
    }
    nlohmann::json result(const std::string& input) const {
        const Outcome outcome = predict(input);
        expect_success(outcome);
        return nlohmann::json::parse(outcome.out)["out"];
    }
};

}  // namespace

TEST_CASE("an image is a sample, channels first, 0 to 255") {
    const Bench bench(kPixels);
    bench.directory.write("a.png", png_bytes(PNG_FORMAT_RGB, 2, 1, {1, 2, 3, 4, 5, 255}));
    CHECK(bench.result("x=a.png") == nlohmann::json::parse("[[[[2,8]],[[4,10]],[[6,510]]]]"));
    bench.directory.write("a.ppm", "P3 2 1 255 1 2 3 4 5 6");
    CHECK(bench.result("x=a.ppm") == nlohmann::json::parse("[[[[2,8]],[[4,10]],[[6,12]]]]"));
    bench.directory.write("a.pgm", "P2 2 1 255 1 2");
    CHECK(bench.result("x=a.pgm") == nlohmann::json::parse("[[[[2,4]],[[2,4]],[[2,4]]]]"));
    bench.directory.write("wide.pgm", "P2 3 1 255 1 2 3");
    expect_refusal(bench.predict("x=wide.pgm"), 3, {"wide.pgm is 3 pixels wide and 1 high", "`x`"});
    bench.directory.write("cut.png", png_bytes(PNG_FORMAT_GRAY, 2, 1, {1, 2}).substr(0, 50));
    expect_refusal(bench.predict("x=cut.png"), 3, {"cut.png is not a whole image"});
    bench.directory.write("empty.png", "");
    expect_refusal(bench.predict("x=empty.png"), 3, {"empty.png is no PNG"});
    expect_refusal(bench.predict("x=nosuch.png"), 3, {"nosuch.png"});
    expect_refusal(bench.predict("x=a.gif"), 3, {"a.gif", ".png"});
}

TEST_CASE("a table has a row per sample, with or without a header") {
    const Bench bench(kRow);
    const auto expected = nlohmann::json::parse("[[2,4,6],[8,10,-1]]");
    bench.directory.write("a.csv", "1,2,3\n4,5,-0.5\n");
    CHECK(bench.result("x=a.csv") == expected);
    bench.directory.write("b.csv", "\"a\";b;c\r\n1;2;3\r\n4;5;-0.5\r\n\r\n");
    CHECK(bench.result("x=b.csv") == expected);
    bench.directory.write("word.csv", "1,2,3\n4,five,6\n");
    expect_refusal(bench.predict("x=word.csv"), 3, {"word.csv:2:3", "`five` is not a number"});
    bench.directory.write("gap.csv", "1,2,3\n4,,6\n");
    expect_refusal(bench.predict("x=gap.csv"), 3, {"gap.csv:2", "missing"});
    bench.directory.write("ragged.csv", "1,2,3\n4,5\n");
    expect_refusal(bench.predict("x=ragged.csv"), 3, {"ragged.csv"});
    bench.directory.write("narrow.csv", "1,2\n4,5\n");
    expect_refusal(bench.predict("x=narrow.csv"), 3, {"narrow.csv", "f32[B, 3]"});
    bench.directory.write("empty.csv", "");
    expect_refusal(bench.predict("x=empty.csv"), 3, {"empty.csv"});
}

TEST_CASE("archives in and out") {
    const Bench bench(kRow);
    const std::vector<float> values = {1, 2, 3};
    const std::vector<TensorView> arrays = {{"x", DType::f32, {1, 3}, bytes_of(values)},
                                            {"other", DType::f32, {3}, bytes_of(values)}};
    REQUIRE(write_npz(bench.directory.file("a.npz"), arrays).ok());
    CHECK(bench.result("x=a.npz") == nlohmann::json::parse("[[2,4,6]]"));
    expect_success(bench.predict("x=a.npz", {"-o", "out.npz"}));
    const auto file = NpzFile::open(*read_file(bench.directory.file("out.npz")), "out.npz");
    REQUIRE(file.ok());
    CHECK(file->names() == std::vector<std::string>{"out"});
    CHECK(file->read("out")->shape == std::vector<std::int64_t>{1, 3});
    bench.directory.write("cut.npz", read_file(bench.directory.file("a.npz"))->substr(0, 200));
    expect_refusal(bench.predict("x=cut.npz"), 3, {"cut.npz is not a whole npz file"});
    expect_refusal(bench.predict("x=a.npz", {"-o", "out.txt"}), 2, {"out.txt", ".npz"});
}

TEST_CASE("inputs far outside of what training saw are told about") {
    const TemporaryDirectory directory;
    directory.write("table.net", kTable);
    directory.write("points.csv", "0,1,0\n1,0,1\n0.5,0.5,2\n1,1,0\n");
    expect_success(run_netc({"train", "table.net", "--quiet", "--run", "run"}, directory.path()));
    const auto warned = [&](const char* option, const std::string& file) {
        const Outcome outcome = run_netc(
            {"predict", "table.net", "--weights", "run", option, file, "--json"}, directory.path());
        expect_success(outcome);
        return outcome.err;
    };
    const std::string warning =
        "warning: `x` holds values from -0.5 to 255, in training they were from 0 to 1\n";
    directory.write("near.csv", "0,1.5\n-0.5,1\n");
    directory.write("far.csv", "0,255\n-0.5,1\n");
    REQUIRE(put_npy(directory.file("far.npy"), {2, 2}, std::vector<float>{0, 255, -0.5f, 1}));
    CHECK(warned("--input", "x=near.csv").empty());
    CHECK(warned("--rows", "near.csv").empty());
    CHECK(warned("--input", "x=far.csv") == warning);
    CHECK(warned("--input", "x=far.npy") == warning);
    CHECK(warned("--rows", "far.csv") == warning);
}

TEST_CASE("a table of a header alone gives no output, but trains nothing") {
    const TemporaryDirectory directory;
    directory.write("table.net", kTable);
    directory.write("points.csv", "a,b,c\n0,1,0\n1,0,1\n0.5,0.5,2\n1,1,0\n");
    expect_success(run_netc({"train", "table.net", "--quiet", "--run", "run"}, directory.path()));
    directory.write("none.csv", "a,b,c\n");
    expect_success(run_netc(
        {"predict", "table.net", "--weights", "run", "--rows", "none.csv", "-o", "out.npy"},
        directory.path()));
    const Result<Array> out = read_npy(directory.file("out.npy"));
    REQUIRE(out.ok());
    CHECK(out->shape == std::vector<std::int64_t>{0, 3});
    directory.write("points.csv", "a,b,c\n");
    expect_refusal(run_netc({"train", "table.net", "--run", "other"}, directory.path()), 3,
                   {"points.csv", "no rows"});
}

TEST_CASE("rows need the categories of the training data") {
    const TemporaryDirectory directory;
    directory.write("train.csv", "k,v,y\na,1,0\nb,2,1\nc,9,2\n");
    directory.write("rows.csv", "k,v,y\nc,5,0\nc,,0\n");
    directory.write("m.net", R"(net 1
model M(k: i32[B], v: f32[B]) -> (c: i32[B], w: f32[B]) {
  param p: real[1] = zeros()
  return (k, v + p[0])
}
train M {
  target y: f32[B]
  data = csv("train.csv", k = category(col("k")), v = col("v"), y = col("y"), missing = mean)
  loss = mse(w, y)
  optimizer = sgd(lr = 0.0)
  epochs = 1
}
)");
    const auto run = [&](const std::vector<std::string>& arguments) {
        return run_netc(arguments, directory.path());
    };
    expect_success(run({"train", "m.net", "--run", "run", "--quiet"}));
    expect_success(run({"init", "m.net", "-o", "init.st"}));
    const Outcome trained =
        run({"predict", "m.net", "--weights", "run", "--rows", "rows.csv", "--json"});
    expect_success(trained);
    CHECK(nlohmann::json::parse(trained.out) == nlohmann::json::parse(R"({"c":[2,2],"w":[5,4]})"));
    expect_refusal(run({"predict", "m.net", "--weights", "init.st", "--rows", "rows.csv"}), 3,
                   {"rows.csv", "categories"});
}

TEST_CASE("a number that f32 does not hold is refused, not infinity") {
    const Bench bench(kRow);
    bench.directory.write("a.csv", "1,2,1e39\n");
    expect_refusal(bench.predict("x=a.csv"), 3, {"a.csv", "element 2", "1e+39", "f32"});
}

TEST_CASE("an option takes one value, and never the file behind it") {
    const Bench bench(kRow);
    bench.directory.write("a.csv", "1,2,3\n");
    expect_success(
        bench.run({"predict", "--weights", "w.safetensors", "--input", "x=a.csv", "m.net"}));
    expect_refusal(bench.run({"predict", "m.net", "--weights", "", "--input", "x=a.csv"}), 2,
                   {"--weights", "missing"});
}

TEST_CASE("output goes where a link leads, and stays as private as it was") {
    const Bench bench(kRow);
    const auto write = [&](const std::string& to) {
        expect_success(bench.run({"init", "m.net", "-o", to}));
    };
    write("real.st");
    ::chmod(bench.directory.file("real.st").c_str(), 0600);
    std::filesystem::create_symlink("real.st", bench.directory.file("link.st"));
    bench.directory.write("real.st", "old");
    write("link.st");
    CHECK(std::filesystem::is_symlink(bench.directory.file("link.st")));
    struct stat info{};
    REQUIRE(::stat(bench.directory.file("real.st").c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
    CHECK(info.st_size > 3);
}

TEST_CASE("clearing the compile cache costs nobody's objects") {
    const Bench bench(kRow);
    bench.directory.write("main.o", "mine");
    bench.directory.write(std::string(64, 'a') + ".o", "code");
    const Outcome outcome = bench.run({"cache", "clear", "--cache", "."});
    expect_success(outcome);
    CHECK(outcome.out.find("1 objects removed") != std::string::npos);
    CHECK(std::filesystem::exists(bench.directory.file("main.o")));
}
