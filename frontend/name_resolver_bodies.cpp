// Names in statements and expressions.
#include <fmt/format.h>

#include "frontend/name_resolver.h"

namespace netc::frontend {

// ---------------------------------------------------------------- statements

void NameResolver::pattern(const ast::Pattern& pattern, bool bound_by_statement) {
    if (pattern.is_tuple()) {
        for (const ast::Pattern& part : pattern.parts) this->pattern(part, bound_by_statement);
        return;
    }
    declare(NameKind::local, pattern.name, pattern.span);
    if (bound_by_statement) index_.bindings.push_back(pattern.span);
}

void NameResolver::block(const ast::Block& block) {
    const std::size_t mark = locals_.size();
    for (const ast::Stmt& made : block.statements) statement(made);
    close(mark, block.span.end);
}

void NameResolver::assertion(const ast::Assert& assertion) {
    expression(assertion.condition);
    for (const ast::TextPart& part : assertion.text) {
        if (part.value) expression(*part.value);
    }
}

void NameResolver::statement(const ast::Stmt& statement) {
    const auto variable = [&](NameKind kind, const auto& made) {
        type(made.type, nullptr);
        expression(made.value);
        declare(kind, made.name.text, made.name.span,
                fmt::format("{} {}", spelling(kind),
                            sources_.text(cover(made.name.span, made.type.span))));
    };
    std::visit(Overloaded{
                   [&](const ast::Let& let) {
                       if (let.type) type(*let.type, nullptr);
                       expression(let.value);
                       pattern(let.pattern, true);
                   },
                   [&](const ast::Var& var) {
                       if (var.type) type(*var.type, nullptr);
                       expression(var.value);
                       declare(NameKind::local, var.name.text, var.name.span);
                       index_.bindings.push_back(var.name.span);
                   },
                   [&](const ast::Param& param) {
                       variable(NameKind::parameter, param);
                       arguments(param.attributes, kNone);
                   },
                   [&](const ast::State& state) { variable(NameKind::state, state); },
                   [&](const ast::Update& update) {
                       refer(update.name);
                       expression(update.value);
                   },
                   [&](const ast::Assign& assign) {
                       refer(assign.name);
                       expression(assign.value);
                   },
                   [&](const ast::For& loop) {
                       expression(loop.source);
                       const std::size_t mark = locals_.size();
                       pattern(loop.pattern, false);
                       block(loop.body);
                       close(mark, loop.body.span.end);
                   },
                   [&](const ast::If& choice) {
                       expression(choice.condition);
                       block(choice.then_block);
                       if (choice.else_block) block(*choice.else_block);
                   },
                   [&](const ast::Assert& made) { assertion(made); },
                   [&](const ast::Yield& made) { expression(made.value); },
                   [&](const ast::Return& made) { expression(made.value); },
               },
               statement.kind);
}

// ---------------------------------------------------------------- expressions

// The place of a name without the parentheses around it.
Span NameResolver::name_in(Span place, std::string_view name) const {
    const std::size_t at = sources_.text(place).find(name);
    if (at == std::string_view::npos) return place;
    const auto begin = place.begin + static_cast<std::uint32_t>(at);
    return {place.file, begin, begin + static_cast<std::uint32_t>(name.size())};
}

void NameResolver::arguments(const std::vector<ast::Argument>& arguments, std::uint32_t callee) {
    for (const ast::Argument& argument : arguments) {
        if (argument.name && callee != kNone) {
            for (const std::uint32_t formal : index_.things[callee].formals) {
                if (index_.things[formal].name == argument.name->text)
                    mention(argument.name->span, formal);
            }
        }
        expression(argument.value);
    }
}

void NameResolver::expression(const ast::Expr& expression) {
    const auto items = [&](const std::vector<ast::Expr>& list) {
        for (const ast::Expr& item : list) this->expression(item);
    };
    const auto stages = [&](const auto& node) {
        this->expression(*node.first);
        for (const ast::Stage& stage : node.stages) this->expression(stage.value);
    };
    std::visit(Overloaded{
                   [](const ast::IntLiteral&) {},
                   [](const ast::FloatLiteral&) {},
                   [](const ast::QuantityLiteral&) {},
                   [](const ast::StringLiteral&) {},
                   [](const ast::BoolLiteral&) {},
                   [](const ast::DtypeLiteral&) {},
                   [&](const ast::NameRef& node) {
                       mention(name_in(expression.span, node.name), lookup(node.name));
                   },
                   [&](const ast::Tuple& node) { items(node.items); },
                   [&](const ast::List& node) { items(node.items); },
                   [&](const ast::Call& node) {
                       const auto* name = std::get_if<ast::NameRef>(&node.callee->kind);
                       std::uint32_t callee = name ? lookup(name->name) : kNone;
                       const Span visible = callee == kNone ? Span{} : index_.things[callee].place;
                       const bool library = library_ != nullptr && visible.file == library_->file;
                       if (name && setting_ && (library || !visible.known())) {
                           callee = kNone;
                       } else {
                           this->expression(*node.callee);
                           // conv(64, k = 3)(x): names of the second list are the same declaration's.
                           const ast::Expr* inner = node.callee.get();
                           while (const auto* call = std::get_if<ast::Call>(&inner->kind))
                               inner = call->callee.get();
                           if (const auto* first = std::get_if<ast::NameRef>(&inner->kind))
                               callee = lookup(first->name);
                           if (const auto* member = std::get_if<ast::Member>(&inner->kind)) {
                               const Occurrence* found = nullptr;
                               for (const Occurrence& o : index_.occurrences) {
                                   if (o.place == member->name.span) found = &o;
                               }
                               if (found) callee = found->thing;
                           }
                       }
                       arguments(node.arguments, callee);
                   },
                   [&](const ast::Index& node) {
                       this->expression(*node.base);
                       for (const ast::SliceItem& item : node.items) {
                           if (const auto* range = std::get_if<ast::SliceRange>(&item.kind)) {
                               if (range->begin) this->expression(*range->begin);
                               if (range->end) this->expression(*range->end);
                           } else if (const auto* index =
                                          std::get_if<ast::SliceIndex>(&item.kind)) {
                               this->expression(*index->index);
                           }
                       }
                   },
                   [&](const ast::Member& node) {
                       this->expression(*node.base);
                       const auto* name = std::get_if<ast::NameRef>(&node.base->kind);
                       const std::uint32_t base = name ? lookup(name->name) : kNone;
                       if (base == kNone || index_.things[base].kind != NameKind::alias) return;
                       const auto names = index_.globals.find(index_.things[base].imported);
                       if (names == index_.globals.end()) return;
                       const auto found = names->second.find(node.name.text);
                       if (found != names->second.end()) mention(node.name.span, found->second);
                   },
                   [&](const ast::Ascribe& node) {
                       this->expression(*node.value);
                       type(node.type, nullptr);
                   },
                   [&](const ast::Unary& node) { this->expression(*node.operand); },
                   [&](const ast::Binary& node) {
                       this->expression(*node.left);
                       this->expression(*node.right);
                   },
                   [&](const ast::Pipe& node) {
                       index_.pipelines.push_back(index_.stages.size());
                       for (const ast::Stage& stage : node.stages)
                           index_.stages.push_back(stage.value.span);
                       stages(node);
                   },
                   [&](const ast::Compose& node) { stages(node); },
                   [&](const ast::IfExpr& node) {
                       this->expression(*node.condition);
                       this->expression(*node.then_value);
                       this->expression(*node.else_value);
                   },
                   [&](const ast::Lambda& node) {
                       const std::size_t mark = locals_.size();
                       for (const ast::Name& name : node.parameters)
                           declare(NameKind::local, name.text, name.span);
                       this->expression(*node.body);
                       close(mark, expression.span.end);
                   },
                   [&](const ast::Repeat& node) {
                       this->expression(*node.source);
                       const std::size_t mark = locals_.size();
                       if (node.pattern) pattern(*node.pattern, false);
                       this->expression(*node.body);
                       close(mark, expression.span.end);
                   },
                   [&](const ast::Scan& node) {
                       this->expression(*node.source);
                       const std::size_t mark = locals_.size();
                       pattern(node.pattern, false);
                       block(node.body);
                       close(mark, expression.span.end);
                   },
               },
               expression.kind);
}

}  // namespace netc::frontend
