// Rebuilding a function node by node: what the passes that replace values share.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace netc {

// A function under reconstruction. Nodes are appended in order; equal pure nodes become one.
class Rebuilder {
public:
    explicit Rebuilder(const Function& old);

    const Function& result() const { return fresh_; }
    // Appends (or finds) a node whose inputs are nodes of the result.
    NodeId append(Node node);
    NodeId append(OpId op, std::vector<NodeId> inputs, Attributes attributes, Type type,
                  OriginId origin);
    // With the type that the operator infers; nothing where it refuses.
    std::optional<NodeId> try_append(OpId op, std::vector<NodeId> inputs, Attributes attributes,
                                     OriginId origin);
    void map(NodeId old, NodeId fresh) { mapped_[old.index] = fresh; }
    NodeId operator()(NodeId old) const { return mapped_[old.index]; }

    // The function with results, updates and inputs mapped, dead nodes removed.
    Function finish() &&;

private:
    const Function& old_;
    Function fresh_;
    std::vector<NodeId> mapped_;
    std::map<std::string, NodeId> known_;
};

// Nodes that no result and no update needs go, and bodies that no scan runs; ids are renumbered. After it
// each scan has a body of its own.
void remove_dead_nodes(Function& function);

// Restores topological order after nodes were appended that earlier ones read; dead nodes go.
void sort_topologically(Function& function);

// Walks the nodes in order. `rule` gives the node of the rebuilt function that stands for `node`, whose
// inputs are already mapped, or nothing to keep it as it is. True when something changed.
using RewriteRule = std::function<std::optional<NodeId>(Rebuilder&, const Node& node)>;
bool rewrite(Function& function, const RewriteRule& rule);

}  // namespace netc
