// links: runtime ir
// Data and weights that are missing, cut off, corrupted or of another network: status 3, file and place.
#include <catch2/catch.hpp>

#include <sys/stat.h>
#include <zlib.h>

#include <cmath>
#include <filesystem>
#include <string>

#include "runtime/files/files.h"
#include "runtime/files/safetensors.h"
#include "tests/cli/expect.h"
#include "tests/cli/networks.h"
#include "tests/cli/run_command.h"

using namespace netc;

namespace {

std::string gzip(const std::string& text) {
    z_stream stream{};
    deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    std::string packed(compressBound(static_cast<uLong>(text.size())) + 64, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(packed.data());
    stream.avail_out = static_cast<uInt>(packed.size());
    deflate(&stream, Z_FINISH);
    packed.resize(stream.total_out);
    deflateEnd(&stream);
    return packed;
}

std::string table_rows() {
    std::string text;
    for (int i = 0; i < 40; ++i) {
        text += std::to_string(i % 7) + "." + std::to_string(i % 10) + "," + std::to_string(-i) +
                "," + std::to_string(i % 3) + "\n";
    }
    return text;
}

// idx with 20 images of 2 x 2 and their labels.
std::string idx_images() {
    std::string text("\0\0\x08\x03\0\0\0\x14\0\0\0\x02\0\0\0\x02", 16);
    return text + std::string(80, '\x40');
}
std::string idx_labels(char label) {
    std::string text("\0\0\x08\x01\0\0\0\x14", 8);
    return text + std::string(19, '\x01') + label;
}

const std::string kImages = R"(net 1
model Images(x: f32[B, 1, 2, 2]) -> f32[B, 3] = x |> flatten |> linear(3)
train Images {
  target y: i32[B]
  data      = idx(x = "images", y = "labels")
  loss      = cross_entropy(out, y)
  optimizer = sgd(lr = 0.1)
  batch     = 4
  epochs    = 1
}
)";

std::string with_data(std::string source, const std::string& data) {
    const std::size_t at = source.find("  data ");
    source.replace(at, source.find('\n', at) - at, "  data      = " + data);
    return source;
}

}  // namespace

TEST_CASE("tables") {
    const TemporaryDirectory directory;
    directory.write("table.net", kTable);
    const auto train = [&](const std::string& rows) {
        directory.write("points.csv", rows);
        return run_netc({"train", "table.net", "--run", "run", "--quiet"}, directory.path());
    };
    const std::string good = table_rows();
    SECTION("this one is good") { expect_success(train(good)); }
    SECTION("missing") {
        expect_refusal(run_netc({"train", "table.net"}, directory.path()), 3,
                       {"points.csv", "--data"});
        expect_refusal(run_netc({"train", "table.net", "--data", "elsewhere"}, directory.path()), 3,
                       {"elsewhere/points.csv"});
    }
    SECTION("empty") { expect_refusal(train(""), 3, {"points.csv"}); }
    SECTION("a row cut off") { expect_refusal(train(good + "1.5,"), 3, {"points.csv:41"}); }
    SECTION("a word instead of a number") {
        expect_refusal(train(good + "1.5,two,1\n"), 3, {"points.csv:41:5"});
    }
    SECTION("a label out of range") {
        expect_refusal(train(good + "1,2,3\n"), 3, {"points.csv:41", "3", "0 to 2"});
    }
    SECTION("a negative label") { expect_refusal(train(good + "1,2,-1\n"), 3, {"points.csv:41"}); }
    SECTION("half a label") { expect_refusal(train(good + "1,2,0.5\n"), 3, {"points.csv:41"}); }
    SECTION("noise") {
        std::string bytes;
        for (int i = 0; i < 5000; ++i) bytes += static_cast<char>((i * 7919) >> 3);
        expect_refusal(train(bytes), 3, {"points.csv"});
    }
    SECTION("a line of ten megabytes") {
        expect_refusal(train(good + std::string(10'000'000, '7') + "\n"), 3, {"points.csv:41"});
    }
    SECTION("ten megabytes of columns") {
        std::string line;
        while (line.size() < 10'000'000) line += "1,";
        expect_refusal(train(good + line + "1\n"), 3, {"points.csv:41"});
    }
    SECTION("a category in another encoding") {
        directory.write("table.net", with_data(kTable, "csv(\"points.csv\", x = cols(0..2), y = "
                                                       "category(col(2)))"));
        expect_refusal(train("1,2,tea\n3,4,caf\xe9\n5,6,milk\n"), 3,
                       {"points.csv:2:5", "0xe9 is no UTF-8", "category"});
    }
    SECTION("a first row with a number that no double holds") {
        expect_refusal(train("1e400,2,0\n" + good), 3, {"points.csv:1:1", "too large"});
    }
    SECTION("gzip, cut off") {
        const std::string packed = gzip(good);
        expect_refusal(train(packed.substr(0, packed.size() / 2)), 3, {"points.csv"});
    }
    SECTION("gzip, corrupted") {
        std::string packed = gzip(good);
        packed[packed.size() / 2] = static_cast<char>(packed[packed.size() / 2] ^ 0x55);
        expect_refusal(train(packed), 3, {"points.csv"});
    }
    CHECK_FALSE(std::filesystem::exists(directory.file("run/state.safetensors.tmp")));
}

TEST_CASE("class folders in another encoding") {
    const TemporaryDirectory directory;
    const std::string image = "P5\n2 2\n255\n" + std::string(4, 'x');
    for (const char* folder : {"tea", "caf\xe9"}) {
        std::filesystem::create_directories(directory.file(std::string("photos/") + folder));
        directory.write(std::string("photos/") + folder + "/1.pgm", image);
    }
    directory.write("photos.net", kPhotos);
    expect_refusal(run_netc({"train", "photos.net", "--run", "run"}, directory.path()), 3,
                   {"photos", "0xe9 is no UTF-8", "folder"});
}

TEST_CASE("idx and npy") {
    const TemporaryDirectory directory;
    directory.write("images.net", kImages);
    directory.write("images", idx_images());
    directory.write("labels", idx_labels('\x02'));
    const auto train = [&] {
        return run_netc({"train", "images.net", "--run", "run", "--quiet"}, directory.path());
    };
    SECTION("these are good") { expect_success(train()); }
    SECTION("images cut off") {
        directory.write("images", idx_images().substr(0, 50));
        expect_refusal(train(), 3, {"images"});
    }
    SECTION("a header cut off") {
        directory.write("images", idx_images().substr(0, 7));
        expect_refusal(train(), 3, {"images"});
    }
    SECTION("no idx at all") {
        directory.write("images", "hello");
        expect_refusal(train(), 3, {"images"});
    }
    SECTION("a label out of range") {
        directory.write("labels", idx_labels('\x09'));
        expect_refusal(train(), 3, {"`y`", "9", "0 to 2"});
    }
    SECTION("more images than labels") {
        directory.write("labels", idx_labels('\x02').replace(7, 1, 1, '\x13').substr(0, 8 + 19));
        expect_refusal(train(), 3, {"20", "19"});
    }
    SECTION("another size") {
        std::string images = idx_images();
        images[15] = 1;
        directory.write("images", images.substr(0, 16 + 40));
        expect_refusal(train(), 3, {"images", "2, 1"});
    }
    SECTION("npy") {
        directory.write("images.net", with_data(kImages, R"(npy(x = "x.npy", y = "y.npy"))"));
        REQUIRE(put_npy(directory.file("x.npy"), {20, 1, 2, 2}, noise(80)));
        REQUIRE(put_npy(directory.file("y.npy"), {20}, std::vector<std::int32_t>(20, 2)));
        const std::string x = *read_file(directory.file("x.npy"));
        SECTION("good") { expect_success(train()); }
        SECTION("cut off") {
            directory.write("x.npy", x.substr(0, x.size() - 1));
            expect_refusal(train(), 3, {"x.npy"});
        }
        SECTION("gzip, corrupted") {
            std::string packed = gzip(x);
            packed[packed.size() - 20] = static_cast<char>(packed[packed.size() - 20] ^ 0x55);
            directory.write("x.npy", packed);
            expect_refusal(train(), 3, {"x.npy"});
        }
        SECTION("another shape") {
            REQUIRE(put_npy(directory.file("x.npy"), {20, 5}, noise(100)));
            expect_refusal(train(), 3, {"x.npy"});
        }
        SECTION("floats as labels") {
            REQUIRE(put_npy(directory.file("y.npy"), {20}, noise(20)));
            expect_refusal(train(), 3, {"y.npy"});
        }
        SECTION("a negative label") {
            REQUIRE(put_npy(directory.file("y.npy"), {20}, std::vector<std::int32_t>(20, -1)));
            expect_refusal(train(), 3, {"`y`", "-1"});
        }
    }
    CHECK((std::filesystem::exists(directory.file("run")) ==
           std::filesystem::exists(directory.file("run/log.jsonl"))));
}

TEST_CASE("weights") {
    const TemporaryDirectory directory;
    directory.write("xor.net", kXor);
    directory.write("moons.net", kMoons);
    expect_success(run_netc({"init", "xor.net", "-o", "w.safetensors"}, directory.path()));
    REQUIRE(put_npy(directory.file("x.npy"), {4, 2}, noise(8)));
    const std::string bytes = *read_file(directory.file("w.safetensors"));
    const auto predict = [&](const std::string& weights) {
        return run_netc({"predict", "xor.net", "--weights", weights, "--input", "x=x.npy"},
                        directory.path());
    };
    expect_success(predict("w.safetensors"));
    expect_refusal(predict("nosuch.safetensors"), 3, {"nosuch.safetensors"});
    expect_refusal(predict("."), 3, {"no weights"});
    expect_refusal(predict("/dev/zero"), 3, {"/dev/zero", "device"});
    expect_refusal(run_netc({"predict", "moons.net", "Moons", "--weights", "w.safetensors",
                             "--input", "x=x.npy"},
                            directory.path()),
                   3, {"w.safetensors", "another model", "linear_1.weight"});
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{5}, std::size_t{8}, std::size_t{60}, bytes.size() - 1}) {
        INFO("cut off at " << size);
        directory.write("cut.safetensors", bytes.substr(0, size));
        expect_refusal(predict("cut.safetensors"), 3, {"cut.safetensors"});
    }
    directory.write("cut.safetensors", bytes + "x");
    expect_refusal(predict("cut.safetensors"), 3, {"cut.safetensors"});
    directory.write("cut.safetensors", std::string(8, '\xff') + bytes);
    expect_refusal(predict("cut.safetensors"), 3, {"cut.safetensors"});
    directory.write("cut.safetensors", "no tensors here, only words");
    expect_refusal(predict("cut.safetensors"), 3, {"cut.safetensors"});
}

TEST_CASE("inputs of predict and grad") {
    const TemporaryDirectory directory;
    directory.write("table.net", kTable);
    expect_success(run_netc({"init", "table.net", "-o", "w.safetensors"}, directory.path()));
    REQUIRE(put_npy(directory.file("x.npy"), {4, 2}, noise(8)));
    REQUIRE(put_npy(directory.file("wide.npy"), {4, 3}, noise(12)));
    REQUIRE(put_npy(directory.file("y.npy"), {4}, std::vector<std::int32_t>{0, 1, 2, 3}));
    REQUIRE(put_npy(directory.file("y3.npy"), {3}, std::vector<std::int32_t>{0, 1, 2}));
    const auto predict = [&](std::vector<std::string> more) {
        more.insert(more.begin(), {"predict", "table.net", "--weights", "w.safetensors"});
        return run_netc(more, directory.path());
    };
    expect_refusal(predict({"--input", "x=nosuch.npy"}), 3, {"nosuch.npy"});
    expect_refusal(predict({"--input", "x=wide.npy"}), 3, {"wide.npy", "f32[B, 2]", "f32[4, 3]"});
    expect_refusal(predict({"--input", "z=x.npy"}), 2, {"x"});
    expect_refusal(predict({"--input", "x=x.npy", "--input", "z=x.npy"}), 2, {"`z`"});
    expect_refusal(predict({"--input", "x=table.net"}), 3, {"table.net"});
    expect_refusal(predict({"--input", "x=x.npy", "-o", "out.png"}), 2, {"out.png"});
    const auto grad = [&](const char* labels) {
        return run_netc({"grad", "table.net", "--weights", "w.safetensors", "--input", "x=x.npy",
                         "--input", std::string("y=") + labels, "-o", "g.safetensors"},
                        directory.path());
    };
    expect_refusal(grad("y.npy"), 3, {"`y`", "3", "0 to 2"});
    expect_refusal(grad("y3.npy"), 3, {"y3.npy", "3", "4"});
    expect_refusal(grad("x.npy"), 3, {"x.npy", "i32"});
    CHECK_FALSE(std::filesystem::exists(directory.file("g.safetensors")));
}

TEST_CASE("a pipe or a device is no data") {
    const TemporaryDirectory directory;
    REQUIRE(::mkfifo(directory.file("pipe").c_str(), 0600) == 0);  // opening it would wait for ever
    directory.write("xor.net", kXor);
    expect_success(run_netc({"init", "xor.net", "-o", "w.safetensors"}, directory.path()));
    for (const std::string path : {"pipe", "/dev/zero"}) {
        INFO(path);
        directory.write("table.net",
                        with_data(kTable, "csv(\"" + path + "\", x = cols(0, 1), y = col(2))"));
        const std::string kind = "it is a device, a pipe or a socket, not a file";
        const std::string shown = path;
        expect_refusal(run_netc({"train", "table.net", "--run", "run"}, directory.path()), 3,
                       {shown.c_str(), kind.c_str()});
        expect_refusal(run_netc({"eval", "xor.net", "--weights", path}, directory.path()), 3,
                       {shown.c_str(), kind.c_str()});
        expect_refusal(run_netc({"weights", path}, directory.path()), 3,
                       {shown.c_str(), kind.c_str()});
    }
    std::filesystem::create_symlink("pipe", directory.file("x.npy"));
    expect_refusal(
        run_netc({"predict", "xor.net", "--weights", "w.safetensors", "--input", "x=x.npy"},
                 directory.path()),
        3, {"x.npy", "not a file"});
}

TEST_CASE("weights that were made with options that the program lacks") {
    const TemporaryDirectory directory;
    directory.write("moons.net", kMoons);
    expect_success(run_netc({"init", "moons.net", "-o", "w.safetensors", "--set", "width=8"},
                            directory.path()));
    std::string other = kMoons;
    for (std::size_t at; (at = other.find("width")) != std::string::npos;)
        other.replace(at, 5, "wide");
    directory.write("moons.net", other);
    expect_refusal(run_netc({"eval", "moons.net", "--weights", "w.safetensors"}, directory.path()),
                   3, {"w.safetensors was made with other options than moons.net has", "width"});
    // What the command line says is its own mistake.
    expect_refusal(run_netc({"eval", "moons.net", "--weights", "w.safetensors", "--set", "depth=3"},
                            directory.path()),
                   2, {"depth"});
}

TEST_CASE("weights that hold no numbers are used, with a warning that names them") {
    const TemporaryDirectory directory;
    directory.write("line.net", "net 1\nmodel Line(x: f32[B, 2]) -> f32[B, 1] = x |> linear(1)\n");
    const std::vector<float> weight = {1, std::nanf("")}, bias = {INFINITY};
    const std::vector<TensorView> tensors = {
        {"linear_1.weight", DType::f32, {2, 1}, bytes_of(weight)},
        {"linear_1.bias", DType::f32, {1}, bytes_of(bias)}};
    REQUIRE(write_safetensors(directory.file("w.safetensors"), tensors, {}).ok());
    REQUIRE(put_npy(directory.file("x.npy"), {1, 2}, std::vector<float>{1, 2}));
    const Outcome outcome = run_netc(
        {"predict", "line.net", "--weights", "w.safetensors", "--input", "x=x.npy", "--json"},
        directory.path());
    expect_success(outcome);
    CHECK(
        outcome.err ==
        "warning: w.safetensors: `linear_1.weight` holds numbers that are not finite: 1 NaN of 2\n"
        "warning: w.safetensors: `linear_1.bias` holds numbers that are not finite: 1 infinite of "
        "1\n");
}
