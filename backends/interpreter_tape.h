// The interpreter's form of scalar expressions: flat instructions over registers, each at the loop
// level where what it depends on is known.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "ir/kernel.h"

namespace netc::interpreter {

// One element: a double for float types, an integer for the others.
union Value {
    double number;
    std::int64_t integer;
};

// Where a buffer lies: elements `step` values apart.
struct View {
    Value* data = nullptr;
    std::int64_t step = 1;
    std::int64_t count = 0;
};

// An element of a buffer, as a function of the axes.
struct Address {
    struct Part {  // axis value * step
        AxisId axis = 0;
        std::int64_t step = 0;
    };
    struct Other {  // an index that is not affine, or one over batch lanes
        Index index;
        std::int64_t step = 0;
        bool lanes = false;
    };
    struct Check {
        Index index;
        std::int64_t extent = 0;
    };
    Buffer buffer;
    bool is_float = true;
    std::int64_t base = 0;
    std::vector<Part> parts;
    std::vector<Other> others;
    std::vector<Check> checks;  // of padded reads and clipped stores
    bool indirect = false;
    std::uint32_t position = 0;  // register
    std::int64_t position_step = 0;
    std::int64_t position_extent = 0;
    bool position_lanes = false;
};

struct Instruction {
    ScalarOp op = ScalarOp::constant;
    DType type = DType::f32;
    bool on_floats = true;  // the type of the first operand
    std::uint32_t result = 0, a = 0, b = 0, c = 0;
    std::int64_t number = 0;  // as in Scalar; an index into Tape::addresses for reads
};

// The instructions of one section (step, merge or stores) of a stage.
struct Tape {
    std::vector<std::vector<Instruction>> levels;
    std::vector<Address> addresses;
    std::vector<Value> registers;  // constants are there from the start
    std::map<ScalarId, std::uint32_t> place;
    std::vector<std::uint32_t> states, others;  // registers of the states
};

// Level of a node: 0 before all own loops; k inside the k-th loop; kStateLevel where it depends on a
// state. `last` holds what may not be moved out of the loops.
struct Levels {
    std::vector<std::size_t> of_axis;  // by AxisId; 0 for outer axes
    std::size_t count = 1;             // loops + 1
    bool has_state = false;            // adds one bucket behind the others
    bool guarded = false;              // indirect reads stay in the innermost loop
};

std::int64_t evaluate(const Index& index, const std::int64_t* axes);
Address address_of(const Kernel& kernel, Buffer buffer, const std::vector<Index>& index,
                   std::int32_t indirect, bool padded, std::int64_t batch);
Tape compile(const Kernel& kernel, const std::vector<ScalarId>& roots,
             const std::vector<StateVariable>& states, const Levels& levels, std::int64_t batch);

// What an instruction computes on values alone; reads are the machine's.
Value compute(const Instruction& instruction, const Value* registers, const Kernel& kernel);

}  // namespace netc::interpreter
