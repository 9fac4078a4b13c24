// Matching tensors against the signature of a declaration. The whole inference of shapes: for each
// formal, dimension by dimension, `_` accepts, a new name binds, anything else is evaluated and
// compared; `*S` takes what is left.
#include <algorithm>

#include <fmt/format.h>

#include "frontend/elaborate.h"

namespace netc::frontend {

DType resolve(const Context& context, ast::Dtype dtype) {
    switch (dtype) {
        case ast::Dtype::f64: return DType::f64;
        case ast::Dtype::f32: return DType::f32;
        case ast::Dtype::f16: return DType::f16;
        case ast::Dtype::bf16: return DType::bf16;
        case ast::Dtype::i64: return DType::i64;
        case ast::Dtype::i32: return DType::i32;
        case ast::Dtype::i16: return DType::i16;
        case ast::Dtype::i8: return DType::i8;
        case ast::Dtype::u8: return DType::u8;
        case ast::Dtype::b1: return DType::b1;
        case ast::Dtype::real:
        case ast::Dtype::any: break;
    }
    return context.real;
}

namespace {

// False when there was something to report.
bool check_packs(Diagnostics& diagnostics, const ast::Type& type) {
    if (const auto* tuple = std::get_if<ast::TupleType>(&type.kind)) {
        return std::ranges::all_of(tuple->fields, [&](const ast::Field& field) {
            return check_packs(diagnostics, field.type);
        });
    }
    const auto* tensor = std::get_if<ast::TensorType>(&type.kind);
    if (tensor == nullptr) return true;
    const ast::Dim* first = nullptr;
    for (const ast::Dim& dim : tensor->dims) {
        if (!std::holds_alternative<ast::PackDim>(dim.kind)) continue;
        if (first == nullptr) {
            first = &dim;
            continue;
        }
        diagnostics.add(
            diagnose<Code::wrong_static_type>(dim.span, "a shape",
                                              "one with a single pack: two could take any "
                                              "share of the dimensions")
                .label(first->span, "the first"));
        return false;
    }
    return true;
}

}  // namespace

void check_signature(Diagnostics& diagnostics, const ast::Callable& callable) {
    const auto each_once = [&](std::vector<const ast::Name*> names) {
        for (std::size_t i = 0; i < names.size(); ++i) {
            for (std::size_t k = 0; k < i; ++k) {
                if (names[k]->text != names[i]->text) continue;
                diagnostics.add(diagnose<Code::declared_twice>(names[i]->span, names[i]->text)
                                    .label(names[k]->span, "first declared here"));
                break;
            }
        }
    };
    std::vector<const ast::Name*> formals, results;
    bool packs = true;  // one mistake is often made in all types of a signature
    const auto add = [&](const ast::FormalList& list) {
        for (const ast::Formal& formal : list.formals) {
            formals.push_back(&formal.name);
            packs = packs && check_packs(diagnostics, formal.type);
        }
    };
    if (callable.configuration) add(*callable.configuration);
    add(callable.inputs);
    each_once(std::move(formals));
    if (!callable.result) return;
    if (packs) check_packs(diagnostics, *callable.result);
    if (const auto* tuple = std::get_if<ast::TupleType>(&callable.result->kind)) {
        for (const ast::Field& field : tuple->fields) {
            if (field.name) results.push_back(&*field.name);
        }
    }
    each_once(std::move(results));
}

std::string type_text(const Context& context, const ast::Type& type) {
    return source_text(context, type.span);
}

namespace {

const ast::PackDim* pack_of(const ast::Dim& dim) { return std::get_if<ast::PackDim>(&dim.kind); }

const std::string* name_of_dim(const ast::Dim& dim) {
    if (const ast::PackDim* pack = pack_of(dim)) return &pack->name.text;
    const auto* expression = std::get_if<ast::ExprPtr>(&dim.kind);
    if (!expression) return nullptr;
    const auto* reference = std::get_if<ast::NameRef>(&(*expression)->kind);
    return reference ? &reference->name : nullptr;
}

// real[B, D] and real[B, D]: the two are meant to have one shape.
bool same_names(const ast::TensorType& a, const ast::TensorType& b) {
    return std::ranges::equal(a.dims, b.dims, [](const ast::Dim& left, const ast::Dim& right) {
        const std::string* one = name_of_dim(left);
        const std::string* other = name_of_dim(right);
        return one && other && *one == *other && !pack_of(left) == !pack_of(right);
    });
}

void report_no_size(Context& context, const Datum& value, Span place) {
    report(context,
           diagnose<Code::wrong_static_type>(blame(context, place), "a dimension", "an int")
               .text("this is {}", describe_kind(value)));
}

// What a name in the types of a signature stands for in one tensor.
struct Use {
    std::size_t at = 0;                 // which formal
    std::size_t axis = 0;               // of the tensor; of a pack, the first
    std::optional<std::size_t> pack{};  // how many dimensions, where it is a pack
};

struct Matching {
    Context& context;
    const FunctionValue& function;
    const std::vector<ast::Formal>& formals;
    const std::vector<Datum>& values;
    Span call;
    const ScopePointer& scope;

    // Names of this call stand in `scope` itself, not in what encloses it.
    Entry* bound(std::string_view name) const {
        for (Entry& entry : scope->entries) {
            if (entry.name == name) return &entry;
        }
        return nullptr;
    }

    const ast::TensorType& tensor_type(std::size_t at) const {
        return std::get<ast::TensorType>(formals[at].type.kind);
    }

    std::string what(const Tensor& tensor, std::size_t at) const {
        if (!tensor.name.empty()) return "`" + tensor.name + "`";
        if (formals.size() > 1) return "`" + formals[at].name.text + "`";
        return "the input";
    }

    // No call fits a signature that is wrong itself: told once, if it is the user's.
    std::string cause(const ast::Formal& formal) const {
        const Span place = formal.type.span;
        return is_library(context, place) ? "" : fmt::format("{}:{}", place.file, place.begin);
    }

    bool wrong_rank(std::size_t at, const ast::TensorType& type, const Tensor& tensor) const {
        const std::size_t wanted = type.dims.size();
        const bool pack = std::any_of(type.dims.begin(), type.dims.end(),
                                      [](const ast::Dim& dim) { return pack_of(dim) != nullptr; });
        const std::string rank = pack ? fmt::format("{}+", wanted - 1) : fmt::format("{}", wanted);
        const std::size_t found = tensor.type.rank();
        Diagnostic diagnostic = diagnose<Code::wrong_rank>(blame(context, call), function.name(),
                                                           rank, what(tensor, at), found)
                                    .text("expects {}", type_text(context, formals[at].type))
                                    .caused_by(cause(formals[at]));
        if (tensor.role != Role::expression) {
            std::move(diagnostic)
                .label(tensor.place, "{} is {}", tensor.name, tensor.type.to_string());
        } else {
            std::move(diagnostic).note("the input is {}", tensor.type.to_string());
        }
        if (!pack && wanted == 4 && found == 3) {
            Shape shape = tensor.type.shape;
            shape.insert(shape.begin() + 1, Dim(1));
            const std::string text = shape_text(shape);
            std::move(diagnostic).note("the channel dimension is missing");
            if (tensor.role == Role::input) {
                std::move(diagnostic)
                    .help("declare the input as `{}: {}{}`, or insert "
                          "`|> reshape({})`",
                          tensor.name, name_of(tensor.type.dtype), text, text);
            } else {
                std::move(diagnostic).help("insert `|> reshape({})`", text);
            }
        } else if (!pack && wanted == 2 && found > 2) {
            std::move(diagnostic).help("insert `|> flatten`");
        }
        report(context, std::move(diagnostic));
        return false;
    }

    bool wrong_dtype(std::size_t at, const ast::TensorType& type, const Tensor& tensor) const {
        const DType wanted = resolve(context, type.dtype);
        const Span place = blame(context, values[at].place.known() ? values[at].place : call);
        if (!context.setting.empty() && is_int(wanted) && is_float(tensor.type.dtype)) {
            Shape shape;
            for (std::size_t i = 0; i < type.dims.size(); ++i) {
                const std::string* name = name_of_dim(type.dims[i]);
                Entry* entry = name ? bound(*name) : nullptr;
                if (!entry) continue;
                if (const Items* items = entry->value.items()) {
                    for (const Datum& item : *items) shape.push_back(dim_of(item));
                } else if (entry->value.is_integer()) {
                    shape.push_back(dim_of(entry->value));
                }
            }
            Diagnostic diagnostic = diagnose<Code::wrong_label_type>(
                place, function.name(),
                fmt::format("class indices {}{}", name_of(wanted), shape_text(shape)),
                tensor.type.to_string());
            if (tensor.role == Role::target) {
                std::move(diagnostic)
                    .label(tensor.place, "the target `{}` is declared here", tensor.name)
                    .help("declare `target {}: {}{}`; for one-hot or probability "
                          "targets write `-mean(reduce_sum(-1)({} * "
                          "log_softmax(out)))`",
                          tensor.name, name_of(wanted), shape_text(shape), tensor.name);
            }
            report(context, std::move(diagnostic));
            return false;
        }
        Diagnostic diagnostic =
            diagnose<Code::dtypes_differ>(place, fmt::format("{}", tensor.type.to_string()),
                                          fmt::format("argument `{}` of `{}`, {},",
                                                      formals[at].name.text, function.name(),
                                                      type_text(context, formals[at].type)))
                .text("this is {}", tensor.type.to_string())
                .caused_by(cause(formals[at]));
        if (tensor.role == Role::input || tensor.role == Role::target) {
            std::move(diagnostic).label(tensor.place, "`{}` is declared here", tensor.name);
        }
        std::move(diagnostic)
            .help("convert it: `cast({}, {})`", source_text(context, place, 30), name_of(wanted));
        report(context, std::move(diagnostic));
        return false;
    }

    // The first use of a name, which gave it its value; up to and with this formal.
    std::optional<Use> first_use(const std::string& name, std::size_t last) const {
        for (std::size_t at = 0; at <= last; ++at) {
            const auto* type = std::get_if<ast::TensorType>(&formals[at].type.kind);
            const Tensor* tensor = values[at].tensor();
            if (!type || !tensor) continue;
            std::size_t axis = 0;
            for (const ast::Dim& dim : type->dims) {
                Use use{at, axis};
                // Beside a pack each dimension takes one.
                if (pack_of(dim)) use.pack = tensor->type.rank() + 1 - type->dims.size();
                const std::string* found = name_of_dim(dim);
                if (found && *found == name) return use;
                axis += use.pack.value_or(1);
            }
        }
        return std::nullopt;
    }

    std::string value_of(const Use& use) const {
        const Shape& shape = values[use.at].tensor()->type.shape;
        if (!use.pack) return shape[use.axis].to_string();
        const auto first = shape.begin() + static_cast<std::ptrdiff_t>(use.axis);
        return shape_text(Shape(first, first + static_cast<std::ptrdiff_t>(*use.pack)));
    }

    // f32[3, 4]: `I` is 4, dimension 1
    std::string use_text(const Use& use, std::string_view name) const {
        const std::string type = values[use.at].tensor()->type.to_string();
        if (use.pack) return fmt::format("{}: `{}` is {}", type, name, value_of(use));
        return fmt::format("{}: `{}` is {}, dimension {}", type, name, value_of(use), use.axis);
    }

    void label_origin(Diagnostic& diagnostic, std::size_t at, std::size_t axis) const {
        const Tensor& tensor = *values[at].tensor();
        if (axis >= tensor.origins.size()) return;
        const Span origin = blame(context, tensor.origins[axis]);
        if (origin == blame(context, call) || origin == blame(context, values[at].place)) return;
        std::move(diagnostic)
            .label(origin, "the {} comes from here", tensor.type.shape[axis].to_string());
    }

    bool names_clash(const std::string& name, const Use& first, const Use& second) const {
        const std::string spelled = (first.pack ? "*" : "") + name;
        const auto place = [&](const Use& use) { return blame(context, values[use.at].place); };
        const auto type = [&](const Use& use) { return values[use.at].tensor()->type.to_string(); };
        const std::string other =
            first.at == second.at ? type_text(context, formals[second.at].type) : type(second);
        Diagnostic diagnostic =
            diagnose<Code::shapes_do_not_line_up>(blame(context, call), type(first), other)
                .text("`{}` of `{}` would be {} by `{}` and {} by `{}`", spelled, function.name(),
                      value_of(first), formals[first.at].name.text, value_of(second),
                      formals[second.at].name.text)
                .label(place(first), "{}", use_text(first, spelled))
                .label(place(second), "{}", use_text(second, spelled));
        if (!first.pack) label_origin(diagnostic, first.at, first.axis);
        if (!second.pack) label_origin(diagnostic, second.at, second.axis);
        report(context, std::move(diagnostic));
        return false;
    }

    bool mismatch(std::size_t at, const ast::Dim& dim, const Use& use) const {
        const std::string* name = name_of_dim(dim);
        const Entry* entry = name ? bound(*name) : nullptr;
        const bool by_tensor = entry && entry->kind == EntryKind::dimension;
        const std::optional<Use> first = by_tensor ? first_use(*name, at) : std::nullopt;
        const Tensor& tensor = *values[at].tensor();
        if (first && same_names(tensor_type(first->at), tensor_type(at)) && first->at != at) {
            shapes_error(context, function.name(), *values[first->at].tensor(), tensor,
                         values[first->at].place, values[at].place, blame(context, call));
            return false;
        }
        if (first) return names_clash(*name, *first, use);
        Diagnostic diagnostic =
            diagnose<Code::shapes_do_not_line_up>(blame(context, call), tensor.type.to_string(),
                                                  type_text(context, formals[at].type))
                .text("`{}` expects {}", function.name(), type_text(context, formals[at].type))
                .caused_by(cause(formals[at]));
        label_origin(diagnostic, at, use.axis);
        report(context, std::move(diagnostic));
        return false;
    }

    void bind_name(const std::string& name, Datum value, const Tensor& tensor) const {
        scope->entries.push_back(
            {name, std::move(value), EntryKind::dimension, tensor.place, std::nullopt});
    }

    bool match_dim(std::size_t at, const ast::Dim& dim, std::size_t axis,
                   const Tensor& tensor) const {
        if (std::holds_alternative<ast::AnyDim>(dim.kind)) return true;
        const std::string* name = name_of_dim(dim);
        const Dim& found = tensor.type.shape[axis];
        Entry* entry = name ? bound(*name) : nullptr;
        if (name && !entry) {
            bind_name(*name, integer_datum(found, tensor.origins[axis]), tensor);
            return true;
        }
        const Datum wanted =
            entry ? entry->value : evaluate(context, *std::get<ast::ExprPtr>(dim.kind), scope);
        if (wanted.failed()) return false;
        if (!wanted.is_integer()) {
            report_no_size(context, wanted, dim.span);
            return false;
        }
        if (dim_of(wanted) == found) return true;
        return mismatch(at, dim, {at, axis});
    }

    bool match_pack(std::size_t at, const ast::Dim& dim, std::size_t axis, std::size_t count,
                    const Tensor& tensor) const {
        const std::string& name = pack_of(dim)->name.text;
        Items items;
        for (std::size_t i = axis; i < axis + count; ++i) {
            items.push_back(integer_datum(tensor.type.shape[i], tensor.origins[i]));
        }
        Entry* entry = bound(name);
        Datum list = make_list(std::move(items), tensor.place);
        if (!entry) {
            bind_name(name, std::move(list), tensor);
            return true;
        }
        if (same_static(entry->value, list, [](std::size_t) { return true; }) == true) return true;
        return mismatch(at, dim, {at, axis, count});
    }

    bool match_tensor(std::size_t at, const ast::TensorType& type, const Tensor& tensor) const {
        const std::size_t formal_rank = type.dims.size();
        const std::size_t rank = tensor.type.rank();
        std::size_t pack = formal_rank;
        for (std::size_t i = 0; i < formal_rank; ++i) {
            if (pack_of(type.dims[i])) pack = i;
        }
        const bool dtype_fits =
            type.dtype == ast::Dtype::any || resolve(context, type.dtype) == tensor.type.dtype;
        if (!dtype_fits) return wrong_dtype(at, type, tensor);
        if (pack == formal_rank ? rank != formal_rank : rank + 1 < formal_rank) {
            return wrong_rank(at, type, tensor);
        }
        const std::size_t taken = pack == formal_rank ? 0 : rank + 1 - formal_rank;
        std::size_t axis = 0;
        for (std::size_t i = 0; i < formal_rank; ++i) {
            if (i == pack) {
                if (!match_pack(at, type.dims[i], axis, taken, tensor)) return false;
                axis += taken;
                continue;
            }
            if (!match_dim(at, type.dims[i], axis, tensor)) return false;
            ++axis;
        }
        return true;
    }
};

}  // namespace

bool match_inputs(Context& context, const FunctionValue& function,
                  const std::vector<ast::Formal>& formals, std::vector<Datum>& values, Span call,
                  const ScopePointer& scope) {
    const Matching matching{context, function, formals, values, call, scope};
    for (std::size_t i = 0; i < formals.size(); ++i) {
        const ast::Formal& formal = formals[i];
        Datum& value = values[i];
        if (value.failed()) return false;
        if (const auto* type = std::get_if<ast::TensorType>(&formal.type.kind)) {
            if (FunctionValue* layer = value.function()) {
                const Span place = blame(context, value.place.known() ? value.place : call);
                report(context, diagnose<Code::layer_instead_of_tensor>(
                                    place, fmt::format("the argument `{}` of `{}`",
                                                       formal.name.text, function.name()))
                                    .text("a {}, nothing has flowed through it",
                                          layer->is_layer() ? "layer" : "function"));
                return false;
            }
            if (!value.tensor()) {
                value = as_tensor(context, value, resolve(context, type->dtype), call);
                if (value.failed()) return false;
            }
            if (!matching.match_tensor(i, *type, *value.tensor())) return false;
        } else if (const auto* kind = std::get_if<ast::StaticType>(&formal.type.kind)) {
            std::optional<Datum> adapted = adapt_static(context, value, kind->kind);
            if (!adapted) {
                report(context,
                       diagnose<Code::wrong_static_type>(
                           blame(context, value.place),
                           fmt::format("argument `{}` of `{}`", formal.name.text, function.name()),
                           wanted_text(kind->kind))
                           .text("this is {}", describe_kind(value)));
                return false;
            }
            value = std::move(*adapted);
        }
        scope->entries.push_back(
            {formal.name.text, value, EntryKind::formal, formal.name.span, std::nullopt});
    }
    return true;
}

std::optional<Shape> evaluate_shape(Context& context, const ast::TensorType& type,
                                    const ScopePointer& scope) {
    Shape shape;
    for (const ast::Dim& dim : type.dims) {
        if (const ast::PackDim* pack = pack_of(dim)) {
            const Datum value = lookup(context, pack->name.text, pack->name.span, scope);
            if (value.failed()) return std::nullopt;
            const Items* items = value.items();
            if (!items) {
                report(context, diagnose<Code::wrong_static_type>(blame(context, dim.span),
                                                                  "`*" + pack->name.text + "`",
                                                                  "a list of sizes"));
                return std::nullopt;
            }
            for (const Datum& item : *items) {
                if (!item.is_integer()) return std::nullopt;
                shape.push_back(dim_of(item));
            }
            continue;
        }
        const auto* expression = std::get_if<ast::ExprPtr>(&dim.kind);
        if (!expression) {
            report(context, diagnose<Code::wrong_static_type>(blame(context, dim.span),
                                                              "this dimension", "a number")
                                .text("`_` stands only in the inputs of a layer"));
            return std::nullopt;
        }
        const Datum value = evaluate(context, **expression, scope);
        if (value.failed()) return std::nullopt;
        if (!value.is_integer()) {
            report_no_size(context, value, dim.span);
            return std::nullopt;
        }
        shape.push_back(dim_of(value));
    }
    return shape;
}

bool check_dimensions(Context& context, const Shape& shape, Span place, std::string_view what) {
    for (const Dim& dim : shape) {
        if (!dim.is_static() || dim.value() >= 1) continue;
        report(context, diagnose<Code::dimension_below_one>(
                            place, fmt::format("{} has a dimension of {}", what, dim.value())));
        return false;
    }
    return check_elements(context, shape, place, what);
}

}  // namespace netc::frontend
