// The syntax tree as text.
//
//     model M                          model M(x: f32[B, 8]) = x |> relu
//       inputs
//         x: f32[B, 8]
//       body
//         pipe
//           name x
//           name relu
#include "frontend/ast_print.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>
#include <variant>

namespace netc {
namespace {

// One function object a variant: the overloads of its members.
template <class... Functions>
struct Overloaded : Functions... {
    using Functions::operator()...;
};
template <class... Functions>
Overloaded(Functions...) -> Overloaded<Functions...>;

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '\n')
            out += "\\n";
        else if (c == '\t')
            out += "\\t";
        else if (c == '"' || c == '\\')
            (out += '\\') += c;
        else
            out += c;
    }
    return out + "\"";
}

std::string pattern_text(const ast::Pattern& pattern) {
    if (!pattern.is_tuple()) return pattern.name;
    std::string out = "(";
    for (const ast::Pattern& part : pattern.parts)
        out += (out.size() > 1 ? ", " : "") + pattern_text(part);
    return out + ")";
}

class Printer {
public:
    void file(const ast::File& file) {
        line("file version {}", file.version);
        ++depth_;
        for (const ast::Item& item : file.items) this->item(item);
    }
    std::string out;

private:
    template <class... Args>
    void line(fmt::format_string<Args...> format, Args&&... args) {
        out.append(2 * depth_, ' ');
        out += fmt::format(format, std::forward<Args>(args)...);
        out += '\n';
    }
    // A heading with its parts indented below it.
    template <class Body>
    void under(std::string_view heading, Body body) {
        line("{}", heading);
        ++depth_;
        body();
        --depth_;
    }
    void named(std::string_view heading, const ast::Expr& value) {
        under(heading, [&] { expression(value); });
    }

    void item(const ast::Item& item);
    void callable(const ast::Callable& callable);
    void formals(std::string_view heading, const ast::FormalList& list);
    void train(const ast::Train& train);
    void block(const ast::Block& block) {
        for (const ast::Stmt& statement : block.statements) this->statement(statement);
    }
    void statement(const ast::Stmt& statement);
    void assertion(const ast::Assert& assertion);
    void expression(const ast::Expr& expression);
    void call(const ast::Call& call);
    void index(const ast::Index& index);
    void arguments(const std::vector<ast::Argument>& arguments);
    void typed(std::string_view heading, const std::optional<ast::Type>& type,
               const ast::Expr& value) {
        named(type ? fmt::format("{}: {}", heading, type_text(*type)) : std::string(heading),
              value);
    }
    void stages(const ast::Expr& first, const std::vector<ast::Stage>& stages) {
        expression(first);
        for (const ast::Stage& stage : stages) expression(stage.value);
    }

    static std::string type_text(const ast::Type& type);
    static std::string inline_text(const ast::Expr& expression);

    std::size_t depth_ = 0;
};

// An expression inside a type: its lines, joined.
std::string Printer::inline_text(const ast::Expr& expression) {
    if (const auto* number = std::get_if<ast::IntLiteral>(&expression.kind))
        return std::to_string(number->value);
    if (const auto* name = std::get_if<ast::NameRef>(&expression.kind)) return name->name;
    if (const auto* binary = std::get_if<ast::Binary>(&expression.kind)) {
        return fmt::format("({} {} {})", inline_text(*binary->left), spelling(binary->op),
                           inline_text(*binary->right));
    }
    Printer printer;
    printer.expression(expression);
    std::string text = "{";
    for (const char c : printer.out) text += c == '\n' ? ';' : c;
    return text + "}";
}

std::string Printer::type_text(const ast::Type& type) {
    return std::visit(
        Overloaded{
            [](const ast::TensorType& tensor) {
                std::string text = std::string(spelling(tensor.dtype)) + "[";
                for (const ast::Dim& dim : tensor.dims) {
                    if (&dim != &tensor.dims.front()) text += ", ";
                    text += std::visit(
                        Overloaded{[](const ast::PackDim& pack) { return "*" + pack.name.text; },
                                   [](const ast::AnyDim&) { return std::string("_"); },
                                   [](const ast::ExprPtr& value) { return inline_text(*value); }},
                        dim.kind);
                }
                return text + "]";
            },
            [](const ast::StaticType& fixed) { return std::string(spelling(fixed.kind)); },
            [](const ast::TupleType& tuple) {
                std::string text = "(";
                for (const ast::Field& field : tuple.fields) {
                    if (text.size() > 1) text += ", ";
                    if (field.name) text += field.name->text + ": ";
                    text += type_text(field.type);
                }
                return text + ")";
            },
        },
        type.kind);
}

void Printer::item(const ast::Item& item) {
    if (!item.doc.empty()) line("doc {}", quoted(item.doc));
    std::visit(Overloaded{
                   [&](const ast::Import& import) {
                       line("import {}{}", quoted(import.path),
                            import.alias ? " as " + import.alias->text : "");
                   },
                   [&](const ast::Const& constant) {
                       typed("const " + constant.name.text, constant.type, constant.value);
                   },
                   [&](const ast::Option& option) {
                       const std::string help =
                           option.help.empty() ? "" : " " + quoted(option.help);
                       named(fmt::format("option {}: {}{}", option.name.text,
                                         type_text(option.type), help),
                             option.value);
                   },
                   [&](const ast::Callable& callable) { this->callable(callable); },
                   [&](const ast::Train& train) { this->train(train); },
                   [&](const ast::Assert& assertion) { this->assertion(assertion); },
               },
               item.kind);
}

void Printer::callable(const ast::Callable& callable) {
    under(fmt::format("{} {}", spelling(callable.kind), callable.name.text), [&] {
        if (callable.configuration) formals("configuration", *callable.configuration);
        formals("inputs", callable.inputs);
        if (callable.result) line("result {}", type_text(*callable.result));
        under("body", [&] {
            std::visit(Overloaded{[&](const ast::ExprPtr& value) { expression(*value); },
                                  [&](const ast::Block& statements) { block(statements); }},
                       callable.body);
        });
    });
}

void Printer::formals(std::string_view heading, const ast::FormalList& list) {
    under(heading, [&] {
        for (const ast::Formal& formal : list.formals) {
            const std::string text = formal.name.text + ": " + type_text(formal.type);
            if (formal.default_value == nullptr)
                line("{}", text);
            else
                named(text, *formal.default_value);
        }
    });
}

void Printer::train(const ast::Train& train) {
    under(fmt::format("train {}{}", train.model.text, train.name ? " as " + train.name->text : ""),
          [&] {
              for (const ast::TrainItem& item : train.items) {
                  if (!item.doc.empty()) line("doc {}", quoted(item.doc));
                  std::visit(Overloaded{
                                 [&](const ast::Target& target) {
                                     line("target {}: {}", target.name.text,
                                          type_text(target.type));
                                 },
                                 [&](const ast::Augment& augment) {
                                     named("augment " + augment.name.text, augment.value);
                                 },
                                 [&](const ast::Metric& metric) {
                                     named("metric " + metric.name.text, metric.value);
                                 },
                                 [&](const ast::Setting& setting) {
                                     named("set " + setting.name.text, setting.value);
                                 },
                             },
                             item.kind);
              }
          });
}

void Printer::statement(const ast::Stmt& statement) {
    std::visit(
        Overloaded{
            [&](const ast::Let& let) {
                typed("let " + pattern_text(let.pattern), let.type, let.value);
            },
            [&](const ast::Var& var) { typed("var " + var.name.text, var.type, var.value); },
            [&](const ast::Param& param) {
                under(fmt::format("param {}: {}", param.name.text, type_text(param.type)), [&] {
                    expression(param.value);
                    arguments(param.attributes);
                });
            },
            [&](const ast::State& state) {
                named(fmt::format("state {}: {}", state.name.text, type_text(state.type)),
                      state.value);
            },
            [&](const ast::Update& update) { named("update " + update.name.text, update.value); },
            [&](const ast::Assign& assign) { named("assign " + assign.name.text, assign.value); },
            [&](const ast::For& loop) {
                under("for " + pattern_text(loop.pattern), [&] {
                    expression(loop.source);
                    under("do", [&] { block(loop.body); });
                });
            },
            [&](const ast::If& choice) {
                under("if", [&] {
                    expression(choice.condition);
                    under("then", [&] { block(choice.then_block); });
                    if (choice.else_block) under("else", [&] { block(*choice.else_block); });
                });
            },
            [&](const ast::Assert& assertion) { this->assertion(assertion); },
            [&](const ast::Yield& yield) { named("yield", yield.value); },
            [&](const ast::Return& result) { named("return", result.value); },
        },
        statement.kind);
}

void Printer::assertion(const ast::Assert& assertion) {
    under("assert", [&] {
        expression(assertion.condition);
        for (const ast::TextPart& part : assertion.text) {
            if (part.value == nullptr)
                line("text {}", quoted(part.text));
            else
                named("text of", *part.value);
        }
    });
}

void Printer::expression(const ast::Expr& expression) {
    std::visit(
        Overloaded{
            [&](const ast::IntLiteral& literal) { line("int {}", literal.value); },
            [&](const ast::FloatLiteral& literal) { line("float {}", literal.value); },
            [&](const ast::QuantityLiteral& literal) {
                line("quantity {}{}", literal.value, spelling(literal.unit));
            },
            [&](const ast::StringLiteral& literal) { line("string {}", quoted(literal.value)); },
            [&](const ast::BoolLiteral& literal) { line("bool {}", literal.value); },
            [&](const ast::DtypeLiteral& literal) { line("dtype {}", spelling(literal.dtype)); },
            [&](const ast::NameRef& name) { line("name {}", name.name); },
            [&](const ast::Tuple& tuple) {
                under("tuple", [&] {
                    for (const ast::Expr& item : tuple.items) this->expression(item);
                });
            },
            [&](const ast::List& list) {
                under("list", [&] {
                    for (const ast::Expr& item : list.items) this->expression(item);
                });
            },
            [&](const ast::Call& call) { this->call(call); },
            [&](const ast::Index& index) { this->index(index); },
            [&](const ast::Member& member) { named("member " + member.name.text, *member.base); },
            [&](const ast::Ascribe& ascribe) {
                named("as " + type_text(ascribe.type), *ascribe.value);
            },
            [&](const ast::Unary& unary) {
                named(unary.op == ast::UnaryOperator::negate ? "negate" : "not", *unary.operand);
            },
            [&](const ast::Binary& binary) {
                under(spelling(binary.op), [&] {
                    this->expression(*binary.left);
                    this->expression(*binary.right);
                });
            },
            [&](const ast::Pipe& pipe) {
                under("pipe", [&] { stages(*pipe.first, pipe.stages); });
            },
            [&](const ast::Compose& compose) {
                under("compose", [&] { stages(*compose.first, compose.stages); });
            },
            [&](const ast::IfExpr& choice) {
                under("if", [&] {
                    this->expression(*choice.condition);
                    this->expression(*choice.then_value);
                    this->expression(*choice.else_value);
                });
            },
            [&](const ast::Lambda& lambda) {
                std::string names;
                for (const ast::Name& name : lambda.parameters) names += " " + name.text;
                named("lambda" + names, *lambda.body);
            },
            [&](const ast::Repeat& repeat) {
                under(repeat.pattern ? "repeat " + pattern_text(*repeat.pattern) : "repeat", [&] {
                    this->expression(*repeat.source);
                    this->expression(*repeat.body);
                });
            },
            [&](const ast::Scan& scan) {
                under("scan " + pattern_text(scan.pattern), [&] {
                    this->expression(*scan.source);
                    under("do", [&] { block(scan.body); });
                });
            },
        },
        expression.kind);
}

void Printer::call(const ast::Call& call) {
    under("call", [&] {
        expression(*call.callee);
        arguments(call.arguments);
    });
}

void Printer::arguments(const std::vector<ast::Argument>& arguments) {
    for (const ast::Argument& argument : arguments) {
        named(argument.name ? "argument " + argument.name->text : "argument", argument.value);
    }
}

void Printer::index(const ast::Index& index) {
    const auto end = [&](std::string_view heading, const ast::ExprPtr& value) {
        if (value == nullptr)
            line("{} open", heading);
        else
            named(heading, *value);
    };
    under("index", [&] {
        expression(*index.base);
        for (const ast::SliceItem& item : index.items) {
            std::visit(Overloaded{
                           [&](const ast::WholeAxis&) { line("axis whole"); },
                           [&](const ast::Ellipsis&) { line("axes between"); },
                           [&](const ast::SliceRange& range) {
                               under("axis range", [&] {
                                   end("from", range.begin);
                                   end("to", range.end);
                               });
                           },
                           [&](const ast::SliceIndex& single) { named("axis at", *single.index); },
                       },
                       item.kind);
        }
    });
}

}  // namespace

std::string print_ast(const ast::File& file) {
    Printer printer;
    printer.file(file);
    return std::move(printer.out);
}

}  // namespace netc
