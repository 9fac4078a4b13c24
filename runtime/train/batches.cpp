// Batches of a data set for an entry, and what is computed over all of them.

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "runtime/train/trainer.h"

namespace netc {

Result<BatchBuffers> BatchBuffers::create(const Entry& entry, const Dataset& data,
                                          std::int64_t batch) {
    BatchBuffers buffers;
    for (const EntryArgument& argument : entry.inputs) {
        const Field* field = find_field(data, argument.name);
        if (field == nullptr) {
            return Error{kExitInternal, fmt::format("the data has no field `{}`", argument.name)};
        }
        Result<AlignedMemory> memory =
            AlignedMemory::allocate(field->sample_bytes() * std::min(batch, data.rows));
        if (!memory) return memory.error();
        buffers.fields_.push_back(field);
        buffers.pointers_.push_back(memory->data());
        buffers.buffers_.push_back(std::move(*memory));
    }
    return buffers;
}

void BatchBuffers::fill(std::span<const std::int64_t> rows) {
    for (std::size_t i = 0; i < fields_.size(); ++i) gather(*fields_[i], rows, buffers_[i].data());
}

Result<std::vector<std::pair<std::string, double>>> evaluate(Session& session, const Dataset& data,
                                                             const std::vector<std::int64_t>& rows,
                                                             std::int64_t batch) {
    const Entry* entry = session.program().find("evaluate");
    if (entry == nullptr) return Error{kExitInternal, "no entry evaluate"};
    Result<BatchBuffers> buffers = BatchBuffers::create(*entry, data, batch);
    if (!buffers) return buffers.error();
    std::vector<std::pair<std::string, double>> sums;
    for (const EntryArgument& output : entry->outputs) sums.emplace_back(output.name, 0.0);
    const auto count = static_cast<std::int64_t>(rows.size());
    for (std::int64_t at = 0; at < count; at += batch) {
        const std::int64_t size = std::min(batch, count - at);
        buffers->fill(
            std::span(rows).subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(size)));
        if (Status status = session.run("evaluate", buffers->inputs(), size); !status) {
            return status.error();
        }
        for (auto& [name, sum] : sums) sum += session.number(name) * static_cast<double>(size);
    }
    for (auto& [name, sum] : sums) sum /= static_cast<double>(std::max<std::int64_t>(count, 1));
    return sums;
}

Status apply_statistics(Session& session, const DataStatistics& statistics) {
    auto put = [&](const std::string& name, std::span<const double> values) -> Status {
        const VariablePlace* place = session.find_weight(name);
        if (place == nullptr) return Error{kExitInternal, "the model has no state " + name};
        const std::span<std::byte> to = session.variable(*place);
        const auto size = static_cast<std::size_t>(size_of(place->dtype));
        if (values.size() * size != to.size()) {
            return Error{kExitInternal, "the state " + name + " has another size than the data"};
        }
        for (std::size_t i = 0; i < values.size(); ++i) {
            const auto narrow = static_cast<float>(values[i]);
            const void* from = size == 8 ? static_cast<const void*>(&values[i]) : &narrow;
            std::memcpy(to.data() + i * size, from, size);
        }
        return {};
    };
    for (const FieldStatistics& field : statistics) {
        if (field.scaled) {
            if (Status s = put(field.name + ".scale", {&field.scale, 1}); !s) return s;
            if (Status s = put(field.name + ".offset", {&field.offset, 1}); !s) return s;
        }
        if (field.standardized) {
            if (Status s = put(field.name + ".mean", field.mean); !s) return s;
            if (Status s = put(field.name + ".deviation", field.deviation); !s) return s;
        }
    }
    return {};
}

}  // namespace netc
