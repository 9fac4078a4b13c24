// Static values of settings, and their arguments by name.
#include "frontend/train_settings.h"

#include <algorithm>

#include <fmt/format.h>

#include "frontend/suggest.h"

namespace netc::frontend {

SettingReader::SettingReader(Session& of) : session(of), context(of) {
    frame.file = of.main;
    context.frame = &frame;
}

void SettingReader::error(Diagnostic diagnostic) {
    failed = true;
    session.diagnostics.add(std::move(diagnostic));
}

Datum SettingReader::value(const ast::Expr& expression) {
    Datum result = evaluate(context, expression, scope);
    if (result.failed()) failed = true;
    return result;
}

std::optional<double> SettingReader::number(const ast::Expr& expression, std::string_view what) {
    const Datum result = value(expression);
    if (result.failed()) return std::nullopt;
    if (result.is_number() && !result.is<Dim>()) return number_of(result);
    error(diagnose<Code::wrong_static_type>(expression.span, fmt::format("`{}`", what), "a number")
              .text("this is {}", describe_kind(result)));
    return std::nullopt;
}

std::optional<std::int64_t> SettingReader::integer(const ast::Expr& expression,
                                                   std::string_view what) {
    const Datum result = value(expression);
    if (result.failed()) return std::nullopt;
    if (const auto* integer = result.as<std::int64_t>()) return *integer;
    error(diagnose<Code::wrong_static_type>(expression.span, fmt::format("`{}`", what), "an int")
              .text("this is {}", describe_kind(result)));
    return std::nullopt;
}

std::optional<bool> SettingReader::boolean(const ast::Expr& expression, std::string_view what) {
    const Datum result = value(expression);
    if (result.failed()) return std::nullopt;
    if (const bool* truth = result.as<bool>()) return *truth;
    error(diagnose<Code::wrong_static_type>(expression.span, fmt::format("`{}`", what), "a bool")
              .text("this is {}", describe_kind(result)));
    return std::nullopt;
}

std::optional<std::string> SettingReader::text(const ast::Expr& expression, std::string_view what) {
    const Datum result = value(expression);
    if (result.failed()) return std::nullopt;
    if (const auto* words = result.as<std::string>()) return *words;
    error(diagnose<Code::wrong_static_type>(expression.span, fmt::format("`{}`", what), "a string")
              .text("this is {}", describe_kind(result)));
    return std::nullopt;
}

std::optional<Duration> SettingReader::duration(const ast::Expr& expression,
                                                std::string_view what) {
    const Datum result = value(expression);
    if (result.failed()) return std::nullopt;
    const auto* quantity = result.as<QuantityValue>();
    if (!quantity) {
        Diagnostic diagnostic =
            diagnose<Code::wrong_static_type>(expression.span, fmt::format("`{}`", what),
                                              "a duration such as `20ep` or `500st`")
                .text("this is {}", describe_kind(result));
        if (result.is_number() && !result.is<Dim>()) {
            const std::string bare = describe_value(result);
            std::move(diagnostic)
                .help("write `{}ep` for epochs or `{}st` for optimizer steps", bare, bare);
        }
        error(std::move(diagnostic));
        return std::nullopt;
    }
    switch (quantity->unit) {
        case ast::Unit::epochs: return Duration{quantity->value, DurationUnit::epochs};
        case ast::Unit::steps: return Duration{quantity->value, DurationUnit::steps};
        case ast::Unit::seconds: return Duration{quantity->value, DurationUnit::seconds};
        case ast::Unit::minutes: return Duration{quantity->value * 60, DurationUnit::seconds};
        case ast::Unit::hours: return Duration{quantity->value * 3600, DurationUnit::seconds};
    }
    return std::nullopt;
}

void SettingReader::waits(Span place, std::string_view what) {
    error(diagnose<Code::not_supported_yet>(place, what));
}

void SettingReader::out_of_range(Span place, std::string_view name, std::string_view wanted) {
    error(diagnose<Code::setting_out_of_range>(place, name, wanted));
}

const ast::Expr& resolve_condition(SettingReader& reader, const ast::Expr& expression) {
    const ast::Expr* at = &expression;
    while (const auto* choice = std::get_if<ast::IfExpr>(&at->kind)) {
        const std::optional<bool> truth =
            condition_value(reader.context, *choice->condition, "if", reader.scope);
        if (!truth) reader.failed = true;
        at = truth.value_or(true) ? choice->then_value.get() : choice->else_value.get();
    }
    return *at;
}

std::optional<SettingCall> setting_call(SettingReader& reader, const ast::Expr& expression) {
    static const std::vector<ast::Argument> none;
    const ast::Expr& resolved = resolve_condition(reader, expression);
    if (const auto* name = std::get_if<ast::NameRef>(&resolved.kind)) {
        return SettingCall{name->name, resolved.span, resolved.span, &none};
    }
    const auto* call = std::get_if<ast::Call>(&resolved.kind);
    if (!call) return std::nullopt;
    const auto* name = std::get_if<ast::NameRef>(&call->callee->kind);
    if (!name) return std::nullopt;
    return SettingCall{name->name, call->callee->span, resolved.span, &call->arguments};
}

SettingArguments::SettingArguments(SettingReader& reader, const SettingCall& call,
                                   std::vector<std::string_view> names, std::size_t positional,
                                   bool with_fields)
    : reader_(reader), call_(call) {
    for (const std::string_view name : names) values_.emplace_back(name, nullptr);
    std::size_t next = 0;
    for (const ast::Argument& argument : *call.arguments) {
        if (!argument.name) {
            if (next >= positional) {
                reader.error(diagnose<Code::too_many_arguments>(
                    argument.span, call.name,
                    positional == 0 ? "its arguments by name"
                                    : fmt::format("{} without a name", positional),
                    next + 1));
                continue;
            }
            values_[next++].second = &argument.value;
            continue;
        }
        const std::string& given = argument.name->text;
        // `tokens = this()` fills an input called tokens, whatever else the source calls so.
        if (with_fields && std::get_if<ast::Call>(&argument.value.kind) &&
            std::find(reader.fields.begin(), reader.fields.end(), given) != reader.fields.end()) {
            fields.push_back(&argument);
            continue;
        }
        const auto found = std::find_if(values_.begin(), values_.end(),
                                        [&](const auto& value) { return value.first == given; });
        if (found != values_.end()) {
            if (found->second) {
                reader.error(diagnose<Code::too_many_arguments>(argument.span, call.name,
                                                                fmt::format("one `{}`", given), 2));
            }
            found->second = &argument.value;
            continue;
        }
        if (with_fields &&
            std::find(reader.fields.begin(), reader.fields.end(), given) != reader.fields.end()) {
            fields.push_back(&argument);
            continue;
        }
        std::string list;
        std::vector<std::string> candidates;
        for (const std::string_view name : names) {
            list += fmt::format("{}{}", list.empty() ? "" : ", ", name);
            candidates.emplace_back(name);
        }
        if (with_fields) {
            for (const std::string& field : reader.fields) {
                list += (list.empty() ? "" : ", ") + field;
                candidates.push_back(field);
            }
        }
        std::string help;
        if (given == "weight_decay") {
            help = "`weight_decay` belongs to `adamw`; elsewhere write `penalty = l2(c / 2)`";
        } else if (const auto meant = suggest(given, candidates)) {
            help = fmt::format("did you mean `{}`?", *meant);
        }
        reader.error(diagnose<Code::unknown_argument>(argument.name->span, call.name, given)
                         .text("unknown argument")
                         .caused_by(fmt::format("{}.{}", call.name, given))
                         .note("{}({})", call.name, list)
                         .help_text(std::move(help)));
    }
}

const ast::Expr* SettingArguments::find(std::string_view name) const {
    for (const auto& [known, expression] : values_) {
        if (known == name) return expression;
    }
    return nullptr;
}

std::optional<double> SettingArguments::number(std::string_view name) const {
    const ast::Expr* expression = find(name);
    return expression ? reader_.number(*expression, name) : std::nullopt;
}
std::optional<std::int64_t> SettingArguments::integer(std::string_view name) const {
    const ast::Expr* expression = find(name);
    return expression ? reader_.integer(*expression, name) : std::nullopt;
}
std::optional<bool> SettingArguments::boolean(std::string_view name) const {
    const ast::Expr* expression = find(name);
    return expression ? reader_.boolean(*expression, name) : std::nullopt;
}
std::optional<std::string> SettingArguments::text(std::string_view name) const {
    const ast::Expr* expression = find(name);
    return expression ? reader_.text(*expression, name) : std::nullopt;
}
std::optional<Duration> SettingArguments::duration(std::string_view name) const {
    const ast::Expr* expression = find(name);
    return expression ? reader_.duration(*expression, name) : std::nullopt;
}

Duration SettingArguments::needed_duration(std::string_view name) const {
    if (!find(name)) {
        reader_.error(diagnose<Code::missing_argument>(call_.place, call_.name,
                                                       fmt::format("the argument `{}`", name))
                          .help("for example `{} = 20ep`", name));
        return {};
    }
    return duration(name).value_or(Duration{});
}

bool known_word(SettingReader& reader, const SettingCall& call, std::string_view setting,
                std::initializer_list<std::string_view> words) {
    if (std::find(words.begin(), words.end(), call.name) != words.end()) return true;
    const std::vector<std::string_view> candidates(words);
    const auto meant = suggest(call.name, candidates);
    std::string list;
    for (const std::string_view word : words) {
        list += fmt::format("{}{}", list.empty() ? "" : ", ", word);
    }
    reader.error(diagnose<Code::unknown_setting>(call.name_place, setting, call.name)
                     .text("unknown here")
                     .note("`{}` takes {}", setting, list)
                     .help_text(meant ? "did you mean `" + *meant + "`?" : ""));
    return false;
}

}  // namespace netc::frontend
