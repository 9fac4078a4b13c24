// Compiling scalar expressions to tapes: see interpreter_tape.h.
#include "backends/interpreter_tape.h"

#include <algorithm>
#include <limits>

namespace netc::interpreter {
namespace {

std::int64_t floor_quotient(std::int64_t a, std::int64_t b) {
    const std::int64_t quotient = a / b;
    return quotient * b > a ? quotient - 1 : quotient;
}

std::size_t level_of(const Index& index, const Levels& levels) {
    std::size_t level = 0;
    for (const IndexTerm& term : index.terms()) {
        level =
            std::max(level, term.kind == IndexTerm::Kind::axis ? levels.of_axis[term.axis]
                                                               : level_of(term.inner[0], levels));
    }
    return level;
}

class Compiler {
public:
    Compiler(const Kernel& kernel, const Levels& levels, std::int64_t batch)
        : kernel_(kernel), levels_(levels), batch_(batch) {
        tape_.levels.resize(levels.count + (levels.has_state ? 1 : 0));
    }

    Tape compile(const std::vector<ScalarId>& roots, const std::vector<StateVariable>& states) {
        for (std::size_t k = 0; k < states.size(); ++k) {
            tape_.states.push_back(new_register({}));
            tape_.others.push_back(new_register({}));
        }
        for (ScalarId root : roots) visit(root);
        return std::move(tape_);
    }

private:
    std::uint32_t new_register(Value value) {
        tape_.registers.push_back(value);
        return static_cast<std::uint32_t>(tape_.registers.size() - 1);
    }

    struct Known {
        std::uint32_t place = 0;
        std::size_t level = 0;
    };

    Known visit(ScalarId id) {
        if (auto it = known_.find(id); it != known_.end()) return it->second;
        const Known known = define(kernel_.scalars[id]);
        tape_.place[id] = known.place;
        return known_[id] = known;
    }

    Known define(const Scalar& scalar) {
        const auto number = static_cast<std::size_t>(scalar.integer);
        const std::size_t state_level = tape_.levels.size() - 1;
        if (scalar.op == ScalarOp::constant) {
            Value value;
            if (is_float(scalar.type)) {
                value.number = scalar.number;
            } else {
                value.integer = scalar.integer;
            }
            return {new_register(value), 0};
        }
        if (scalar.op == ScalarOp::batch) return {new_register({.integer = batch_}), 0};
        if (scalar.op == ScalarOp::state) return {tape_.states[number], state_level};
        if (scalar.op == ScalarOp::other) return {tape_.others[number], state_level};
        Instruction instruction{.op = scalar.op, .type = scalar.type, .number = scalar.integer};
        std::size_t level = 0;
        if (scalar.op == ScalarOp::read) {
            level = read(kernel_.reads[number], instruction);
        } else if (scalar.op == ScalarOp::index) {
            level = level_of(kernel_.indices[number], levels_);
        } else {
            std::uint32_t* const slots[] = {&instruction.a, &instruction.b, &instruction.c};
            for (std::size_t k = 0; k < scalar.operands.size(); ++k) {
                const Known operand = visit(scalar.operands[k]);
                *slots[k] = operand.place;
                level = std::max(level, operand.level);
            }
            instruction.on_floats = is_float(kernel_.scalars.type(scalar.operands[0]));
        }
        instruction.result = new_register({});
        tape_.levels[level].push_back(instruction);
        return {instruction.result, level};
    }

    std::size_t read(const Read& read, Instruction& instruction) {
        Address address = address_of(kernel_, read.source, read.index, read.indirect,
                                     read.outside == Outside::zero, batch_);
        std::size_t level = 0;
        for (std::size_t k = 0; k < read.index.size(); ++k) {
            if (static_cast<std::int32_t>(k) == read.indirect) continue;
            level = std::max(level, level_of(read.index[k], levels_));
        }
        if (read.indirect >= 0) {
            const Known position = visit(read.position);
            address.position = position.place;
            level = std::max(level, position.level);
            if (levels_.guarded) level = std::max(level, levels_.count - 1);
        }
        instruction.number = static_cast<std::int64_t>(tape_.addresses.size());
        tape_.addresses.push_back(std::move(address));
        return level;
    }

    const Kernel& kernel_;
    const Levels& levels_;
    std::int64_t batch_;
    Tape tape_;
    std::map<ScalarId, Known> known_;
};

}  // namespace

std::int64_t evaluate(const Index& index, const std::int64_t* axes) {
    std::int64_t sum = index.constant();
    for (const IndexTerm& term : index.terms()) {
        if (term.kind == IndexTerm::Kind::axis) {
            sum += term.coefficient * axes[term.axis];
            continue;
        }
        const std::int64_t inner = evaluate(term.inner[0], axes);
        const std::int64_t quotient = floor_quotient(inner, term.divisor);
        sum += term.coefficient *
               (term.kind == IndexTerm::Kind::mod ? inner - quotient * term.divisor : quotient);
    }
    return sum;
}

Address address_of(const Kernel& kernel, Buffer buffer, const std::vector<Index>& index,
                   std::int32_t indirect, bool padded, std::int64_t batch) {
    Param param;
    if (buffer.kind == Buffer::Kind::param) {
        param = kernel.params[buffer.index];
    } else {
        const Local& local = kernel.locals[buffer.index];
        param.dtype = local.dtype;
        for (std::int64_t dim : local.dims) param.dims.push_back({0, dim});
        param.layout = row_major(param.dims.size());
    }
    const std::vector<Extent> step = strides(param);
    Address address;
    address.buffer = buffer;
    address.is_float = is_float(param.dtype);
    for (std::size_t k = 0; k < index.size(); ++k) {
        const bool lanes = k == 0 && param.layout.lanes;
        const std::int64_t dim_step = step[k].at(batch);
        const std::int64_t extent = param.dims[k].at(batch);
        if (static_cast<std::int32_t>(k) == indirect) {
            address.indirect = true;
            address.position_step = dim_step;
            address.position_extent = extent;
            address.position_lanes = lanes;
            continue;
        }
        if (padded) address.checks.push_back({index[k], extent});
        const bool affine =
            std::all_of(index[k].terms().begin(), index[k].terms().end(),
                        [](const IndexTerm& term) { return term.kind == IndexTerm::Kind::axis; });
        if (!affine || lanes) {
            address.others.push_back({index[k], dim_step, lanes});
            continue;
        }
        address.base += index[k].constant() * dim_step;
        for (const IndexTerm& term : index[k].terms()) {
            address.parts.push_back({term.axis, term.coefficient * dim_step});
        }
    }
    return address;
}

Tape compile(const Kernel& kernel, const std::vector<ScalarId>& roots,
             const std::vector<StateVariable>& states, const Levels& levels, std::int64_t batch) {
    return Compiler(kernel, levels, batch).compile(roots, states);
}

}  // namespace netc::interpreter
