// What happens to a file: read, parse, import, check names, then elaborate its models, its train
// sections and its asserts.
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>

#include <fmt/format.h>

#include "frontend/elaborate_model.h"
#include "frontend/elaborate_names.h"
#include "frontend/elaborate_variables.h"
#include "frontend/parse.h"
#include "frontend/scan.h"
#include "frontend/standard_library.h"
#include "frontend/suggest.h"
#include "frontend/train_section.h"

namespace netc::frontend {

Datum global_value(Context& context, Global& global) {
    global.used = true;
    if (global.kind == GlobalKind::alias) return {global.module, global.place};
    if (global.kind == GlobalKind::callable) {
        auto function = std::make_shared<FunctionValue>();
        function->declaration = &global.declaration;
        function->place = global.place;
        return {function, global.place};
    }
    if (global.progress == Progress::done) return global.value;
    if (global.progress == Progress::running) {
        return report(context,
                      diagnose<Code::recursion>(global.place, source_text(context, global.place)));
    }
    constexpr int kConstantDepth = 1000;
    if (context.session.constant_depth > kConstantDepth) {
        if (std::exchange(context.session.told_constants, true)) return failed_datum();
        return report(context, diagnose<Code::nested_too_deeply>(global.place, "this constant",
                                                                 kConstantDepth));
    }
    global.progress = Progress::running;
    ++context.session.constant_depth;
    Context inner(context.session);
    Frame frame;
    frame.file = global.file;
    inner.frame = &frame;
    global.value = evaluate(inner, *global.expression, std::make_shared<Scope>());
    --context.session.constant_depth;
    global.progress = Progress::done;
    return global.value;
}

namespace {

std::optional<std::string> read_text(const std::string& path, std::string& reason) {
    const std::filesystem::file_type type = [&] {
        std::error_code ignored;
        return std::filesystem::status(path, ignored).type();
    }();
    std::string text;
    if (type == std::filesystem::file_type::directory) {
        reason = "it is a directory";
    } else if (type == std::filesystem::file_type::not_found) {
        reason = "there is no such file";
    } else if (type != std::filesystem::file_type::regular &&
               type != std::filesystem::file_type::unknown) {
        reason = "it is a device, a pipe or a socket, not a file";  // it may never end
    } else {
        // Only what parse needs to see that a file is too large.
        std::ifstream stream(path, std::ios::binary);
        std::array<char, 1 << 16> block;
        do {
            stream.read(block.data(), block.size());
            text.append(block.data(), static_cast<std::size_t>(stream.gcount()));
        } while (stream && text.size() <= kMaxFileBytes);
        if (!stream && !stream.eof()) reason = "it cannot be read";
    }
    if (!reason.empty()) return std::nullopt;
    return text;
}

std::shared_ptr<const ast::File> parse_tree(const SourceMap& sources, std::uint32_t file,
                                            Diagnostics& diagnostics) {
    ParsedFile parsed = parse(sources, file, diagnostics);
    parsed.file.file = file;
    return std::make_shared<const ast::File>(std::move(parsed.file));
}

struct Loader {
    Session& session;
    std::vector<std::string> loading;  // for cycles

    void declare(FileScope& scope, const ast::Name& name, Global global) {
        global.place = name.span;
        global.file = &scope;
        const auto found = scope.names.find(name.text);
        if (found != scope.names.end()) {
            session.diagnostics.add(diagnose<Code::declared_twice>(name.span, name.text)
                                        .text("declared again")
                                        .label(found->second->place, "first declared here"));
            return;
        }
        if (session.library && find_global(session.library, name.text)) {
            session.diagnostics.add(
                diagnose<Code::shadowed_name>(name.span, name.text, "a name of the library"));
        }
        auto kept = std::make_shared<Global>(std::move(global));
        kept->declaration.file = &scope;
        scope.names.emplace(name.text, std::move(kept));
    }

    void declare_item(FileScope& scope, const ast::Item& item) {
        Global global;
        global.doc = item.doc;
        if (const auto* constant = std::get_if<ast::Const>(&item.kind)) {
            global.kind = GlobalKind::constant;
            global.expression = &constant->value;
            declare(scope, constant->name, std::move(global));
        } else if (const auto* option = std::get_if<ast::Option>(&item.kind)) {
            global.kind = GlobalKind::option;
            global.expression = &option->value;
            global.option = option;
            declare(scope, option->name, std::move(global));
        } else if (const auto* callable = std::get_if<ast::Callable>(&item.kind)) {
            global.kind = GlobalKind::callable;
            global.declaration = {callable, &scope, item.doc};
            check_signature(session.diagnostics, *callable);
            declare(scope, callable->name, std::move(global));
        }
    }

    void import_file(FileScope& scope, const ast::Import& import) {
        const std::filesystem::path own(std::string(session.sources.path(scope.tree->file)));
        const std::string path = (own.parent_path() / import.path).lexically_normal().string();
        if (std::find(loading.begin(), loading.end(), path) != loading.end()) {
            session.diagnostics.add(diagnose<Code::cyclic_import>(import.path_span, import.path));
            return;
        }
        std::unique_ptr<FileScope>& slot = session.files[path];
        if (!slot) {
            std::string reason;
            std::optional<std::string> text = read_text(path, reason);
            if (!text) {
                session.diagnostics.add(
                    diagnose<Code::import_not_found>(import.path_span, import.path, reason)
                        .note("tried {}", path));
                session.files.erase(path);
                return;
            }
            slot = load(path, std::move(*text));
        }
        const FileScope& other = *slot;
        if (import.alias) {
            Global global;
            global.kind = GlobalKind::alias;
            global.module = &other;
            declare(scope, *import.alias, std::move(global));
            return;
        }
        for (const auto& [name, global] : other.names) {
            if (name[0] == '_') continue;
            const auto [found, fresh] = scope.names.emplace(name, global);
            if (fresh || found->second == global) continue;
            session.diagnostics.add(diagnose<Code::declared_twice>(import.path_span, name)
                                        .text("this file declares it too")
                                        .label(found->second->place, "first declared here"));
        }
    }

    // `known`: its tree, where somebody has parsed it before.
    std::unique_ptr<FileScope> load(const std::string& path, std::string text,
                                    std::shared_ptr<const ast::File> known = nullptr) {
        auto scope = std::make_unique<FileScope>();
        const std::uint32_t file = session.sources.add(path, std::move(text));
        loading.push_back(std::filesystem::path(path).lexically_normal().string());
        scope->parent = session.library;
        scope->tree = std::move(known);
        if (!scope->tree || scope->tree->file != file)
            scope->tree = parse_tree(session.sources, file, session.diagnostics);
        for (const ast::Item& item : scope->tree->items) {
            if (const auto* import = std::get_if<ast::Import>(&item.kind)) {
                import_file(*scope, *import);
            }
        }
        for (const ast::Item& item : scope->tree->items) declare_item(*scope, item);
        loading.pop_back();
        return scope;
    }
};

// What has no result has a message that says why; otherwise it would be missing without a word.
struct Lost {
    const Session& session;
    std::string text = {};  // of the first

    void note(std::string_view what, Span place) {
        if (session.diagnostics.has_errors() || !text.empty()) return;
        text = fmt::format("the {} `{}` has neither a result nor a message", what,
                           session.sources.text(place));
    }
};

// Evaluates options and constants, so that their types are checked though nobody reads them.
void check_globals(Session& session, std::vector<OptionInfo>& options, Lost& lost) {
    for (const ast::Item& item : session.main->tree->items) {
        Context context(session);
        Frame frame;
        frame.file = session.main;
        context.frame = &frame;
        const auto* option = std::get_if<ast::Option>(&item.kind);
        const auto* constant = std::get_if<ast::Const>(&item.kind);
        if (!option && !constant) continue;
        const std::string& name = option ? option->name.text : constant->name.text;
        const auto found = session.main->names.find(name);
        if (found == session.main->names.end()) continue;
        Global& global = *found->second;
        const bool used = global.used;
        const Datum value = global_value(context, global);
        global.used = used;
        if (value.failed()) {
            lost.note(option ? "option" : "constant", global.place);
            continue;
        }
        const ast::Type* type = option           ? &option->type
                                : constant->type ? &*constant->type
                                                 : nullptr;
        const auto* kind = type ? std::get_if<ast::StaticType>(&type->kind) : nullptr;
        if (kind) {
            std::optional<Datum> adapted = adapt_static(context, value, kind->kind);
            if (!adapted) {
                report(context, diagnose<Code::wrong_static_type>(
                                    (option ? option->value : constant->value).span,
                                    fmt::format("`{}`", name), wanted_text(kind->kind))
                                    .text("this is {}", describe_kind(value)));
                continue;
            }
            global.value = *adapted;
        }
        if (option) {
            options.push_back({name, source_text(context, option->type.span),
                               describe_value(global.value),
                               option->help.empty() ? item.doc : option->help, option->name.span});
        }
    }
}

// `assert param_count(Xor) == 17`, false: each side with its value.
void check_file_assert(Session& session, const ast::Assert& assertion, Lost& lost) {
    Context context(session);
    Frame frame;
    frame.file = session.main;
    context.frame = &frame;
    const auto scope = std::make_shared<Scope>();
    const std::optional<bool> truth =
        condition_value(context, assertion.condition, "assert", scope);
    if (!truth) lost.note("assertion", assertion.condition.span);
    if (!truth || *truth) return;
    std::optional<std::string> text = assert_text(context, assertion, scope);
    if (!text) return;
    const std::string condition = source_text(context, assertion.condition.span);
    if (text->empty()) text = "`" + condition + "`";
    Diagnostic diagnostic = diagnose<Code::assert_failed>(assertion.condition.span, *text);
    if (const auto* node = std::get_if<ast::Binary>(&assertion.condition.kind)) {
        const Datum left = evaluate(context, *node->left, scope);
        const Datum right = evaluate(context, *node->right, scope);
        const auto literal = [](const ast::Expr& expression) {
            return std::holds_alternative<ast::IntLiteral>(expression.kind) ||
                   std::holds_alternative<ast::FloatLiteral>(expression.kind);
        };
        if (!left.failed() && !literal(*node->left)) {
            std::move(diagnostic).label(node->left->span, "this is {}", describe_value(left));
        }
        if (!right.failed() && !literal(*node->right)) {
            std::move(diagnostic).label(node->right->span, "this is {}", describe_value(right));
        }
    }
    // Several that fail, fail because of one thing that was changed; all are shown.
    session.diagnostics.add(std::move(diagnostic).caused_by("assert"));
}

void elaborate_items(Session& session, CheckedFile& checked, Lost& lost) {
    for (const ast::Item& item : session.main->tree->items) {
        const auto* callable = std::get_if<ast::Callable>(&item.kind);
        if (!callable || callable->kind != ast::CallableKind::model) continue;
        const auto found = session.main->names.find(callable->name.text);
        if (found == session.main->names.end()) continue;
        if (found->second->declaration.callable != callable) continue;
        const ModelResult* result = elaborate_model(session, found->second->declaration);
        if (result && result->ok) {
            checked.models.push_back(result->model);
        } else {
            lost.note("model", callable->name.span);
        }
    }
    for (const ast::Item& item : session.main->tree->items) {
        const auto* train = std::get_if<ast::Train>(&item.kind);
        if (!train) continue;
        if (auto section = elaborate_section(session, *train, item.doc)) {
            checked.sections.push_back(std::move(*section));
        } else {
            lost.note("train section of", train->model.span);
        }
    }
    for (const ast::Item& item : session.main->tree->items) {
        if (const auto* assertion = std::get_if<ast::Assert>(&item.kind)) {
            check_file_assert(session, *assertion, lost);
        }
    }
}

void check_section_names(Session& session) {
    std::map<std::string, Span> seen;
    for (const ast::Item& item : session.main->tree->items) {
        const auto* train = std::get_if<ast::Train>(&item.kind);
        if (!train) continue;
        const ast::Name& name = train->name ? *train->name : train->model;
        const auto [found, fresh] = seen.emplace(name.text, name.span);
        if (fresh) continue;
        session.diagnostics.add(
            diagnose<Code::declared_twice>(name.span, name.text)
                .label(found->second, "first declared here")
                .help("name the section: `train {} as finetune`", train->model.text));
    }
}

void lint_unused_options(Session& session) {
    for (const auto& [name, global] : session.main->names) {
        if (global->kind != GlobalKind::option || global->used) continue;
        session.diagnostics.add(diagnose<Code::unused_option>(global->place, name));
    }
}

// What outlives the check (functions as data) reports nothing more.
struct Detach {
    Session& session;
    ~Detach() { session.detached = true; }
};

Error program_error(const Diagnostics& diagnostics) {
    const std::size_t count = diagnostics.error_count();
    return {kExitProgram, fmt::format("{} error{}", count, count == 1 ? "" : "s"), {}, {}};
}

}  // namespace
}  // namespace netc::frontend

namespace netc {

std::shared_ptr<const ast::File> parse_library() {
    SourceMap sources;
    Diagnostics diagnostics;
    return frontend::parse_tree(sources, sources.add(kLibraryPath, std::string(kStandardLibrary)),
                                diagnostics);
}

Result<CheckedFile> check_text(const std::string& path, std::string text,
                               const CheckOptions& options, SourceMap& sources,
                               Diagnostics& diagnostics) {
    using namespace frontend;
    const auto owner = std::make_shared<Session>(sources, diagnostics, options);
    Session& session = *owner;
    session.self = owner;
    const Detach detach{session};
    Loader loader{session, {}};
    const std::string normal = std::filesystem::path(path).lexically_normal().string();
    std::unique_ptr<FileScope> library =
        loader.load(kLibraryPath, std::string(kStandardLibrary), options.library);
    library->library = true;
    session.library = library.get();
    session.files["\1library"] = std::move(library);
    std::unique_ptr<FileScope> main = loader.load(path, std::move(text));
    session.main = main.get();
    session.files[normal] = std::move(main);
    if (diagnostics.has_errors()) return program_error(diagnostics);
    if (Status status = apply_settings(session); !status) return status.error();
    CheckedFile checked;
    check_names(session);
    check_section_names(session);
    if (diagnostics.has_errors()) return program_error(diagnostics);
    Lost lost{session};
    check_globals(session, checked.options, lost);
    elaborate_items(session, checked, lost);
    if (Status status = check_dims(session); !status) return status.error();
    lint_unused_options(session);
    if (diagnostics.has_errors()) return program_error(diagnostics);
    if (!lost.text.empty()) return Error{kExitInternal, lost.text};
    return checked;
}

Result<CheckedFile> check_file(const std::string& path, const CheckOptions& options,
                               SourceMap& sources, Diagnostics& diagnostics) {
    std::string reason;
    std::optional<std::string> text = frontend::read_text(path, reason);
    if (!text) {
        return Error{kExitData, fmt::format("cannot read {}: {}", path, reason), {}, {}};
    }
    return check_text(path, std::move(*text), options, sources, diagnostics);
}

}  // namespace netc
