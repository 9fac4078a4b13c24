#include "frontend/train_inputs.h"

#include <algorithm>

#include <fmt/format.h>

#include "frontend/elaborate_variables.h"

namespace netc::frontend {

namespace {

Datum renamed(const Datum& value, const Tensor& like) {
    auto tensor = std::make_shared<Tensor>(*value.tensor());
    tensor->role = like.role;
    tensor->name = like.name;
    tensor->place = like.place;
    tensor->origins = like.origins;
    return {TensorPointer(std::move(tensor)), like.place};
}

}  // namespace

bool samples_lie_first(Building& building, const std::vector<Input>& inputs,
                       const TrainSection& section) {
    if (!section.data) return true;
    const Dim batch = Dim::symbol(kBatchSymbol);
    for (const Input& input : inputs) {
        const Shape& shape = input.type.shape;
        const auto varies = [](const Dim& dim) { return !dim.is_static(); };
        if (std::ranges::none_of(shape, varies)) continue;
        if (shape[0] == batch && std::count_if(shape.begin() + 1, shape.end(), varies) == 0)
            continue;
        report(building.context,
               diagnose<Code::not_supported_yet>(input.span,
                                                 fmt::format("data for {}", input.type.to_string()))
                   .text("the first dimension must be the batch, and no other depend on it"));
        return false;
    }
    return true;
}

Datum normalized(Building& building, const Datum& raw) {
    Context& context = building.context;
    const Tensor& input = *raw.tensor();
    Datum value = raw;
    const auto step = [&](std::string_view suffix, ast::BinaryOperator op) {
        const auto found = context.variables.find(fmt::format("{}.{}", input.name, suffix));
        if (found == context.variables.end() || value.failed()) return;
        const Datum number = variable_tensor(context, found->second, suffix, input.place);
        value = binary(context, op, value, number, input.place, input.place);
    };
    step("scale", ast::BinaryOperator::multiply);
    step("offset", ast::BinaryOperator::add);
    step("mean", ast::BinaryOperator::subtract);
    step("deviation", ast::BinaryOperator::divide);
    return value.failed() ? value : renamed(value, input);
}

bool open_targets(Building& building, const SectionItems& items, const std::vector<Input>& inputs,
                  TrainSection& section) {
    Context& context = building.context;
    for (const ast::Target* target : items.targets) {
        const auto* type = std::get_if<ast::TensorType>(&target->type.kind);
        if (!type || type->dtype == ast::Dtype::any) {
            report(context,
                   diagnose<Code::wrong_static_type>(
                       target->type.span, fmt::format("the target `{}`", target->name.text),
                       "a tensor such as `i32[B]`"));
            return false;
        }
        const std::optional<Shape> shape = evaluate_shape(context, *type, building.scope);
        if (!shape) return false;
        const std::string what = fmt::format("the target `{}`", target->name.text);
        if (!check_dimensions(context, *shape, target->type.span, what)) return false;
        const Shape& sample = inputs[0].type.shape;
        const bool batch = !shape->empty() && !sample.empty() && (*shape)[0] == sample[0];
        if (!batch) {
            report(context,
                   diagnose<Code::shapes_do_not_line_up>(
                       target->type.span, Type{resolve(context, type->dtype), *shape}.to_string(),
                       inputs[0].type.to_string())
                       .text("the first dimension is the batch")
                       .label(inputs[0].span, "the batch of the model is here"));
            return false;
        }
        const auto index = static_cast<std::uint32_t>(building.function.inputs.size());
        building.function.inputs.push_back(
            {target->name.text, {resolve(context, type->dtype), *shape}, target->name.span, ""});
        building.scope->entries.push_back({target->name.text,
                                           input_tensor(building, index, Role::target),
                                           EntryKind::input, target->name.span, std::nullopt});
    }
    const auto first =
        building.function.inputs.begin() + static_cast<std::ptrdiff_t>(inputs.size());
    section.targets.assign(first, building.function.inputs.end());
    return true;
}

bool augment(Building& building, const SectionItems& items, const std::vector<Input>& inputs) {
    Context& context = building.context;
    for (const ast::Augment* item : items.augments) {
        Entry* entry = building.scope->find(item->name.text);
        const bool input = std::any_of(inputs.begin(), inputs.end(), [&](const Input& known) {
            return known.name == item->name.text;
        });
        if (!entry || !input) {
            report(context,
                   diagnose<Code::unknown_name>(item->name.span, "input", item->name.text));
            return false;
        }
        context.setting = "augment";
        const Datum value = evaluate(context, item->value, building.scope);
        context.setting = {};
        if (value.failed()) return false;
        const Tensor* tensor = value.tensor();
        const Tensor& before = *entry->value.tensor();
        if (!tensor || !(tensor->type == before.type)) {
            report(context, diagnose<Code::augment_changes_type>(item->value.span, item->name.text,
                                                                 tensor ? tensor->type.to_string()
                                                                        : describe_kind(value),
                                                                 before.type.to_string())
                                .label(before.place, "`{}` is declared here", before.name));
            return false;
        }
        entry->value = renamed(value, before);
    }
    return true;
}

}  // namespace netc::frontend
