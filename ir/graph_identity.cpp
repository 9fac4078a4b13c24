#include "ir/graph_identity.h"

#include "ir/graph_text.h"
#include "ir/program_archive.h"

namespace netc {

std::string graph_identity(const Module& module) {
    ArchiveWriter writer;
    writer(to_text(module));
    for (const Variable& variable : module.variables) writer(variable.span);
    for (const Function& function : module.functions) {
        writer(function.origins);
        for (const Node& node : function.nodes) writer(node.origin);
        for (const Input& input : function.inputs) writer(input.span, input.doc);
        for (const Function::Result& result : function.results) writer(result.span, result.doc);
    }
    return std::move(writer.bytes);
}

}  // namespace netc
