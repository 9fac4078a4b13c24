// Finds the programs of a code in the embedded text.
#include "frontend/explanations.h"

#include <string>

#include "frontend/explanation_programs.h"

namespace netc {

std::optional<ExplainedPrograms> explained_programs(std::string_view code) {
    const std::string_view all = kExplanationPrograms;
    const std::string head = "\n=== " + std::string(code) + "\n";
    const std::size_t found = all.find(head);
    if (found == std::string_view::npos) return std::nullopt;
    std::string_view entry = all.substr(found + head.size());
    entry = entry.substr(0, entry.find("=== "));
    const std::size_t middle = entry.find("---\n");
    if (middle == std::string_view::npos) return std::nullopt;
    return ExplainedPrograms{entry.substr(0, middle), entry.substr(middle + 4)};
}

}  // namespace netc
