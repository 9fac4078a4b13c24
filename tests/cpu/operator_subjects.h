// Every sample of an operator as a function, forward and backward: what the table of operators is compared by, on the
// CPU and on the emulator of a GPU.
#pragma once

#include "passes/differentiate.h"
#include "passes/simplify.h"
#include "references.h"

namespace netc::testing {

inline std::string describe(OpId op, const Sample& sample) {
    std::string text(name_of(op));
    for (const Type& type : sample.inputs) text += " " + type.to_string();
    return text;
}

inline bool has_numbers(DType type) { return type != DType::f16 && type != DType::bf16; }

// Two functions have no code for f64 yet: see backends/expand_functions.h.
inline bool has_code(OpId op, const Sample& sample) {
    for (const Type& type : sample.inputs) {
        if (!has_numbers(type.dtype)) return false;
        if ((op == OpId::erf || op == OpId::pow) && type.dtype == DType::f64) return false;
    }
    return true;
}

// One operator with its inputs and, where it has a gradient, that of a weighted sum of the result.
struct Subject {
    Function function;  // results y, grad:x0, grad:x1, ...
    Sample sample;
};

inline Subject subject_of(OpId op, const Sample& sample, const std::string& name) {
    Result<Function> made = test::function_of(op, sample);
    if (!made) FAIL(made.error().message);
    Subject subject{std::move(*made), sample};
    Function& function = subject.function;
    function.name = name;
    const NodeId y = function.results[0].value;
    const Type type = function[y].type;
    GradientRequest request;
    for (std::uint32_t i = 0; i < sample.inputs.size(); ++i) {
        if (is_float(sample.inputs[i].dtype)) request.inputs.push_back(i);
    }
    if (op_def(op).grad == nullptr || !is_float(type.dtype) || request.inputs.empty())
        return subject;
    function.inputs.push_back({"dy", type, {}, {}});
    GraphBuilder graph(function);
    Value weighted =
        Value{&graph, y} * graph.input(static_cast<std::uint32_t>(sample.inputs.size()));
    std::vector<std::int64_t> axes;
    for (std::size_t d = 0; d < type.rank(); ++d) axes.push_back(static_cast<std::int64_t>(d));
    request.loss = axes.empty() ? weighted.id : graph.reduce_sum(weighted, axes).id;
    const Gradients gradients = differentiate(function, {}, request);
    for (std::size_t k = 0; k < request.inputs.size(); ++k) {
        function.results.push_back(
            {"grad:x" + std::to_string(request.inputs[k]), gradients.inputs[k]});
    }
    return subject;
}

inline std::vector<test::Tensor> tensors_of(const Subject& subject, std::int64_t batch) {
    std::vector<test::Tensor> tensors;
    for (std::size_t k = 0; k < subject.function.inputs.size(); ++k) {
        const Type& type = subject.function.inputs[k].type;
        const bool is_weight = k >= subject.sample.inputs.size();
        tensors.push_back(test::random_tensor(type,
                                              is_weight ? Sample{{}, {}, -1, 1, 0} : subject.sample,
                                              batch, static_cast<std::uint32_t>(k)));
        if (type.dtype != DType::f32) continue;
        for (test::Cell& cell : tensors.back().cells) {
            cell.number = static_cast<double>(static_cast<float>(cell.number));
        }
    }
    return tensors;
}

// All samples of an operator that have code, as entries `sample_0`, ... of one module.
struct Subjects {
    std::vector<Subject> all;
    Module module;
    static std::string entry(std::size_t number) { return "sample_" + std::to_string(number); }
};

inline Subjects subjects_of(OpId op) {
    Subjects made;
    made.module.name = std::string(name_of(op));
    for (const Sample& sample : op_def(op).samples()) {
        if (!has_code(op, sample)) continue;
        Subject subject = subject_of(op, sample, Subjects::entry(made.all.size()));
        const Function& function = subject.function;
        if (!has_numbers(function[function.results[0].value].type.dtype)) continue;
        made.module.functions.push_back(function);
        made.all.push_back(std::move(subject));
    }
    simplify(made.module);
    return made;
}

// Calls for each operator that has samples.
template <class Check>
void each_operator(Check check) {
    for (const OpId op : all_ops()) {
        if (op_def(op).samples == nullptr || op_def(op).samples().empty()) continue;
        DYNAMIC_SECTION(name_of(op)) { check(op); }
    }
}

}  // namespace netc::testing
