// links: runtime
// Atomic writes: what is there after success and after every failure that can be provoked.
#include <sys/resource.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <csignal>

#include "runtime/files/files.h"
#include "tests/unit/temporary_directory.h"

using namespace netc;

namespace {

std::size_t entries(const std::string& path) {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
        (void)entry;
        ++count;
    }
    return count;
}

}  // namespace

TEST_CASE("a file is written and read back, and no temporary stays") {
    TemporaryDirectory directory;
    const std::string path = directory.file("a.txt");
    REQUIRE(write_file_atomically(path, std::string_view("first")).ok());
    REQUIRE(write_file_atomically(path, std::string_view("second\0x", 8)).ok());
    CHECK(*read_file(path) == std::string("second\0x", 8));
    CHECK(entries(directory.path()) == 1);
}

TEST_CASE("many small and large pieces arrive in order") {
    TemporaryDirectory directory;
    const std::string path = directory.file("a.bin");
    std::string expected;
    Status status = write_file_atomically(path, [&](FileSink& sink) {
        for (int i = 0; i < 40; ++i) {
            const std::string piece(static_cast<std::size_t>(i * 7919 * (i % 5 + 1)),
                                    static_cast<char>('a' + i % 26));
            sink.write(std::string_view(piece));
            expected += piece;
        }
    });
    REQUIRE(status.ok());
    CHECK(*read_file(path) == expected);
}

TEST_CASE("a missing directory is one clear message") {
    const Status status = write_file_atomically("/nonexistent/dir/w.bin", std::string_view("x"));
    REQUIRE(!status);
    CHECK(status.error().status == 3);
    CHECK(status.error().message ==
          "cannot write /nonexistent/dir/w.bin: there is no such file or directory");
}

TEST_CASE("a directory cannot be written or read as a file") {
    TemporaryDirectory directory;
    CHECK(write_file_atomically(directory.path(), std::string_view("x"))
              .error()
              .message.find("it is a directory") != std::string::npos);
    CHECK(read_file(directory.path()).error().message.find("it is a directory") !=
          std::string::npos);
}

TEST_CASE("a read-only directory leaves the old file whole") {
    TemporaryDirectory directory;
    const std::string path = directory.write("w.bin", "old");
    ::chmod(directory.path().c_str(), 0555);
    const Status status = write_file_atomically(path, std::string_view("new"));
    ::chmod(directory.path().c_str(), 0755);
    if (::geteuid() == 0) {  // root writes all the same
        CHECK(status.ok());
        return;
    }
    REQUIRE(!status);
    CHECK(status.error().message == "cannot write " + path + ": permission denied");
    CHECK(*read_file(path) == "old");
}

TEST_CASE("when the disk is full the old file stays and the temporary goes") {
    // /dev/full stands for the full device where it exists; it is written in place.
    if (std::filesystem::exists("/dev/full")) {
        const Status status = write_file_atomically("/dev/full", std::string_view("x"));
        REQUIRE(!status);
        CHECK(status.error().message == "cannot write /dev/full: no space left on the device");
    }
    // A limit on file size fails a write in the middle of a plain file.
    TemporaryDirectory directory;
    const std::string path = directory.write("w.bin", "old");
    const auto old_action = std::signal(SIGXFSZ, SIG_IGN);
    rlimit old_limit{};
    ::getrlimit(RLIMIT_FSIZE, &old_limit);
    const rlimit small{65536, old_limit.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &small);
    const Status status =
        write_file_atomically(path, std::string_view(std::string(3'000'000, 'x')));
    ::setrlimit(RLIMIT_FSIZE, &old_limit);
    std::signal(SIGXFSZ, old_action);
    REQUIRE(!status);
    CHECK(status.error().message == "cannot write " + path + ": the file would become too large");
    CHECK(*read_file(path) == "old");
    CHECK(entries(directory.path()) == 1);
}

TEST_CASE("a file above the limit is refused before it is read") {
    TemporaryDirectory directory;
    const std::string path = directory.write("a", "12345");
    CHECK(read_file(path, 5).ok());
    CHECK(read_file(path, 4).error().message.find("larger than the 4 bytes") != std::string::npos);
    CHECK(!read_file(directory.file("none")).ok());
}

TEST_CASE("paths are joined") {
    CHECK(join_path("a", "b") == "a/b");
    CHECK(join_path("a/", "b") == "a/b");
    CHECK(join_path("a", "/b") == "/b");
    CHECK(join_path("", "b") == "b");
    CHECK(join_path(".", "b") == "b");
}
