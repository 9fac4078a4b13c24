// The textual form of modules: what --print-after and `netc dump --stage=graph` show, and what golden
// tests compare. parse_module reads it back; print, parse, print gives the same text.
//
//     module LeNet5
//     variable @conv_1.weight parameter f32[6, 1, 5, 5] = xavier_uniform() {fan_in = 25, fan_out = 150}
//     function forward(%x: f32[B, 1, 28, 28]) {
//         group 1 {
//             %1 = conv_nd %x, @conv_1.weight {...} : f32[B, 6, 28, 28]  # LeNet5.conv_1
//             %2 = max %1, 0 : f32[B, 6, 28, 28]  # LeNet5
//         }
//         return y = %2
//     }
//
// The bodies of scans stand first, `body 0 step(...) { ... }`, as functions do.
//
// Inputs and variables stand under their names; a constant stands as a number where its type is clear.
// `[group 2]` behind a node: its group's members do not follow each other. Attributes that repeat the
// type are left out. Behind # stands where the node comes from.
#pragma once

#include <string>
#include <string_view>

#include "ir/graph.h"
#include "ir/result.h"

namespace netc {

struct GraphTextOptions {
    bool spans = false;  // places in the source as well: file:begin-end, in bytes
};

std::string to_text(const Module& module, const GraphTextOptions& options = {});
// One function; the module gives the variables their names.
std::string to_text(const Function& function, const Module& module,
                    const GraphTextOptions& options = {});
// One node, for messages: operands by node number.
std::string to_text(const Node& node);

Result<Module> parse_module(std::string_view text);

}  // namespace netc
