// Sums by matrix units: tile registers hold two by two tiles of sums while all terms are added to them; the finished
// sums go through memory, where the stores find a vector for each point.
//
// Registers 0 to 3 are the sums (group of rows x vector of columns), 4 and 5 the rows' factor, 6 and 7 the columns'.
// They are named in the code and no values of LLVM's, so nothing is ever spilled or carried around loops.
#include <algorithm>

#include "backends/cpu/kernel_emitter.h"
#include "backends/scalar_ops.h"

namespace netc {
namespace {

constexpr std::int64_t kTileBytes = 1024;
constexpr std::size_t kBlock = 2;  // tiles of sums in each direction
constexpr std::uint8_t kRowsTile = 4, kColumnsTile = 6;

std::uint8_t sums_tile(std::size_t group, std::size_t vector) {
    return static_cast<std::uint8_t>(group * kBlock + vector);
}

}  // namespace

// All rows of the tile: for each combination of coordinates of the other point axes, even parts of up to 16.
std::vector<KernelEmitter::MatrixGroup> KernelEmitter::matrix_groups() {
    const AxisId rows = *how_->matrix_rows;
    const std::int64_t parts = (count_[rows] + kTileRows - 1) / kTileRows;
    std::vector<MatrixGroup> groups;
    for_each_point([&](std::size_t) {
        if (coordinate_[rows] != 0 || coordinate_[*vector_axis_] != 0) return;
        for (std::int64_t part = 0; part < parts; ++part) {
            const std::int64_t first = count_[rows] * part / parts;
            groups.push_back({coordinate_, first, count_[rows] * (part + 1) / parts - first});
        }
    });
    return groups;
}

// Place for the sums of all points of this stage's largest tile.
llvm::Value* KernelEmitter::sums_of_stage() {
    llvm::Value*& place = stage_sums_[stage_];
    if (place == nullptr) {
        std::int64_t points = 1;
        for (AxisId axis : point_axes_) points *= schedule_tile_[axis];
        place = allocate(points * 64, "sums");
    }
    return place;
}

void KernelEmitter::reduce_by_matrices() {
    matrix_ = matrix_sum(kernel_, *stage_);
    if (!matrix_) return fail("a stage's sum has no form for matrix units");
    guard_resolved_.assign(stage_->reduction->guards.size(), false);
    vector_states_ = true;
    matrix_sums_ = sums_of_stage();
    if (operand_scratch_ == nullptr) operand_scratch_ = allocate(4 * kTileBytes, "operands");
    const auto carried_before = carried_;
    carried_.clear();
    if (resumed_ != nullptr) {
        states_.assign(point_count(),
                       llvm::Constant::getNullValue(llvm::FixedVectorType::get(
                           value_type(context_, stage_->reduction->states[0].dtype), kLanes)));
        resume_states();
        for (std::size_t point = 0; point < states_.size(); ++point) {
            builder_.CreateAlignedStore(
                states_[point],
                builder_.CreateConstGEP1_64(builder_.getInt8Ty(), matrix_sums_, 64 * point),
                llvm::Align(64));
        }
        states_.clear();
    }
    const std::vector<MatrixGroup> groups = matrix_groups();
    const auto vectors = static_cast<std::size_t>(count_[*vector_axis_]);
    for (std::size_t group = 0; group < groups.size(); group += kBlock) {
        for (std::size_t vector = 0; vector < vectors; vector += kBlock) {
            block_ = {};
            for (std::size_t i = group; i < std::min(groups.size(), group + kBlock); ++i)
                block_.groups.push_back(groups[i]);
            for (std::size_t i = vector; i < std::min(vectors, vector + kBlock); ++i)
                block_.vectors.push_back(static_cast<std::int64_t>(i));
            load_tile_shapes(block_);
            visit_tiles(block_, [&](std::uint8_t tile, llvm::Value* place, llvm::Value* stride) {
                if (resumed_ != nullptr) return load_tile(tile, place, stride);
                builder_.CreateIntrinsic(llvm::Intrinsic::x86_tilezero, {},
                                         {builder_.getInt8(tile)});
            });
            enter();
            reduce(0);
            leave();
            if (error_) return;
            visit_tiles(block_, [&](std::uint8_t tile, llvm::Value* place, llvm::Value* stride) {
                builder_.CreateIntrinsic(llvm::Intrinsic::x86_tilestored64, {},
                                         {builder_.getInt8(tile), place, stride});
            });
        }
    }
    carried_ = carried_before;
    matrix_.reset();
}

// Each tile of sums with the place of its first row, and bytes from row to row.
void KernelEmitter::visit_tiles(
    const MatrixBlock& block,
    llvm::function_ref<void(std::uint8_t, llvm::Value*, llvm::Value*)> body) {
    const AxisId rows = *how_->matrix_rows;
    // The number of a point counts the last axis fastest (for_each_point).
    std::int64_t points = 1;
    std::vector<std::int64_t> stride(kernel_.axes.size(), 0);
    for (std::size_t i = point_axes_.size(); i-- > 0;) {
        stride[point_axes_[i]] = points;
        points *= count_[point_axes_[i]];
    }
    const std::int64_t row_stride = stride[rows];
    for (std::size_t g = 0; g < block.groups.size(); ++g) {
        const MatrixGroup& group = block.groups[g];
        std::int64_t first = group.first * row_stride;
        for (AxisId axis : point_axes_) first += group.coordinates[axis] * stride[axis];
        for (std::size_t v = 0; v < block.vectors.size(); ++v) {
            const std::int64_t point = first + block.vectors[v] * stride[*vector_axis_];
            body(sums_tile(g, v),
                 builder_.CreateConstGEP1_64(builder_.getInt8Ty(), matrix_sums_,
                                             static_cast<std::uint64_t>(64 * point)),
                 builder_.getInt64(static_cast<std::uint64_t>(64 * row_stride)));
        }
    }
}

llvm::Value* KernelEmitter::finished_sum(std::size_t point) {
    auto* type = llvm::FixedVectorType::get(
        value_type(context_, stage_->reduction->states[0].dtype), kLanes);
    return builder_.CreateAlignedLoad(
        type, builder_.CreateConstGEP1_64(builder_.getInt8Ty(), matrix_sums_, 64 * point),
        llvm::Align(64));
}

// Rows and bytes in a row of each register: "palette 1" of the processor.
void KernelEmitter::load_tile_shapes(const MatrixBlock& block) {
    std::vector<std::uint8_t> shapes(64);
    shapes[0] = 1;
    const auto shape = [&](std::uint8_t tile, std::int64_t rows, std::int64_t bytes) {
        shapes[16 + std::size_t{tile} * 2] = static_cast<std::uint8_t>(bytes);
        shapes[48 + std::size_t{tile}] = static_cast<std::uint8_t>(rows);
    };
    for (std::size_t g = 0; g < kBlock; ++g) {
        const std::int64_t rows = block.groups[std::min(g, block.groups.size() - 1)].rows;
        for (std::size_t v = 0; v < kBlock; ++v) shape(sums_tile(g, v), rows, 64);
        shape(static_cast<std::uint8_t>(kRowsTile + g), rows, matrix_->words() * 4);
        shape(static_cast<std::uint8_t>(kColumnsTile + g), matrix_->words(), 64);
    }
    if (tile_shapes_ == nullptr) tile_shapes_ = allocate(64, "shapes");
    auto* constant = llvm::ConstantDataVector::get(context_, shapes);
    llvm::Instruction* store = builder_.CreateAlignedStore(constant, tile_shapes_, llvm::Align(64));
    llvm::Instruction* use =
        builder_.CreateIntrinsic(llvm::Intrinsic::x86_ldtilecfg, {}, {tile_shapes_});
    shape_loads_.push_back({constant, store, use});
}

// Where all blocks of the function have the same shapes, they are loaded once.
void KernelEmitter::finish_tiles() {
    if (shape_loads_.empty()) return;
    builder_.CreateIntrinsic(llvm::Intrinsic::x86_tilerelease, {}, {});
    for (const ShapeLoad& load : shape_loads_) {
        if (load.shapes != shape_loads_[0].shapes) return;
    }
    for (std::size_t i = 0; i < shape_loads_.size(); ++i) {
        for (llvm::Instruction* instruction : {shape_loads_[i].store, shape_loads_[i].use}) {
            if (i == 0) {
                instruction->moveBefore(entry_->getTerminator());
            } else {
                instruction->eraseFromParent();
            }
        }
    }
}

// The steps of this block's sums, at the place where all reduced axes further out are.
void KernelEmitter::matrix_steps() {
    const AxisId axis = matrix_->chunked;
    const std::int64_t chunk = matrix_->chunk;
    const auto one = [&](const MatrixStep& step) {
        enter();
        matrix_step(step);
        leave();
    };
    const auto several = [&](llvm::Value* count, std::int64_t last, bool nonempty) {
        loop(builder_.getInt64(0), count, {0, last}, nonempty, [&](const Linear& counter) {
            one({arithmetic_.scale(counter, chunk), chunk, false});
        });
    };
    if (const auto extent = static_extent(axis)) {
        const std::int64_t whole = *extent / chunk;
        if (whole == 1) one({arithmetic_.constant(0), chunk, false});
        if (whole > 1)
            several(builder_.getInt64(static_cast<std::uint64_t>(whole)), whole - 1, true);
        if (*extent % chunk != 0)
            one({arithmetic_.constant(whole * chunk), *extent % chunk, false});
        return;
    }
    const Linear extent = arithmetic_.make_value(extent_value(extent_of(axis)), {1, kUnbounded});
    const Linear whole = arithmetic_.floor_div(extent, chunk);
    llvm::Value* count = arithmetic_.scalar(whole);
    several(count, kUnbounded, false);
    if (chunk == 1) return;
    const Linear start = arithmetic_.scale(arithmetic_.make_value(count, {0, kUnbounded}), chunk);
    llvm::Value* rest =
        builder_.CreateICmpSLT(arithmetic_.scalar(start), arithmetic_.scalar(extent));
    if_then(rest, [&] { one({start, chunk, true}); });
}

void KernelEmitter::place_at(const MatrixGroup& group) {
    for (AxisId axis : point_axes_) coordinate_[axis] = group.coordinates[axis];
}

// What all rows of the group have in common: whether their terms exist, by the guards that are no matter of the step's
// terms. Nothing where rows differ.
std::optional<Condition> KernelEmitter::condition_of_group(const MatrixGroup& group) {
    std::optional<Condition> common;
    for (std::int64_t row = 0; row < group.rows; ++row) {
        place_at(group);
        coordinate_[*how_->matrix_rows] = group.first + row;
        const Condition here = row_condition();
        if (common && (common->never != here.never || common->scalar != here.scalar)) return {};
        common = here;
    }
    return common;
}

// The columns' factor once for both groups of rows. Where no row of a group has a term, it has no part in the step.
void KernelEmitter::matrix_step(const MatrixStep& step) {
    std::vector<std::optional<Condition>> common;
    for (const MatrixGroup& group : block_.groups) common.push_back(condition_of_group(group));
    const auto is_never = [](const std::optional<Condition>& c) { return c && c->never; };
    if (!std::ranges::all_of(common, is_never)) {
        place_at(block_.groups[0]);
        for (std::size_t v = 0; v < block_.vectors.size(); ++v) load_columns(v, step);
    }
    for (std::size_t g = 0; g < block_.groups.size() && !error_; ++g) {
        if (is_never(common[g])) continue;
        place_at(block_.groups[g]);
        if (!common[g]) {
            multiply_rows(g, step);
            continue;
        }
        const std::vector<bool> resolved_before = guard_resolved_;
        for (std::size_t i = 0; i < guard_resolved_.size(); ++i)
            guard_resolved_[i] = guard_resolved_[i] || !is_of_step(stage_->reduction->guards[i]);
        if (common[g]->scalar != nullptr) {
            if_then(common[g]->scalar, [&] { multiply_rows(g, step); });
        } else {
            multiply_rows(g, step);
        }
        guard_resolved_ = resolved_before;
    }
    for (AxisId axis : point_axes_) coordinate_[axis] = 0;
    for (AxisId axis : stage_->reduction->axes) {
        if (!matrix_->walks(axis)) continue;
        bound_[axis] = false;
        base_[axis] = Linear{};
    }
}

llvm::Value* KernelEmitter::operand_scratch(std::size_t number) {
    return builder_.CreateConstGEP1_64(builder_.getInt8Ty(), operand_scratch_,
                                       number * std::uint64_t{kTileBytes});
}

void KernelEmitter::load_columns(std::size_t vector, const MatrixStep& step) {
    MatrixOperand operand;
    operand.factor = matrix_->along(*vector_axis_).value;
    operand.axis = *vector_axis_;
    operand.first = block_.vectors[vector];
    operand.points = kLanes;
    operand.row_a_point = false;
    operand.tile = static_cast<std::uint8_t>(kColumnsTile + vector);
    operand.scratch = operand_scratch(kBlock + vector);
    load_operand(operand, step);
}

void KernelEmitter::multiply_rows(std::size_t group, const MatrixStep& step) {
    const AxisId axis = *how_->matrix_rows;
    MatrixOperand operand;
    operand.factor = matrix_->along(axis).value;
    operand.axis = axis;
    operand.first = block_.groups[group].first;
    operand.points = block_.groups[group].rows;
    operand.tile = static_cast<std::uint8_t>(kRowsTile + group);
    operand.scratch = operand_scratch(group);
    load_operand(operand, step);
    const ScalarGraph& scalars = kernel_.scalars;
    const bool signed_rows = scalars.type(operand.factor) == DType::i8;
    const bool signed_columns = scalars.type(matrix_->along(*vector_axis_).value) == DType::i8;
    const llvm::Intrinsic::ID product =
        matrix_->in_word == 2 ? llvm::Intrinsic::x86_tdpbf16ps
        : signed_rows
            ? (signed_columns ? llvm::Intrinsic::x86_tdpbssd : llvm::Intrinsic::x86_tdpbsud)
            : (signed_columns ? llvm::Intrinsic::x86_tdpbusd : llvm::Intrinsic::x86_tdpbuud);
    for (std::size_t v = 0; v < block_.vectors.size(); ++v) {
        builder_.CreateIntrinsic(product, {},
                                 {builder_.getInt8(sums_tile(group, v)),
                                  builder_.getInt8(operand.tile),
                                  builder_.getInt8(static_cast<std::uint8_t>(kColumnsTile + v))});
    }
}

}  // namespace netc
