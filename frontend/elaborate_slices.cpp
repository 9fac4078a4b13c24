// Indexing: lists by position and range, tensors by slices. Half open, static, negative numbers count
// from the end, a single index drops its axis, `...` stands for the axes between.
#include <fmt/format.h>

#include "frontend/elaborate.h"

namespace netc::frontend {

namespace {

struct Indexing {
    Context& context;
    const ast::Expr& expression;
    const ast::Index& node;
    const ScopePointer& scope;

    std::optional<std::int64_t> position(const ast::Expr& index) const {
        const Datum value = evaluate(context, index, scope);
        if (value.failed()) return std::nullopt;
        if (const auto* integer = value.as<std::int64_t>()) return *integer;
        report(context, diagnose<Code::wrong_static_type>(blame(context, index.span), "an index",
                                                          "an int that is known while compiling")
                            .text("this is {}", describe_kind(value)));
        return std::nullopt;
    }

    Datum out_of_range(Span place, std::int64_t at, std::int64_t size,
                       std::string_view what) const {
        return report(
            context,
            diagnose<Code::axis_out_of_range>(blame(context, place), "index", at, what)
                .text("there are {}, so indices run from {} to {}", size, -size, size - 1));
    }

    struct Bounds {
        std::int64_t begin = 0;
        std::int64_t end = -1;  // -1: to the end
    };

    // Bounds along an axis of a static or symbolic size.
    std::optional<Bounds> range(const ast::Expr* first, const ast::Expr* last, const Dim& size,
                                Span place, std::string_view what) const {
        Bounds bounds;
        if (first) {
            const std::optional<std::int64_t> at = position(*first);
            if (!at) return std::nullopt;
            bounds.begin = *at;
        }
        if (last) {
            const std::optional<std::int64_t> at = position(*last);
            if (!at) return std::nullopt;
            bounds.end = *at;
        }
        if (!size.is_static()) {
            if (bounds.begin == 0 && !last) return bounds;
            report(context,
                   diagnose<Code::not_supported_yet>(
                       blame(context, place),
                       fmt::format("slicing an axis of the run-time size {}", size.to_string())));
            return std::nullopt;
        }
        const std::int64_t count = size.value();
        if (bounds.begin < 0) bounds.begin += count;
        if (!last) bounds.end = count;
        if (last && bounds.end < 0) bounds.end += count;
        if (bounds.begin < 0 || bounds.begin > count || bounds.end < 0 || bounds.end > count) {
            const bool low = bounds.begin < 0 || bounds.begin > count;
            out_of_range(place, low ? bounds.begin : bounds.end, count, what);
            return std::nullopt;
        }
        if (bounds.begin >= bounds.end) {
            report(context, diagnose<Code::dimension_below_one>(
                                blame(context, place), fmt::format("the slice {}..{} is empty",
                                                                   bounds.begin, bounds.end)));
            return std::nullopt;
        }
        return bounds;
    }

    Datum list(const Items& items, bool tuple) const {
        if (node.items.size() != 1) {
            return report(context, diagnose<Code::too_many_arguments>(
                                       blame(context, expression.span), "[]", "one index of a list",
                                       node.items.size()));
        }
        const ast::SliceItem& item = node.items[0];
        const auto size = static_cast<std::int64_t>(items.size());
        const ast::Expr* first = nullptr;
        const ast::Expr* last = nullptr;
        if (const auto* single = std::get_if<ast::SliceIndex>(&item.kind)) {
            const std::optional<std::int64_t> at = position(*single->index);
            if (!at) return failed_datum();
            const std::int64_t index = *at < 0 ? *at + size : *at;
            if (index < 0 || index >= size) {
                return out_of_range(item.span, *at, size, fmt::format("a list of {} items", size));
            }
            return items[static_cast<std::size_t>(index)];
        }
        if (const auto* slice = std::get_if<ast::SliceRange>(&item.kind)) {
            first = slice->begin.get();
            last = slice->end.get();
        }
        const auto bounds =
            range(first, last, Dim(size), item.span, fmt::format("a list of {} items", size));
        if (!bounds) return failed_datum();
        Items part(items.begin() + bounds->begin, items.begin() + bounds->end);
        return tuple ? make_tuple(std::move(part), expression.span)
                     : make_list(std::move(part), expression.span);
    }

    struct Selection {
        std::vector<std::int64_t> starts, stops;
        std::vector<bool> dropped;
        bool any = false;

        void whole() {
            starts.push_back(0);
            stops.push_back(-1);
            dropped.push_back(false);
        }
    };

    bool select(const ast::SliceItem& item, const Tensor& tensor, Selection& selection) const {
        const std::size_t axis = selection.starts.size();
        if (axis >= tensor.type.rank()) {
            report(context, diagnose<Code::axis_out_of_range>(blame(context, item.span), "axis",
                                                              axis, tensor.type.to_string())
                                .text("this would be the index of axis {}", axis));
            return false;
        }
        if (std::holds_alternative<ast::WholeAxis>(item.kind)) {
            selection.whole();
            return true;
        }
        const Dim& size = tensor.type.shape[axis];
        const std::string what = tensor.type.to_string();
        if (const auto* slice = std::get_if<ast::SliceRange>(&item.kind)) {
            const auto bounds = range(slice->begin.get(), slice->end.get(), size, item.span, what);
            if (!bounds) return false;
            const bool whole =
                bounds->begin == 0 &&
                (bounds->end == -1 || (size.is_static() && bounds->end == size.value()));
            if (whole) {
                selection.whole();
                return true;
            }
            selection.starts.push_back(bounds->begin);
            selection.stops.push_back(bounds->end);
            selection.dropped.push_back(false);
            selection.any = true;
            return true;
        }
        const Datum value = evaluate(context, *std::get<ast::SliceIndex>(item.kind).index, scope);
        if (value.failed()) return false;
        if (const auto* list = value.as<ListValue>()) {  // a range held in a value: x[:, a..b]
            return select_list(*list->items, size, item.span, what, selection);
        }
        const auto* at = value.as<std::int64_t>();
        if (!at) {
            report(context,
                   diagnose<Code::wrong_static_type>(blame(context, item.span), "an index",
                                                     "an int that is known while compiling")
                       .text("this is {}", describe_kind(value))
                       .help_text(value.tensor() ? "rows by computed indices: `gather(table, ids)`"
                                                 : ""));
            return false;
        }
        // Only checked: for the types any place in it will do.
        const bool open =
            context.session.options.open_dimensions && size != Dim::symbol(kBatchSymbol);
        if (!size.is_static() && open) {
            selection.starts.push_back(0);
            selection.stops.push_back(1);
            selection.dropped.push_back(true);
            selection.any = true;
            return true;
        }
        if (!size.is_static()) {
            report(context, diagnose<Code::not_supported_yet>(
                                blame(context, item.span),
                                fmt::format("an index into the axis of the run-time size {}",
                                            size.to_string())));
            return false;
        }
        const std::int64_t index = *at < 0 ? *at + size.value() : *at;
        if (index < 0 || index >= size.value()) {
            out_of_range(item.span, *at, size.value(), what);
            return false;
        }
        selection.starts.push_back(index);
        selection.stops.push_back(index + 1);
        selection.dropped.push_back(true);
        selection.any = true;
        return true;
    }

    bool select_list(const Items& items, const Dim& size, Span place, const std::string& what,
                     Selection& selection) const {
        std::vector<std::int64_t> numbers;
        for (const Datum& item : items) {
            const auto* number = item.as<std::int64_t>();
            if (!number || (!numbers.empty() && *number != numbers.back() + 1)) {
                report(context, diagnose<Code::wrong_static_type>(blame(context, place), "a slice",
                                                                  "a range of ints"));
                return false;
            }
            numbers.push_back(*number);
        }
        if (numbers.empty()) {
            report(context, diagnose<Code::dimension_below_one>(blame(context, place),
                                                                "the slice is empty"));
            return false;
        }
        if (numbers.front() < 0 || !size.is_static() || numbers.back() >= size.value()) {
            out_of_range(place, numbers.front() < 0 ? numbers.front() : numbers.back(),
                         size.is_static() ? size.value() : 0, what);
            return false;
        }
        selection.starts.push_back(numbers.front());
        selection.stops.push_back(numbers.back() + 1);
        selection.dropped.push_back(false);
        selection.any = true;
        return true;
    }

    Datum tensor(const Tensor& base) const {
        Selection selection;
        for (std::size_t i = 0; i < node.items.size(); ++i) {
            const ast::SliceItem& item = node.items[i];
            if (std::holds_alternative<ast::Ellipsis>(item.kind)) {
                const std::size_t after = node.items.size() - i - 1;
                while (selection.starts.size() + after < base.type.rank()) selection.whole();
                continue;
            }
            if (!select(item, base, selection)) return failed_datum();
        }
        while (selection.starts.size() < base.type.rank()) selection.whole();
        if (!selection.any) {
            return {std::make_shared<const Tensor>(base), expression.span};
        }
        const Datum sliced =
            make_node(context, OpId::slice, {&base},
                      {{"starts", selection.starts}, {"stops", selection.stops}}, expression.span);
        if (sliced.failed()) return sliced;
        Shape shape;
        for (std::size_t i = 0; i < selection.dropped.size(); ++i) {
            if (!selection.dropped[i]) shape.push_back(sliced.tensor()->type.shape[i]);
        }
        if (shape.size() == base.type.rank()) return sliced;
        return make_node(context, OpId::reshape, {sliced.tensor()}, {{"shape", shape}},
                         expression.span);
    }
};

}  // namespace

Datum index(Context& context, const ast::Expr& expression, const ast::Index& node,
            const ScopePointer& scope) {
    const Datum base = evaluate(context, *node.base, scope);
    if (base.failed()) return base;
    const Indexing indexing{context, expression, node, scope};
    if (const Items* items = base.items()) return indexing.list(*items, base.is<TupleValue>());
    if (const Tensor* tensor = base.tensor()) return indexing.tensor(*tensor);
    return report(context,
                  diagnose<Code::wrong_static_type>(blame(context, node.base->span),
                                                    "what is indexed", "a list or a tensor")
                      .text("this is {}", describe_kind(base)));
}

}  // namespace netc::frontend
