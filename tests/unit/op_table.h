// The table of operators for tests: iterates records and samples, makes a function of one operator,
// and evaluates functions in double precision, slowly, by running each record's `lower` element by element.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ir/graph_builder.h"
#include "ir/op_def.h"
#include "ir/philox.h"

namespace netc::test {

// A function whose inputs are the sample's and whose one result, `y`, is the operator's.
inline Result<Function> function_of(OpId op, const Sample& sample) {
    Function function;
    function.name = std::string(op_def(op).name);
    for (std::size_t i = 0; i < sample.inputs.size(); ++i) {
        function.inputs.push_back({"x" + std::to_string(i), sample.inputs[i], {}, {}});
    }
    GraphBuilder graph(function);
    std::vector<Value> inputs;
    for (std::size_t i = 0; i < sample.inputs.size(); ++i) {
        inputs.push_back(graph.input(static_cast<std::uint32_t>(i)));
    }
    Result<Value> y = graph.try_make(op, inputs, sample.attributes);
    if (!y) return y.error();
    function.results.push_back({"y", y->id});
    return function;
}

// Gradient rules write into this.
class OneNodeGradient final : public GradBuilder {
public:
    OneNodeGradient(GraphBuilder& graph, NodeId node, Value dy, std::vector<bool> wanted)
        : graph_(graph), node_(node), dy_(dy), wanted_(std::move(wanted)) {
        attributes_ = graph.function()[node].attributes;
        inputs_ = graph.function()[node].inputs;
        gradients.resize(inputs_.size());
    }
    GraphBuilder& graph() override { return graph_; }
    const Attributes& attributes() const override { return attributes_; }
    Value x(std::size_t operand) override { return {&graph_, inputs_[operand]}; }
    Value y() override { return {&graph_, node_}; }
    Value dy() override { return dy_; }
    bool needs(std::size_t operand) override { return wanted_[operand]; }
    void add(std::size_t operand, Value gradient) override { gradients[operand] = gradient; }

    std::vector<std::optional<Value>> gradients;

private:
    GraphBuilder& graph_;
    NodeId node_;
    Value dy_;
    std::vector<bool> wanted_;
    Attributes attributes_;
    std::vector<NodeId> inputs_;
};

// Floats use `number`, integers and b1 `integer`.
struct Cell {
    double number = 0;
    std::int64_t integer = 0;
};

struct Tensor {
    DType dtype = DType::f32;
    std::vector<std::int64_t> dims;
    std::vector<Cell> cells;

    std::int64_t count() const {
        std::int64_t total = 1;
        for (const std::int64_t dim : dims) total *= dim;
        return total;
    }
};

inline Tensor make_tensor(const Type& type, std::int64_t batch) {
    Tensor tensor{type.dtype, {}, {}};
    for (const Dim& dim : type.shape) tensor.dims.push_back(dim.extent().value().at(batch));
    tensor.cells.resize(static_cast<std::size_t>(tensor.count()));
    return tensor;
}

// Runs `lower` once over symbolic axes, for each element of a tile, then evaluates what it described.
class ElementEvaluator final : public Lowering {
public:
    ElementEvaluator(const Function& function, const Node& node,
                     std::vector<const Tensor*> operands, std::int64_t batch)
        : function_(function), node_(node), operands_(std::move(operands)), batch_(batch) {
        const auto sides = op_def(node.op).tile;
        tile_ = sides ? sides(node.attributes) : std::vector<std::int64_t>(node.type.rank(), 1);
        axes_.resize(tile_.size());
        out_.resize(tile_.size());
        std::int64_t elements = 1;
        for (const std::int64_t side : tile_) elements *= side;
        for (std::int64_t element = 0; element < elements; ++element) {
            std::int64_t rest = element;
            for (std::size_t d = tile_.size(); d-- > 0;) {
                out_[d] = Index::axis(static_cast<AxisId>(d)) * tile_[d] + Index(rest % tile_[d]);
                rest /= tile_[d];
            }
            roots_.push_back(op_def(node.op).lower(*this));
        }
    }

    std::string problem;  // a read outside of its operand that was said to be inside

    Tensor run() {
        Tensor result = make_tensor(node_.type, batch_);
        for (std::size_t i = 0; i < result.cells.size(); ++i) {
            auto rest = static_cast<std::int64_t>(i);
            std::int64_t within = 0, elements = 1;
            for (std::size_t d = result.dims.size(); d-- > 0;) {
                const std::int64_t index = rest % result.dims[d];
                axes_[d] = index / tile_[d];
                within += index % tile_[d] * elements;
                elements *= tile_[d];
                rest /= result.dims[d];
            }
            root_ = roots_[static_cast<std::size_t>(within)];
            result.cells[i] = element();
        }
        return result;
    }

    ScalarGraph& scalars() override { return scalars_; }
    const Attributes& attributes() const override { return node_.attributes; }
    const Type& input_type(std::size_t operand) const override {
        return function_[node_.inputs[operand]].type;
    }
    const Type& output_type() const override { return node_.type; }
    const std::vector<Index>& out() const override { return out_; }
    ScalarId read(std::size_t operand, std::vector<Index> index, Outside outside) override {
        return add_read({operand, std::move(index), outside, -1, kNoScalar});
    }
    ScalarId read_indirect(std::size_t operand, std::vector<Index> index, std::int32_t dim,
                           ScalarId position) override {
        return add_read({operand, std::move(index), Outside::never, dim, position});
    }
    ScalarId number_of(const Index& index, DType type) override {
        indices_.push_back(index);
        return leaf(ScalarOp::index, type, indices_.size() - 1);
    }
    Index reduced_axis(Dim extent) override {
        reduced_.push_back(extent.extent().value().at(batch_));
        axes_.push_back(0);
        return Index::axis(static_cast<AxisId>(axes_.size() - 1));
    }
    void guard(Guard guard) override { guards_.push_back(std::move(guard)); }
    std::vector<ScalarId> reduce(std::vector<StateVariable> states, std::vector<ScalarId> step,
                                 std::vector<ScalarId> merge) override {
        states_ = std::move(states);
        step_ = std::move(step);
        merge_ = std::move(merge);
        std::vector<ScalarId> finished;
        for (std::size_t k = 0; k < states_.size(); ++k) {
            finished.push_back(scalars_.state(static_cast<std::int64_t>(k), states_[k].dtype));
        }
        return finished;
    }
    bool halves = false;  // test `merge`: it joins two halves

private:
    struct Access {
        std::size_t operand;
        std::vector<Index> index;
        Outside outside;
        std::int32_t indirect;
        ScalarId position;
    };

    ScalarId leaf(ScalarOp op, DType type, std::size_t number) {
        Scalar scalar;
        scalar.op = op;
        scalar.type = type;
        scalar.integer = static_cast<std::int64_t>(number);
        return scalars_.add_node(std::move(scalar));
    }
    ScalarId add_read(Access access) {
        const DType type = input_type(access.operand).dtype;
        reads_.push_back(std::move(access));
        return leaf(ScalarOp::read, type, reads_.size() - 1);
    }

    std::int64_t at(const Index& index) const {
        return index.evaluate([&](AxisId axis) { return axes_[axis]; });
    }
    bool guarded() const {
        for (const Guard& guard : guards_) {
            const std::int64_t value = at(guard.index);
            if (((value % guard.divisor) + guard.divisor) % guard.divisor != 0) return true;
            if (value < 0 || value / guard.divisor >= guard.limit.at(batch_)) return true;
        }
        return false;
    }

    std::vector<Cell> identity() const {
        std::vector<Cell> cells;
        for (const StateVariable& state : states_) {
            Cell cell;
            cell.number = state.identity;
            if (!is_float(state.dtype)) cell.integer = static_cast<std::int64_t>(state.identity);
            cells.push_back(cell);
        }
        return cells;
    }

    Cell element() {
        if (!states_.empty()) {
            std::int64_t terms = 1;
            for (const std::int64_t extent : reduced_) terms *= extent;
            const std::int64_t middle = halves ? terms / 2 : terms;
            std::vector<Cell> left = reduce_range(0, middle);
            if (halves) {
                other_ = reduce_range(middle, terms);
                state_ = left;
                left = evaluate_all(merge_);
            }
            state_ = left;
        }
        ++now_;
        return evaluate(root_);
    }

    std::vector<Cell> reduce_range(std::int64_t begin, std::int64_t end) {
        state_ = identity();
        for (std::int64_t i = begin; i < end; ++i) {
            std::int64_t rest = i;
            for (std::size_t d = reduced_.size(); d-- > 0;) {
                axes_[out_.size() + d] = rest % reduced_[d];
                rest /= reduced_[d];
            }
            if (!guarded()) state_ = evaluate_all(step_);
        }
        return state_;
    }

    std::vector<Cell> evaluate_all(const std::vector<ScalarId>& ids) {
        ++now_;
        std::vector<Cell> cells;
        for (const ScalarId id : ids) cells.push_back(evaluate(id));
        return cells;
    }

    Cell evaluate(ScalarId id) {
        if (known_.empty()) known_.resize(scalars_.size());
        if (known_[id].when != now_) known_[id] = {compute(scalars_[id]), now_};
        return known_[id].cell;
    }

    Cell read_cell(const Access& access) {
        const Tensor& tensor = *operands_[access.operand];
        std::int64_t offset = 0;
        for (std::size_t d = 0; d < tensor.dims.size(); ++d) {
            const bool is_data = access.indirect == static_cast<std::int32_t>(d);
            const std::int64_t value =
                is_data ? evaluate(access.position).integer : at(access.index[d]);
            if (value < 0 || value >= tensor.dims[d]) {
                if (access.outside == Outside::never) problem = "read outside of an operand";
                return {};
            }
            offset = offset * tensor.dims[d] + value;
        }
        return tensor.cells[static_cast<std::size_t>(offset)];
    }

    static Cell real(double value) { return {value, 0}; }
    static Cell whole(std::int64_t value) { return {0, value}; }
    Cell compute(const Scalar& scalar);
    Cell compute_arithmetic(const Scalar& scalar);

    const Function& function_;
    const Node& node_;
    std::vector<const Tensor*> operands_;
    std::int64_t batch_;
    ScalarGraph scalars_;
    std::vector<Index> out_;
    std::vector<std::int64_t> axes_;     // values of all axes
    std::vector<std::int64_t> reduced_;  // extents
    std::vector<Guard> guards_;
    std::vector<Access> reads_;
    std::vector<Index> indices_;
    std::vector<StateVariable> states_;
    std::vector<ScalarId> step_, merge_;
    std::vector<Cell> state_, other_;
    // What an element needs more than once, by scalar; of another time it is not known.
    struct Known {
        Cell cell;
        std::uint64_t when = 0;
    };
    std::vector<Known> known_;
    std::uint64_t now_ = 1;
    std::vector<std::int64_t> tile_;
    std::vector<ScalarId> roots_;  // per element of a tile
    ScalarId root_ = kNoScalar;
};

inline Cell ElementEvaluator::compute(const Scalar& scalar) {
    const auto operand = [&](std::size_t k) { return evaluate(scalar.operands[k]); };
    const auto number = static_cast<std::size_t>(scalar.integer);
    switch (scalar.op) {
        case ScalarOp::constant:
            return is_float(scalar.type) ? real(scalar.number) : whole(scalar.integer);
        case ScalarOp::read: return read_cell(reads_[number]);
        case ScalarOp::state: return state_[number];
        case ScalarOp::other: return other_[number];
        case ScalarOp::index: return whole(at(indices_[number]));
        case ScalarOp::batch: return whole(batch_);
        case ScalarOp::select: return operand(0).integer != 0 ? operand(1) : operand(2);
        case ScalarOp::cast: {
            const Cell from = operand(0);
            const bool was_float = is_float(scalars_.type(scalar.operands[0]));
            if (is_float(scalar.type)) {
                return was_float ? from : real(static_cast<double>(from.integer));
            }
            return was_float ? whole(static_cast<std::int64_t>(from.number)) : from;
        }
        case ScalarOp::philox: {
            const PhiloxCounter words =
                philox(philox_key(static_cast<std::uint64_t>(operand(0).integer)),
                       philox_counter(static_cast<std::uint64_t>(operand(1).integer),
                                      static_cast<std::uint64_t>(operand(2).integer)));
            return whole(static_cast<std::int32_t>(words[number]));
        }
        default: return compute_arithmetic(scalar);  // the rest of a long list
    }
}

inline Cell ElementEvaluator::compute_arithmetic(const Scalar& scalar) {
    std::array<Cell, 3> cells{};
    for (std::size_t k = 0; k < scalar.operands.size(); ++k)
        cells.at(k) = evaluate(scalar.operands[k]);
    const bool floats = is_float(scalars_.type(scalar.operands[0]));
    const double x = cells[0].number, y = cells[1].number;
    const std::int64_t i = cells[0].integer, j = cells[1].integer;
    const auto both = [&](double number, std::int64_t integer) {
        return floats ? real(number) : whole(integer);
    };
    switch (scalar.op) {
        case ScalarOp::neg: return both(-x, -i);
        case ScalarOp::abs: return both(std::abs(x), std::abs(i));
        case ScalarOp::add: return both(x + y, i + j);
        case ScalarOp::mul: return both(x * y, i * j);
        case ScalarOp::div: return real(x / y);
        case ScalarOp::max: return both(x > y || x != x ? x : y, i > j ? i : j);
        case ScalarOp::min: return both(x < y || x != x ? x : y, i < j ? i : j);
        case ScalarOp::sqrt: return real(std::sqrt(x));
        case ScalarOp::floor: return real(std::floor(x));
        case ScalarOp::fma: return real(std::fma(x, y, cells[2].number));
        case ScalarOp::exp: return real(std::exp(x));
        case ScalarOp::expm1: return real(std::expm1(x));
        case ScalarOp::log: return real(std::log(x));
        case ScalarOp::log1p: return real(std::log1p(x));
        case ScalarOp::sin: return real(std::sin(x));
        case ScalarOp::cos: return real(std::cos(x));
        case ScalarOp::tanh: return real(std::tanh(x));
        case ScalarOp::erf: return real(std::erf(x));
        case ScalarOp::pow: return real(std::pow(x, y));
        case ScalarOp::equal: return whole(floats ? x == y : i == j);
        case ScalarOp::less: return whole(floats ? x < y : i < j);
        case ScalarOp::less_equal: return whole(floats ? x <= y : i <= j);
        case ScalarOp::logical_and: return whole(i != 0 && j != 0);
        case ScalarOp::logical_or: return whole(i != 0 || j != 0);
        case ScalarOp::logical_not: return whole(i == 0);
        case ScalarOp::bit_and: return whole(i & j);
        case ScalarOp::bit_or: return whole(i | j);
        case ScalarOp::bit_xor: return whole(i ^ j);
        case ScalarOp::shift_right:
            return whole(scalars_.type(scalar.operands[0]) == DType::i32
                             ? static_cast<std::int64_t>(static_cast<std::uint32_t>(i) >> j)
                             : static_cast<std::int64_t>(static_cast<std::uint64_t>(i) >> j));
        default: problem = std::string("the evaluator lacks ") + name_of(scalar.op); return {};
    }
}

// All nodes of a function; inputs by number. `problem` gets what was read out of bounds.
inline std::vector<Tensor> evaluate(const Function& function, const std::vector<Tensor>& inputs,
                                    std::int64_t batch, std::string& problem, bool halves = false) {
    std::vector<Tensor> values;
    for (const Node& node : function.nodes) {
        if (node.op == OpId::input) {
            values.push_back(
                inputs[static_cast<std::size_t>(node.attributes.get<std::int64_t>("index"))]);
            continue;
        }
        std::vector<const Tensor*> operands;
        for (const NodeId input : node.inputs) operands.push_back(&values[input.index]);
        ElementEvaluator evaluator(function, node, operands, batch);
        evaluator.halves = halves;
        Tensor value = evaluator.run();
        if (!evaluator.problem.empty())
            problem = name_of(node.op).data() + (": " + evaluator.problem);
        values.push_back(std::move(value));
    }
    return values;
}

inline Tensor random_tensor(const Type& type, const Sample& sample, std::int64_t batch,
                            std::uint32_t stream) {
    Tensor tensor = make_tensor(type, batch);
    PhiloxStream random(17, stream, 0);
    for (Cell& cell : tensor.cells) {
        if (is_float(type.dtype)) {
            cell.number = random.uniform(sample.low, sample.high);
        } else {
            const std::int64_t limit = type.dtype == DType::b1 ? 2 : sample.integer_limit;
            cell.integer =
                static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(limit)));
        }
    }
    return tensor;
}

}  // namespace netc::test
