#include "ir/graph_identity.h"

#include "ir/graph_text.h"
#include "ir/program_archive.h"

namespace netc {

namespace {

void write_origins(ArchiveWriter& writer, const Function& function) {
    writer(function.origins);
    for (const Node& node : function.nodes) writer(node.origin);
    for (const Input& input : function.inputs) writer(input.span, input.doc);
    for (const Function::Result& result : function.results) writer(result.span, result.doc);
    for (const Function& body : function.bodies) write_origins(writer, body);
}

}  // namespace

std::string graph_identity(const Module& module) {
    ArchiveWriter writer;
    writer(to_text(module));
    for (const Variable& variable : module.variables) writer(variable.span);
    for (const Function& function : module.functions) write_origins(writer, function);
    return std::move(writer.bytes);
}

}  // namespace netc
