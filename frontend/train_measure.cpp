#include "frontend/train_measure.h"

#include <algorithm>

namespace netc::frontend {

void add_reached(const Function& function, NodeId node, const Scope& scope,
                 std::vector<std::string>& names) {
    std::vector<bool> reached(function.nodes.size(), false);
    reached[node.index] = true;
    for (std::size_t i = function.nodes.size(); i-- > 0;) {
        if (!reached[i]) continue;
        bool named = false;
        for (const Entry& entry : scope.entries) {
            const Tensor* tensor = entry.value.tensor();
            if (tensor == nullptr || tensor->id.index != i) continue;
            named = true;
            if (std::find(names.begin(), names.end(), entry.name) == names.end()) {
                names.emplace_back(entry.name);
            }
        }
        if (named) continue;
        for (const NodeId input : function.nodes[i].inputs) reached[input.index] = true;
    }
}

}  // namespace netc::frontend
