// Models: from a declaration to graph functions.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "frontend/elaborate.h"

namespace netc::frontend {

struct ModelResult {
    bool ok = false;
    bool running = false;
    Model model;
};

// Elaborates a model once, with training = false for its graph and, unless a section will, with
// training = true for what only shows there. Null where it calls itself (reported).
const ModelResult* elaborate_model(Session& session, const Declaration& declaration);

// The inputs of a model as the graph has them, with their symbolic dimensions bound in `scope`.
// Nothing when a type is wrong (reported).
std::optional<std::vector<Input>> model_inputs(Context& context, const Declaration& declaration,
                                               const ScopePointer& scope);

// One function under construction, with everything that lives as long.
struct Building {
    Context context;
    Function function;
    GraphBuilder builder{function};
    Instance root;
    FunctionValue value;
    Frame frame;
    ScopePointer scope = std::make_shared<Scope>();

    Building(Session& session, Module& module, const Declaration& declaration, std::string name,
             bool training, DType real);
    Building(const Building&) = delete;
};

struct NamedOutput {
    std::string name;
    Datum value;
    Span place;
};
// The leaf of an input, as a tensor of that name.
Datum input_tensor(Building& building, std::uint32_t index, Role role);
// Runs the body on inputs that stand in the scope; nothing when something is wrong (reported).
std::optional<std::vector<NamedOutput>> run_body(Building& building);

// E0404 for dimensions other than the batch that nothing has fixed.
bool check_open_dimensions(Session& session, const Declaration& declaration,
                           const std::vector<Input>& inputs);
bool has_section(const Session& session, const Declaration& model);

}  // namespace netc::frontend
