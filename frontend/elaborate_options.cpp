// What the command line sets: --set of options, --dim of dimensions.
#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "frontend/elaborate.h"
#include "frontend/suggest.h"

namespace netc::frontend {

namespace {

Error usage(std::string message, std::string help = {}) {
    return {kExitUsage, std::move(message), {}, std::move(help)};
}

std::optional<Datum> parse_setting(const ast::Option& option, const std::string& text) {
    const auto* type = std::get_if<ast::StaticType>(&option.type.kind);
    if (!type) return std::nullopt;
    std::string digits = text;
    std::erase(digits, '_');
    const char* const begin = digits.data();
    const char* const end = begin + digits.size();
    switch (type->kind) {
        case ast::StaticKind::integer: {
            std::int64_t number = 0;
            const auto [at, code] = std::from_chars(begin, end, number);
            if (code != std::errc() || at != end) return std::nullopt;
            return Datum{number, option.name.span};
        }
        case ast::StaticKind::floating: {
            double number = 0;
            const auto [at, code] = std::from_chars(begin, end, number);
            if (code != std::errc() || at != end) return std::nullopt;
            return Datum{number, option.name.span};
        }
        case ast::StaticKind::boolean:
            if (text != "true" && text != "false") return std::nullopt;
            return Datum{text == "true", option.name.span};
        case ast::StaticKind::string: return Datum{text, option.name.span};
        case ast::StaticKind::list:
        case ast::StaticKind::fn:
        case ast::StaticKind::layer:
        case ast::StaticKind::init:
        case ast::StaticKind::dtype: break;
    }
    return std::nullopt;
}

}  // namespace

Status apply_settings(Session& session) {
    for (const auto& [name, text] : session.options.settings) {
        const auto found = session.main->names.find(name);
        if (found == session.main->names.end() || found->second->kind != GlobalKind::option) {
            std::vector<std::string> names;
            for (const auto& [known, global] : session.main->names) {
                if (global->kind == GlobalKind::option) names.push_back(known);
            }
            std::string help = names.empty()
                                   ? "the file declares no option"
                                   : "its options are " + fmt::format("{}", fmt::join(names, ", "));
            if (const auto meant = suggest(name, names)) help = "did you mean `" + *meant + "`?";
            return usage(fmt::format("--set {}={}: the file has no option `{}`", name, text, name),
                         std::move(help));
        }
        Global& global = *found->second;
        std::optional<Datum> value = parse_setting(*global.option, text);
        if (!value) {
            std::string wanted = "another type";
            if (const auto* type = std::get_if<ast::StaticType>(&global.option->type.kind)) {
                wanted = wanted_text(type->kind);
            }
            return usage(
                fmt::format("--set {}={}: the option `{}` is {}", name, text, name, wanted));
        }
        global.value = std::move(*value);
        global.progress = Progress::done;
    }
    return {};
}

Status check_dims(const Session& session) {
    for (const auto& [name, value] : session.options.dims) {
        const auto& used = session.used_dims;
        if (std::find(used.begin(), used.end(), name) == used.end()) {
            return usage(
                fmt::format("--dim {}={}: no model has a dimension `{}`", name, value, name));
        }
        if (value < 1) {
            return usage(fmt::format("--dim {}={}: a dimension is at least 1", name, value));
        }
    }
    return {};
}

}  // namespace netc::frontend
