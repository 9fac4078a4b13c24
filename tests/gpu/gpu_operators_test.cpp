// links: passes backends ir
// labels: slow
// Every sample of every operator, forward and backward, as code for a GPU on the emulator: the bits of machine code for
// the CPU, whose numbers tests/cpu/operators_test.cpp holds against the records.
#include "tests/cpu/operator_subjects.h"
#include "tests/unit/temporary_directory.h"

using namespace netc;
using namespace netc::testing;

namespace {

constexpr std::int64_t kHint = 16;

void check_operator(OpId op) {
    const Subjects subjects = subjects_of(op);
    const TemporaryDirectory cache;
    const auto on_gpu = [&](const Program& program, const GpuThresholds& thresholds) {
        return emulated(program, thresholds, cache.path());
    };
    for (const Form form : {Form::ungrouped, Form::rows, Form::lanes}) {
        INFO("form " << name_of(form));
        const Program program = program_of(subjects.module, form, kHint);
        const auto cpu = jitted(program, 1, "native", cache.path());
        std::map<std::string, std::unique_ptr<Executable>> backends;
        backends["teams"] = on_gpu(program, {});
        if (form == Form::rows) backends["tiles"] = on_gpu(program, kTilesEverywhere);
        if (form == Form::lanes) backends["places"] = on_gpu(program, kPlacesEverywhere);
        Instance instance(program);
        for (std::size_t s = 0; s < subjects.all.size(); ++s) {
            const Subject& subject = subjects.all[s];
            INFO(Subjects::entry(s) << ": " << describe(op, subject.sample));
            for (const std::int64_t batch : {3, 17}) {
                INFO("B = " << batch);
                const std::vector<test::Tensor> tensors = tensors_of(subject, batch);
                const Numbers inputs = inputs_of(subject.function, tensors);
                const Numbers wanted = instance.run(*cpu, Subjects::entry(s), inputs, batch);
                for (const auto& [name, executable] : backends) {
                    INFO(name);
                    const Numbers found =
                        instance.run(*executable, Subjects::entry(s), inputs, batch);
                    CHECK(different_bits(found, wanted) == "");
                }
            }
        }
    }
}

}  // namespace

TEST_CASE("every operator has the CPU's bits on the emulator") { each_operator(check_operator); }
