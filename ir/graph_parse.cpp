// Reads the text of graphs; see graph_text.h for the form.
#include <algorithm>
#include <map>

#include "ir/graph_reader.h"
#include "ir/graph_text.h"
#include "ir/op_def.h"

namespace netc {
namespace {

AttributeValue attribute_value(GraphReader& reader, AttributeKind kind) {
    switch (kind) {
        case AttributeKind::boolean: return reader.boolean();
        case AttributeKind::integer: return reader.integer<std::int64_t>();
        case AttributeKind::number: return reader.number();
        case AttributeKind::text: return reader.string();
        case AttributeKind::dtype: return reader.dtype();
        case AttributeKind::integers: {
            std::vector<std::int64_t> values;
            reader.list([&] { values.push_back(reader.integer<std::int64_t>()); });
            return values;
        }
        case AttributeKind::numbers: {
            std::vector<double> values;
            reader.list([&] { values.push_back(reader.number()); });
            return values;
        }
        case AttributeKind::shape: return reader.shape();
    }
    return false;
}

// `{name = value, ...}` where there is one; `entry` reads the value.
template <class Entry>
void braces(GraphReader& reader, const Entry& entry) {
    if (!reader.accept("{")) return;
    do {
        const std::string name = reader.name();
        reader.expect("=");
        if (!reader.failed()) entry(name);
    } while (!reader.failed() && reader.accept(","));
    reader.expect("}");
}

class FunctionParser {
public:
    FunctionParser(GraphReader& reader, const Module& module) : reader_(reader), module_(module) {
        for (std::size_t i = 0; i < module.variables.size(); ++i) {
            variables_.emplace(module.variables[i].name, static_cast<VariableId>(i));
        }
    }

    Function parse() {
        function_.name = reader_.name();
        reader_.expect("(");
        while (!reader_.failed() && reader_.accept("%")) {
            parse_input();
            if (!reader_.accept(",")) break;
        }
        reader_.expect(")");
        reader_.expect("{");
        while (!reader_.failed() && !reader_.accept("}")) parse_line();
        return std::move(function_);
    }

private:
    struct Operand {
        NodeId id;
        double number = 0;
        bool is_number = false;
    };

    void parse_extras(Span& span, std::string& doc) {
        if (reader_.accept("doc")) doc = reader_.string();
        if (reader_.accept("span")) span = reader_.span();
    }

    void parse_input() {
        Input input;
        input.name = reader_.name();
        reader_.expect(":");
        input.type = reader_.type();
        parse_extras(input.span, input.doc);
        inputs_.emplace(input.name, function_.inputs.size());
        function_.inputs.push_back(std::move(input));
    }

    void parse_line() {
        if (reader_.accept("group")) {
            group_ = reader_.integer<GroupId>();
            reader_.expect("{");
            while (!reader_.failed() && !reader_.accept("}")) parse_node();
            group_ = 0;
        } else if (reader_.accept("body")) {
            if (reader_.integer<std::size_t>() != function_.bodies.size()) {
                reader_.fail("bodies are numbered from 0 on");
            }
            function_.bodies.push_back(FunctionParser(reader_, module_).parse());
        } else if (reader_.accept("return")) {
            Function::Result result;
            result.name = reader_.name();
            reader_.expect("=");
            result.value = parse_value();
            parse_extras(result.span, result.doc);
            function_.results.push_back(std::move(result));
        } else if (reader_.accept("update")) {
            reader_.expect("@");
            const std::string name = reader_.name();
            reader_.expect("=");
            const NodeId value = parse_value();
            function_.updates.push_back({variable(name), value});
        } else {
            parse_node();
        }
    }

    VariableId variable(const std::string& name) {
        const auto place = variables_.find(name);
        if (place == variables_.end()) {
            reader_.fail(fmt::format("there is no variable @{}", name));
            return 0;
        }
        return place->second;
    }

    NodeId append(OpId op, Attributes attributes, Type type) {
        Node node;
        node.op = op;
        node.attributes = std::move(attributes);
        node.type = std::move(type);
        return append(std::move(node));
    }
    NodeId append(Node node) {
        function_.nodes.push_back(std::move(node));
        return NodeId{static_cast<std::uint32_t>(function_.nodes.size() - 1)};
    }

    // The leaf of an input or variable, made when it is first read.
    NodeId leaf(OpId op, std::size_t index, const Type& type) {
        const auto [place, is_new] = leaves_.emplace(std::pair(op, index), NodeId{});
        if (is_new) {
            place->second = append(op,
                                   {{"index", static_cast<std::int64_t>(index)},
                                    {"dtype", type.dtype},
                                    {"shape", type.shape}},
                                   type);
        }
        return place->second;
    }

    NodeId named(const std::string& name) {
        const auto node = nodes_.find(name);
        if (node != nodes_.end()) return node->second;
        const auto input = inputs_.find(name);
        if (input != inputs_.end()) {
            return leaf(OpId::input, input->second, function_.inputs[input->second].type);
        }
        reader_.fail(fmt::format("there is no %{} before this place", name));
        return {};
    }

    NodeId parse_value() {
        if (reader_.accept("%")) return named(reader_.name());
        reader_.expect("@");
        const VariableId id = variable(reader_.name());
        if (reader_.failed()) return {};
        return leaf(OpId::variable, id, module_.variables[id].type);
    }

    Operand parse_operand() {
        Operand operand;
        if (reader_.peek() == '%' || reader_.peek() == '@') {
            operand.id = parse_value();
        } else {
            operand.number = reader_.number();
            operand.is_number = true;
        }
        return operand;
    }

    void parse_node() {
        reader_.expect("%");
        const std::string name = reader_.name();
        reader_.expect("=");
        const std::string op_name = reader_.name();
        const std::optional<OpId> op = find_op(op_name);
        if (!op) reader_.fail(fmt::format("there is no operator `{}`", op_name));
        if (reader_.failed()) return;
        Node node;
        node.op = *op;
        node.group = group_;
        std::vector<Operand> operands;
        if (reader_.peek() != '{' && reader_.peek() != ':') {
            do {
                operands.push_back(parse_operand());
            } while (!reader_.failed() && reader_.accept(","));
        }
        braces(reader_, [&](const std::string& key) { parse_attribute(node, key); });
        reader_.expect(":");
        node.type = reader_.type();
        parse_layout(node);
        if (reader_.accept_on_line("[")) {
            reader_.expect("group");
            node.group = reader_.integer<GroupId>();
            reader_.expect("]");
        }
        if (const std::optional<Origin> origin = reader_.origin()) node.origin = known(*origin);
        finish(std::move(node), operands, name);
    }

    void parse_attribute(Node& node, const std::string& key) {
        for (const AttributeSpec& spec : op_def(node.op).attributes) {
            if (spec.name != key) continue;
            node.attributes.set(key, attribute_value(reader_, spec.kind));
            return;
        }
        reader_.fail(fmt::format("{} has no attribute `{}`", op_def(node.op).name, key));
    }

    void parse_layout(Node& node) {
        if (!reader_.accept_on_line("layout")) return;
        reader_.list([&] { node.layout.order.push_back(reader_.integer<std::int32_t>()); });
        node.layout.lanes = reader_.accept_on_line("lanes");
        if (reader_.accept_on_line("extra")) node.layout.extra = reader_.integer<std::int64_t>();
    }

    // Attributes and operands that the type tells.
    void finish(Node node, const std::vector<Operand>& operands, const std::string& name) {
        if (reader_.failed()) return;
        for (const AttributeSpec& spec : op_def(node.op).attributes) {
            if (node.attributes.find(spec.name) != nullptr) continue;
            if (spec.name == "shape") node.attributes.set("shape", node.type.shape);
            if (spec.kind == AttributeKind::dtype) {
                node.attributes.set(std::string(spec.name), node.type.dtype);
            }
        }
        Type literal = node.type;
        if (is_comparison(node.op)) {
            for (const Operand& operand : operands) {
                if (!operand.is_number) literal = function_[operand.id].type;
            }
        }
        const bool takes_numbers =
            is_comparison(node.op) || is_arithmetic(node.op) || node.op == OpId::select;
        for (const Operand& operand : operands) {
            if (!operand.is_number) {
                node.inputs.push_back(operand.id);
            } else if (takes_numbers) {
                node.inputs.push_back(append(
                    OpId::constant,
                    {{"value", operand.number}, {"dtype", literal.dtype}, {"shape", literal.shape}},
                    literal));
            } else {
                reader_.fail(fmt::format("{} takes no number as operand", op_def(node.op).name));
                return;
            }
        }
        const auto [place, is_new] = nodes_.emplace(name, append(std::move(node)));
        if (!is_new) reader_.fail(fmt::format("two nodes are named %{}", name));
    }

    OriginId known(const Origin& origin) {
        for (std::size_t i = 0; i < function_.origins.size(); ++i) {
            const Origin& other = function_.origins[i];
            if (other.instance == origin.instance && other.span == origin.span &&
                other.calls == origin.calls) {
                return static_cast<OriginId>(i);
            }
        }
        function_.origins.push_back(origin);
        return static_cast<OriginId>(function_.origins.size() - 1);
    }

    GraphReader& reader_;
    const Module& module_;
    Function function_;
    GroupId group_ = 0;
    std::map<std::string, VariableId> variables_;
    std::map<std::string, std::size_t> inputs_;
    std::map<std::string, NodeId> nodes_;
    std::map<std::pair<OpId, std::size_t>, NodeId> leaves_;
};

template <std::size_t size>
std::size_t one_of(GraphReader& reader, const std::array<std::string_view, size>& words) {
    const std::string word = reader.name();
    for (std::size_t i = 0; i < size; ++i) {
        if (words[i] == word) return i;
    }
    reader.fail(fmt::format("`{}` is none of the words that may stand here", word));
    return 0;
}

void parse_variable_extra(GraphReader& reader, Variable& variable, const std::string& key) {
    Initializer& init = variable.initializer;
    if (key == "fan_in") {
        init.fan_in = reader.number();
    } else if (key == "fan_out") {
        init.fan_out = reader.number();
    } else if (key == "values") {
        reader.list([&] { init.values.push_back(reader.number()); });
    } else if (key == "path") {
        init.path = reader.string();
    } else if (key == "stream") {
        variable.stream = reader.integer<std::uint64_t>();
    } else if (key == "decay") {
        variable.decay = reader.boolean();
    } else if (key == "frozen") {
        variable.frozen = reader.boolean();
    } else if (key == "rate") {
        variable.rate = reader.number();
    } else if (key == "layer") {
        variable.layer = reader.string();
    } else if (key == "span") {
        variable.span = reader.span();
    } else if (key == "initializer_span") {
        init.span = reader.span();
    } else {
        reader.fail(fmt::format("a variable has no `{}`", key));
    }
}

Variable parse_variable(GraphReader& reader) {
    Variable variable;
    reader.expect("@");
    variable.name = reader.name();
    variable.kind = static_cast<VariableKind>(one_of(reader, kVariableKinds));
    variable.type = reader.type();
    reader.expect("=");
    variable.initializer.kind = static_cast<InitializerKind>(one_of(reader, kInitializers));
    reader.expect("(");
    if (!reader.accept(")")) {
        do {
            variable.initializer.arguments.push_back(reader.number());
        } while (!reader.failed() && reader.accept(","));
        reader.expect(")");
    }
    braces(reader, [&](const std::string& key) { parse_variable_extra(reader, variable, key); });
    return variable;
}

}  // namespace

Result<Module> parse_module(std::string_view text) {
    GraphReader reader(text);
    Module module;
    reader.expect("module");
    module.name = reader.name();
    while (!reader.at_end()) {
        if (reader.accept("variable")) {
            module.variables.push_back(parse_variable(reader));
        } else if (reader.accept("function")) {
            module.functions.push_back(FunctionParser(reader, module).parse());
        } else {
            reader.fail("expected a variable or a function");
        }
    }
    if (reader.failed()) return *reader.error();
    return module;
}

}  // namespace netc
