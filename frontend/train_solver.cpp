// What the normal equation and L-BFGS ask of a training graph: the degree of every value as a
// polynomial in the trainable parameters.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "frontend/train_settings.h"
#include "ir/op_def.h"

namespace netc::frontend {

namespace {

constexpr int kNoPolynomial = 1000;
constexpr std::int64_t kMostUnknowns =
    4096;  // of a normal equation: a dense matrix of their square

// The degree of their result is the largest degree of an operand.
constexpr std::array kLinear{OpId::neg,        OpId::copy,    OpId::add,     OpId::sub,
                             OpId::reduce_sum, OpId::reshape, OpId::permute, OpId::broadcast,
                             OpId::slice,      OpId::pad,     OpId::concat};
// The sum of the degrees.
constexpr std::array kProducts{OpId::mul, OpId::einsum, OpId::conv_nd, OpId::conv_transpose_nd};

template <std::size_t count>
bool among(const std::array<OpId, count>& set, OpId op) {
    return std::find(set.begin(), set.end(), op) != set.end();
}

struct Degrees {
    const Function& function;
    const Module& module;
    std::vector<int> of = std::vector<int>(function.nodes.size(), 0);

    void compute() {
        for (std::size_t i = 0; i < function.nodes.size(); ++i) {
            of[i] = std::min(degree(function.nodes[i]), kNoPolynomial);
        }
    }
    int input(const Node& node, std::size_t i) const { return of[node.inputs[i].index]; }
    int largest(const Node& node) const {
        int result = 0;
        for (const NodeId id : node.inputs) result = std::max(result, of[id.index]);
        return result;
    }

    // `x ^ 2` with a constant exponent, stretched or not.
    int power(const Node& node) const {
        const Node* exponent = &function[node.inputs[1]];
        while (exponent->op == OpId::broadcast) exponent = &function[exponent->inputs[0]];
        const double value =
            exponent->op == OpId::constant ? exponent->attributes.get<double>("value") : -1;
        for (const int whole : {0, 1, 2}) {
            if (value == whole) return whole * input(node, 0);
        }
        return kNoPolynomial;
    }

    int degree(const Node& node) const {
        if (node.op == OpId::variable) {
            const Variable& variable = module.variables[static_cast<std::size_t>(
                node.attributes.get<std::int64_t>("index"))];
            return variable.kind == VariableKind::parameter && !variable.frozen ? 1 : 0;
        }
        const int most = largest(node);
        if (most == 0) return 0;
        if (among(kLinear, node.op)) return most;
        if (among(kProducts, node.op)) {
            int sum = 0;
            for (const NodeId id : node.inputs) sum += of[id.index];
            return sum;
        }
        if (node.op == OpId::div && input(node, 1) == 0) return input(node, 0);
        if (node.op == OpId::pow && input(node, 1) == 0) return power(node);
        if (node.op == OpId::select && input(node, 0) == 0) return most;
        if (node.op == OpId::gather && input(node, 1) == 0) return input(node, 0);
        if (node.op == OpId::scatter_add && input(node, 1) == 0) return most;
        if (node.op == OpId::window && node.attributes.get<std::string>("op") == "sum") return most;
        if (node.op == OpId::cast && is_float(node.type.dtype)) return most;
        return kNoPolynomial;
    }
};

// What the results of the training function depend on.
std::vector<bool> needed(const Function& function) {
    std::vector<bool> result(function.nodes.size(), false);
    for (const Function::Result& output : function.results) result[output.value.index] = true;
    for (std::size_t i = function.nodes.size(); i-- > 0;) {
        if (!result[i]) continue;
        for (const NodeId id : function.nodes[i].inputs) result[id.index] = true;
    }
    return result;
}

struct SolverCheck {
    Session& session;
    const TrainSection& section;
    const SectionItems& items;
    const Function& training;
    std::string name;

    bool refuse(Span place, std::string why, std::string text, std::string help) const {
        Diagnostic diagnostic = diagnose<Code::solver_does_not_fit>(
            place.known() ? place : items.solver_place, name, std::move(why));
        diagnostic.primary.text = std::move(text);
        if (place.known()) std::move(diagnostic).label(items.solver_place, "asked for here");
        session.diagnostics.add(std::move(diagnostic).help_text(std::move(help)));
        return false;
    }
    Span place_of(const Node& node) const { return training.origins[node.origin].span; }

    // The loss is one function of the parameters, whatever the step.
    bool is_fixed() const {
        if (!section.balance.empty()) {
            return refuse({}, "its samples are drawn at random", "", "leave `sample` out");
        }
        if (!training.updates.empty()) {
            const Variable& state = section.module.variables[training.updates.front().variable];
            return refuse(state.span, fmt::format("training updates the state `{}`", state.name),
                          "declared here", "`freeze` the layer, or train with `adam`");
        }
        const std::vector<bool> used = needed(training);
        for (std::size_t i = 0; i < training.nodes.size(); ++i) {
            const OpId op = training.nodes[i].op;
            if (!used[i] || (op != OpId::random_uniform && op != OpId::random_normal)) continue;
            return refuse(place_of(training.nodes[i]), "its loss is random", "drawn here",
                          "train with `adam`, or leave the random layer out");
        }
        return true;
    }

    std::string instead() const {
        return "remove `solver` and train with `optimizer = adam(1e-2)`";
    }

    bool is_quadratic() const {
        Degrees degrees{training, section.module};
        degrees.compute();
        const std::vector<bool> used = needed(training);
        bool beyond = false;
        for (const Function::Result& result : training.results) {
            beyond = beyond || degrees.of[result.value.index] > 2;
        }
        for (std::size_t i = 0; beyond && i < training.nodes.size(); ++i) {
            const Node& node = training.nodes[i];
            if (!used[i]) continue;
            const bool model = depends_on_samples(node, false) && !depends_on_samples(node, true);
            const int limit = model ? 1 : 2;
            if (degrees.of[i] <= limit || degrees.largest(node) > limit) continue;
            const char* why = model ? "the model is not linear in its parameters"
                              : depends_on_samples(node, true) ? "the loss is not a squared error"
                                                               : "the penalty is not `l2`";
            return refuse(place_of(node), why,
                          degrees.of[i] == kNoPolynomial
                              ? fmt::format("`{}` of a value that depends on them is not linear",
                                            op_def(node.op).name)
                              : std::string("parameters are multiplied by parameters"),
                          instead());
        }
        for (const Function::Result& result : training.results) {
            if (result.name != "loss" || degrees.of[result.value.index] == 2) continue;
            return refuse(items.loss->span, "the loss is not a squared error",
                          "no parameter is squared here", "write `loss = mse(out, y)`");
        }
        return true;
    }

    // Whether the value depends on the model's inputs, or on a target.
    bool depends_on_samples(const Node& node, bool on_target) const {
        const std::size_t inputs = training.inputs.size() - section.targets.size();
        std::vector<const Node*> open{&node};
        std::vector<bool> seen(training.nodes.size(), false);
        while (!open.empty()) {
            const Node& at = *open.back();
            open.pop_back();
            const bool target =
                at.op == OpId::input &&
                static_cast<std::size_t>(at.attributes.get<std::int64_t>("index")) >= inputs;
            if (at.op == OpId::input && target == on_target) return true;
            for (const NodeId id : at.inputs) {
                if (seen[id.index]) continue;
                seen[id.index] = true;
                open.push_back(&training[id]);
            }
        }
        return false;
    }

    bool has_unknowns() const {
        std::int64_t count = 0;
        for (const Variable& variable : section.module.variables) {
            if (variable.kind != VariableKind::parameter || variable.frozen) continue;
            count += product(variable.type.shape).value();
        }
        if (count >= 1 && count <= kMostUnknowns) return true;
        return refuse({},
                      count == 0 ? std::string("no parameter is trainable")
                                 : fmt::format("it solves for at most {} numbers, the model "
                                               "has {}",
                                               kMostUnknowns, count),
                      "", count == 0 ? "" : instead());
    }
};

}  // namespace

bool check_solver(Session& session, const TrainSection& section, const SectionItems& items) {
    if (!trains_on_all_data(section)) return true;
    const Function* training = section.module.find("training");
    const SolverCheck check{session, section, items, *training,
                            section.normal_equation ? "solver = normal_equation()" : "lbfgs"};
    if (!check.is_fixed()) return false;
    return !section.normal_equation || (check.has_unknowns() && check.is_quadratic());
}

}  // namespace netc::frontend
