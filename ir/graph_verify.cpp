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
        return check_layout(node);
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
