// Completion in the language server. It looks at the raw text before the place, because a text that is
// being typed has no tree there, and takes names from the last text that had one.
#include <algorithm>
#include <cctype>
#include <set>

#include <fmt/format.h>

#include "cli/lsp_features.h"
#include "cli/lsp_words.h"
#include "frontend/train_section.h"

namespace netc {
namespace {

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

std::string_view word_before(std::string_view text) {
    std::size_t begin = text.size();
    while (begin > 0 && is_word(text[begin - 1])) --begin;
    return text.substr(begin);
}

std::string_view without_space(std::string_view text) {
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0)
        text.remove_suffix(1);
    return text;
}

// What the text before the place says about it.
struct Around {
    std::string_view prefix;   // the part of a word that is there
    std::string_view module;   // `b` in `b.na`
    std::string_view callee;   // of the innermost open call
    std::string_view setting;  // `optimizer` behind `optimizer =`
    bool in_section = false;   // directly in the braces of a train section
    bool silent = false;       // in a comment or a string
};

Around look_around(std::string_view text) {
    Around around;
    // One pass for strings, comments and brackets; they cannot be read backwards.
    std::vector<std::size_t> open;
    bool string = false, comment = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '\n') {
            string = comment = false;
        } else if (comment) {
            continue;
        } else if (string) {
            if (c == '\\') ++i;
            if (c == '"') string = false;
        } else if (c == '"') {
            string = true;
        } else if (c == '#') {
            comment = true;
        } else if (c == '(' || c == '[' || c == '{') {
            open.push_back(i);
        } else if ((c == ')' || c == ']' || c == '}') && !open.empty()) {
            open.pop_back();
        }
    }
    around.silent = string || comment;
    around.prefix = word_before(text);
    std::string_view before = text.substr(0, text.size() - around.prefix.size());
    if (before.ends_with('.') && !before.ends_with("..")) {
        around.module = word_before(before.substr(0, before.size() - 1));
    }
    before = without_space(before);
    if (before.ends_with('=') && !before.ends_with("=="))
        around.setting = word_before(without_space(before.substr(0, before.size() - 1)));
    if (open.empty()) return around;
    const char bracket = text[open.back()];
    if (bracket == '(') around.callee = word_before(text.substr(0, open.back()));
    if (bracket == '{') {
        const std::size_t line = text.rfind('\n', open.back());
        std::string_view head = text.substr(line == std::string_view::npos ? 0 : line + 1);
        while (head.starts_with(' ')) head.remove_prefix(1);
        around.in_section = open.size() == 1 && head.starts_with("train ");
    }
    return around;
}

int completion_kind(NameKind kind) {
    switch (kind) {
        case NameKind::model:
        case NameKind::layer: return 7;  // class
        case NameKind::function:
        case NameKind::builtin: return 3;  // function
        case NameKind::constant:
        case NameKind::dimension: return 21;  // constant
        case NameKind::option: return 10;     // property
        case NameKind::alias:
        case NameKind::section: return 9;  // module
        case NameKind::parameter:
        case NameKind::state: return 5;  // field
        case NameKind::formal:
        case NameKind::input:
        case NameKind::output:
        case NameKind::target:
        case NameKind::metric:
        case NameKind::local: return 6;  // variable
    }
    return 6;
}

class Completion {
public:
    explicit Completion(std::string_view prefix) : prefix_(prefix) {}

    // `order`: items of a smaller one come first.
    void add(std::string_view name, int kind, int order, std::string_view detail = {},
             std::string_view doc = {}, std::string_view behind = {}) {
        if (!matches(name) || !seen_.emplace(name).second) return;
        Json item{{"label", std::string(name)},
                  {"kind", kind},
                  {"sortText", fmt::format("{}{}", order, name)}};
        if (!detail.empty()) item["detail"] = detail;
        if (!doc.empty()) item["documentation"] = {{"kind", "markdown"}, {"value", doc}};
        if (!behind.empty()) item["insertText"] = fmt::format("{}{}", name, behind);
        items_.push_back(std::move(item));
    }
    void add(const NamedThing& thing, int order, std::string_view behind = {}) {
        add(thing.name, completion_kind(thing.kind), order, thing.signature, thing.doc, behind);
    }
    Json take() { return {{"isIncomplete", false}, {"items", std::move(items_)}}; }

private:
    bool matches(std::string_view name) const {
        if (name.size() < prefix_.size()) return false;
        return std::equal(prefix_.begin(), prefix_.end(), name.begin(), [](char a, char b) {
            return std::tolower(static_cast<unsigned char>(a)) ==
                   std::tolower(static_cast<unsigned char>(b));
        });
    }

    std::string_view prefix_;
    std::set<std::string, std::less<>> seen_;
    Json items_ = Json::array();
};

// The global names that a file sees, the nearest first: its own, imported ones, the library's.
template <class Function>
void each_global(const Analysis& analysis, const Function& function) {
    const auto all_of = [&](std::uint32_t file, int order) {
        const auto names = analysis.names.globals.find(file);
        if (names == analysis.names.globals.end()) return;
        for (const auto& [name, number] : names->second)
            function(analysis.names.things[number], order);
    };
    all_of(analysis.main, 2);
    std::set<std::uint32_t> named;  // behind an alias only
    for (const NamedThing& thing : analysis.names.things) {
        if (thing.kind == NameKind::alias) named.insert(thing.imported);
    }
    for (const auto& [file, names] : analysis.names.globals) {
        if (file != analysis.main && file != 0 && file != kNoFile && !named.contains(file))
            all_of(file, 3);
    }
    all_of(0, 4);
    all_of(kNoFile, 5);
}

}  // namespace

Json lsp_completion(const Document& document, std::uint32_t offset) {
    const Around around = look_around(std::string_view(document.text).substr(0, offset));
    Completion completion(around.prefix);
    if (around.silent || document.whole == nullptr) return completion.take();
    const Analysis& analysis = *document.whole;
    if (!around.module.empty()) {
        const NamedThing* alias = analysis.names.global(analysis.main, around.module);
        if (alias != nullptr && alias->kind == NameKind::alias) {
            const auto names = analysis.names.globals.find(alias->imported);
            if (names != analysis.names.globals.end()) {
                for (const auto& [name, number] : names->second)
                    if (name[0] != '_') completion.add(analysis.names.things[number], 0);
            }
            return completion.take();
        }
    }
    for (const SettingWords& words : setting_words()) {
        if (words.setting != around.setting) continue;
        for (const std::string_view word : words.words) completion.add(word, 3, 0);
    }
    if (around.in_section && around.setting.empty()) {
        for (const std::string_view name : frontend::setting_names())
            completion.add(name, 10, 0, "setting of a train section", {}, " = ");
        for (const std::string_view word : {"target", "metric", "augment"})
            completion.add(word, 14, 0);
    }
    if (!around.callee.empty()) {
        const NamedThing* callee = nullptr;
        each_global(analysis, [&](const NamedThing& thing, int) {
            if (callee == nullptr && thing.name == around.callee) callee = &thing;
        });
        if (callee != nullptr) {
            for (const std::uint32_t formal : callee->formals) {
                const NamedThing& thing = analysis.names.things[formal];
                if (thing.kind == NameKind::formal) completion.add(thing, 0, " = ");
            }
        }
    }
    // The text may have grown since it last had no error; scopes grow with it.
    const std::size_t grown =
        document.text.size() - std::min(document.text.size(), analysis.text.size());
    for (const NamedThing& thing : analysis.names.things) {
        const bool local = thing.visible.file == analysis.main && thing.place.known() &&
                           thing.kind != NameKind::model && thing.kind != NameKind::metric;
        if (local && thing.visible.begin <= offset && offset <= thing.visible.end + grown)
            completion.add(thing, 1);
    }
    each_global(analysis,
                [&](const NamedThing& thing, int order) { completion.add(thing, order); });
    for (const std::string_view word : keywords()) completion.add(word, 14, 6);
    return completion.take();
}

}  // namespace netc
