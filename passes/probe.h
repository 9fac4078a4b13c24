// What an operator does, learned by running its `lower` against a recorder: which elements it reads,
// whether it reduces, what it costs. So that no pass needs to know operators by name.
#pragma once

#include <optional>
#include <vector>

#include "ir/graph.h"
#include "ir/op_def.h"

namespace netc {

// A read of an operand. Axes 0 .. rank-1 are those of the result, the reduced ones follow.
struct Access {
    std::size_t operand = 0;
    std::vector<Index> index;
    Outside outside = Outside::never;
    std::int32_t indirect = -1;
};

struct Probe {
    bool leaf = false;  // no `lower`: a buffer that is there already
    bool reduces = false;
    bool contraction = false;     // a reduction of products
    bool transcendental = false;  // makes exp, log, tanh ... or a random number
    std::vector<std::int64_t>
        tile;  // as OpDef::tile; the reads are then those of the first element of a tile
    bool moves_only = false;  // the result is an element of an operand, or a constant or index
    std::vector<Access> reads;
    std::vector<Dim> reduced;  // extents of the reduced axes
    std::vector<Guard> guards;

    // What others may join, and what is never computed again where it is read.
    bool leads_a_kernel() const { return contraction || !tile.empty(); }
};

Probe probe(const Function& function, NodeId id);

// Static extents of the axes that a Probe's indices are over.
std::function<std::optional<std::int64_t>(AxisId)> probe_extents(const Type& type,
                                                                 const Probe& probe);

}  // namespace netc
