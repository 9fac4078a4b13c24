// links: frontend passes backends ir
// labels: slow
// Small networks trained as code for a GPU on the emulator: every result and every variable has the bits of machine code
// for the CPU, whichever way contractions are spread over the grid.
#include "tests/cpu/network_support.h"
#include "tests/unit/temporary_directory.h"

using namespace netc;
using namespace netc::testing;

namespace {

std::map<std::string, Numbers> results(const Module& module, Form form, const Backend& backend,
                                       const SmallNetwork& network) {
    Bench bench(module, form, backend);
    return everything(bench, network);
}

// Each network in one form, in turn: the operators' table has all forms of each operator.
void check(const std::vector<SmallNetwork>& networks, std::initializer_list<Form> forms) {
    std::size_t number = 0;
    for (const SmallNetwork& network : networks) {
        const Form form = forms.begin()[number++ % forms.size()];
        DYNAMIC_SECTION(network.name << ", " << name_of(form)) {
            const CheckedFile file = checked(network);
            const Module module = built(file);
            const TemporaryDirectory cache;  // most kernels are the same both ways
            const auto wanted = results(module, form, on_cpu(1), network);
            // What is chosen, and one of the extremes in turn.
            const std::pair<const char*, GpuThresholds> ways[] = {
                {"chosen", {}},
                number % 2 == 0 ? std::pair{"tiles", kTilesEverywhere}
                                : std::pair{"places", kPlacesEverywhere}};
            for (const auto& [name, thresholds] : ways) {
                INFO(name);
                const Backend emulator = on_emulator(thresholds, cache.path());
                check_bits(results(module, form, emulator, network), wanted);
            }
        }
    }
}

}  // namespace

TEST_CASE("layers on the emulator") {
    check(layer_networks(), {Form::rows, Form::lanes, Form::channels});
}

TEST_CASE("optimizers on the emulator") { check(optimizer_networks(), {Form::lanes, Form::rows}); }
