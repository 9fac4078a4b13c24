// --profile: the time of each kernel of a run. Every call of an entry becomes an entry of its own, so that
// the clock can be read in between; the kernels are the same, and so are the bits. A loop over time steps is
// one row.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backends/backend.h"
#include "ir/program.h"

namespace netc {

class Profile final : public Executable {
public:
    static Result<std::unique_ptr<Profile>> make(const ProgramSource& source, JitOptions options);

    Status run(std::string_view entry, const CallMemory& memory, std::int64_t batch) override;
    const Program& program() const override { return program_; }

    // The calls that took longest first, with their share of all.
    std::string table() const;
    // The same as JSON, and the first calls one by one, as trace viewers read them ("traceEvents").
    std::string trace() const;

private:
    using Clock = std::chrono::steady_clock;
    struct Row {
        std::string entry, label;
        std::int64_t calls = 0;
        double seconds = 0;
    };
    struct Event {
        std::size_t row = 0;
        double start = 0, seconds = 0;
    };

    std::vector<const Row*> sorted() const;

    Program program_;
    Program single_;  // an entry for each call or loop
    std::unique_ptr<Executable> executable_;
    std::vector<Row> rows_;  // in the order of single_.entries
    std::vector<Event> events_;
    Clock::time_point start_ = Clock::now();
};

}  // namespace netc
