// links: runtime ir
// Command lines and .net files that are wrong: one message, at its place, the right status.
#include <catch2/catch.hpp>

#include <sys/stat.h>

#include <chrono>
#include <string>

#include "tests/cli/expect.h"
#include "tests/cli/networks.h"
#include "tests/cli/run_command.h"

using namespace netc;

TEST_CASE("a wrong command line is status 2") {
    const TemporaryDirectory directory;
    directory.write("xor.net", kXor);
    const auto refused = [&](std::vector<std::string> arguments,
                             std::initializer_list<const char*> parts) {
        std::string shown;
        for (const std::string& argument : arguments) shown += " " + argument;
        INFO("netc" << shown);
        expect_refusal(run_netc(arguments, directory.path()), 2, parts);
    };
    refused({}, {"--help"});
    refused({"frobnicate"}, {"frobnicate"});
    refused({"migrate", "xor.net"}, {"migrate", "later version"});
    refused({"check"}, {"FILE"});
    refused({"check", "xor.net", "--nosuch"}, {"--nosuch"});
    refused({"check", "xor.net", "--set", "nosuch=1"}, {"nosuch"});
    refused({"check", "xor.net", "--set", "nosuch"}, {"NAME=VALUE"});
    refused({"check", "xor.net", "--dim", "T=many"}, {"T=many"});
    refused({"summary", "xor.net", "Nosuch"}, {"Nosuch", "Xor"});
    refused({"train", "xor.net", "Nosuch"}, {"Nosuch", "Xor"});
    refused({"train", "xor.net", "--epochs", "0"}, {"error: --epochs: 0 is not at least 1\n"});
    refused({"train", "xor.net", "--epochs", "-3"}, {"error: --epochs: -3 is not at least 1\n"});
    refused({"train", "xor.net", "--epochs", "99999999999999999999"},
            {"error: --epochs: 99999999999999999999 is more than 9223372036854775807\n"});
    refused({"train", "xor.net", "--steps", "1.5"},
            {"error: --steps: 1.5 is not a whole number\n"});
    refused({"train", "xor.net", "--seed", "18446744073709551616"},
            {"error: --seed: 18446744073709551616 is more than 18446744073709551615\n"});
    refused({"train", "xor.net", "--threads", "1025"},
            {"error: --threads: 1025 is more than 1024\n"});
    refused({"train", "xor.net", "--matmul=x"},
            {"error: --matmul: x is none of f32, bf16, bf16x3, bf16x6, tf32\n"});
    refused({"train", "xor.net", "--winograd=3"}, {"error: --winograd: 3 is none of off, 2, 4\n"});
    for (const char* threads : {"abc", "0", "4x", "1025"}) {
        Command command = netc_command({"summary", "xor.net"}, directory.path());
        command.environment.push_back(std::string("NETC_THREADS=") + threads);
        expect_refusal(run_command(command), 2, {"NETC_THREADS: ", threads});
    }
    refused({"train", "xor.net", "--epochs", "many"}, {"--epochs"});
    refused({"train", "xor.net", "--batch", "99999999999999999999"}, {"--batch"});
    refused({"train", "xor.net", "--seed", "-1"}, {"--seed"});
    refused({"train", "xor.net", "--seed=1e3"}, {"--seed"});
    refused({"train", "xor.net", "--threads", "0"}, {"--threads"});
    refused({"train", "xor.net", "--device", "tpu"}, {"tpu", "cpu"});
    refused({"train", "xor.net", "--cpu", "pentium9"}, {"pentium9"});
    refused({"predict", "xor.net", "--weights", "w"}, {"--input"});
    refused({"compile", "xor.net", "-o", "xor"}, {"NAME.o"});
    refused({"import", "xor.net", "-o", "w"}, {"--from is required"});
    refused({"import", "xor.onnx", "-o", "w"}, {"ONNX", "later version"});
    refused({"import", "xor.net", "--from", "xor.onnx", "-o", "w"}, {"ONNX", "later version"});
    refused({"init", "xor.net", "-o", "xor.net"}, {"--output", "xor.net", "program"});
    refused({"compile", "xor.net", "-o", "xor.o", "--prefix", "9"}, {"--prefix"});
    refused({"compile", "xor.net", "-o", "xor.o", "--target", "nosuch-cpu-os"}, {"nosuch-cpu-os"});
    refused({"compile", "xor.net", "-o", "xor.o", "--target", "riscv64-linux-gnu"},
            {"riscv64-linux-gnu"});
    refused({"compile", "xor.net", "-o", "xor.o", "--target", "x86_64-apple-macos", "--cpu",
             "x86-64-v3"},
            {"x86_64-apple-macos", "ELF"});
    refused({"compile", "xor.net", "-o", "xor.o", "--emit=weights"}, {"--weights"});
    refused({"dump", "xor.net", "--stage=nosuch"}, {"--stage"});
    refused({"explain", "E9999"}, {"E9999"});
    refused({"bench"}, {"FILE"});
    refused({"train", "xor.net", "--device", "gpu:"}, {"gpu:", "cpu"});
    refused({"train", "xor.net", "--device", "gpu:-1"}, {"gpu:-1", "cpu"});
    refused({"train", "xor.net", "--device", "gpu:1x"}, {"gpu:1x", "cpu"});
    refused({"train", "xor.net", "--device", "gpu", "--gpu", "sm_70"}, {"sm_70", "sm_80"});
    refused({"train", "xor.net", "--device", "gpu", "--profile"}, {"--profile", "CPU"});
    refused({"bench", "xor.net", "--device", "gpu", "--kernels"}, {"CPU"});
    Command on_gpu = netc_command({"train", "xor.net", "--device", "gpu"}, directory.path());
    on_gpu.environment.push_back("NETC_CUDA_DRIVER=/nowhere/libcuda.so.1");
    expect_refusal(run_command(on_gpu), 4, {"no driver", "/nowhere/libcuda.so.1", "cpu"});
}

TEST_CASE("what there is, is shown") {
    for (const char* verb : {"check", "summary", "init", "train", "eval", "predict", "grad",
                             "gradcheck", "compile", "dump", "bench", "explain", "plot", "cache"}) {
        const Outcome help = run_netc({verb, "--help"}, ".");
        INFO(verb);
        CHECK(help.status == 0);
        CHECK(help.err.empty());
        CHECK(help.out.find("--help") != std::string::npos);
        CHECK(help.out.find("ENUM") == std::string::npos);
        CHECK(help.out.find("e+308") == std::string::npos);
    }
    const Outcome version = run_netc({"--version"}, ".");
    CHECK(version.status == 0);
    CHECK(version.out.starts_with("netc "));
}

TEST_CASE("what is no file is not read as one") {
    const TemporaryDirectory directory;
    REQUIRE(::mkfifo(directory.file("pipe").c_str(), 0600) == 0);  // a read would wait for ever
    for (const char* path :
         {"pipe", "/dev/zero", "/dev/null", ".", "nosuch.net", "", "/proc/self/mem"}) {
        INFO(path);
        expect_refusal(run_netc({"check", path}, directory.path()), 3, {"cannot read", path});
        directory.write("importing.net",
                        "net 1\nimport \"" + std::string(path) + "\"\n" + kXor.substr(6));
        expect_refusal(run_netc({"check", "importing.net"}, directory.path()), 1,
                       {"importing.net:2:8", "E0701", path});
    }
    directory.write("self.net", "net 1\nimport \"self.net\"\n" + kXor.substr(6));
    expect_refusal(run_netc({"check", "self.net"}, directory.path()), 1, {"self.net:2:8", "E0702"});
}

TEST_CASE("a program that would take for ever or hold too much is refused") {
    const TemporaryDirectory directory;
    const auto check = [&](const std::string& text) {
        directory.write("bad.net", "net 1\n" + text);
        const auto start = std::chrono::steady_clock::now();
        const Outcome outcome = run_netc({"check", "bad.net"}, directory.path());
        CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));
        return outcome;
    };
    const std::string model = "model M(x: f32[B, 8]) -> f32[B, 8] = x |> ";
    std::string doubling = "fn f0(x: real[*S]) -> real[*S] = x\n";
    std::string lists = "const a0 = [1, 2]\n";
    for (int i = 0; i < 60; ++i) {
        const std::string last = std::to_string(i), next = std::to_string(i + 1);
        if (next != "16" && next != "32") {
            const std::string before = last == "16" ? "15" : last == "32" ? "31" : last;
            doubling +=
                "fn f" + next + "(x: real[*S]) -> real[*S] = f" + before + "(f" + before + "(x))\n";
        }
        lists += "const a" + next + " = a" + last + " ++ a" + last + "\n";
    }
    SECTION("turns") {
        expect_refusal(check(model + "repeat 1000000 { linear(8) >> relu }\n"), 1, {"E0213"});
    }
    SECTION("calls of calls") { expect_refusal(check(doubling + model + "f60\n"), 1, {"E0214"}); }
    SECTION("lists of lists") {
        expect_refusal(check(lists + model + "repeat (i) in a60 { relu }\n"), 1, {"E0214"});
    }
    SECTION("lists in lists, compared, shown and made a constant") {
        std::string pairs = "const a0 = [1]\n";
        for (int i = 0; i < 40; ++i) {
            const std::string last = "a" + std::to_string(i);
            pairs += "const a" + std::to_string(i + 1) + " = [" + last + ", " + last + "]\n";
        }
        pairs += model + "relu\n";
        expect_refusal(check(pairs + "assert a40 == a40\n"), 1, {"E0214"});
        expect_refusal(check(pairs + "assert 1 == 2, \"{a40}\"\n"), 1, {"E0206", "..."});
        expect_refusal(check(pairs + "assert a40 < 2\n"), 1, {"E0203"});
    }
    SECTION("a weight") {
        expect_refusal(check(model + "linear(9223372036854775807) |> linear(8)\n"), 1, {"E0317"});
    }
    SECTION("a kernel") {
        expect_refusal(check("model M(x: f32[B, 1, 8, 8]) -> f32[B, 4, 8, 8] = x |> conv(4, "
                             "k=4611686018427387905)\n"),
                       1, {"E0317"});
    }
}

TEST_CASE("a .net file that is none is status 1, one that is not there status 3") {
    const TemporaryDirectory directory;
    const auto check = [&](const std::string& text) {
        directory.write("bad.net", text);
        return run_netc({"check", "bad.net"}, directory.path());
    };
    SECTION("empty") { expect_refusal(check(""), 1, {"bad.net"}); }
    SECTION("only spaces") { expect_refusal(check(" \n\n  \n"), 1, {"bad.net"}); }
    SECTION("one wrong letter") {
        expect_refusal(check("net 1\nmodell M(x: f32[B]) -> f32[B] = x\n"), 1, {"bad.net:2:1"});
    }
    SECTION("noise") {
        std::string bytes;
        std::uint32_t state = 9;
        for (int i = 0; i < 100000; ++i) {
            state = state * 1664525u + 1013904223u;
            bytes += static_cast<char>(state >> 24);
        }
        expect_refusal(check(bytes), 1, {"bad.net:1"});
    }
    SECTION("noise after a good beginning") {
        expect_refusal(check(kXor + "\x01\x02\xff\xfe\x80"), 1, {"bad.net:12"});
    }
    SECTION("a program, not its source") {
        const Outcome outcome = run_netc({"check", NETC_BINARY}, directory.path());
        expect_refusal(outcome, 1, {"netc:1"});
    }
    SECTION("every verb says so") {
        directory.write("bad.net", "net 1\nmodel M(x: f32[B]) -> f32[B] = x |>\n");
        for (const char* verb : {"summary", "train", "gradcheck", "dump"}) {
            expect_refusal(run_netc({verb, "bad.net"}, directory.path()), 1, {"bad.net:2"});
        }
        expect_refusal(run_netc({"dump", "bad.net", "--stage=ast"}, directory.path()), 1,
                       {"bad.net:2"});
    }
    SECTION("missing") {
        expect_refusal(run_netc({"check", "nosuch.net"}, directory.path()), 3, {"nosuch.net"});
    }
    SECTION("a directory") {
        expect_refusal(run_netc({"check", "."}, directory.path()), 3, {"directory"});
    }
}

// Ten megabytes in one line are more than a program has; a little below that limit, whatever the grammar
// could choke on.
TEST_CASE("an endless line ends with a message") {
    const TemporaryDirectory directory;
    constexpr std::size_t kSize = 8'000'000;
    const auto repeated = [](const std::string& part) {
        std::string text;
        while (text.size() < kSize) text += part;
        return text;
    };
    const std::string head = "net 1\nmodel M(x: f32[B, 2]) -> f32[B, 2] = ";
    const auto timed = [&](const std::string& text, int status) {
        directory.write("long.net", text);
        const auto start = std::chrono::steady_clock::now();
        const Outcome outcome = run_netc({"check", "long.net"}, directory.path());
        CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));
        if (status == 0) {
            expect_success(outcome);
        } else {
            expect_refusal(outcome, status, {"long.net:"});
        }
    };
    SECTION("ten megabytes") { timed("net 1 # " + std::string(10'000'000, 'x') + "\n", 1); }
    SECTION("a comment is no harm") {
        timed("net 1 # " + std::string(kSize, 'x') + "\nmodel M(x: f32[B]) -> f32[B] = x\n", 0);
    }
    SECTION("a name") { timed(head + std::string(kSize, 'x') + "\n", 1); }
    SECTION("a number") { timed(head + "x * " + std::string(kSize, '9') + "\n", 1); }
    SECTION("letters without meaning") { timed(std::string(kSize, '?'), 1); }
    SECTION("open brackets") { timed(head + std::string(kSize, '(') + "\n", 1); }
    SECTION("minus signs") { timed(head + std::string(kSize, '-') + "x\n", 1); }
    SECTION("a sum") { timed(head + "x" + repeated(" + x") + "\n", 1); }
    SECTION("a pipe") { timed(head + "x" + repeated(" |> tanh") + "\n", 1); }
}
