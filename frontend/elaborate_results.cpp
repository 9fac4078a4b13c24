// Comparing what a body gives with what its declaration promises.
#include <fmt/format.h>

#include "frontend/elaborate.h"

namespace netc::frontend {

namespace {

struct Checking {
    Context& context;
    std::string_view what;
    const ScopePointer& scope;

    bool differs(const ast::Type& type, const Datum& value, const std::string& wanted,
                 std::size_t axis) const {
        const Span place = blame(context, value.place);
        const Tensor* tensor = value.tensor();
        const std::string found = tensor ? tensor->type.to_string() : describe_kind(value);
        Diagnostic diagnostic = diagnose<Code::result_differs>(place, what, found, wanted);
        if (!is_library(context, type.span)) {
            std::move(diagnostic).label(type.span, "promised here");
        }
        if (tensor && axis < tensor->origins.size()) {
            const Span origin = blame(context, tensor->origins[axis]);
            if (origin == place) {
                diagnostic.primary.text =
                    fmt::format("the {} comes from here", tensor->type.shape[axis].to_string());
            } else {
                std::move(diagnostic)
                    .label(origin, "the {} comes from here", tensor->type.shape[axis].to_string());
            }
        }
        if (tensor && !is_library(context, type.span)) {
            std::string help = fmt::format("change the declaration to {}", found);
            const auto* wanted_type = std::get_if<ast::TensorType>(&type.kind);
            const bool last = wanted_type && axis + 1 == tensor->type.rank() &&
                              wanted_type->dims.size() == tensor->type.rank() &&
                              tensor->type.rank() == 2;
            if (last) {
                help = fmt::format("append `|> linear({})`, or {}",
                                   source_text(context, wanted_type->dims.back().span), help);
            }
            std::move(diagnostic).help("{}", help);
        }
        report(context, std::move(diagnostic));
        return false;
    }

    bool tensor_result(const ast::Type& type, const ast::TensorType& wanted,
                       const Datum& value) const {
        const Tensor* tensor = value.tensor();
        if (!tensor) {
            if (value.is_number() && wanted.dims.empty()) return true;
            if (value.function()) {
                report(context,
                       diagnose<Code::layer_instead_of_tensor>(
                           blame(context, value.place), "the result of " + std::string(what)));
                return false;
            }
            return differs(type, value, type_text(context, type), 0);
        }
        // Sizes first, so that the text shows numbers.
        Shape shape;
        std::vector<bool> free;
        for (const ast::Dim& dim : wanted.dims) {
            if (std::holds_alternative<ast::AnyDim>(dim.kind)) {
                const std::size_t at = shape.size();
                shape.push_back(at < tensor->type.rank() ? tensor->type.shape[at] : Dim(1));
                continue;
            }
            ast::TensorType one;
            if (const auto* pack = std::get_if<ast::PackDim>(&dim.kind)) {
                const Datum items = lookup(context, pack->name.text, pack->name.span, scope);
                if (!items.items()) return false;
                for (const Datum& item : *items.items()) shape.push_back(dim_of(item));
                continue;
            }
            const Datum size = evaluate(context, *std::get<ast::ExprPtr>(dim.kind), scope);
            if (size.failed()) return false;
            if (!size.is_integer()) {
                report(context, diagnose<Code::wrong_static_type>(blame(context, dim.span),
                                                                  "a dimension", "an int")
                                    .text("this is {}", describe_kind(size)));
                return false;
            }
            shape.push_back(dim_of(size));
        }
        const bool dtype_fits =
            wanted.dtype == ast::Dtype::any || resolve(context, wanted.dtype) == tensor->type.dtype;
        if (dtype_fits && shape == tensor->type.shape) return true;
        const DType dtype =
            wanted.dtype == ast::Dtype::any ? tensor->type.dtype : resolve(context, wanted.dtype);
        std::size_t axis = 0;
        while (axis < shape.size() && axis < tensor->type.rank() &&
               shape[axis] == tensor->type.shape[axis]) {
            ++axis;
        }
        return differs(type, value, Type{dtype, shape}.to_string(), axis);
    }
};

}  // namespace

bool check_result(Context& context, const ast::Type& type, const Datum& value,
                  std::string_view what, const ScopePointer& scope, bool outputs) {
    if (value.failed()) return false;
    const Checking checking{context, what, scope};
    if (const auto* tensor = std::get_if<ast::TensorType>(&type.kind)) {
        if (value.is<TupleValue>()) {
            report(context, diagnose<Code::wrong_number_of_results>(blame(context, value.place),
                                                                    std::string(what),
                                                                    value.items()->size(), 1)
                                .label(type.span, "promised here"));
            return false;
        }
        return checking.tensor_result(type, *tensor, value);
    }
    if (const auto* fields = std::get_if<ast::TupleType>(&type.kind)) {
        const Items one{value};
        const bool single = fields->fields.size() == 1 && !value.is<TupleValue>();
        const Items* items = single ? &one : value.items();
        if (!items || items->size() != fields->fields.size()) {
            report(context, diagnose<Code::wrong_number_of_results>(
                                blame(context, value.place), std::string(what),
                                items ? items->size() : 1, fields->fields.size())
                                .label(type.span, "promised here"));
            return false;
        }
        for (std::size_t i = 0; i < items->size(); ++i) {
            std::string part(what);
            if (outputs && fields->fields[i].name) {
                part = fmt::format("output `{}` of {}", fields->fields[i].name->text, what);
            }
            if (!check_result(context, fields->fields[i].type, (*items)[i], part, scope, outputs)) {
                return false;
            }
        }
        return true;
    }
    const ast::StaticKind kind = std::get<ast::StaticType>(type.kind).kind;
    if (adapt_static(context, value, kind)) return true;
    report(context, diagnose<Code::wrong_static_type>(blame(context, value.place),
                                                      "the result of " + std::string(what),
                                                      wanted_text(kind))
                        .text("this is {}", describe_kind(value)));
    return false;
}

}  // namespace netc::frontend
