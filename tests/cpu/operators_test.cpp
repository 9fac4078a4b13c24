// links: passes backends ir
// Every sample of every operator through the whole compiler, forward and backward: the interpreter and
// machine code against direct evaluation of the records in double precision.
#include "passes/differentiate.h"
#include "passes/simplify.h"
#include "references.h"

using namespace netc;
using namespace netc::testing;

namespace {

constexpr std::int64_t kHint = 16;

std::string describe(OpId op, const Sample& sample) {
    std::string text(name_of(op));
    for (const Type& type : sample.inputs) text += " " + type.to_string();
    return text;
}

bool has_numbers(DType type) { return type != DType::f16 && type != DType::bf16; }

// Two functions have no code for f64 yet: see backends/expand_functions.h.
bool has_code(OpId op, const Sample& sample) {
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

Subject subject_of(OpId op, const Sample& sample, const std::string& name) {
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

std::vector<test::Tensor> tensors_of(const Subject& subject, std::int64_t batch) {
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

// All samples of an operator as entries of one program a form.
void check_operator(OpId op) {
    std::vector<Subject> subjects;
    Module module;
    module.name = std::string(name_of(op));
    for (const Sample& sample : op_def(op).samples()) {
        if (!has_code(op, sample)) continue;
        subjects.push_back(subject_of(op, sample, "sample_" + std::to_string(subjects.size())));
        if (!has_numbers(
                subjects.back().function[subjects.back().function.results[0].value].type.dtype)) {
            subjects.pop_back();
            continue;
        }
        module.functions.push_back(subjects.back().function);
    }
    simplify(module);
    std::map<std::string, Numbers> first;  // bits of each entry and batch
    for (const Form form : {Form::ungrouped, Form::rows, Form::lanes, Form::channels}) {
        INFO("form " << name_of(form));
        const Program program = program_of(module, form, kHint);
        struct Backend {
            std::string name;
            std::unique_ptr<Executable> executable;
        };
        std::vector<Backend> backends;
        backends.push_back({"native, 1 thread", jitted(program)});
        backends.push_back({"GPU, emulated", emulated(program)});
        backends.push_back({"GPU, emulated, tiles", emulated(program, true)});
        if (form != Form::ungrouped) {
            backends.push_back({"native, 2 threads", jitted(program, 2)});
            backends.push_back({"x86-64-v3, 1 thread", jitted(program, 1, "x86-64-v3")});
        }
        Interpretation exact = interpretation(program);
        Instance instance(program);
        for (std::size_t s = 0; s < subjects.size(); ++s) {
            const std::string name = "sample_" + std::to_string(s);
            INFO(name << ": " << describe(op, subjects[s].sample));
            for (const std::int64_t batch : {1, 3, 16, 17}) {
                INFO("B = " << batch);
                const std::vector<test::Tensor> tensors = tensors_of(subjects[s], batch);
                const Numbers inputs = inputs_of(subjects[s].function, tensors);
                const Numbers wanted = direct(subjects[s].function, tensors, batch);
                CHECK(difference(run_exact(exact, program, name, inputs, batch), wanted, 1e-10) ==
                      "");
                for (const Backend& backend : backends) {
                    INFO(backend.name);
                    const Numbers found = instance.run(*backend.executable, name, inputs, batch);
                    CHECK(difference(found, wanted, 1e-5) == "");
                    const auto [at, fresh] = first.emplace(name + std::to_string(batch), found);
                    if (!fresh) CHECK(different_bits(found, at->second) == "");
                }
            }
        }
    }
}

}  // namespace

TEST_CASE("every operator computes what its record says") {
    for (const OpId op : all_ops()) {
        if (op_def(op).samples == nullptr || op_def(op).samples().empty()) continue;
        DYNAMIC_SECTION(name_of(op)) { check_operator(op); }
    }
}
