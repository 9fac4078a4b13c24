// Statements of a block: bindings, parameters, state, control that is unrolled while compiling.
#include <algorithm>

#include <fmt/format.h>

#include "frontend/elaborate_scan.h"
#include "frontend/elaborate_variables.h"
#include "frontend/suggest.h"

namespace netc::frontend {

bool bind(Context& context, const ast::Pattern& pattern, const Datum& value, EntryKind kind,
          const ScopePointer& scope) {
    if (!pattern.is_tuple()) {
        scope->entries.push_back({pattern.name, value, kind, pattern.span, std::nullopt});
        note_type(context, pattern.span, value);
        return true;
    }
    const Items* items = value.items();
    if (!items || items->size() != pattern.parts.size()) {
        report(context, diagnose<Code::wrong_number_of_results>(
                            blame(context, pattern.span), "the right side",
                            items ? items->size() : 1, pattern.parts.size())
                            .label(blame(context, value.place), "{}", describe_kind(value)));
        return false;
    }
    for (std::size_t i = 0; i < items->size(); ++i) {
        if (!bind(context, pattern.parts[i], (*items)[i], kind, scope)) return false;
    }
    return true;
}

namespace {

// Every name of a pattern stands for something wrong, so that uses are silent.
void bind_failed(const ast::Pattern& pattern, EntryKind kind, const ScopePointer& scope) {
    if (!pattern.is_tuple()) {
        scope->entries.push_back({pattern.name, failed_datum(), kind, pattern.span, std::nullopt});
    }
    for (const ast::Pattern& part : pattern.parts) bind_failed(part, kind, scope);
}

std::string_view kind_text(EntryKind kind) {
    switch (kind) {
        case EntryKind::let: return "a `let`";
        case EntryKind::var: return "a `var`";
        case EntryKind::formal: return "an argument";
        case EntryKind::input: return "an input";
        case EntryKind::dimension: return "a dimension";
        case EntryKind::parameter: return "a parameter";
        case EntryKind::state: return "a state";
        case EntryKind::loop: return "set by the loop";
    }
    return "fixed";
}

struct Executor {
    Context& context;
    const ast::Stmt& statement;
    const ScopePointer& scope;
    Datum& result;

    Instance* instance() const { return context.frame ? context.frame->instance : context.root; }

    // `let enc = conv(8) >> relu` names the layer, so its parameters stand below that name.
    void name_layer(const Datum& value, const std::string& name, Span place) const {
        FunctionValue* function = value.function();
        if (!function || !function->bound_name.empty() || !function->is_layer() || !instance()) {
            return;
        }
        function->bound_name = claim_name(*instance(), name);
        function->bound_in = instance();
        function->bound_place = place;
    }

    bool check_annotation(const std::optional<ast::Type>& type, const Datum& value,
                          const std::string& name) const {
        return !type || check_result(context, *type, value, "`" + name + "`", scope, false);
    }

    Flow operator()(const ast::Let& node) const {
        const Datum value = evaluate(context, node.value, scope);
        if (value.failed()) {
            bind_failed(node.pattern, EntryKind::let, scope);
            return Flow::failed;
        }
        if (!node.pattern.is_tuple()) name_layer(value, node.pattern.name, node.pattern.span);
        if (!check_annotation(node.type, value, node.pattern.name)) return Flow::failed;
        return bind(context, node.pattern, value, EntryKind::let, scope) ? Flow::next
                                                                         : Flow::failed;
    }
    Flow operator()(const ast::Var& node) const {
        const Datum value = evaluate(context, node.value, scope);
        scope->entries.push_back(
            {node.name.text, value, EntryKind::var, node.name.span, std::nullopt});
        note_type(context, node.name.span, value);
        if (value.failed()) return Flow::failed;
        return check_annotation(node.type, value, node.name.text) ? Flow::next : Flow::failed;
    }
    Flow operator()(const ast::Param& node) const {
        return declare_parameter(context, node, scope) ? Flow::next : Flow::failed;
    }
    Flow operator()(const ast::State& node) const {
        return declare_state(context, node, scope) ? Flow::next : Flow::failed;
    }
    Flow operator()(const ast::Update& node) const {
        return update_state(context, node, statement.span, scope) ? Flow::next : Flow::failed;
    }
    Flow operator()(const ast::Assign& node) const {
        const Datum value = evaluate(context, node.value, scope);
        Entry* entry = scope->find(node.name.text);
        if (!entry || entry->kind != EntryKind::var) {
            const std::string what(entry ? kind_text(entry->kind) : "not a variable");
            Diagnostic diagnostic =
                diagnose<Code::assign_to_let>(blame(context, node.name.span), node.name.text, what);
            if (entry) {
                std::move(diagnostic).label(blame(context, entry->place), "declared here");
            }
            const bool let = entry && entry->kind == EntryKind::let;
            report(context, std::move(diagnostic)
                                .help_text(let ? "declare it with `var " + node.name.text + "`"
                                               : "use a new name: `var y = " + node.name.text +
                                                     "`, then `y = ...`"));
            return Flow::failed;
        }
        entry->value = value;
        note_assignment(context, *entry, statement.span);
        return value.failed() ? Flow::failed : Flow::next;
    }
    Flow operator()(const ast::For& node) const {
        const std::optional<Items> turns =
            iterable(context, evaluate(context, node.source, scope), "for");
        if (!turns) return Flow::failed;
        for (const Datum& turn : *turns) {
            const auto inner = std::make_shared<Scope>();
            inner->parent = scope;
            if (!bind(context, node.pattern, turn, EntryKind::loop, inner)) return Flow::failed;
            const Flow flow = execute(context, node.body, inner, result);
            if (flow != Flow::next) return flow;
        }
        return Flow::next;
    }
    Flow operator()(const ast::If& node) const {
        const std::optional<bool> truth = condition_value(context, node.condition, "if", scope);
        if (!truth) return Flow::failed;
        const ast::Block* block = *truth            ? &node.then_block
                                  : node.else_block ? &*node.else_block
                                                    : nullptr;
        if (!block) return Flow::next;
        const auto inner = std::make_shared<Scope>();
        inner->parent = scope;
        return execute(context, *block, inner, result);
    }
    Flow operator()(const ast::Assert& node) const {
        return check_assert(context, node, statement.span, scope) ? Flow::next : Flow::failed;
    }
    Flow operator()(const ast::Yield& node) const {
        if (!in_scan_body(context)) {
            report(context,
                   diagnose<Code::unexpected_text>(blame(context, statement.span), "`yield`")
                       .text("it belongs into a `scan`"));
            return Flow::failed;
        }
        result = evaluate(context, node.value, scope);
        return result.failed() ? Flow::failed : Flow::returned;
    }
    Flow operator()(const ast::Return& node) const {
        if (in_scan_body(context)) {
            report(context,
                   diagnose<Code::unexpected_text>(blame(context, statement.span), "`return`")
                       .text("the body of a `scan` gives its value with `yield`"));
            return Flow::failed;
        }
        result = evaluate(context, node.value, scope);
        return result.failed() ? Flow::failed : Flow::returned;
    }
};

void lint_unused_layers(Context& context, const Scope& scope) {
    for (const Entry& entry : scope.entries) {
        const FunctionValue* function = entry.value.function();
        if (entry.kind != EntryKind::let || !function || function->applied) continue;
        if (!function->is_layer() || !function->configured) continue;
        context.session.diagnostics.add(
            diagnose<Code::unused_layer>(entry.place, entry.name).text("bound here"));
    }
}

// What stands behind a `yield` would never be run, and a second one is meant to be.
bool yields_once(Context& context, const ast::Block& block, const ast::Stmt& first) {
    if (!std::holds_alternative<ast::Yield>(first.kind)) return true;
    const ast::Stmt* end = block.statements.data() + block.statements.size();
    for (const ast::Stmt* later = &first + 1; later != end; ++later) {
        if (!std::holds_alternative<ast::Yield>(later->kind)) continue;
        report(context, diagnose<Code::unexpected_text>(blame(context, later->span), "`yield`")
                            .text("a step of a `scan` ends with its first `yield`")
                            .label(blame(context, first.span), "the first")
                            .help("several values are yielded at once: `yield (a, b)`"));
        return false;
    }
    return true;
}

}  // namespace

Flow execute(Context& context, const ast::Block& block, const ScopePointer& scope, Datum& result) {
    for (const ast::Stmt& statement : block.statements) {
        const Flow flow = std::visit(Executor{context, statement, scope, result}, statement.kind);
        if (flow == Flow::next) continue;
        if (flow == Flow::returned && !yields_once(context, block, statement)) return Flow::failed;
        if (flow == Flow::returned && context.lint && !is_library(context, block.span)) {
            lint_unused_layers(context, *scope);
        }
        return flow;
    }
    return Flow::next;
}

}  // namespace netc::frontend
