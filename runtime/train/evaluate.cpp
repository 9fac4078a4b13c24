// Loss and metrics over all rows of a part.
#include <algorithm>
#include <cstring>
#include <map>

#include <fmt/format.h>

#include "ir/network.h"
#include "runtime/data/convert.h"
#include "runtime/train/trainer.h"

namespace netc {
namespace {

// What the batches gave of the outputs that `measure` reads, one after the other.
using KeptOutputs = std::map<std::string, std::vector<std::byte>>;

Measurement measurement_of(const EntryArgument& output, std::span<const std::byte> bytes) {
    Measurement result{output.name, {}, {}};
    for (const Extent& extent : output.dims) result.shape.push_back(extent.constant);
    const auto size = static_cast<std::size_t>(size_of(output.dtype));
    for (std::size_t at = 0; at + size <= bytes.size(); at += size)
        result.values.push_back(load_number(output.dtype, bytes.data() + at));
    return result;
}

// One call on the whole set.
Status measure(Session& session, const Entry& entry, const Dataset& data,
               const std::vector<std::int64_t>& rows, const KeptOutputs& kept,
               std::vector<Measurement>& results) {
    std::vector<AlignedMemory> memory;
    std::vector<const std::byte*> inputs;
    for (const EntryArgument& input : entry.inputs) {
        const auto output = kept.find(input.name);
        if (output != kept.end()) {
            inputs.push_back(output->second.data());
            continue;
        }
        const Field* field = find_field(data, input.name);
        if (field == nullptr) {
            return Error{kExitInternal, fmt::format("the data has no field `{}`", input.name)};
        }
        Result<AlignedMemory> all =
            AlignedMemory::allocate(field->sample_bytes() * static_cast<std::int64_t>(rows.size()));
        if (!all) return all.error();
        if (Status s = read_samples(*field, rows, nullptr, all->data()); !s) return s;
        inputs.push_back(all->data());
        memory.push_back(std::move(*all));
    }
    Status ran = session.run(entry.name, inputs, static_cast<std::int64_t>(rows.size()));
    if (ran) ran = session.wait();
    if (!ran) return ran;
    for (std::size_t i = 0; i < entry.outputs.size(); ++i)
        results.push_back(measurement_of(entry.outputs[i], session.output(i)));
    return {};
}

}  // namespace

Result<std::vector<Measurement>> evaluate(Session& session, const Dataset& data,
                                          const std::vector<std::int64_t>& rows,
                                          std::int64_t batch) {
    const Entry* entry = session.program().find("evaluate");
    if (entry == nullptr) return Error{kExitInternal, "no entry evaluate"};
    Result<BatchBuffers> buffers = BatchBuffers::create(*entry, data, batch);
    if (!buffers) return buffers.error();
    std::vector<Measurement> results;
    KeptOutputs kept;
    for (const EntryArgument& output : entry->outputs) {
        if (output.name.starts_with(kKeptOutput)) {
            kept[output.name];
        } else {
            results.push_back({output.name, {}, {0.0}});
        }
    }
    const auto count = static_cast<std::int64_t>(rows.size());
    const auto size_at = [&](std::int64_t at) { return std::min(batch, count - at); };
    std::int64_t started = 0;
    const auto start = [&]() -> Status {
        const std::int64_t size = size_at(started);
        const auto part = std::span(rows).subspan(static_cast<std::size_t>(started),
                                                  static_cast<std::size_t>(size));
        started += size;
        if (Status status = buffers->fill(part); !status) return status;
        return session.run("evaluate", buffers->inputs(), size);
    };
    for (std::int64_t at = 0; at < count; at += batch) {
        const std::int64_t size = size_at(at);
        if (started == at) {
            if (Status status = start(); !status) return status.error();
        }
        // A GPU goes on with the next batch while we read what this one gave; one of another size has other outputs.
        const bool ahead = session.is_busy() && started < count && size_at(started) == size;
        if (ahead) {
            if (Status status = start(); !status) return status.error();
        }
        if (Status status = session.wait(ahead ? 1 : 0); !status) return status.error();
        for (Measurement& result : results)
            result.values[0] += session.number(result.name) * static_cast<double>(size);
        for (std::size_t i = 0; i < entry->outputs.size(); ++i) {
            const auto all = kept.find(entry->outputs[i].name);
            if (all == kept.end()) continue;
            const std::span<const std::byte> bytes = session.output(i);
            all->second.insert(all->second.end(), bytes.begin(), bytes.end());
        }
    }
    for (Measurement& result : results)
        result.values[0] /= static_cast<double>(std::max<std::int64_t>(count, 1));
    const Entry* whole = session.program().find("measure");
    if (whole == nullptr || count == 0) return results;
    if (Status s = measure(session, *whole, data, rows, kept, results); !s) return s.error();
    return results;
}

Status measure(Session& session, const TrainPlan& plan, EpochReport& r) {
    auto add = [&](const char* prefix, const Dataset& data, const std::vector<std::int64_t>& rows,
                   bool with_loss) -> Status {
        auto values = evaluate(session, data, rows, plan.batch);
        if (!values) return values.error();
        for (const Measurement& value : *values) {
            if (!value.is_number() || (value.name == "loss" && !with_loss)) continue;
            r.metrics.emplace_back(prefix + value.name, value.values[0]);
        }
        return {};
    };
    const bool held_out = !plan.valid_rows.empty();
    if (session.program().find("evaluate") == nullptr) return {};
    if (held_out) {
        if (Status s = add("valid.", *plan.valid_data, plan.valid_rows, true); !s) return s;
    }
    const bool any_metric = !plan.section->metrics.empty();
    if (any_metric && (!held_out || plan.section->train_metrics)) {
        return add(held_out ? "train." : "", *plan.data, plan.train_rows, false);
    }
    return {};
}

}  // namespace netc
