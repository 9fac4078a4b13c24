#include "passes/widen.h"

namespace netc {
namespace {

void widen_type(DType& dtype) {
    if (dtype == DType::f32) dtype = DType::f64;
}

void widen(Function& function) {
    for (Input& input : function.inputs) widen_type(input.type.dtype);
    for (Node& node : function.nodes) {
        widen_type(node.type.dtype);
        const AttributeValue* dtype = node.attributes.find("dtype");
        if (dtype != nullptr && std::get<DType>(*dtype) == DType::f32) {
            node.attributes.set("dtype", DType::f64);
        }
    }
    for (Function& body : function.bodies) widen(body);
}

}  // namespace

void widen(Module& module) {
    for (Variable& variable : module.variables) widen_type(variable.type.dtype);
    for (Function& function : module.functions) widen(function);
}

}  // namespace netc
