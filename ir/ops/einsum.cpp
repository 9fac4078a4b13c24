// einsum: products of one or two operands, summed over the letters that the result lacks.
#include <algorithm>
#include <map>

#include "ir/einsum_spec.h"
#include "ir/ops/common.h"

namespace netc {
namespace {

using namespace ops;

constexpr AttributeSpec kEinsumAttributes[] = {
    {"spec", AttributeKind::text, "a letter per dimension, such as `bi,io->bo`"},
};

bool holds(const std::string& letters, char letter) {
    return letters.find(letter) != std::string::npos;
}

// Only after infer.
EinsumSpec spec_of(const Attributes& attributes) {
    Result<EinsumSpec> spec = parse_einsum(attributes.get<std::string>("spec"));
    if (!spec) internal_error(spec.error().message);
    return std::move(*spec);
}

Result<Type> infer_einsum(const InferContext& context) {
    const Result<EinsumSpec> spec = parse_einsum(context.attributes.get<std::string>("spec"));
    if (!spec) return spec.error();
    if (spec->inputs.size() != context.inputs.size()) {
        return fact(
            fmt::format("`{}` has not {} operands", spec->to_string(), context.inputs.size()));
    }
    std::map<char, Dim> dims;
    for (std::size_t k = 0; k < spec->inputs.size(); ++k) {
        const std::string& letters = spec->inputs[k];
        const Type& type = context.inputs[k];
        const Status status = spec->inputs.size() == 1
                                  ? check_dtype(float_dtype, type.dtype)
                                  : check_factors(context.inputs[0].dtype, type.dtype);
        if (!status) return status.error();
        if (letters.size() != type.rank()) {
            return fact(fmt::format("`{}` has not the rank of {}", letters, type.to_string()));
        }
        for (std::size_t i = 0; i < letters.size(); ++i) {
            const auto [place, is_new] = dims.emplace(letters[i], type.shape[i]);
            if (!is_new && place->second != type.shape[i]) {
                return fact(fmt::format("`{}` is {} and {}", letters[i], place->second.to_string(),
                                        type.shape[i].to_string()));
            }
        }
    }
    const DType factor = context.inputs[0].dtype;
    Type result{spec->inputs.size() == 1 ? factor : sum_type(factor), {}};
    for (const char letter : spec->output) result.shape.push_back(dims[letter]);
    return result;
}

// The gradient of operand k is the same kind of product; dimensions that only operand k has were
// summed away, so there the gradient is constant.
void grad_of_operand(GradBuilder& g, const EinsumSpec& spec, std::size_t k) {
    GraphBuilder& graph = g.graph();
    const std::string& own = spec.inputs[k];
    EinsumSpec product;
    std::vector<Value> operands;
    for (std::size_t other = 0; other < spec.inputs.size(); ++other) {
        product.inputs.push_back(other == k ? spec.output : spec.inputs[other]);
        operands.push_back(other == k ? g.dy() : g.x(other));
    }
    const Shape shape = g.x(k).type().shape;
    Shape kept = shape;
    for (std::size_t i = 0; i < own.size(); ++i) {
        bool found = false;
        for (const std::string& letters : product.inputs) found = found || holds(letters, own[i]);
        if (found) {
            product.output += own[i];
        } else {
            kept[i] = 1;
        }
    }
    const Value value = graph.make(OpId::einsum, operands, {{"spec", product.to_string()}});
    g.add(k, graph.broadcast(graph.reshape(value, kept), shape));
}

ScalarId lower_einsum(Lowering& lowering) {
    const EinsumSpec spec = spec_of(lowering.attributes());
    std::map<char, Index> index;
    for (std::size_t i = 0; i < spec.output.size(); ++i) {
        index[spec.output[i]] = lowering.out()[i];
    }
    const std::string reduced = spec.reduced();
    for (const char letter : reduced) {
        for (std::size_t k = 0; k < spec.inputs.size(); ++k) {
            const std::size_t place = spec.inputs[k].find(letter);
            if (place == std::string::npos) continue;
            index[letter] = lowering.reduced_axis(lowering.input_type(k).shape[place]);
            break;
        }
    }
    std::vector<ScalarId> factors;
    for (std::size_t k = 0; k < spec.inputs.size(); ++k) {
        std::vector<Index> place;
        for (const char letter : spec.inputs[k]) place.push_back(index[letter]);
        factors.push_back(lowering.read(k, std::move(place)));
    }
    if (factors.size() == 1) return reduced.empty() ? factors[0] : lowering.sum(factors[0]);
    if (reduced.empty()) return lowering.product(factors[0], factors[1]);
    return lowering.contract(factors[0], factors[1]);
}

// The steps get a letter of their own, first in each operand that has them.
EinsumSpec with_steps(const Lift& lift, bool summed) {
    EinsumSpec spec = spec_of(lift.attributes);
    char letter = 't';
    const auto taken = [&] {
        return std::any_of(spec.inputs.begin(), spec.inputs.end(),
                           [&](const std::string& letters) { return holds(letters, letter); });
    };
    for (char next = 'a'; taken() && next <= 'z'; ++next) letter = next;
    for (char next = 'A'; taken() && next <= 'Z'; ++next) letter = next;
    for (std::size_t k = 0; k < spec.inputs.size(); ++k) {
        if (lift.stacked[k]) spec.inputs[k].insert(0, 1, letter);
    }
    if (!summed) spec.output.insert(0, 1, letter);
    return spec;
}

template <bool summed>
Value lift_einsum(const Lift& lift) {
    return lift.graph.make(OpId::einsum, lift.inputs,
                           {{"spec", with_steps(lift, summed).to_string()}});
}

std::vector<Sample> einsum_samples() {
    const auto one = [](const char* spec, Shape a) {
        return Sample{{real(std::move(a))}, {{"spec", std::string(spec)}}};
    };
    const auto two = [](const char* spec, Shape a, Shape b) {
        return Sample{{real(std::move(a)), real(std::move(b))}, {{"spec", std::string(spec)}}};
    };
    return {
        two("bi,io->bo", {batch(), 13}, {13, 17}),
        two("bi,io->bo", {batch(), 1}, {1, 1}),
        two("bi,bo->io", {batch(), 5}, {batch(), 19}),
        two("bo,io->bi", {batch(), 9}, {33, 9}),
        two("bhqd,bhkd->bhqk", {batch(), 2, 3, 5}, {batch(), 2, 7, 5}),
        two("bhqk,bhkd->bqhd", {batch(), 2, 3, 5}, {batch(), 2, 5, 4}),
        two("i,j->ij", {5}, {7}),
        two("i,i->", {130}, {130}),
        two("ij,k->i", {3, 4}, {5}),
        one("ij->ji", {batch(), 5}),
        one("bij->j", {batch(), 3, 5}),
        one("ij->", {6, 7}),
        {{Type{DType::f64, {batch(), 6}}, Type{DType::f64, {6, 5}}},
         {{"spec", std::string("bi,io->bo")}}},
    };
}

}  // namespace

constexpr OpDef kEinsum{
    .name = "einsum",
    .doc = "product of one or two operands, summed over the letters that the result lacks; no "
           "letter twice in one operand",
    .family = OpFamily::contraction,
    .min_inputs = 1,
    .max_inputs = 2,
    .attributes = kEinsumAttributes,
    .infer = infer_einsum,
    .grad =
        [](GradBuilder& g) {
            const EinsumSpec spec = spec_of(g.attributes());
            for (std::size_t k = 0; k < spec.inputs.size(); ++k) {
                if (g.needs(k)) grad_of_operand(g, spec, k);
            }
        },
    .lower = lower_einsum,
    .samples = einsum_samples,
    .lift = lift_einsum<false>,
    .lift_sum = lift_einsum<true>,
};

}  // namespace netc
