// See graph_verify.h.
#include "ir/graph_verify.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "ir/graph_text.h"
#include "ir/op_def.h"

namespace netc {
namespace {

Error broken(std::string message) { return Error{kExitInternal, std::move(message)}; }

class Verifier {
public:
    Verifier(const Function& function, const Module& module)
        : function_(function), module_(module) {}

    Status check() const {
        for (const Function& body : function_.bodies) {
            if (Status status = check_body(body); !status) return status;
        }
        std::set<std::string> names;
        for (const Input& input : function_.inputs) {
            if (!names.insert(input.name).second) {
                return broken(fmt::format("{}: two inputs `{}`", function_.name, input.name));
            }
        }
        if (function_.origins.empty()) return broken(function_.name + ": no origin 0");
        for (std::uint32_t i = 0; i < function_.nodes.size(); ++i) {
            const std::string problem = check_node(i);
            if (problem.empty()) continue;
            const Node& node = function_.nodes[i];
            const bool has_origin = node.origin < function_.origins.size();
            return broken(fmt::format("{}: node {}, {}: {}{}{}", function_.name, i, to_text(node),
                                      problem, has_origin ? ", from " : "",
                                      has_origin ? function_.origins[node.origin].instance : ""));
        }
        return check_ends();
    }

private:
    // Empty where the node is right.
    std::string check_node(std::uint32_t number) const {
        const Node& node = function_.nodes[number];
        std::vector<Type> types;
        for (const NodeId input : node.inputs) {
            if (input.index >= number) return "an operand does not stand before it";
            types.push_back(function_[input].type);
        }
        const Result<Type> type = infer_type(node.op, types, node.attributes);
        if (!type) return type.error().message;
        if (*type != node.type) return "its type should be " + type->to_string();
        if (node.origin >= function_.origins.size()) return "its origin does not exist";
        if (node.op == OpId::input || node.op == OpId::variable) return check_leaf(node);
        if (node.op == OpId::scan) return check_scan(node);
        if (node.op == OpId::scan_result) return check_scan_result(node);
        return check_layout(node);
    }

    Status check_body(const Function& body) const {
        if (!body.updates.empty()) return broken(body.name + ": a body updates nothing");
        for (const Node& node : body.nodes) {
            if (node.op == OpId::variable || node.op == OpId::hyper) {
                return broken(body.name + ": a body reads only what its scan hands it");
            }
        }
        return verify(body, module_);
    }

    const Function* body_of(const Node& scan) const {
        const auto number = scan.attributes.get<std::int64_t>("body");
        if (number < 0 || number >= static_cast<std::int64_t>(function_.bodies.size()))
            return nullptr;
        return &function_.bodies[static_cast<std::size_t>(number)];
    }

    // Operands against the body's inputs, carries against its results.
    std::string check_scan(const Node& node) const {
        const Function* body = body_of(node);
        if (body == nullptr) return "there is no such body";
        const auto sequences =
            static_cast<std::size_t>(node.attributes.get<std::int64_t>("sequences"));
        const auto carries = static_cast<std::size_t>(node.attributes.get<std::int64_t>("carries"));
        if (body->inputs.size() != node.inputs.size()) return "its body has other inputs";
        for (std::size_t i = 0; i < node.inputs.size(); ++i) {
            Type type = function_[node.inputs[i]].type;
            if (i < sequences) type.shape.erase(type.shape.begin());
            if (body->inputs[i].type != type) {
                return fmt::format("its body takes {} for {}", body->inputs[i].type.to_string(),
                                   type.to_string());
            }
        }
        if (body->results.size() < carries) return "its body does not give all carries";
        for (std::size_t k = 0; k < carries; ++k) {
            const Type& type = (*body)[body->results[k].value].type;
            if (type != body->inputs[sequences + k].type) {
                return fmt::format("a carry becomes {}", type.to_string());
            }
        }
        return {};
    }

    std::string check_scan_result(const Node& node) const {
        const Node& scan = function_[node.inputs[0]];
        const Function* body = scan.op == OpId::scan ? body_of(scan) : nullptr;
        if (body == nullptr) return "its operand is no scan";
        const auto number = node.attributes.get<std::int64_t>("number");
        if (number >= static_cast<std::int64_t>(body->results.size()))
            return "there is no such result";
        Type type = (*body)[body->results[static_cast<std::size_t>(number)].value].type;
        if (number >= scan.attributes.get<std::int64_t>("carries")) {
            type.shape.insert(type.shape.begin(), scan.attributes.get<Shape>("steps")[0]);
        }
        return type == node.type ? std::string() : "the body gives " + type.to_string();
    }

    std::string check_leaf(const Node& node) const {
        const std::int64_t index = node.attributes.get<std::int64_t>("index");
        const bool input = node.op == OpId::input;
        const std::size_t count = input ? function_.inputs.size() : module_.variables.size();
        if (index < 0 || index >= static_cast<std::int64_t>(count))
            return "there is no such number";
        const auto i = static_cast<std::size_t>(index);
        const Type& type = input ? function_.inputs[i].type : module_.variables[i].type;
        if (type != node.type) return "what it reads is " + type.to_string();
        return {};
    }

    static std::string check_layout(const Node& node) {
        const Layout& layout = node.layout;
        std::vector<std::int32_t> dims = layout.order;
        std::sort(dims.begin(), dims.end());
        const bool complete = dims == row_major(node.type.rank()).order;
        if (!dims.empty() && !complete) return "its layout orders other dimensions";
        if (layout.lanes && (!complete || dims.empty() || layout.order[0] != 0)) {
            return "only the first dimension can be split into lanes";
        }
        return {};
    }

    Status check_ends() const {
        std::set<std::string> names;
        for (const Function::Result& result : function_.results) {
            if (result.value.index >= function_.nodes.size()) {
                return broken(
                    fmt::format("{}: the result `{}` is no node", function_.name, result.name));
            }
            if (!names.insert(result.name).second) {
                return broken(fmt::format("{}: two results `{}`", function_.name, result.name));
            }
        }
        std::set<VariableId> updated;
        for (const Function::Update& update : function_.updates) {
            if (update.variable >= module_.variables.size() ||
                update.value.index >= function_.nodes.size()) {
                return broken(fmt::format("{}: an update of variable {} by node {}", function_.name,
                                          update.variable, update.value.index));
            }
            const Variable& variable = module_.variables[update.variable];
            const Type& type = function_[update.value].type;
            if (type != variable.type) {
                return broken(fmt::format("{}: the update of {} @{} is {}", function_.name,
                                          variable.type.to_string(), variable.name,
                                          type.to_string()));
            }
            if (!updated.insert(update.variable).second) {
                return broken(fmt::format("{}: two updates of @{}", function_.name, variable.name));
            }
        }
        return {};
    }

    const Function& function_;
    const Module& module_;
};

}  // namespace

Status verify(const Function& function, const Module& module) {
    return Verifier(function, module).check();
}

Status verify(const Module& module) {
    std::set<std::string> names;
    for (const Variable& variable : module.variables) {
        if (!names.insert(variable.name).second) {
            return broken(fmt::format("two variables @{}", variable.name));
        }
        for (const Dim& dim : variable.type.shape) {
            if (!dim.is_static()) {
                return broken(
                    fmt::format("@{} has the type {}", variable.name, variable.type.to_string()));
            }
        }
    }
    names.clear();
    for (const Function& function : module.functions) {
        if (!names.insert(function.name).second) {
            return broken(fmt::format("two functions {}", function.name));
        }
        if (Status status = verify(function, module); !status) return status;
    }
    return {};
}

}  // namespace netc
