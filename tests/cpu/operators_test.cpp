// links: passes backends ir
// Every sample of every operator through the whole compiler, forward and backward: the interpreter and
// machine code against direct evaluation of the records in double precision. The emulator of a GPU has the same table in
// tests/gpu/gpu_operators_test.cpp.
#include "operator_subjects.h"
#include "tests/unit/temporary_directory.h"

using namespace netc;
using namespace netc::testing;

namespace {

constexpr std::int64_t kHint = 16;

// All samples of an operator as entries of one program a form.
void check_operator(OpId op) {
    const Subjects subjects = subjects_of(op);
    const TemporaryDirectory cache;
    const auto compiled = [&](const Program& program, int threads, const std::string& cpu) {
        return jitted(program, threads, cpu, cache.path());
    };
    std::map<std::string, Numbers> references,
        first;  // of each entry and batch; first has the bits
    for (const Form form : {Form::ungrouped, Form::rows, Form::lanes, Form::channels}) {
        INFO("form " << name_of(form));
        const Program program = program_of(subjects.module, form, kHint);
        struct Backend {
            std::string name;
            std::unique_ptr<Executable> executable;
        };
        std::vector<Backend> backends;
        for (const std::string& cpu : processors()) {
            if (form == Form::ungrouped && cpu != "native") continue;
            backends.push_back({cpu + ", 1 thread", compiled(program, 1, cpu)});
        }
        if (form != Form::ungrouped)
            backends.push_back({"native, 2 threads", compiled(program, 2, "native")});
        Interpretation exact = interpretation(program);
        Instance instance(program);
        for (std::size_t s = 0; s < subjects.all.size(); ++s) {
            const Subject& subject = subjects.all[s];
            const std::string name = Subjects::entry(s);
            INFO(name << ": " << describe(op, subject.sample));
            for (const std::int64_t batch : {1, 3, 16, 17}) {
                INFO("B = " << batch);
                const std::vector<test::Tensor> tensors = tensors_of(subject, batch);
                const Numbers inputs = inputs_of(subject.function, tensors);
                const std::string key = name + " " + std::to_string(batch);
                if (!references.contains(key))
                    references[key] = direct(subject.function, tensors, batch);
                const Numbers& wanted = references.at(key);
                CHECK(difference(run_exact(exact, program, name, inputs, batch), wanted, 1e-10) ==
                      "");
                for (const Backend& backend : backends) {
                    INFO(backend.name);
                    const Numbers found = instance.run(*backend.executable, name, inputs, batch);
                    CHECK(difference(found, wanted, 1e-5) == "");
                    const auto [at, fresh] = first.emplace(key, found);
                    if (!fresh) CHECK(different_bits(found, at->second) == "");
                }
            }
        }
    }
}

}  // namespace

TEST_CASE("every operator computes what its record says") { each_operator(check_operator); }
