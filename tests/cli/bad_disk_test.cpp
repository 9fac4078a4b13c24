// links: runtime ir
// A full disk, a directory that is read-only, a terminal that has gone: said, and earlier files stay whole.
#include <catch2/catch.hpp>

#include <sched.h>
#include <sys/mount.h>

#include <filesystem>
#include <iostream>
#include <optional>

#include "runtime/files/safetensors.h"
#include "tests/cli/expect.h"
#include "tests/cli/interrupt.h"
#include "tests/cli/networks.h"
#include "tests/cli/run_command.h"

using namespace netc;

namespace {

// A file system of its own, where this process may mount one; nobody else sees it.
class SmallDisk {
public:
    SmallDisk(const std::string& path, const char* size) : path_(path) {
        static const bool alone = ::unshare(CLONE_NEWNS) == 0 &&
                                  ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
        std::filesystem::create_directory(path);
        mounted_ = alone && ::mount("tmpfs", path.c_str(), "tmpfs", 0,
                                    (std::string("size=") + size).c_str()) == 0;
        if (!mounted_) std::cout << "SKIPPED in part: this user may not mount a file system\n";
    }
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;
    ~SmallDisk() {
        if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
    }
    bool mounted() const { return mounted_; }
    bool make_read_only() {
        return ::mount("none", path_.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0;
    }
    // Leaves no room.
    void fill() {
        std::ofstream filler(path_ + "/filler", std::ios::binary);
        const std::string block(1024, 'x');
        while (filler.write(block.data(), 1024).flush()) {
        }
    }

private:
    std::string path_;
    bool mounted_ = false;
};

}  // namespace

TEST_CASE("a device that is always full") {
    const TemporaryDirectory directory;
    directory.write("xor.net", kXor);
    REQUIRE(put_npy(directory.file("x.npy"), {4, 2}, noise(8)));
    expect_refusal(run_netc({"init", "xor.net", "-o", "/dev/full"}, directory.path()), 3,
                   {"/dev/full", "no space left"});
    expect_success(run_netc({"init", "xor.net", "-o", "w.safetensors"}, directory.path()));
    Command predict =
        netc_command({"predict", "xor.net", "--weights", "w.safetensors", "--input", "x=x.npy"},
                     directory.path());
    predict.output = "/dev/full";
    expect_refusal(run_command(predict), 3, {"standard output", "no space left"});
    predict.output = "closed";
    expect_refusal(run_command(predict), 3, {"standard output"});
}

TEST_CASE("the disk fills up while training") {
    const TemporaryDirectory directory;
    directory.write("long.net", kLong);
    SmallDisk disk(directory.file("disk"), "300k");
    if (!disk.mounted()) return;
    expect_success(run_netc({"train", "long.net", "--run", "disk/run", "--epochs", "1", "--quiet"},
                            directory.path()));
    const std::string before = file_text(directory.file("disk/run/last.safetensors"));
    const Outcome outcome = run_netc(long_resume("disk/run", "100000"), directory.path());
    expect_refusal(outcome, 3, {"disk/run/", "no space left"});
    for (const char* name : {"last", "best", "state"}) {
        INFO(name);
        CHECK(read_safetensors(directory.file(std::string("disk/run/") + name + ".safetensors"))
                  .ok());
    }
    for (const auto& entry : std::filesystem::directory_iterator(directory.file("disk/run"))) {
        CHECK(entry.path().extension() != ".tmp");
    }
    // What was there before a full disk can be read and gone on with elsewhere.
    std::filesystem::copy(directory.file("disk/run"), directory.file("saved"),
                          std::filesystem::copy_options::recursive);
    expect_success(run_netc(long_resume("saved", "2"), directory.path()));
}

TEST_CASE("nothing can be written from the start") {
    const TemporaryDirectory directory;
    directory.write("xor.net", kXor);
    SmallDisk disk(directory.file("disk"), "100k");
    if (!disk.mounted()) return;
    SECTION("a full disk") {
        disk.fill();
        expect_refusal(run_netc({"train", "xor.net", "--run", "disk/run"}, directory.path()), 3,
                       {"disk/run", "no space left"});
        expect_refusal(run_netc({"compile", "xor.net", "-o", "disk/xor.o"}, directory.path()), 3,
                       {"disk/xor.o", "no space left"});
        CHECK_FALSE(std::filesystem::exists(directory.file("disk/xor.o")));
    }
    SECTION("a read-only file system") {
        REQUIRE(disk.make_read_only());
        expect_refusal(run_netc({"train", "xor.net", "--run", "disk/run"}, directory.path()), 3,
                       {"disk/run", "read-only"});
        expect_refusal(run_netc({"init", "xor.net", "-o", "disk/w.safetensors"}, directory.path()),
                       3, {"disk/w.safetensors", "read-only"});
    }
    SECTION("no room for the compile cache is no reason to stop") {
        disk.fill();
        Command train =
            netc_command({"train", "xor.net", "--run", "run", "--quiet"}, directory.path());
        train.environment = {"NETC_CACHE_DIR=" + directory.file("disk")};
        expect_success(run_command(train));
    }
}

TEST_CASE("a directory without permission") {
    const TemporaryDirectory directory;
    directory.write("xor.net", kXor);
    expect_refusal(run_netc({"init", "xor.net", "-o", "nosuch/w.safetensors"}, directory.path()), 3,
                   {"nosuch/w.safetensors"});
    expect_refusal(run_netc({"train", "xor.net", "--run", "xor.net/run"}, directory.path()), 3,
                   {"xor.net/run"});
    if (::geteuid() == 0) {
        std::cout << "SKIPPED in part: root may write everywhere\n";
        return;
    }
    std::filesystem::create_directory(directory.file("closed"));
    std::filesystem::permissions(directory.file("closed"), std::filesystem::perms::owner_read |
                                                               std::filesystem::perms::owner_exec);
    expect_refusal(run_netc({"train", "xor.net", "--run", "closed/run"}, directory.path()), 3,
                   {"closed/run", "permission denied"});
}

TEST_CASE("training does not need a terminal") {
    const TemporaryDirectory directory;
    directory.write("xor.net", kXor);
    expect_success(run_netc({"train", "xor.net", "--run", "whole"}, directory.path()));
    Command train = netc_command({"train", "xor.net", "--run", "run"}, directory.path());
    SECTION("closed") { train.output = "closed"; }
    SECTION("full") { train.output = "/dev/full"; }
    SECTION("a reader that went away") {
        std::string command;
        for (const std::string& argument : train.arguments) command += " '" + argument + "'";
        train.arguments = {"sh", "-c", command + " | true"};
    }
    (void)run_command(train);
    // The run is whole, whatever was said about the output.
    expect_same_run(directory.file("run"), directory.file("whole"));
    CHECK(file_text(directory.file("run/source.net")) == kXor);
}
