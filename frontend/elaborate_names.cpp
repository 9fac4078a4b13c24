// The walk over the user's syntax trees that checks names. Types of values play no part here.
#include "frontend/elaborate_names.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "frontend/builtins.h"
#include "frontend/suggest.h"

namespace netc::frontend {

namespace {

struct Local {
    std::string_view name;
    Span place;
};

struct Reference {
    const Declaration* target = nullptr;
    Span place;
};
// In the order of the texts: what is said does not depend on where in memory things lie.
struct ByPlace {
    bool operator()(const Declaration* a, const Declaration* b) const {
        const Span first = a->callable->name.span, second = b->callable->name.span;
        return std::pair(first.file, first.begin) < std::pair(second.file, second.begin);
    }
};
using CallGraph = std::map<const Declaration*, std::vector<Reference>, ByPlace>;

class NameChecker {
public:
    NameChecker(Session& session, const FileScope& file, CallGraph& graph)
        : session_(session), file_(file), graph_(graph) {}

    void callable(const Declaration& declaration) {
        const ast::Callable& node = *declaration.callable;
        current_ = &declaration;
        fn_ = node.kind == ast::CallableKind::fn ? &node : nullptr;
        locals_.clear();
        if (node.configuration) formals(*node.configuration, false);
        formals(node.inputs, node.kind == ast::CallableKind::model);
        if (node.result) type(*node.result);
        if (const auto* expression_body = std::get_if<ast::ExprPtr>(&node.body)) {
            expression(**expression_body);
        } else {
            block(std::get<ast::Block>(node.body));
        }
        current_ = nullptr;
        fn_ = nullptr;
    }

    void assertion(const ast::Assert& node) {
        expression(node.condition);
        for (const ast::TextPart& part : node.text) {
            if (part.value) expression(*part.value);
        }
    }

    void expression(const ast::Expr& node, bool applied = false) {
        if (const auto* reference = std::get_if<ast::NameRef>(&node.kind)) {
            name(reference->name, node.span, applied);
            return;
        }
        std::visit([this](const auto& kind) { children(kind); }, node.kind);
    }

private:
    bool is_local(std::string_view wanted) const {
        return std::any_of(locals_.begin(), locals_.end(),
                           [&](const Local& local) { return local.name == wanted; });
    }

    void name(std::string_view wanted, Span place, bool applied) {
        if (is_local(wanted)) return;
        if (Global* global = find_global(&file_, wanted)) {
            global->used = true;
            if (global->kind == GlobalKind::callable) refer(*global, place);
            return;
        }
        if (wanted == "training" || find_builtin(wanted)) return;
        unknown(wanted, place, applied);
    }

    void refer(Global& global, Span place) {
        const ast::Callable& callable = *global.declaration.callable;
        if (current_) graph_[current_].push_back({&global.declaration, place});
        if (!fn_ || callable.kind == ast::CallableKind::fn) return;
        session_.diagnostics.add(
            diagnose<Code::parameter_in_fn>(place)
                .text("`{}` is a {}", callable.name.text, spelling(callable.kind))
                .label(fn_->keyword, "this is a `fn`")
                .help("make it a layer: `layer {}`", fn_->name.text));
    }

    void unknown(std::string_view wanted, Span place, bool applied) {
        std::vector<std::string> candidates;
        for (const Local& local : locals_) candidates.emplace_back(local.name);
        for (const FileScope* file = &file_; file; file = file->parent) {
            for (const auto& [known, global] : file->names) {
                if (!applied || global->kind == GlobalKind::callable) candidates.push_back(known);
            }
        }
        for (const Builtin& builtin : all_builtins()) candidates.emplace_back(builtin.name);
        const auto meant = suggest(wanted, candidates);
        const std::string_view kind = applied ? "layer or function" : "value";
        std::string help;
        if (meant) {
            help = fmt::format("a {} with a similar name exists: `{}`",
                               !applied           ? "name"
                               : is_layer(*meant) ? "layer"
                                                  : "function",
                               *meant);
            if (!applied) help = fmt::format("did you mean `{}`?", *meant);
        }
        session_.diagnostics.add(diagnose<Code::unknown_name>(place, kind, wanted)
                                     .text("not found")
                                     .caused_by(std::string(wanted))
                                     .help_text(std::move(help)));
    }

    bool is_layer(std::string_view wanted) const {
        const Global* global = find_global(&file_, wanted);
        return global && global->kind == GlobalKind::callable &&
               global->declaration.callable->kind != ast::CallableKind::fn;
    }

    void bind(std::string_view fresh, Span place, bool may_repeat = false) {
        for (const Local& local : locals_) {
            if (local.name != fresh || may_repeat) continue;
            session_.diagnostics.add(diagnose<Code::shadowed_name>(place, fresh, "an outer name")
                                         .label(local.place, "the outer one"));
            break;
        }
        const auto global = file_.names.find(fresh);
        if (global != file_.names.end() && global->second->kind != GlobalKind::callable) {
            session_.diagnostics.add(
                diagnose<Code::shadowed_name>(place, fresh, "a name of the file")
                    .label(global->second->place, "the outer one"));
        }
        locals_.push_back({fresh, place});
    }

    void bind(const ast::Pattern& pattern) {
        if (!pattern.is_tuple()) bind(pattern.name, pattern.span);
        for (const ast::Pattern& part : pattern.parts) bind(part);
    }

    // Dimensions of inputs bind the names that they mention first.
    void formals(const ast::FormalList& list, bool model) {
        for (const ast::Formal& formal : list.formals) {
            if (formal.default_value) expression(*formal.default_value);
            const auto* tensor = std::get_if<ast::TensorType>(&formal.type.kind);
            for (std::size_t i = 0; tensor && i < tensor->dims.size(); ++i) {
                dimension(tensor->dims[i], model);
            }
            locals_.push_back({formal.name.text, formal.name.span});
        }
    }

    void dimension(const ast::Dim& dim, bool model) {
        if (const auto* pack = std::get_if<ast::PackDim>(&dim.kind)) {
            if (!is_local(pack->name.text)) locals_.push_back({pack->name.text, pack->name.span});
            return;
        }
        const auto* value = std::get_if<ast::ExprPtr>(&dim.kind);
        if (!value) return;
        const auto* reference = std::get_if<ast::NameRef>(&(*value)->kind);
        if (model) {
            model_dimension(**value);
        } else if (reference && !is_local(reference->name)) {
            locals_.push_back({reference->name, (*value)->span});
        } else {
            expression(**value);
        }
    }

    void model_dimension(const ast::Expr& value) {
        if (const auto* reference = std::get_if<ast::NameRef>(&value.kind)) {
            if (is_local(reference->name)) return;
            if (Global* global = find_global(&file_, reference->name)) {
                global->used = true;
            } else {
                locals_.push_back({reference->name, value.span});
            }
        } else if (const auto* node = std::get_if<ast::Binary>(&value.kind)) {
            model_dimension(*node->left);
            model_dimension(*node->right);
        } else {
            expression(value);
        }
    }

    void type(const ast::Type& node) {
        if (const auto* tensor = std::get_if<ast::TensorType>(&node.kind)) {
            for (const ast::Dim& dim : tensor->dims) {
                if (const auto* pack = std::get_if<ast::PackDim>(&dim.kind)) {
                    name(pack->name.text, pack->name.span, false);
                } else if (const auto* value = std::get_if<ast::ExprPtr>(&dim.kind)) {
                    expression(**value);
                }
            }
        } else if (const auto* tuple = std::get_if<ast::TupleType>(&node.kind)) {
            for (const ast::Field& field : tuple->fields) type(field.type);
        }
    }

    void block(const ast::Block& node) {
        const std::size_t outer = locals_.size();
        for (const ast::Stmt& statement : node.statements) {
            std::visit([this](const auto& kind) { children(kind); }, statement.kind);
        }
        locals_.resize(outer);
    }

    // ---- expressions

    void children(const ast::IntLiteral&) {}
    void children(const ast::FloatLiteral&) {}
    void children(const ast::QuantityLiteral&) {}
    void children(const ast::StringLiteral&) {}
    void children(const ast::BoolLiteral&) {}
    void children(const ast::DtypeLiteral&) {}
    void children(const ast::NameRef&) {}
    void children(const ast::Tuple& node) {
        for (const ast::Expr& item : node.items) expression(item);
    }
    void children(const ast::List& node) {
        for (const ast::Expr& item : node.items) expression(item);
    }
    void children(const ast::Call& node) {
        expression(*node.callee, true);
        for (const ast::Argument& argument : node.arguments) expression(argument.value);
    }
    void children(const ast::Index& node) {
        expression(*node.base);
        for (const ast::SliceItem& item : node.items) {
            if (const auto* range = std::get_if<ast::SliceRange>(&item.kind)) {
                if (range->begin) expression(*range->begin);
                if (range->end) expression(*range->end);
            } else if (const auto* single = std::get_if<ast::SliceIndex>(&item.kind)) {
                expression(*single->index);
            }
        }
    }
    void children(const ast::Member& node) { expression(*node.base); }
    void children(const ast::Ascribe& node) {
        expression(*node.value);
        type(node.type);
    }
    void children(const ast::Unary& node) { expression(*node.operand); }
    void children(const ast::Binary& node) {
        expression(*node.left);
        expression(*node.right);
    }
    void children(const ast::Pipe& node) {
        expression(*node.first);
        for (const ast::Stage& stage : node.stages) expression(stage.value, true);
    }
    void children(const ast::Compose& node) {
        expression(*node.first, true);
        for (const ast::Stage& stage : node.stages) expression(stage.value, true);
    }
    void children(const ast::IfExpr& node) {
        expression(*node.condition);
        expression(*node.then_value);
        expression(*node.else_value);
    }
    void children(const ast::Lambda& node) {
        const std::size_t outer = locals_.size();
        for (const ast::Name& parameter : node.parameters) bind(parameter.text, parameter.span);
        expression(*node.body);
        locals_.resize(outer);
    }
    void children(const ast::Repeat& node) {
        expression(*node.source);
        const std::size_t outer = locals_.size();
        if (node.pattern) bind(*node.pattern);
        expression(*node.body, true);
        locals_.resize(outer);
    }
    void children(const ast::Scan& node) {
        expression(*node.source);
        const std::size_t outer = locals_.size();
        bind(node.pattern);
        block(node.body);
        locals_.resize(outer);
    }

    // ---- statements

    void children(const ast::Let& node) {
        if (node.type) type(*node.type);
        expression(node.value);
        bind(node.pattern);
    }
    void children(const ast::Var& node) {
        if (node.type) type(*node.type);
        expression(node.value);
        bind(node.name.text, node.name.span);
    }
    void children(const ast::Param& node) {
        owned(node.name);
        type(node.type);
        expression(node.value);
        for (const ast::Argument& attribute : node.attributes) expression(attribute.value);
        bind(node.name.text, node.name.span);
    }
    void children(const ast::State& node) {
        owned(node.name);
        type(node.type);
        expression(node.value);
        bind(node.name.text, node.name.span);
    }
    void owned(const ast::Name& declared) {
        if (!fn_) return;
        std::string inputs;
        for (const ast::Formal& formal : fn_->inputs.formals) {
            inputs +=
                (inputs.empty() ? "" : ", ") + std::string(session_.sources.text(formal.span));
        }
        session_.diagnostics.add(
            diagnose<Code::parameter_in_fn>(declared.span)
                .text("a parameter is declared here")
                .label(fn_->keyword, "this is a `fn`")
                .help("make it a layer: `layer {}()({})`", fn_->name.text, inputs));
    }
    void children(const ast::Update& node) {
        name(node.name.text, node.name.span, false);
        expression(node.value);
    }
    void children(const ast::Assign& node) {
        name(node.name.text, node.name.span, false);
        expression(node.value);
    }
    void children(const ast::For& node) {
        expression(node.source);
        const std::size_t outer = locals_.size();
        bind(node.pattern);
        block(node.body);
        locals_.resize(outer);
    }
    void children(const ast::If& node) {
        expression(node.condition);
        block(node.then_block);
        if (node.else_block) block(*node.else_block);
    }
    void children(const ast::Assert& node) { assertion(node); }
    void children(const ast::Yield& node) { expression(node.value); }
    void children(const ast::Return& node) { expression(node.value); }

    Session& session_;
    const FileScope& file_;
    CallGraph& graph_;
    const Declaration* current_ = nullptr;
    const ast::Callable* fn_ = nullptr;
    std::vector<Local> locals_;
};

// Depth first; a declaration that is reached while it is open calls itself.
struct CycleSearch {
    Session& session;
    const CallGraph& graph;
    std::set<const Declaration*> open, done;

    void visit(const Declaration* declaration) {
        if (done.contains(declaration)) return;
        open.insert(declaration);
        const auto found = graph.find(declaration);
        if (found != graph.end()) {
            for (const Reference& reference : found->second) {
                if (open.contains(reference.target)) {
                    const ast::Name& name = reference.target->callable->name;
                    session.diagnostics.add(
                        diagnose<Code::recursion>(reference.place, name.text)
                            .text("called here again")
                            .label(name.span, "`{}` is declared here", name.text)
                            .help("unfold it with `repeat n {{ ... }}` or `for`"));
                    continue;
                }
                visit(reference.target);
            }
        }
        open.erase(declaration);
        done.insert(declaration);
    }
};

}  // namespace

void check_names(Session& session) {
    CallGraph graph;
    for (const auto& [path, scope] : session.files) {
        if (scope->library) continue;
        NameChecker checker(session, *scope, graph);
        for (const ast::Item& item : scope->tree->items) {
            if (const auto* constant = std::get_if<ast::Const>(&item.kind)) {
                checker.expression(constant->value);
            } else if (const auto* option = std::get_if<ast::Option>(&item.kind)) {
                checker.expression(option->value);
            } else if (const auto* assertion = std::get_if<ast::Assert>(&item.kind)) {
                checker.assertion(*assertion);
            } else if (const auto* callable = std::get_if<ast::Callable>(&item.kind)) {
                const auto found = scope->names.find(callable->name.text);
                if (found != scope->names.end()) checker.callable(found->second->declaration);
            }
        }
    }
    CycleSearch search{session, graph, {}, {}};
    for (const auto& [declaration, references] : graph) search.visit(declaration);
}

}  // namespace netc::frontend
