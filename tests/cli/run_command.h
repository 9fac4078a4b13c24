// Runs a program as a user would and looks at all that comes back: status, signal, both outputs.
//
//     const Outcome outcome = run_netc({"check", "x.net"}, directory.path());
//     REQUIRE(outcome.status == 0);
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/unit/temporary_directory.h"

namespace netc {

struct Command {
    std::vector<std::string> arguments;  // the program first; without a slash it is found in PATH
    std::string directory;               // empty: where the test runs
    std::string input;                   // of standard input
    std::string output;  // a path instead of a buffer; "closed": no descriptor at all
    std::vector<std::string> environment;  // NAME=VALUE, added to the test's own
};

struct Outcome {
    int status = -1;  // -1: a signal ended it
    int signal = 0;
    std::string out, err;
};

// A process that may still run. Its outputs are files in memory: nobody has to read them.
class Process {
public:
    explicit Process(const Command& command) {
        input_ = ::memfd_create("input", MFD_CLOEXEC);
        out_ = ::memfd_create("out", MFD_CLOEXEC);
        err_ = ::memfd_create("err", MFD_CLOEXEC);
        (void)!::write(input_, command.input.data(), command.input.size());
        ::lseek(input_, 0, SEEK_SET);
        std::vector<char*> arguments;
        for (const std::string& argument : command.arguments) {
            arguments.push_back(const_cast<char*>(argument.c_str()));
        }
        arguments.push_back(nullptr);
        id_ = ::fork();
        if (id_ == 0) become(command, arguments.data());
    }
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;
    ~Process() {
        if (running()) {
            ::kill(id_, SIGKILL);
            wait();
        }
        for (const int descriptor : {input_, out_, err_}) ::close(descriptor);
    }

    void send(int signal) const { ::kill(id_, signal); }
    bool running() {
        if (!ended_ && ::waitpid(id_, &status_, WNOHANG) == id_) ended_ = true;
        return !ended_;
    }
    // What it said so far.
    std::string errors() const { return text(err_); }

    // A process that does not end is killed after two minutes.
    Outcome wait() {
        const auto start = std::chrono::steady_clock::now();
        while (running()) {
            if (std::chrono::steady_clock::now() - start > std::chrono::minutes(2)) send(SIGKILL);
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        Outcome outcome;
        if (WIFEXITED(status_)) outcome.status = WEXITSTATUS(status_);
        if (WIFSIGNALED(status_)) outcome.signal = WTERMSIG(status_);
        outcome.out = text(out_);
        outcome.err = text(err_);
        return outcome;
    }

private:
    [[noreturn]] void become(const Command& command, char** arguments) const {
        if (!command.directory.empty() && ::chdir(command.directory.c_str()) != 0) ::_exit(125);
        for (const std::string& pair : command.environment)
            ::putenv(const_cast<char*>(pair.c_str()));
        ::dup2(input_, STDIN_FILENO);
        ::dup2(err_, STDERR_FILENO);
        if (command.output.empty()) {
            ::dup2(out_, STDOUT_FILENO);
        } else if (command.output == "closed") {
            ::close(STDOUT_FILENO);
        } else {
            const int file = ::open(command.output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
            if (file < 0) ::_exit(125);
            ::dup2(file, STDOUT_FILENO);
        }
        ::execvp(arguments[0], arguments);
        ::_exit(126);
    }
    static std::string text(int file) {
        struct stat info{};
        if (::fstat(file, &info) != 0) return {};
        std::string all(static_cast<std::size_t>(info.st_size), '\0');
        const ssize_t count = ::pread(file, all.data(), all.size(), 0);
        all.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
        return all;
    }

    int input_ = -1, out_ = -1, err_ = -1, status_ = 0;
    pid_t id_ = -1;
    bool ended_ = false;
};

inline Outcome run_command(const Command& command) { return Process(command).wait(); }

// The netc that was built with this test, in `directory`; all of a test program share a compile cache.
inline Command netc_command(const std::vector<std::string>& arguments,
                            const std::string& directory) {
    static const TemporaryDirectory cache;
    Command command{
        {NETC_BINARY}, directory, {}, {}, {"NETC_CACHE_DIR=" + cache.path(), "NO_COLOR=1"}};
    for (const std::string& argument : arguments) command.arguments.push_back(argument);
    return command;
}
inline Outcome run_netc(const std::vector<std::string>& arguments, const std::string& directory) {
    return run_command(netc_command(arguments, directory));
}

}  // namespace netc
