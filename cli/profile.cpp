#include "cli/profile.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace netc {
namespace {

// Of a trace; the rows count all calls.
constexpr std::size_t kMostEvents = 100'000;

// The call `first` alone, or the outermost loop that begins with it.
Entry part_of(const Entry& entry, std::size_t first) {
    std::size_t end = first + 1;
    for (const Loop& loop : entry.loops) {
        if (loop.begin == first) end = std::max(end, loop.end);
    }
    Entry part = entry;
    part.calls.assign(entry.calls.begin() + static_cast<std::ptrdiff_t>(first),
                      entry.calls.begin() + static_cast<std::ptrdiff_t>(end));
    part.loops.clear();
    for (std::uint32_t number = 0; number < entry.loops.size(); ++number) {
        Loop loop = entry.loops[number];
        if (loop.begin < first || loop.end > end) continue;
        loop.begin -= first;
        loop.end -= first;
        const auto now = static_cast<std::uint32_t>(part.loops.size());
        part.loops.push_back(loop);
        for (Call& call : part.calls) {
            for (BufferRef& buffer : call.arguments) {
                for (Stride& stride : buffer.strides) {
                    if (stride.loop == number) stride.loop = now;
                }
            }
        }
    }
    return part;
}

}  // namespace

Result<std::unique_ptr<Profile>> Profile::make(const ProgramSource& source, JitOptions options) {
    Result<Program> program = source.make();
    if (!program) return program.error();
    auto profile = std::make_unique<Profile>();
    profile->program_ = std::move(*program);
    profile->single_ = profile->program_;
    profile->single_.entries.clear();
    const std::vector<std::string> deferred = std::move(options.deferred);
    options.deferred.clear();
    for (const Entry& entry : profile->program_.entries) {
        for (std::size_t c = 0; c < entry.calls.size();) {
            Entry one = part_of(entry, c);
            one.name = fmt::format("{}#{}", entry.name, profile->rows_.size());
            std::string label = one.calls.front().label;
            if (!one.loops.empty())
                label = fmt::format("{} steps from {} on", one.loops.front().steps, label);
            c += one.calls.size();
            if (std::ranges::find(deferred, entry.name) != deferred.end()) {
                options.deferred.push_back(one.name);
            }
            profile->single_.entries.push_back(std::move(one));
            profile->rows_.push_back({entry.name, std::move(label)});
        }
    }
    Result<std::unique_ptr<Executable>> made = jit(profile->single_, options);
    if (!made) return made.error();
    profile->executable_ = std::move(*made);
    return profile;
}

Status Profile::run(std::string_view entry, const CallMemory& memory, std::int64_t batch) {
    const auto since = [&](Clock::time_point from) {
        return std::chrono::duration<double>(Clock::now() - from).count();
    };
    for (std::size_t i = 0; i < rows_.size(); ++i) {
        if (rows_[i].entry != entry) continue;
        const double start = since(start_);
        const auto begin = Clock::now();
        if (Status s = executable_->run(single_.entries[i].name, memory, batch); !s) return s;
        const double seconds = since(begin);
        rows_[i].calls += 1;
        rows_[i].seconds += seconds;
        if (events_.size() < kMostEvents) events_.push_back({i, start, seconds});
    }
    return {};
}

std::vector<const Profile::Row*> Profile::sorted() const {
    std::vector<const Row*> rows;
    for (const Row& row : rows_) {
        if (row.calls > 0) rows.push_back(&row);
    }
    std::ranges::stable_sort(rows, std::greater{}, [](const Row* row) { return row->seconds; });
    return rows;
}

std::string Profile::table() const {
    double total = 0;
    for (const Row& row : rows_) total += row.seconds;
    std::string text =
        fmt::format("{:>12} {:>7} {:>9} {:>12}  kernel\n", "time", "share", "calls", "per call");
    for (const Row* row : sorted()) {
        text += fmt::format("{:>9.3f} ms {:>5.1f} % {:>9} {:>9.2f} us  {}: {}\n",
                            row->seconds * 1e3, 100 * row->seconds / total, row->calls,
                            row->seconds / static_cast<double>(row->calls) * 1e6, row->entry,
                            row->label);
    }
    return text;
}

std::string Profile::trace() const {
    nlohmann::ordered_json json{{"displayTimeUnit", "ms"},
                                {"kernels", nlohmann::ordered_json::array()},
                                {"traceEvents", nlohmann::ordered_json::array()}};
    for (const Row* row : sorted()) {
        json["kernels"].push_back({{"entry", row->entry},
                                   {"kernel", row->label},
                                   {"calls", row->calls},
                                   {"seconds", row->seconds}});
    }
    for (const Event& event : events_) {
        json["traceEvents"].push_back({{"name", rows_[event.row].label},
                                       {"cat", rows_[event.row].entry},
                                       {"ph", "X"},
                                       {"ts", event.start * 1e6},
                                       {"dur", event.seconds * 1e6},
                                       {"pid", 1},
                                       {"tid", 1}});
    }
    return json.dump() + "\n";
}

}  // namespace netc
