// What the language server shows of expressions, noted while they are evaluated.
#include "frontend/elaborate.h"

namespace netc {

namespace {
std::pair<std::uint64_t, std::uint32_t> key_of(Span place) {
    return {std::uint64_t{place.file} << 32u | place.begin, place.end};
}
}  // namespace

const ExpressionTypes::Type* ExpressionTypes::find(Span place) const {
    const auto found = all.find(key_of(place));
    return found == all.end() ? nullptr : &found->second;
}

void ExpressionTypes::add(Span place, Type type) { all.emplace(key_of(place), std::move(type)); }

namespace frontend {

void note_type(const Context& context, Span place, const Datum& value) {
    ExpressionTypes* types = context.session.options.types;
    if (types == nullptr || context.session.detached || value.failed() || value.function() ||
        !place.known() || is_library(context, place) || types->find(place) != nullptr)
        return;
    types->add(place, {describe_value(value), value.tensor() != nullptr});
}

}  // namespace frontend
}  // namespace netc
