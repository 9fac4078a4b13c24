#include "runtime/train/objective.h"

#include <algorithm>
#include <cmath>

#include "runtime/data/convert.h"
namespace netc {
namespace {

double number_at(DType dtype, std::span<const std::byte> bytes, std::size_t i) {
    return load_number(dtype, bytes.data() + i * static_cast<std::size_t>(size_of(dtype)));
}

void put_number(DType dtype, std::span<std::byte> bytes, std::size_t i, double value) {
    store_number(dtype, value, bytes.data() + i * static_cast<std::size_t>(size_of(dtype)));
}

}  // namespace

Result<Objective> Objective::create(Session& session, const Dataset& data,
                                    std::span<const std::int64_t> rows, std::int64_t batch) {
    Objective objective;
    const Entry* entry = session.program().find("gradient");
    if (entry == nullptr) return Error{kExitInternal, "no entry gradient"};
    objective.session_ = &session;
    objective.rows_ = rows;
    objective.batch_ = batch;
    Result<BatchBuffers> buffers = BatchBuffers::create(*entry, data, batch);
    if (!buffers) return buffers.error();
    objective.buffers_ = std::move(*buffers);
    constexpr std::string_view kPrefix = "grad:";
    for (std::size_t i = 0; i < entry->outputs.size(); ++i) {
        const EntryArgument& output = entry->outputs[i];
        if (!output.name.starts_with(kPrefix)) continue;
        const VariablePlace* place = session.find_weight(output.name.substr(kPrefix.size()));
        if (place == nullptr) return Error{kExitInternal, "a gradient without its parameter"};
        const auto count = static_cast<std::size_t>(place->size / size_of(place->dtype));
        objective.parts_.push_back({place, i, count});
        objective.size_ += count;
    }
    return objective;
}

std::vector<double> Objective::parameters() const {
    std::vector<double> values;
    values.reserve(size_);
    for (const Part& part : parts_) {
        const auto bytes = session_->variable(*part.place);
        for (std::size_t i = 0; i < part.count; ++i) {
            values.push_back(number_at(part.place->dtype, bytes, i));
        }
    }
    return values;
}

void Objective::set_parameters(std::span<const double> values) {
    std::size_t at = 0;
    for (const Part& part : parts_) {
        const auto bytes = session_->variable(*part.place);
        for (std::size_t i = 0; i < part.count; ++i) {
            put_number(part.place->dtype, bytes, i, values[at++]);
        }
    }
}

Result<Objective::Value> Objective::value() {
    Value sum;
    sum.gradient.assign(size_, 0.0);
    const auto count = static_cast<std::int64_t>(rows_.size());
    for (std::int64_t begin = 0; begin < count; begin += batch_) {
        const std::int64_t size = std::min(batch_, count - begin);
        const auto rows =
            rows_.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(size));
        if (Status s = buffers_.fill(rows); !s) return s.error();
        if (Status s = session_->run("gradient", buffers_.inputs(), size); !s) return s.error();
        if (Status s = session_->wait(); !s) return s.error();
        const double weight = static_cast<double>(size) / static_cast<double>(count);
        sum.loss += weight * session_->number("loss");
        const double penalty = session_->number("penalty");
        sum.penalty += weight * penalty;  // NaN where there is none
        std::size_t at = 0;
        for (const Part& part : parts_) {
            const auto bytes = session_->output(part.output);
            for (std::size_t i = 0; i < part.count; ++i) {
                sum.gradient[at++] += weight * number_at(part.place->dtype, bytes, i);
            }
        }
    }
    return sum;
}

Status copy_numbers(const Session& from, Session& to) {
    for (const VariablePlace& place : from.program().weights) {
        const VariablePlace* other = to.find_weight(place.name);
        if (other == nullptr) continue;
        const auto source = from.variable(place);
        const auto target = to.variable(*other);
        const auto count = static_cast<std::size_t>(place.size / size_of(place.dtype));
        for (std::size_t i = 0; i < count; ++i) {
            put_number(other->dtype, target, i, number_at(place.dtype, source, i));
        }
    }
    if (Status s = from.wait(); !s) return s;
    return to.wait();
}

}  // namespace netc
