// Data sources of a train section: what is read from where, as plain data for the runtime.
#include <algorithm>

#include <fmt/format.h>

#include "frontend/train_files.h"
#include "frontend/train_function.h"
#include "frontend/train_selectors.h"
#include "frontend/train_settings.h"

namespace netc::frontend {

namespace {

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

struct SourceReader {
    SettingReader& reader;
    const SettingCall& call;
    DataSource source = {};

    std::vector<std::string_view> names() const {
        std::vector<std::string_view> result;
        if (call.name == "csv") result = {"path", "header", "skip", "delimiter", "missing"};
        if (call.name == "series") {
            result = {"path", "window", "stride", "header", "skip", "delimiter", "missing"};
        }
        if (call.name == "npz") result = {"path"};
        if (call.name == "cifar") result = {"path"};
        if (call.name == "images") result = {"path", "on_error"};
        if (call.name == "text") {
            result = {"path", "context", "stride"};
            if (token_argument(*call.arguments)) result.push_back("tokens");
        }
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

    void file(const SettingArguments& arguments, std::string_view what) {
        source.path = arguments.text("path").value_or("");
        if (!arguments.find("path")) {
            reader.error(diagnose<Code::missing_argument>(call.place, call.name, what));
        }
    }

    void table(const SettingArguments& arguments) {
        file(arguments, "a file name");
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
                if (auto selector = read_selector(reader, argument.value)) {
                    field.selector = std::move(*selector);
                }
                break;
            case SourceKind::npz:
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
                reader.error(
                    diagnose<Code::unknown_argument>(argument.name->span, call.name, field.name)
                        .note("it fills `x` and `y`"));
                break;
            case SourceKind::images:
            case SourceKind::text:
            case SourceKind::series:
            case SourceKind::cifar: read_part(reader, source.kind, argument.value, field); break;
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
    if (!known_word(reader, *call, "data",
                    {"inline", "csv", "idx", "npy", "npz", "cifar", "images", "text", "series",
                     "xor", "circles", "gauss", "spiral", "moons", "digits", "function"})) {
        return std::nullopt;
    }
    SourceReader source{reader, *call};
    source.source.span = call->place;
    const std::vector<std::string_view> names = source.names();
    const bool without_file = call->name == "inline" || call->name == "idx" || call->name == "npy";
    // n, noise, seed of what is made.
    const bool made = source.is_generator() && call->name != "function";
    const std::size_t positional = without_file ? 0 : made ? 3 : 1;
    const SettingArguments arguments(reader, *call, names, positional, true);
    source.common(arguments);
    if (call->name == "csv") {
        source.source.kind = SourceKind::csv;
        source.table(arguments);
    } else if (call->name == "series") {
        source.source.kind = SourceKind::series;
        source.table(arguments);
        read_windows(reader, *call, arguments, "window", source.source);
        if (source.source.missing == MissingPolicy::mean) {
            reader.out_of_range(arguments.find("missing")->span, "missing",
                                "error, drop or value(v) for a series");
        }
    } else if (call->name == "text") {
        source.source.kind = SourceKind::text;
        source.file(arguments, "a file name");
        read_windows(reader, *call, arguments, "context", source.source);
        if (const ast::Expr* tokens = arguments.find("tokens")) {
            source.source.byte_tokens = std::get_if<ast::NameRef>(&tokens->kind)->name == "byte";
        }
    } else if (call->name == "images") {
        source.source.kind = SourceKind::images;
        source.file(arguments, "a folder");
        read_on_error(reader, arguments, source.source);
    } else if (call->name == "cifar") {
        source.source.kind = SourceKind::cifar;
        read_paths(reader, *call, arguments, source.source);
    } else if (call->name == "npz") {
        source.source.kind = SourceKind::npz;
        source.file(arguments, "a file name");
    } else if (call->name == "idx") {
        source.source.kind = SourceKind::idx;
    } else if (call->name == "npy") {
        source.source.kind = SourceKind::npy;
    } else if (source.is_generator()) {
        source.generator(arguments);
    }
    for (const ast::Argument* argument : arguments.fields) source.field(*argument);
    add_default_fields(source.source);
    return std::move(source.source);
}

}  // namespace netc::frontend
