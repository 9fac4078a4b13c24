// Batches of a data set for an entry, and what is learned from it as state of the model.

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "runtime/data/convert.h"
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
        Result<AlignedMemory> memory = AlignedMemory::allocate(
            field->sample_size() * size_of(argument.dtype) * std::min(batch, data.rows));
        if (!memory) return memory.error();
        buffers.fields_.push_back(field);
        buffers.dtypes_.push_back(argument.dtype);
        buffers.pointers_.push_back(memory->data());
        buffers.buffers_.push_back(std::move(*memory));
    }
    return buffers;
}

Status BatchBuffers::fill(std::span<const std::int64_t> rows, const Drawing* drawing) {
    for (std::size_t i = 0; i < fields_.size(); ++i) {
        Status s = read_samples(*fields_[i], rows, drawing, buffers_[i].data(), dtypes_[i]);
        if (!s) return s;
    }
    return {};
}

namespace {

// Inverse frequencies, one on average over the samples; a class without samples gets no weight.
std::vector<double> class_weights(const FieldStatistics& field) {
    double samples = 0;
    for (const std::int64_t count : field.class_counts) samples += static_cast<double>(count);
    std::vector<double> weights;
    for (const std::int64_t count : field.class_counts) {
        const auto classes = static_cast<double>(field.class_counts.size());
        weights.push_back(count == 0 ? 0 : samples / (classes * static_cast<double>(count)));
    }
    return weights;
}

}  // namespace

Status apply_statistics(Session& session, const DataStatistics& statistics, Replace replace) {
    // `initial`: what the state is before any data were seen.
    auto put = [&](const std::string& name, std::span<const double> values,
                   double initial) -> Status {
        const VariablePlace* place = session.find_weight(name);
        if (place == nullptr) return Error{kExitInternal, "the model has no state " + name};
        const std::span<std::byte> to = session.variable(*place);
        const auto size = static_cast<std::size_t>(size_of(place->dtype));
        if (values.size() * size != to.size()) {
            return Error{kExitInternal, "the state " + name + " has another size than the data"};
        }
        bool learned = false;
        for (std::size_t i = 0; i < values.size(); ++i)
            learned = learned || load_number(place->dtype, to.data() + i * size) != initial;
        if (learned && replace == Replace::fresh) return {};
        for (std::size_t i = 0; i < values.size(); ++i)
            store_number(place->dtype, values[i], to.data() + i * size);
        return {};
    };
    for (const FieldStatistics& field : statistics) {
        if (field.scaled) {
            if (Status s = put(field.name + ".scale", {&field.scale, 1}, 1); !s) return s;
            if (Status s = put(field.name + ".offset", {&field.offset, 1}, 0); !s) return s;
        }
        if (session.find_weight(field.name + ".class_weights") != nullptr) {
            if (Status s = put(field.name + ".class_weights", class_weights(field), 1); !s)
                return s;
        }
        if (field.standardized) {
            if (Status s = put(field.name + ".mean", field.mean, 0); !s) return s;
            if (Status s = put(field.name + ".deviation", field.deviation, 1); !s) return s;
        }
    }
    return {};
}

}  // namespace netc
