// Data sources of a train section: what is read from where, as plain data for the runtime.
#include <algorithm>

#include <fmt/format.h>

#include "frontend/train_function.h"
#include "frontend/train_settings.h"

namespace netc::frontend {

namespace {

struct SelectorReader {
    SettingReader& reader;

    std::optional<FieldSelector> wrong(Span place) const {
        reader.error(diagnose<Code::wrong_static_type>(
            place, "what a field is read from",
            "a selector such as `col(0)`, `cols(0..4)` or `equals(col(1), \"M\")`"));
        return std::nullopt;
    }

    // 3, "age", 0..4
    bool add_column(const ast::Expr& expression, FieldSelector& selector) const {
        const Datum value = reader.value(expression);
        if (value.failed()) return false;
        if (const auto* number = value.as<std::int64_t>()) {
            selector.columns.emplace_back(*number);
            return true;
        }
        if (const auto* name = value.as<std::string>()) {
            selector.columns.emplace_back(*name);
            return true;
        }
        const auto* range = std::get_if<ast::Binary>(&expression.kind);
        const Items* items = value.items();
        if (range && range->op == ast::BinaryOperator::range && items && !items->empty()) {
            const std::int64_t begin = *items->front().as<std::int64_t>();
            selector.columns.emplace_back(
                ColumnRange{begin, begin + static_cast<std::int64_t>(items->size())});
            return true;
        }
        return wrong(expression.span).has_value();
    }

    bool add_part(const ast::Expr& expression, FieldSelector& selector) const {
        std::optional<FieldSelector> part = read(expression);
        if (!part) return false;
        selector.parts.push_back(std::move(*part));
        return true;
    }

    std::optional<FieldSelector> read(const ast::Expr& expression) const {
        FieldSelector selector;
        selector.span = expression.span;
        if (const auto* node = std::get_if<ast::Binary>(&expression.kind)) {
            if (node->op != ast::BinaryOperator::concat) return wrong(expression.span);
            selector.kind = SelectorKind::concat;
            if (!add_part(*node->left, selector) || !add_part(*node->right, selector)) {
                return std::nullopt;
            }
            return selector;
        }
        const std::optional<SettingCall> call = setting_call(reader, expression);
        if (!call) return wrong(expression.span);
        const std::vector<ast::Argument>& arguments = *call->arguments;
        const auto count = [&](std::size_t wanted) {
            if (arguments.size() == wanted) return true;
            reader.error(diagnose<Code::too_many_arguments>(
                call->place, call->name,
                wanted == 1 ? "one argument" : fmt::format("{} arguments", wanted),
                arguments.size()));
            return false;
        };
        if (call->name == "col" || call->name == "cols") {
            if (call->name == "col" && !count(1)) return std::nullopt;
            if (arguments.empty()) return wrong(expression.span);
            for (const ast::Argument& argument : arguments) {
                if (!add_column(argument.value, selector)) return std::nullopt;
            }
            return selector;
        }
        if (!known_word(reader, *call, "data",
                        {"col", "cols", "category", "one_hot", "equals", "standardize"})) {
            return std::nullopt;
        }
        if (!count(call->name == "equals" ? 2 : 1)) return std::nullopt;
        if (!add_part(arguments[0].value, selector)) return std::nullopt;
        if (call->name == "category") selector.kind = SelectorKind::category;
        if (call->name == "one_hot") selector.kind = SelectorKind::one_hot;
        if (call->name == "standardize") selector.kind = SelectorKind::standardize;
        if (call->name == "equals") {
            selector.kind = SelectorKind::equals;
            const Datum value = reader.value(arguments[1].value);
            if (value.failed()) return std::nullopt;
            selector.text = describe_value(value);
        }
        return selector;
    }
};

// A nested list, row-major; false where it is ragged or holds something else.
bool flatten(const Datum& value, std::size_t depth, InlineValues& result, bool& first) {
    const Items* items = value.items();
    if (!items) {
        const bool good = value.is_number() && !value.is<Dim>() && depth == result.shape.size();
        if (!good) return false;
        first = false;
        result.integers = result.integers && value.is<std::int64_t>();
        result.values.push_back(number_of(value));
        return true;
    }
    const auto size = static_cast<std::int64_t>(items->size());
    if (first && depth == result.shape.size()) result.shape.push_back(size);
    if (depth >= result.shape.size() || result.shape[depth] != size || size == 0) return false;
    return std::all_of(items->begin(), items->end(),
                       [&](const Datum& item) { return flatten(item, depth + 1, result, first); });
}

void read_inline(SettingReader& reader, const ast::Expr& expression, SourceField& field) {
    const Datum value = reader.value(expression);
    if (value.failed()) return;
    bool first = true;
    if (value.items() && flatten(value, 0, field.values, first)) return;
    reader.error(diagnose<Code::wrong_static_type>(
                     expression.span, fmt::format("the values of `{}`", field.name),
                     "a nested list of numbers whose rows are equally long")
                     .text("this is {}", describe_kind(value)));
}

struct Word {
    std::string_view name;
    SourceKind kind;
};
constexpr Word kGenerators[] = {{"xor", SourceKind::xor_gate},     {"circles", SourceKind::circles},
                                {"gauss", SourceKind::gauss},      {"spiral", SourceKind::spiral},
                                {"moons", SourceKind::moons},      {"digits", SourceKind::digits},
                                {"function", SourceKind::function}};

bool waits(std::string_view name) {
    return name == "npz" || name == "images" || name == "image_folder" || name == "text" ||
           name == "series" || name == "cifar" || name == "bin";
}

struct SourceReader {
    SettingReader& reader;
    const SettingCall& call;
    DataSource source = {};

    std::vector<std::string_view> names() const {
        std::vector<std::string_view> result;
        if (call.name == "csv") result = {"path", "header", "skip", "delimiter", "missing"};
        if (is_generator()) result = {"n", "noise", "seed"};
        if (call.name == "function") result = {"f", "over", "n", "noise", "seed"};
        for (const std::string_view common :
             {"scale", "offset", "standardize", "limit", "shuffle"}) {
            result.push_back(common);
        }
        const bool seeded = std::find(result.begin(), result.end(), "seed") != result.end();
        if (!seeded) result.push_back("seed");
        return result;
    }
    bool is_generator() const {
        return std::any_of(std::begin(kGenerators), std::end(kGenerators),
                           [&](const Word& word) { return word.name == call.name; });
    }

    void common(const SettingArguments& arguments) {
        source.scale = arguments.number("scale");
        source.offset = arguments.number("offset");
        source.standardize = arguments.boolean("standardize").value_or(false);
        source.limit = arguments.integer("limit");
        source.shuffle = arguments.boolean("shuffle").value_or(false);
        source.seed = static_cast<std::uint64_t>(arguments.integer("seed").value_or(0));
        if (source.limit && *source.limit < 1) {
            reader.out_of_range(arguments.find("limit")->span, "limit", "at least 1");
        }
        if (source.scale && *source.scale == 0) {
            reader.out_of_range(arguments.find("scale")->span, "scale", "other than 0");
        }
    }

    void table(const SettingArguments& arguments) {
        source.kind = SourceKind::csv;
        source.path = arguments.text("path").value_or("");
        if (!arguments.find("path")) {
            reader.error(diagnose<Code::missing_argument>(call.place, "csv", "a file name"));
        }
        source.skip = arguments.integer("skip").value_or(0);
        if (source.skip < 0) {
            reader.out_of_range(arguments.find("skip")->span, "skip", "at least 0");
        }
        if (const ast::Expr* header = arguments.find("header"); header && !is_auto(header)) {
            const bool present = reader.boolean(*header, "header").value_or(true);
            source.header = present ? HeaderPolicy::present : HeaderPolicy::absent;
        }
        if (const ast::Expr* delimiter = arguments.find("delimiter");
            delimiter && !is_auto(delimiter)) {
            const std::string text = reader.text(*delimiter, "delimiter").value_or(",");
            if (text.size() != 1)
                reader.out_of_range(delimiter->span, "delimiter", "one character");
            if (!text.empty()) source.delimiter = text[0];
        }
        if (const ast::Expr* missing = arguments.find("missing")) missing_policy(*missing);
    }
    static bool is_auto(const ast::Expr* expression) {
        const auto* name = std::get_if<ast::NameRef>(&expression->kind);
        return name && name->name == "auto";
    }
    void missing_policy(const ast::Expr& expression) {
        const std::optional<SettingCall> policy = setting_call(reader, expression);
        if (!policy) {
            reader.out_of_range(expression.span, "missing", "error, drop, mean or value(v)");
            return;
        }
        if (!known_word(reader, *policy, "missing", {"error", "drop", "mean", "value"})) return;
        if (policy->name == "drop") source.missing = MissingPolicy::drop;
        if (policy->name == "mean") source.missing = MissingPolicy::mean;
        if (policy->name == "value") {
            source.missing = MissingPolicy::value;
            const SettingArguments arguments(reader, *policy, {"v"}, 1);
            source.missing_value = arguments.number("v").value_or(0);
        }
    }

    void generator(const SettingArguments& arguments) {
        for (const Word& word : kGenerators) {
            if (word.name == call.name) source.kind = word.kind;
        }
        source.count = arguments.integer("n").value_or(source.count);
        source.noise = arguments.number("noise");
        if (source.count < 1) reader.out_of_range(call.place, "n", "at least 1");
        if (source.noise && *source.noise < 0) {
            reader.out_of_range(arguments.find("noise")->span, "noise", "at least 0");
        }
        if (source.kind == SourceKind::function) {
            read_function(reader, call.place, arguments.find("f"), arguments.find("over"), source);
        }
    }

    void field(const ast::Argument& argument) {
        SourceField field;
        field.name = argument.name->text;
        field.span = argument.span;
        switch (source.kind) {
            case SourceKind::inline_values: read_inline(reader, argument.value, field); break;
            case SourceKind::csv:
                if (auto selector = SelectorReader{reader}.read(argument.value)) {
                    field.selector = std::move(*selector);
                }
                break;
            case SourceKind::idx:
            case SourceKind::npy:
                field.path = reader.text(argument.value, field.name).value_or("");
                break;
            case SourceKind::xor_gate:
            case SourceKind::circles:
            case SourceKind::gauss:
            case SourceKind::spiral:
            case SourceKind::moons:
            case SourceKind::digits:
            case SourceKind::function:
            case SourceKind::npz:
            case SourceKind::images:
            case SourceKind::text:
            case SourceKind::series:
            case SourceKind::cifar:
                reader.error(
                    diagnose<Code::unknown_argument>(argument.name->span, call.name, field.name)
                        .note("it fills `x` and `y`"));
                break;
        }
        source.fields.push_back(std::move(field));
    }
};

}  // namespace

std::optional<DataSource> read_source(SettingReader& reader, const ast::Expr& expression) {
    const std::optional<SettingCall> call = setting_call(reader, expression);
    if (!call) {
        reader.error(diagnose<Code::wrong_static_type>(expression.span, "a data source",
                                                       "a call such as `csv(\"f\", x = col(0))`"));
        return std::nullopt;
    }
    if (waits(call->name)) {
        reader.waits(call->place, fmt::format("the data source `{}`", call->name));
        return std::nullopt;
    }
    if (!known_word(reader, *call, "data",
                    {"inline", "csv", "idx", "npy", "xor", "circles", "gauss", "spiral", "moons",
                     "digits", "function"})) {
        return std::nullopt;
    }
    SourceReader source{reader, *call};
    source.source.span = call->place;
    const std::vector<std::string_view> names = source.names();
    const std::size_t positional = call->name == "csv"        ? 1
                                   : call->name == "function" ? 1
                                   : source.is_generator()    ? 1
                                                              : 0;
    const SettingArguments arguments(reader, *call, names, positional, true);
    source.common(arguments);
    if (call->name == "csv") {
        source.table(arguments);
    } else if (call->name == "idx") {
        source.source.kind = SourceKind::idx;
    } else if (call->name == "npy") {
        source.source.kind = SourceKind::npy;
    } else if (source.is_generator()) {
        source.generator(arguments);
    }
    for (const ast::Argument* argument : arguments.fields) source.field(*argument);
    return std::move(source.source);
}

}  // namespace netc::frontend
