// Splits and orders, by counter-based random numbers.
#include "runtime/data/split.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <numeric>

#include "ir/philox.h"

namespace netc {
namespace {

// Streams of random numbers: what they are for keeps them apart.
constexpr std::uint32_t kSplitStream = 0x73706c74;    // "splt"
constexpr std::uint32_t kEpochStream = 0x65706f63;    // "epoc"
constexpr std::uint32_t kBalanceStream = 0x62616c61;  // "bala"

std::vector<std::int64_t> permutation(std::int64_t count, std::uint64_t seed, std::uint32_t stream,
                                      std::uint64_t index) {
    std::vector<std::int64_t> order(static_cast<std::size_t>(count));
    std::iota(order.begin(), order.end(), 0);
    PhiloxStream random(seed, stream, index);
    for (std::size_t left = order.size(); left > 1; --left) {  // Fisher and Yates
        std::swap(order[left - 1], order[static_cast<std::size_t>(random.below(left))]);
    }
    return order;
}

// What is drawn together: a row, or the rows of a group.
struct Unit {
    std::vector<std::int64_t> rows;
    std::int64_t stratum = 0;
    double key = 0;
};

std::vector<Unit> make_units(std::int64_t rows, std::span<const std::int64_t> strata,
                             std::span<const std::int64_t> groups) {
    std::vector<Unit> units;
    std::map<std::int64_t, std::size_t> unit_of_group;
    for (std::int64_t row = 0; row < rows; ++row) {
        const auto at = static_cast<std::size_t>(row);
        std::size_t unit = units.size();
        if (!groups.empty()) unit = unit_of_group.try_emplace(groups[at], unit).first->second;
        if (unit == units.size()) units.push_back({{}, strata.empty() ? 0 : strata[at], 0});
        units[unit].rows.push_back(row);
    }
    return units;
}

// A random order in which every stratum is spread evenly, so that any stretch of it has each in its
// share: the unit of rank r among n of its stratum stands at (r + u) / n.
std::vector<Unit> in_random_order(std::vector<Unit> units, std::uint64_t seed) {
    std::map<std::int64_t, std::int64_t> size, rank;
    for (const Unit& unit : units) ++size[unit.stratum];
    std::vector<Unit> mixed;
    const auto order = permutation(static_cast<std::int64_t>(units.size()), seed, kSplitStream, 0);
    PhiloxStream random(seed, kSplitStream, 1);
    for (const std::int64_t index : order) {
        Unit& unit = units[static_cast<std::size_t>(index)];
        unit.key = (static_cast<double>(rank[unit.stratum]++) + random.uniform()) /
                   static_cast<double>(size[unit.stratum]);
        mixed.push_back(std::move(unit));
    }
    std::stable_sort(mixed.begin(), mixed.end(),
                     [](const Unit& a, const Unit& b) { return a.key < b.key; });
    return mixed;
}

struct Part {
    std::vector<std::int64_t>* rows;
    std::int64_t wanted;
};

// Single rows fill the parts one after the other; groups go where most of what was asked for is
// missing.
void deal(const std::vector<Unit>& units, bool grouped, std::vector<Part> parts) {
    for (const Unit& unit : units) {
        std::size_t chosen = parts.size();
        double best = 0;
        for (std::size_t i = 0; i < parts.size(); ++i) {
            const auto wanted = static_cast<double>(parts[i].wanted);
            const double missing = wanted - static_cast<double>(parts[i].rows->size());
            if (wanted <= 0 || (missing <= 0 && chosen != parts.size())) continue;
            const double share = grouped ? missing / wanted : missing > 0 ? 1.0 : 0.0;
            if (chosen == parts.size() || share > best) {
                chosen = i;
                best = share;
            }
        }
        // Without groups, rows beyond what all parts asked for stay out.
        if (chosen == parts.size() || (!grouped && best <= 0)) continue;
        parts[chosen].rows->insert(parts[chosen].rows->end(), unit.rows.begin(), unit.rows.end());
    }
}

std::int64_t share_of(double fraction, std::int64_t rows) {
    return static_cast<std::int64_t>(std::floor(fraction * static_cast<double>(rows) + 0.5));
}

Error empty_part(std::string_view part, std::int64_t rows) {
    return {.status = kExitData,
            .message = fmt::format("the split leaves no rows for `{}` of {} row{} [E0612]", part,
                                   rows, rows == 1 ? "" : "s")};
}

Result<Split> random_split(const SplitSpec& spec, std::int64_t rows,
                           std::span<const std::int64_t> strata,
                           std::span<const std::int64_t> groups) {
    const double total = spec.train + spec.valid + spec.test;
    if (!(spec.train >= 0 && spec.valid >= 0 && spec.test >= 0) || total > 1 + 1e-9) {
        return Error{.status = kExitProgram,
                     .message = fmt::format(
                         "the parts of the split must be fractions that sum to at most 1, "
                         "but train = {}, valid = {}, test = {}",
                         spec.train, spec.valid, spec.test)};
    }
    Split split;
    const std::int64_t valid = share_of(spec.valid, rows);
    const std::int64_t test = share_of(spec.test, rows);
    // Parts that sum to one leave no row out.
    const std::int64_t train = total > 1 - 1e-9 ? rows - valid - test : share_of(spec.train, rows);
    const std::vector<Unit> units = in_random_order(make_units(rows, strata, groups), spec.seed);
    deal(units, !groups.empty(),
         {{&split.train, train}, {&split.valid, valid}, {&split.test, test}});
    if (split.train.empty()) return empty_part("train", rows);
    if (spec.valid > 0 && split.valid.empty()) return empty_part("valid", rows);
    if (spec.test > 0 && split.test.empty()) return empty_part("test", rows);
    return split;
}

Result<Split> fold_split(const SplitSpec& spec, std::int64_t rows,
                         std::span<const std::int64_t> strata,
                         std::span<const std::int64_t> groups) {
    if (spec.folds < 2 || spec.fold < 0 || spec.fold >= spec.folds) {
        return Error{
            .status = kExitProgram,
            .message = fmt::format("fold(k, i) wants k of at least 2 and i from 0 to k - 1, found "
                                   "fold({}, {})",
                                   spec.folds, spec.fold)};
    }
    const std::vector<Unit> units = in_random_order(make_units(rows, strata, groups), spec.seed);
    const auto count = static_cast<std::int64_t>(units.size());
    Split split;
    for (std::int64_t i = 0; i < count; ++i) {
        const bool held_out =
            i >= count * spec.fold / spec.folds && i < count * (spec.fold + 1) / spec.folds;
        auto& part = held_out ? split.valid : split.train;
        const auto& unit_rows = units[static_cast<std::size_t>(i)].rows;
        part.insert(part.end(), unit_rows.begin(), unit_rows.end());
    }
    if (split.train.empty()) return empty_part("train", rows);
    if (split.valid.empty()) return empty_part("valid", rows);
    return split;
}

// The rows from some row on; with several groups, from the beginning of one.
Result<Split> last_split(const SplitSpec& spec, std::int64_t rows,
                         std::span<const std::int64_t> groups) {
    std::int64_t valid = std::clamp<std::int64_t>(share_of(spec.valid, rows), 0, rows);
    const bool grouped = !groups.empty() && groups.front() != groups.back();
    const auto group = [&](std::int64_t row) { return groups[static_cast<std::size_t>(row)]; };
    while (grouped && valid > 0 && valid < rows && group(rows - valid) == group(rows - valid - 1)) {
        ++valid;
    }
    Split split;
    split.train.resize(static_cast<std::size_t>(rows - valid));
    split.valid.resize(static_cast<std::size_t>(valid));
    std::iota(split.train.begin(), split.train.end(), 0);
    std::iota(split.valid.begin(), split.valid.end(), rows - valid);
    if (split.train.empty()) return empty_part("train", rows);
    if (split.valid.empty()) return empty_part("valid", rows);
    return split;
}

void append_part(std::string& text, std::string_view name, const std::vector<std::int64_t>& rows) {
    text += name;
    // Runs of neighbours as "from-to": a split of `last` is two of them.
    for (std::size_t i = 0; i < rows.size();) {
        std::size_t end = i + 1;
        while (end < rows.size() && rows[end] == rows[end - 1] + 1) ++end;
        text += end - i > 1 ? fmt::format(" {}-{}", rows[i], rows[end - 1])
                            : fmt::format(" {}", rows[i]);
        i = end;
    }
    text += '\n';
}

}  // namespace

Result<Split> make_split(const SplitSpec& spec, std::int64_t rows,
                         std::span<const std::int64_t> strata,
                         std::span<const std::int64_t> groups) {
    Result<Split> split = Split{};
    switch (spec.kind) {
        case SplitKind::random: split = random_split(spec, rows, strata, groups); break;
        case SplitKind::fold: split = fold_split(spec, rows, strata, groups); break;
        case SplitKind::last: split = last_split(spec, rows, groups); break;
    }
    if (!split) return split;
    for (auto* part : {&split->train, &split->valid, &split->test})
        std::sort(part->begin(), part->end());
    return split;
}

std::string split_to_text(const Split& split, std::int64_t rows) {
    std::string text = fmt::format("rows {}\n", rows);
    append_part(text, "train", split.train);
    append_part(text, "valid", split.valid);
    append_part(text, "test", split.test);
    return text;
}

Result<Split> split_from_text(std::string_view text, std::int64_t rows) {
    const auto malformed = [](std::string_view reason) {
        return Error{.status = kExitData,
                     .message =
                         fmt::format("the rows kept with the run do not fit the data: {}", reason)};
    };
    Split split;
    std::vector<bool> taken(static_cast<std::size_t>(rows), false);
    std::vector<std::int64_t>* part = nullptr;
    bool first = true;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find_first_of(" \n"), text.size());
        const std::string_view word = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (word == "train")
            part = &split.train;
        else if (word == "valid")
            part = &split.valid;
        else if (word == "test")
            part = &split.test;
        else if (word == "rows" && first)
            first = false;
        else if (!word.empty()) {
            std::int64_t from = 0, to = 0;
            const char* stop = word.data() + word.size();
            auto parsed = std::from_chars(word.data(), stop, from);
            to = from;
            if (parsed.ec == std::errc() && parsed.ptr != stop && *parsed.ptr == '-') {
                parsed = std::from_chars(parsed.ptr + 1, stop, to);
            }
            if (parsed.ec != std::errc() || parsed.ptr != stop)
                return malformed("they are no numbers");
            if (part == nullptr) {
                if (from != rows) {
                    return malformed(
                        fmt::format("there were {} rows, now there are {}", from, rows));
                }
                continue;
            }
            if (from < 0 || to >= rows || from > to) return malformed("a row does not exist");
            for (std::int64_t row = from; row <= to; ++row) {
                if (taken[static_cast<std::size_t>(row)]) return malformed("a row is in two parts");
                taken[static_cast<std::size_t>(row)] = true;
                part->push_back(row);
            }
        }
    }
    if (first || part == nullptr) return malformed("the text is cut off");
    return split;
}

std::vector<std::int64_t> epoch_order(std::int64_t count, std::uint64_t seed, std::uint64_t epoch) {
    return permutation(count, seed, kEpochStream, epoch);
}

std::vector<std::int64_t> balanced_rows(std::span<const std::int64_t> rows,
                                        std::span<const std::int64_t> classes, std::uint64_t seed,
                                        std::uint64_t epoch) {
    std::map<std::int64_t, std::vector<std::int64_t>> of_class;
    for (std::size_t i = 0; i < rows.size(); ++i) of_class[classes[i]].push_back(rows[i]);
    std::vector<const std::vector<std::int64_t>*> lists;
    for (const auto& [name, list] : of_class) lists.push_back(&list);
    std::vector<std::int64_t> result(rows.size());
    PhiloxStream random(seed, kBalanceStream, epoch);
    for (std::int64_t& row : result) {
        const auto& list = *lists[static_cast<std::size_t>(random.below(lists.size()))];
        row = list[static_cast<std::size_t>(random.below(list.size()))];
    }
    return result;
}

std::vector<std::int64_t> epoch_rows(std::span<const std::int64_t> rows, bool shuffle,
                                     std::uint64_t seed, std::uint64_t epoch) {
    std::vector<std::int64_t> result(rows.begin(), rows.end());
    if (!shuffle) return result;
    const auto order = epoch_order(static_cast<std::int64_t>(rows.size()), seed, epoch);
    for (std::size_t i = 0; i < order.size(); ++i)
        result[i] = rows[static_cast<std::size_t>(order[i])];
    return result;
}

}  // namespace netc
