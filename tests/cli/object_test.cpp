// links: runtime ir
// What netc compile emits: a C program computes the bits that netc computes, and needs nothing else.
#include <catch2/catch.hpp>

#include <cstring>
#include <filesystem>
#include <set>
#include <sstream>

#include "runtime/files/files.h"
#include "runtime/files/safetensors.h"
#include "tests/cli/object_support.h"

using namespace netc;

namespace {

std::string file_bytes(const std::string& path) {
    const Result<std::string> text = read_file(path);
    INFO(path);
    REQUIRE(text.ok());
    return *text;
}

ObjectCase named(const std::string& prefix) {
    for (ObjectCase& net : object_cases()) {
        if (net.prefix == prefix) return net;
    }
    FAIL("there is no case " << prefix);
    return {};
}

// The rows `tensor NAME DTYPE OFFSET SIZE` that the C program printed.
struct Row {
    std::string name;
    std::size_t offset = 0, size = 0;
};
std::vector<Row> tensor_rows(const std::string& text) {
    std::vector<Row> rows;
    std::istringstream stream(text);
    for (std::string word; stream >> word;) {
        if (word != "tensor") continue;
        Row row;
        int dtype = 0;
        stream >> row.name >> dtype >> row.offset >> row.size;
        CHECK(dtype == 1);  // f32
        rows.push_back(row);
    }
    return rows;
}

void check_region(const std::string& region, const std::vector<Row>& rows,
                  const std::string& weights) {
    const Result<Safetensors> file = read_safetensors(weights);
    REQUIRE(file.ok());
    REQUIRE(rows.size() == file->tensors.size());
    for (const Row& row : rows) {
        INFO(row.name);
        const Safetensors::Tensor* tensor = file->find(row.name);
        REQUIRE(tensor != nullptr);
        REQUIRE(tensor->size == row.size);
        REQUIRE(row.offset + row.size <= region.size());
        CHECK(std::memcmp(region.data() + row.offset, file->data(*tensor).data(), row.size) == 0);
    }
}

// Forward and fifty steps, bit for bit.
void check_bits(const ObjectCase& net, const TemporaryDirectory& directory) {
    INFO(net.prefix);
    expect_success(shell("./" + net.prefix + " forward " + net.prefix + ".weights", directory));
    std::vector<std::string> predict = {
        "predict", net.prefix + ".net", "--weights", net.prefix + ".safetensors", "-o", "netc.npy"};
    for (const ObjectArgument& a : net.inputs)
        predict.insert(predict.end(), {"--input", a.name + "=" + a.name + ".npy"});
    expect_success(run_netc(predict, directory.path()));
    for (const ObjectArgument& a : net.outputs) {
        INFO(a.name);
        const std::string file = net.outputs.size() == 1 ? "netc.npy" : "netc." + a.name + ".npy";
        const Result<Array> array = read_npy(directory.file(file));
        REQUIRE(array.ok());
        const std::string ours = file_bytes(directory.file(a.name + ".out"));
        REQUIRE(ours.size() == array->bytes.size());
        CHECK(std::memcmp(ours.data(), array->bytes.data(), ours.size()) == 0);
    }

    const Outcome trained = shell("./" + net.prefix + " train 50", directory);
    expect_success(trained);
    expect_success(
        run_netc({"train", net.prefix + ".net", "--run", "run", "--steps", "50", "--quiet"},
                 directory.path()));
    const std::vector<Row> rows = tensor_rows(trained.out);
    const std::string start = file_bytes(directory.file(net.prefix + ".start"));
    CHECK((start == file_bytes(directory.file(net.prefix + ".weights"))));
    check_region(file_bytes(directory.file(net.prefix + ".trained")), rows,
                 directory.file("run/last.safetensors"));
}

}  // namespace

TEST_CASE("a C program computes what netc computes, bit for bit, in buffers of exactly the "
          "published sizes") {
    const TemporaryDirectory directory;
    SECTION("xor") {
        const ObjectCase net = named("xor");
        build_case(net, directory, "-g -fsanitize=address,undefined");
        check_bits(net, directory);
    }
    SECTION("dropout, a penalty, a schedule") {
        const ObjectCase net = named("mlp");
        build_case(net, directory, "-g -fsanitize=address,undefined");
        check_bits(net, directory);
    }
    SECTION("LeNet-5") {
        const ObjectCase net = named("lenet5");
        build_case(net, directory, "-g -fsanitize=address,undefined");
        check_bits(net, directory);
    }
    SECTION("batch norm: state moves too") {
        const ObjectCase net = named("normed");
        build_case(net, directory, "-g -fsanitize=address,undefined");
        check_bits(net, directory);
    }
    SECTION("two inputs and two outputs") {
        const ObjectCase net = named("pair");
        build_case(net, directory, "-g -fsanitize=address,undefined");
        check_bits(net, directory);
    }
}

TEST_CASE("an object needs nothing, keeps nothing and shows only its prefix") {
    const TemporaryDirectory directory;
    for (const char* prefix : {"normed", "pair"}) {
        const ObjectCase net = named(prefix);
        write_case(net, directory);
        const std::string object = net.prefix + ".o";
        expect_success(run_netc({"compile", net.prefix + ".net", "-o", object}, directory.path()));
        const std::set<std::string> allowed = {"memcpy", "memset", "memmove"};
        std::istringstream needed(shell("nm -u " + object, directory).out);
        for (std::string kind, name; needed >> kind >> name;) {
            INFO(name);
            CHECK(allowed.contains(name));
        }
        std::istringstream defined(shell("nm -g --defined-only " + object, directory).out);
        int functions = 0;
        for (std::string address, kind, name; defined >> address >> kind >> name;) {
            INFO(name);
            CHECK(kind == "T");
            CHECK(name.starts_with(net.prefix + "_"));
            ++functions;
        }
        CHECK(functions == 10);
        // Writable or thread-local memory, and what would need it: relocated data.
        std::istringstream sections(shell("objdump -h " + object, directory).out);
        for (std::string line; std::getline(sections, line);) {
            std::istringstream words(line);
            std::string number, name, size;
            if (!(words >> number >> name >> size) || !name.starts_with('.')) continue;
            INFO(line);
            for (const char* writable :
                 {".data", ".bss", ".tdata", ".tbss", ".init_array", ".ctors"}) {
                if (name == writable || name.starts_with(std::string(writable) + "."))
                    CHECK(size == "00000000");
            }
        }
    }
}

TEST_CASE("headers are clean C99 and C++, alone and together") {
    const TemporaryDirectory directory;
    std::string includes;
    for (const ObjectCase& net : object_cases()) {
        write_case(net, directory);
        const std::string stem = net.prefix;
        expect_success(run_netc({"compile", stem + ".net", "-o", stem + ".o"}, directory.path()));
        includes += "#include \"" + stem + ".h\"\n#include \"" + stem + ".h\"\n";
        directory.write("one.c", "#include \"" + stem +
                                     ".h\"\nint use(void);\nint use(void) { return " + stem +
                                     "_strerror(0)[0]; }\n");
        expect_success(shell(kStrict + "-c one.c -o one.o", directory));
    }
    directory.write(
        "all.c", includes + "int main(void) { return xor_strerror(0) == lenet5_strerror(0); }\n");
    directory.write("all.cpp",
                    includes + "int main() { return xor_strerror(0) == lenet5_strerror(0); }\n");
    expect_success(
        shell(kStrict + "-Wshadow -Wstrict-prototypes all.c *.o -o all_c 2>&1", directory));
    expect_success(shell("c++ -std=c++17 -Wall -Wextra -pedantic -Werror all.cpp xor.o mlp.o "
                         "lenet5.o normed.o pair.o -o all_cpp 2>&1",
                         directory));
    expect_success(shell("./all_c && ./all_cpp", directory));
}

// What C, C++, their compilers or the header itself use already.
TEST_CASE("inputs and results may have any name") {
    const TemporaryDirectory directory;
    const char* const words[] = {
        // the other arguments
        "weights", "batch", "hyper", "loss", "stream", "gradients",
        // C and GNU C
        "asm", "typeof", "typeof_unqual", "inline", "restrict", "constexpr", "alignas", "alignof",
        "nullptr", "static_assert", "thread_local", "fortran",
        // C++
        "class", "concept", "requires", "consteval", "constinit", "co_await", "co_return",
        "co_yield", "char8_t", "char16_t", "char32_t", "wchar_t", "decltype", "noexcept", "typeid",
        "dynamic_cast", "mutable", "and_eq", "bitand", "bitor", "compl", "not_eq", "or_eq", "xor",
        "xor_eq",
        // <stdint.h>, <stddef.h>, macros of compilers
        "size_t", "ptrdiff_t", "int32_t", "uint64_t", "intptr_t", "NULL", "offsetof", "SIZE_MAX",
        "INT8_MIN", "UINT64_C", "WCHAR_MAX", "linux", "unix",
        // the header's
        "k_hyper", "k_tensor", "k_forward", "K_ALIGN", "K_OK", "K_WEIGHTS_SIZE", "K_STATE",
        // what others become
        "double_", "out", "out_"};
    std::string inputs = "double: f32[B, 2]", sum = "double";
    for (const char* word : words) {
        inputs += std::string(", ") + word + ": f32[B, 2]";
        sum += std::string(" + ") + word;
    }
    directory.write("k.net", "net 1\nmodel K(" + inputs + ") -> f32[B, 2] = (" + sum +
                                 ") |> linear(2)\ntrain K {\n  target goto: f32[B, 2]\n  loss = "
                                 "mse(out, goto)\n  epochs = 1\n}\n");
    expect_success(run_netc({"compile", "k.net", "-o", "k.o"}, directory.path()));
    directory.write("use.c", "#include \"k.h\"\nint main(void) { return K_OK; }\n");
    directory.write("use.cpp", "#include \"k.h\"\nint main() { return K_OK; }\n");
    const std::string warnings = " -Wall -Wextra -pedantic -Werror -fsyntax-only ";
    for (const char* compiler : {"cc -std=c99", "cc -std=gnu11", "cc -std=gnu17"}) {
        INFO(compiler);
        expect_success(shell(compiler + warnings + "use.c 2>&1", directory));
    }
    for (const char* compiler : {"c++ -std=c++17", "c++ -std=c++20", "c++ -std=gnu++20"}) {
        INFO(compiler);
        expect_success(shell(compiler + warnings + "use.cpp 2>&1", directory));
    }
}

TEST_CASE("make reads a depfile, whatever the files are called") {
    const TemporaryDirectory directory;
    const std::string name = "a$b #c.net";
    directory.write(name, "net 1\nmodel K(x: f32[B, 2]) -> f32[B, 2] = x |> linear(2)\n");
    expect_success(run_netc({"compile", name, "-o", "q.o", "--MD"}, directory.path()));
    CHECK(file_bytes(directory.file("q.d")) == "q.o: a$$b\\ \\#c.net\n");
}

TEST_CASE("the header carries the documentation comment of the model, whatever stands in it") {
    const TemporaryDirectory directory;
    directory.write("net.net", "net 1\n## Twice */ as /* much.\n##   Ends in \\\n"
                               "model Net(x: f32[B, 2]) -> f32[B, 2] = 2.0 * x\n");
    expect_success(run_netc({"compile", "net.net", "-o", "net.o"}, directory.path()));
    const std::string header = file_bytes(directory.file("net.h"));
    CHECK(header.find(" * Twice * / as / * much.\n") != std::string::npos);
    directory.write("use.c", "#include \"net.h\"\nint main(void) { return NET_OK; }\n");
    expect_success(shell(kStrict + "use.c net.o -o use && ./use", directory));
}

TEST_CASE("two networks in one program, and position independent") {
    const TemporaryDirectory directory;
    for (const char* prefix : {"xor", "pair"}) {
        const ObjectCase net = named(prefix);
        write_case(net, directory);
        expect_success(
            run_netc({"compile", net.prefix + ".net", "-o", net.prefix + ".o"}, directory.path()));
        directory.write(net.prefix + ".c",
                        replaced(c_program(net), {{"int main(", "int main_" + net.prefix +
                                                                    "(int, char **);\nint main_" +
                                                                    net.prefix + "("}}));
    }
    directory.write("both.c", "int main_xor(int, char **);\nint main_pair(int, char **);\n"
                              "int main(int argc, char **argv) { return main_xor(argc, argv) + "
                              "main_pair(argc, argv); }\n");
    expect_success(shell(
        kStrict + "-fPIE -pie -Wl,-z,text both.c xor.c pair.c xor.o pair.o -o both", directory));
    expect_success(shell("./both train 3", directory));
    expect_success(shell("cc -shared -Wl,-z,text xor.o pair.o -o both.so", directory));
}

TEST_CASE("the same source gives the same object") {
    const TemporaryDirectory directory;
    const ObjectCase net = named("mlp");
    write_case(net, directory);
    expect_success(run_netc({"compile", "mlp.net", "-o", "a.o", "--emit=obj,header,asm,llvm", "-M"},
                            directory.path()));
    expect_success(run_netc({"compile", "mlp.net", "-o", "b.o"}, directory.path()));
    CHECK((file_bytes(directory.file("a.o")) == file_bytes(directory.file("b.o"))));
    CHECK((file_bytes(directory.file("a.h")) == file_bytes(directory.file("b.h"))));
    for (const char* name : {"a.s", "a.ll", "a.d"})
        CHECK(std::filesystem::file_size(directory.file(name)) > 0);
    CHECK(file_bytes(directory.file("a.d")).find("mlp.net") != std::string::npos);
}

TEST_CASE("threads and the compile cache do not change a bit of an object") {
    const TemporaryDirectory directory;
    const auto objects = [&] {  // that the last report speaks of: all, and from the cache
        const std::string report = file_bytes(directory.file("report"));
        const std::size_t end = report.find(" of them from the cache");
        REQUIRE(end != std::string::npos);
        const std::size_t line = report.rfind(": ", end) + 2;
        return std::pair(std::stoi(report.substr(line)),
                         std::stoi(report.substr(report.find(", ", line) + 2)));
    };
    for (const char* prefix : {"xor", "mlp", "normed"}) {
        const ObjectCase net = named(prefix);
        write_case(net, directory);
        const std::string cache = directory.file("cache_" + net.prefix);
        const auto compile = [&](std::vector<std::string> more) {
            std::vector<std::string> words{"compile", net.prefix + ".net", "-o", "next.o"};
            words.insert(words.end(), more.begin(), more.end());
            const Outcome outcome = run_netc(words, directory.path());
            expect_success(outcome);
            directory.write("report", outcome.err);
            return file_bytes(directory.file("next.o")) + file_bytes(directory.file("next.h"));
        };
        const std::string alone = compile({"--threads", "1", "--cache", "off"});
        CHECK(alone.size() > 1000);
        for (const char* threads : {"2", "5", "64"}) {
            INFO(net.prefix << ", " << threads << " threads");
            CHECK((compile({"--threads", threads, "--cache", "off"}) == alone));
        }
        // With its report a command goes all the way: what is in the cache then are the parts.
        CHECK((compile({"--cache", cache, "--time-report"}) == alone));
        CHECK(objects().second == 0);
        CHECK((compile({"--cache", cache, "--time-report"}) == alone));
        CHECK(objects().second == objects().first - 1);  // all but the public functions
        CHECK((compile({"--cache", cache}) == alone));
        // The second time it is there as a whole, and other options are another object.
        CHECK((compile({"--cache", cache, "--train"}) == alone));
        CHECK((compile({"--cache", cache, "--prefix", "other"}) != alone));
        CHECK((compile({"--cache", cache, "--train", "no"}) != alone));
        CHECK((compile({"--cache", cache, "--cpu", "x86-64-v3"}) != alone));
        for (const auto& entry : std::filesystem::directory_iterator(cache))
            directory.write("cache_" + net.prefix + "/" + entry.path().filename().string(), "?");
        CHECK((compile({"--cache", cache}) == alone));
    }
}

TEST_CASE("without a train section, or with --train=no, there is no training code") {
    const TemporaryDirectory directory;
    const ObjectCase net = named("xor");
    write_case(net, directory);
    directory.write(
        "bare.net",
        "net 1\nmodel Bare(x: f32[B, 2]) -> f32[B, 1] = x |> linear(4) |> tanh |> linear(1)\n");
    expect_success(
        run_netc({"compile", "xor.net", "--train=no", "--prefix", "quiet", "-o", "quiet.o"},
                 directory.path()));
    expect_success(run_netc({"compile", "bare.net", "-o", "bare.o"}, directory.path()));
    for (const char* prefix : {"quiet", "bare"}) {
        const std::string p = prefix;
        const std::string symbols = shell("nm -g --defined-only " + p + ".o", directory).out;
        CHECK(symbols.find("train_step") == std::string::npos);
        CHECK(symbols.find(p + "_forward") != std::string::npos);
        directory.write(p + ".c", "#include \"" + p + ".h\"\nint main(void) { return " + p +
                                      "_init(0, 0, 1); }\n");
        expect_success(shell(kStrict + p + ".c " + p + ".o -o " + p, directory));
        expect_success(shell("./" + p, directory));
    }
}
