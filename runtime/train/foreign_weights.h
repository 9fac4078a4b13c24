// Weights of other frameworks: how they call the tensors of a layer and how these lie in memory.
//
//     fc1.weight f32[128, 784]     ->     linear_1.weight f32[784, 128]     (pytorch, transposed)
//
// The rules stand in a table (foreign_weights.cpp), a line for each kind of layer of the library; what has no
// rule keeps its name and its order. Sources: the documentation of torch.nn and of keras.layers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/train/session.h"

namespace netc {

enum class WeightLayout : std::uint8_t { netc, pytorch, keras };
std::optional<WeightLayout> weight_layout(std::string_view name);

struct ImportedTensor {
    const VariablePlace* place = nullptr;
    std::vector<std::string> from;  // names in the file: two where they were added
    std::string how;                // "transposed", ...; empty: as it was
    bool by_order = false;          // no name said that it is this one
};
struct ImportReport {
    std::vector<ImportedTensor> taken;
    std::vector<const VariablePlace*>
        missing;  // state that the file has not: it keeps its initial values
    std::vector<std::string> unused;
};

// Puts the tensors of a file into the session's weights: by name first (`rename_tensors` before gives names), then
// layer by layer in the natural order of names, where all shapes of a layer agree. Numbers are converted to the
// weights' dtype. A parameter that nothing fills is an error (status kExitData) that lists what is left on both sides.
// `variables` say which kind of layer owns each parameter.
Result<ImportReport> import_weights(Session& session, const std::vector<Variable>& variables,
                                    const Safetensors& file, const std::string& path,
                                    WeightLayout layout);

}  // namespace netc
