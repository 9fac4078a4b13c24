// Groups about an operator that makes its result in tiles (OpDef::tile): one stage, whose outer axes count tiles, with a
// store for each element of a tile. What the elements share is one scalar.

#include "passes/emitter.h"

namespace netc {

std::int64_t Emitter::tiles_along(std::int64_t extent, std::size_t dim) const {
    return (extent + tile_[dim] - 1) / tile_[dim];
}

void Emitter::store_tiles() {
    const Shape& shape = info_.function[anchor_].type.shape;
    bool in_part = false;  // the last tile along a dim
    std::int64_t elements = 1;
    for (std::size_t d = 0; d < shape.size(); ++d) {
        elements *= tile_[d];
        in_part = in_part || (shape[d].is_static() && shape[d].value() % tile_[d] != 0);
    }
    StageRecord& stage = new_stage(Place{}, NodeId{});
    for (std::int64_t element = 0; element < elements; ++element) {
        std::vector<Index> index(shape.size());
        std::int64_t rest = element;
        for (std::size_t d = shape.size(); d-- > 0;) {
            index[d] = anchor_index_[d] * tile_[d] + Index(rest % tile_[d]);
            rest /= tile_[d];
        }
        for (NodeId id : stored_) {
            if (info_.function[id].type.shape != shape) {
                fail("an output of another shape beside tiles");
                return;
            }
            Store store;
            store.target = {Buffer::Kind::param, param_of(id, Direction::out)};
            store.index = index;
            store.value = value_at(id, index, stage, in_part ? Outside::any : Outside::never);
            store.clipped = in_part;
            stage.stage.stores.push_back(std::move(store));
        }
    }
    finish(stage);
}

}  // namespace netc
