// Prints graphs; see graph_text.h for the form. graph_parse.cpp reads it.
#include "ir/graph_text.h"

#include <cmath>
#include <map>

#include <fmt/format.h>

#include "ir/graph_words.h"
#include "ir/op_def.h"

namespace netc {
namespace {

std::string quoted(std::string_view text) {
    std::string result = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            result += '\\';
            result += c;
        } else if (byte < 0x20 || byte == 0x7f) {
            result += fmt::format("\\x{:02x}", byte);
        } else {
            result += c;
        }
    }
    return result + "\"";
}

std::string name_text(std::string_view name) {
    return is_bare_name(name) ? std::string(name) : quoted(name);
}

// The shortest text that reads back as the same number.
std::string number_text(double value) {
    return std::isnan(value) ? "nan" : fmt::format("{}", value);
}

std::string span_text(Span span) {
    return span.known() ? fmt::format("{}:{}-{}", span.file, span.begin, span.end) : "?";
}

template <class T, class Print>
std::string list_text(const std::vector<T>& values, Print print) {
    std::string text = "[";
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (i > 0) text += ", ";
        text += print(values[i]);
    }
    return text + "]";
}

struct AttributeText {
    std::string operator()(bool value) const { return value ? "true" : "false"; }
    std::string operator()(std::int64_t value) const { return std::to_string(value); }
    std::string operator()(double value) const { return number_text(value); }
    std::string operator()(const std::string& value) const { return quoted(value); }
    std::string operator()(DType value) const { return std::string(name_of(value)); }
    std::string operator()(const std::vector<std::int64_t>& values) const {
        return list_text(values, [](std::int64_t value) { return std::to_string(value); });
    }
    std::string operator()(const std::vector<double>& values) const {
        return list_text(values, number_text);
    }
    std::string operator()(const Shape& shape) const {
        return list_text(shape, [](const Dim& dim) { return dim.to_string(); });
    }
};

// ` {a = 1, b = [2]}`, or nothing.
std::string attributes_text(const Node& node) {
    std::string text;
    for (const auto& [name, value] : node.attributes.all()) {
        if (repeats_type(name, value, node.type)) continue;
        text += text.empty() ? " {" : ", ";
        text += name + " = " + std::visit(AttributeText{}, value);
    }
    return text.empty() ? text : text + "}";
}

bool is_row_major(const Node& node) {
    return node.layout.order.empty() || node.layout == row_major(node.type.rank());
}

std::string layout_text(const Node& node) {
    if (is_row_major(node)) return "";
    const Layout& layout = node.layout;
    std::string text =
        " layout " + list_text(layout.order, [](std::int32_t dim) { return std::to_string(dim); });
    if (layout.lanes) text += " lanes";
    if (layout.extra != 0) text += fmt::format(" extra {}", layout.extra);
    return text;
}

class Printer {
public:
    Printer(const Function& function, const Module& module, const GraphTextOptions& options)
        : function_(function), module_(module), options_(options) {
        find_names();
        find_blocks();
    }

    std::string print() {
        text_ = "function " + name_text(function_.name) + "(";
        for (std::size_t i = 0; i < function_.inputs.size(); ++i) {
            const Input& input = function_.inputs[i];
            text_ += fmt::format("{}%{}: {}", i > 0 ? ", " : "", name_text(input.name),
                                 input.type.to_string());
            print_extras(input.span, input.doc);
        }
        text_ += ") {\n";
        print_bodies();
        print_nodes();
        for (const Function::Result& result : function_.results) {
            text_ += fmt::format("    return {} = {}", name_text(result.name), name(result.value));
            print_extras(result.span, result.doc);
            text_ += "\n";
        }
        for (const Function::Update& update : function_.updates) {
            text_ += fmt::format("    update @{} = {}\n",
                                 update.variable < module_.variables.size()
                                     ? name_text(module_.variables[update.variable].name)
                                     : "?",
                                 name(update.value));
        }
        return text_ + "}\n";
    }

private:
    // An input or variable under its own name; a wrong one is printed as a node.
    std::string leaf_name(const Node& node) const {
        if (node.op != OpId::input && node.op != OpId::variable) return "";
        if (node.group != 0 || !is_row_major(node)) return "";
        const AttributeValue* value = node.attributes.find("index");
        const std::int64_t* index = value != nullptr ? std::get_if<std::int64_t>(value) : nullptr;
        const bool input = node.op == OpId::input;
        const std::size_t count = input ? function_.inputs.size() : module_.variables.size();
        if (index == nullptr || *index < 0 || *index >= static_cast<std::int64_t>(count)) return "";
        const auto i = static_cast<std::size_t>(*index);
        const Type& type = input ? function_.inputs[i].type : module_.variables[i].type;
        if (type != node.type) return "";
        return input ? "%" + name_text(function_.inputs[i].name)
                     : "@" + name_text(module_.variables[i].name);
    }

    bool is_literal(const Node& reader, std::size_t operand) const {
        if (!exists(reader.inputs[operand])) return false;
        const Node& node = function_[reader.inputs[operand]];
        if (node.op != OpId::constant || node.group != 0 || !is_row_major(node)) return false;
        if (is_arithmetic(reader.op)) return node.type == reader.type;
        if (reader.op == OpId::select) return operand > 0 && node.type == reader.type;
        if (!is_comparison(reader.op)) return false;
        // The other operand tells the type.
        if (!exists(reader.inputs[1 - operand])) return false;
        const Node& other = function_[reader.inputs[1 - operand]];
        return other.op != OpId::constant && other.type == node.type;
    }

    void find_names() {
        std::vector<bool> needs_name(function_.nodes.size(), false);
        std::vector<bool> is_read(function_.nodes.size(), false);
        for (const Node& node : function_.nodes) {
            for (std::size_t k = 0; k < node.inputs.size(); ++k) {
                if (!exists(node.inputs[k])) continue;
                if (!is_literal(node, k)) needs_name[node.inputs[k].index] = true;
                is_read[node.inputs[k].index] = true;
            }
        }
        for (const Function::Result& result : function_.results) {
            if (exists(result.value)) needs_name[result.value.index] = true;
        }
        for (const Function::Update& update : function_.updates) {
            if (exists(update.value)) needs_name[update.value.index] = true;
        }
        int next = 1;
        for (std::size_t i = 0; i < function_.nodes.size(); ++i) {
            const Node& node = function_.nodes[i];
            std::string name = leaf_name(node);
            const bool only_literal =
                node.op == OpId::constant && is_read[i] && !needs_name[i] && node.group == 0;
            printed_.push_back(name.empty() && !only_literal);
            if (printed_.back()) name = fmt::format("%{}", next++);
            names_.push_back(std::move(name));
        }
    }

    // Groups of which at least two members stand in a row, and all of them.
    void find_blocks() {
        GroupId last = 0;
        for (std::size_t i = 0; i < function_.nodes.size(); ++i) {
            if (!printed_[i]) continue;
            const GroupId group = function_.nodes[i].group;
            if (group != 0) {
                Run& run = runs_[group];
                if (group != last) ++run.parts;
                ++run.members;
            }
            last = group;
        }
    }

    bool is_block(GroupId group) const {
        if (group == 0) return false;
        const Run& run = runs_.at(group);
        return run.parts == 1 && run.members > 1;
    }

    // Broken functions can be printed too: that is how one finds out.
    bool exists(NodeId id) const { return id.index < function_.nodes.size(); }
    std::string name(NodeId id) const { return exists(id) ? names_[id.index] : "%?"; }

    // Each as a function, four columns in.
    void print_bodies() {
        for (std::size_t i = 0; i < function_.bodies.size(); ++i) {
            std::string text = Printer(function_.bodies[i], module_, options_).print();
            text.replace(0, std::string_view("function").size(), fmt::format("body {}", i));
            std::size_t begin = 0;
            while (begin < text.size()) {
                const std::size_t end = text.find('\n', begin) + 1;
                text_ += "    " + text.substr(begin, end - begin);
                begin = end;
            }
        }
    }

    void print_nodes() {
        GroupId open = 0;
        for (std::size_t i = 0; i < function_.nodes.size(); ++i) {
            if (!printed_[i]) continue;
            const Node& node = function_.nodes[i];
            if (open != 0 && node.group != open) {
                text_ += "    }\n";
                open = 0;
            }
            if (open == 0 && is_block(node.group)) {
                open = node.group;
                text_ += fmt::format("    group {} {{\n", open);
            }
            text_ += open != 0 ? "        " : "    ";
            print_node(node, names_[i], open != 0);
        }
        if (open != 0) text_ += "    }\n";
    }

    void print_node(const Node& node, const std::string& own_name, bool in_block) {
        text_ += fmt::format("{} = {}", own_name, op_def(node.op).name);
        for (std::size_t k = 0; k < node.inputs.size(); ++k) {
            text_ += k > 0 ? ", " : " ";
            if (is_literal(node, k)) {
                text_ += number_text(function_[node.inputs[k]].attributes.get<double>("value"));
            } else {
                text_ += name(node.inputs[k]);
            }
        }
        text_ += attributes_text(node) + " : " + node.type.to_string();
        text_ += layout_text(node);
        if (node.group != 0 && !in_block) text_ += fmt::format(" [group {}]", node.group);
        if (node.origin < function_.origins.size()) print_origin(function_.origins[node.origin]);
        text_ += "\n";
    }

    void print_origin(const Origin& origin) {
        const bool has_spans = options_.spans && (origin.span.known() || !origin.calls.empty());
        if (origin.instance.empty() && !has_spans) return;
        text_ += "  # " + name_text(origin.instance);
        if (!has_spans) return;
        text_ += " " + span_text(origin.span);
        for (const Span call : origin.calls) text_ += " " + span_text(call);
    }

    void print_extras(Span span, const std::string& doc) {
        if (!doc.empty()) text_ += " doc " + quoted(doc);
        if (options_.spans && span.known()) text_ += " span " + span_text(span);
    }

    struct Run {
        int parts = 0;
        int members = 0;
    };

    const Function& function_;
    const Module& module_;
    GraphTextOptions options_;
    std::vector<std::string> names_;
    std::vector<bool> printed_;
    std::map<GroupId, Run> runs_;
    std::string text_;
};

std::string variable_text(const Variable& variable, const GraphTextOptions& options) {
    const Initializer& init = variable.initializer;
    std::string text =
        fmt::format("variable @{} {} {} = {}(", name_text(variable.name),
                    kVariableKinds[static_cast<std::size_t>(variable.kind)],
                    variable.type.to_string(), kInitializers[static_cast<std::size_t>(init.kind)]);
    for (std::size_t i = 0; i < init.arguments.size(); ++i) {
        text += (i > 0 ? ", " : "") + number_text(init.arguments[i]);
    }
    text += ")";
    // What differs from the default.
    std::string extras;
    const auto extra = [&](const char* name, const std::string& value) {
        extras += fmt::format("{}{} = {}", extras.empty() ? "" : ", ", name, value);
    };
    if (init.fan_in != 0) extra("fan_in", number_text(init.fan_in));
    if (init.fan_out != 0) extra("fan_out", number_text(init.fan_out));
    if (!init.values.empty()) extra("values", list_text(init.values, number_text));
    if (!init.path.empty()) extra("path", quoted(init.path));
    if (variable.stream != 0) extra("stream", std::to_string(variable.stream));
    if (!variable.decay) extra("decay", "false");
    if (variable.frozen) extra("frozen", "true");
    if (variable.rate != 1.0) extra("rate", number_text(variable.rate));
    if (!variable.layer.empty()) extra("layer", quoted(variable.layer));
    if (options.spans && variable.span.known()) extra("span", span_text(variable.span));
    if (options.spans && init.span.known()) extra("initializer_span", span_text(init.span));
    if (!extras.empty()) text += " {" + extras + "}";
    return text + "\n";
}

}  // namespace

std::string to_text(const Node& node) {
    std::string text(op_def(node.op).name);
    for (std::size_t k = 0; k < node.inputs.size(); ++k) {
        text += fmt::format("{} node {}", k > 0 ? "," : "", node.inputs[k].index);
    }
    return text + attributes_text(node) + " : " + node.type.to_string();
}

std::string to_text(const Function& function, const Module& module,
                    const GraphTextOptions& options) {
    return Printer(function, module, options).print();
}

std::string to_text(const Module& module, const GraphTextOptions& options) {
    std::string text = "module " + name_text(module.name) + "\n";
    if (!module.variables.empty()) text += "\n";
    for (const Variable& variable : module.variables) text += variable_text(variable, options);
    for (const Function& function : module.functions) {
        text += "\n" + to_text(function, module, options);
    }
    return text;
}

}  // namespace netc
