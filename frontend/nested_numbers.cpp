#include "frontend/nested_numbers.h"

namespace netc::frontend {

namespace {

struct Flattening {
    Context& context;
    DType dtype;
    Span place;
    Shape& shape;
    std::vector<double>& values;

    Flattened flatten(const Datum& value, std::size_t depth) {
        const Items* items = value.items();
        if (!items) {
            const bool fits = value.is_number() && !value.is<Dim>() && depth == shape.size();
            if (!fits) return Flattened::no_numbers;
            if (!check_number(context, value, dtype, place)) return Flattened::failed;
            values.push_back(number_of(value));
            return Flattened::done;
        }
        if (items->empty()) return Flattened::no_numbers;
        if (!spend(context, place, items->size())) return Flattened::failed;
        const auto size = static_cast<std::int64_t>(items->size());
        if (values.empty() && depth == shape.size()) shape.push_back(Dim(size));
        if (depth >= shape.size() || !(shape[depth] == Dim(size))) return Flattened::no_numbers;
        for (const Datum& item : *items) {
            const Flattened part = flatten(item, depth + 1);
            if (part != Flattened::done) return part;
        }
        return Flattened::done;
    }
};

}  // namespace

Flattened flatten_numbers(Context& context, const Datum& list, DType dtype, Span place,
                          Shape& shape, std::vector<double>& values) {
    return Flattening{context, dtype, place, shape, values}.flatten(list, 0);
}

}  // namespace netc::frontend
