#include "frontend/train_files.h"

#include <algorithm>

#include <fmt/format.h>

#include "frontend/train_selectors.h"

namespace netc::frontend {

namespace {

// An int, or a list of two.
std::optional<std::pair<std::int64_t, std::int64_t>>
size_of(SettingReader& reader, const SettingArguments& arguments, std::string_view call) {
    const ast::Expr* expression = arguments.find("size");
    if (!expression) {
        reader.error(diagnose<Code::missing_argument>(arguments.place(), call, "a size")
                         .help("for example `{}(224)`", call));
        return std::nullopt;
    }
    const Datum value = reader.value(*expression);
    if (value.failed()) return std::nullopt;
    std::vector<std::int64_t> sides;
    if (const auto* one = value.as<std::int64_t>()) sides = {*one};
    if (const Items* items = value.items()) {
        for (const Datum& item : *items)
            sides.push_back(item.as<std::int64_t>() ? *item.as<std::int64_t>() : 0);
    }
    const bool good = !sides.empty() && sides.size() <= 2 &&
                      std::all_of(sides.begin(), sides.end(),
                                  [](std::int64_t side) { return side >= 1 && side <= 100'000; });
    if (!good) {
        reader.out_of_range(expression->span, "size",
                            "a number of pixels from 1 to 100000, or [height, width]");
        return std::nullopt;
    }
    return std::pair{sides.front(), sides.size() == 2 ? sides.back() : 0};
}

bool read_step(SettingReader& reader, const ast::Expr& expression, std::vector<ImageStep>& steps) {
    const std::optional<SettingCall> call = setting_call(reader, expression);
    if (!call) {
        reader.error(diagnose<Code::wrong_static_type>(
            expression.span, "an image", "such as `image()` or `resize(256) >> random_crop(224)`"));
        return false;
    }
    if (!known_word(reader, *call, "images",
                    {"image", "resize", "center_crop", "random_crop", "random_flip", "folder"})) {
        return false;
    }
    ImageStep step;
    if (call->name == "image") {
        const SettingArguments none(reader, *call, {}, 0);
        return !reader.failed;
    }
    if (call->name == "random_flip") {
        const SettingArguments arguments(reader, *call, {"p"}, 1);
        step.kind = ImageStepKind::random_flip;
        step.probability = arguments.number("p").value_or(0.5);
        if (!(step.probability >= 0 && step.probability <= 1)) {
            reader.out_of_range(call->place, "p", "from 0 to 1");
        }
        steps.push_back(step);
        return true;
    }
    const bool random = call->name == "random_crop";
    const SettingArguments arguments = random ? SettingArguments(reader, *call, {"size", "pad"}, 1)
                                              : SettingArguments(reader, *call, {"size"}, 1);
    const auto size = size_of(reader, arguments, call->name);
    if (!size) return false;
    step.height = size->first;
    step.width = size->second;
    if (call->name != "resize") {
        step.kind = random ? ImageStepKind::random_crop : ImageStepKind::center_crop;
        if (step.width == 0) step.width = step.height;
    }
    if (random) step.pad = arguments.integer("pad").value_or(0);
    if (step.pad < 0 || step.pad > 100'000) {
        reader.out_of_range(call->place, "pad", "at least 0");
    }
    steps.push_back(step);
    return true;
}

// resize(256) >> random_crop(224) >> random_flip()
bool read_steps(SettingReader& reader, const ast::Expr& expression, std::vector<ImageStep>& steps) {
    const auto* chain = std::get_if<ast::Compose>(&expression.kind);
    if (!chain) return read_step(reader, expression, steps);
    if (!read_steps(reader, *chain->first, steps)) return false;
    return std::all_of(chain->stages.begin(), chain->stages.end(), [&](const ast::Stage& stage) {
        return read_step(reader, stage.value, steps);
    });
}

struct PartWord {
    SourceKind source;
    std::string_view name;
    FieldPart part;
};
constexpr PartWord kParts[] = {{SourceKind::text, "this", FieldPart::current},
                               {SourceKind::text, "following", FieldPart::following},
                               {SourceKind::images, "folder", FieldPart::folder},
                               {SourceKind::series, "folder", FieldPart::folder},
                               {SourceKind::series, "following", FieldPart::following},
                               {SourceKind::cifar, "image", FieldPart::image},
                               {SourceKind::cifar, "label", FieldPart::label}};

}  // namespace

void read_part(SettingReader& reader, SourceKind source, const ast::Expr& expression,
               SourceField& field) {
    if (const std::optional<SettingCall> call = setting_call(reader, expression)) {
        for (const PartWord& word : kParts) {
            if (word.source != source || word.name != call->name) continue;
            field.part = word.part;
            const bool counted = source == SourceKind::series && word.part == FieldPart::following;
            const SettingArguments arguments = counted ? SettingArguments(reader, *call, {"n"}, 1)
                                                       : SettingArguments(reader, *call, {}, 0);
            if (counted) field.ahead = arguments.integer("n").value_or(1);
            if (field.ahead < 1 || field.ahead > 1'000'000'000) {
                reader.out_of_range(call->place, "n", "at least 1");
            }
            return;
        }
    }
    if (source == SourceKind::images) {
        field.part = FieldPart::image;
        read_steps(reader, expression, field.steps);
        return;
    }
    if (source == SourceKind::series) {
        const std::optional<FieldSelector> selector = read_selector(reader, expression);
        if (!selector) return;
        field.selector = *selector;
        if (only_numbers(*selector)) return;
        reader.error(diagnose<Code::wrong_static_type>(expression.span, "a channel of a series",
                                                       "a column of numbers: `col` or `cols`"));
        return;
    }
    const bool text = source == SourceKind::text;
    reader.error(diagnose<Code::wrong_static_type>(
        expression.span, text ? "a field of a text" : "a field of CIFAR-10",
        text ? "`this()` or `following()`" : "`image()` or `label()`"));
}

bool only_numbers(const FieldSelector& selector) {
    switch (selector.kind) {
        case SelectorKind::columns: return true;
        case SelectorKind::standardize:
        case SelectorKind::concat:
            return std::all_of(selector.parts.begin(), selector.parts.end(), only_numbers);
        case SelectorKind::category:
        case SelectorKind::one_hot:
        case SelectorKind::equals: return false;
    }
    return false;
}

void add_default_fields(DataSource& source) {
    const bool text = source.kind == SourceKind::text;
    if ((!text && source.kind != SourceKind::cifar) || !source.fields.empty()) return;
    SourceField x, y;
    x.name = "x";
    y.name = "y";
    x.span = y.span = source.span;
    x.part = text ? FieldPart::current : FieldPart::image;
    y.part = text ? FieldPart::following : FieldPart::label;
    source.fields = {x, y};
}

void read_windows(SettingReader& reader, const SettingCall& call, const SettingArguments& arguments,
                  std::string_view size, DataSource& source) {
    const auto given = arguments.integer(size);
    if (!arguments.find(size)) {
        reader.error(diagnose<Code::missing_argument>(call.place, call.name,
                                                      fmt::format("the argument `{}`", size)));
    }
    source.window = given.value_or(1);
    source.stride = arguments.integer("stride").value_or(source.window);
    constexpr std::int64_t kLargest = 1'000'000'000;
    if (source.window < 1 || source.window > kLargest) {
        reader.out_of_range(arguments.find(size)->span, size, "from 1 to 1000000000");
    } else if (source.stride < 1 || source.stride > kLargest) {
        reader.out_of_range(arguments.find("stride")->span, "stride", "from 1 to 1000000000");
    }
}

void read_paths(SettingReader& reader, const SettingCall& call, const SettingArguments& arguments,
                DataSource& source) {
    const ast::Expr* expression = arguments.find("path");
    if (!expression) {
        reader.error(diagnose<Code::missing_argument>(call.place, call.name, "a file name"));
        return;
    }
    const Datum value = reader.value(*expression);
    if (value.failed()) return;
    const Items* items = value.items();
    std::vector<std::string> paths;
    if (const auto* one = value.as<std::string>()) paths = {*one};
    for (std::size_t i = 0; items && i < items->size(); ++i) {
        const auto* path = (*items)[i].as<std::string>();
        if (!path) break;
        paths.push_back(*path);
    }
    if (paths.empty() || (items && paths.size() != items->size())) {
        reader.error(diagnose<Code::wrong_static_type>(expression->span, "`path`",
                                                       "a file name, or a list of them"));
        return;
    }
    source.path = paths.front();
    source.paths.assign(paths.begin() + 1, paths.end());
}

void read_on_error(SettingReader& reader, const SettingArguments& arguments, DataSource& source) {
    const ast::Expr* expression = arguments.find("on_error");
    if (!expression) return;
    const auto* name = std::get_if<ast::NameRef>(&expression->kind);
    source.skip_unreadable = name && name->name == "skip";
    if (name && (name->name == "skip" || name->name == "error")) return;
    reader.out_of_range(expression->span, "on_error", "error or skip");
}

bool token_argument(const std::vector<ast::Argument>& arguments) {
    return std::any_of(arguments.begin(), arguments.end(), [](const ast::Argument& argument) {
        const auto* name = std::get_if<ast::NameRef>(&argument.value.kind);
        return argument.name && argument.name->text == "tokens" && name &&
               (name->name == "char" || name->name == "byte");
    });
}

}  // namespace netc::frontend
