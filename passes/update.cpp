#include "passes/update.h"

#include <cmath>
#include <numbers>

#include "ir/graph_builder.h"

namespace netc {
namespace {

VariableId add_slot(Module& module, std::string name, Type type) {
    for (VariableId id = 0; id < module.variables.size(); ++id) {
        if (module.variables[id].name == name && module.variables[id].kind == VariableKind::slot) {
            return id;
        }
    }
    Variable slot;
    slot.name = std::move(name);
    slot.type = std::move(type);
    slot.kind = VariableKind::slot;
    slot.decay = false;
    module.variables.push_back(std::move(slot));
    return static_cast<VariableId>(module.variables.size() - 1);
}

// What the rules below need to say `slot`, `set`, `rate`.
struct Step {
    Module& module;
    Function& function;
    GraphBuilder builder;
    const OptimizerSpec& optimizer;
    DType numbers = DType::f32;  // of scalars: f64 where gradients are
    Value steps_done{};          // before this step
    Value rate{};

    Value number(double value) { return builder.constant(value, numbers); }

    Value read(VariableId id) { return builder.variable(id, module.variables[id].type); }
    void set(VariableId id, Value value) { function.updates.push_back({id, value.id}); }
    // A scalar as an operand beside `like`.
    Value beside(Value scalar, Value like) {
        return builder.broadcast(builder.cast(scalar, like.type().dtype), like.type().shape);
    }
    Value slot_of(VariableId parameter, const char* suffix, VariableId& id) {
        id = add_slot(module, module.variables[parameter].name + suffix,
                      module.variables[parameter].type);
        return read(id);
    }
};

// ---- schedules -------------------------------------------------------------------------------

struct ScheduleNodes {
    Step& step;
    Value steps_per_epoch;

    Value steps(Duration duration) {
        Value value = step.number(duration.value);
        return duration.unit == DurationUnit::epochs ? value * steps_per_epoch : value;
    }
    Value min_one(Value x) { return step.builder.binary(OpId::min, x, step.number(1.0)); }
    Value power(double base, Value exponent) {
        if (base <= 0) return step.number(0.0);
        return step.builder.unary(OpId::exp, exponent * std::log(base));
    }
    Value build(const Schedule& schedule) {
        Value t = step.steps_done;
        Value base = step.number(schedule.rate);
        switch (schedule.kind) {
            case ScheduleKind::constant: return base;
            case ScheduleKind::step:
                return base * power(schedule.gamma,
                                    step.builder.unary(OpId::floor, t / steps(schedule.every)));
            case ScheduleKind::exponential:
                return base * power(schedule.gamma, t / steps(schedule.every));
            case ScheduleKind::linear:
                return base + min_one(t / steps(schedule.over)) * (schedule.floor - schedule.rate);
            case ScheduleKind::cosine: return cosine(schedule, t, base);
            case ScheduleKind::piecewise: return piecewise(schedule, t, base);
        }
        return base;
    }
    Value cosine(const Schedule& schedule, Value t, Value base) {
        Value warmup = steps(schedule.warmup);
        Value progress = min_one((t - warmup) / (steps(schedule.over) - warmup));
        Value curve = step.builder.unary(OpId::cos, progress * std::numbers::pi);
        Value falling = (curve + 1.0) * (0.5 * (schedule.rate - schedule.floor)) + schedule.floor;
        if (schedule.warmup.value <= 0) return falling;
        Value rising = base * ((t + 1.0) / warmup);
        return step.builder.select(step.builder.binary(OpId::less, t, warmup), rising, falling);
    }
    Value piecewise(const Schedule& schedule, Value t, Value base) {
        Value value = base;
        for (const auto& [from, rate] : schedule.points) {
            value = step.builder.select(step.builder.binary(OpId::less, t, steps(from)), value,
                                        step.number(rate));
        }
        return value;
    }
};

bool uses_epochs(const Schedule& schedule) {
    auto epochs = [](Duration d) { return d.unit == DurationUnit::epochs && d.value != 0; };
    bool any = epochs(schedule.every) || epochs(schedule.over) || epochs(schedule.warmup);
    for (const auto& point : schedule.points) any = any || epochs(point.first);
    return any;
}

bool uses_seconds(const Schedule& schedule) {
    auto seconds = [](Duration d) { return d.unit == DurationUnit::seconds && d.value != 0; };
    bool any = seconds(schedule.every) || seconds(schedule.over) || seconds(schedule.warmup);
    for (const auto& point : schedule.points) any = any || seconds(point.first);
    return any;
}

void make_rate(Step& step) {
    GraphBuilder& b = step.builder;
    VariableId counter = add_slot(step.module, kStepSlot, Type{DType::i64, {}});
    Value done = step.read(counter);
    step.steps_done = b.cast(done, step.numbers);
    step.set(counter, done + b.constant(1.0, DType::i64));

    Value per_epoch = step.number(0.0);
    if (uses_epochs(step.optimizer.rate)) {
        // The caller's number of steps, or what an earlier call left.
        VariableId known = add_slot(step.module, kStepsPerEpochSlot, Type{DType::i64, {}});
        Value given = b.hyper("steps_per_epoch", DType::i64);
        Value none = b.binary(OpId::equal, given, b.constant(0.0, DType::i64));
        Value steps = b.select(none, step.read(known), given);
        step.set(known, steps);
        per_epoch = b.cast(steps, step.numbers);
    }
    ScheduleNodes schedule{step, per_epoch};
    Value given = b.hyper("rate", DType::f32);
    step.rate = b.select(b.binary(OpId::equal, given, given), b.cast(given, step.numbers),
                         schedule.build(step.optimizer.rate));
}

// ---- the optimizers --------------------------------------------------------------------------

void sgd(Step& step, VariableId parameter, Value gradient, Value rate) {
    Value p = step.read(parameter);
    Value direction = gradient;
    if (step.optimizer.momentum != 0) {
        VariableId m;
        Value velocity = step.slot_of(parameter, ":m", m) * step.optimizer.momentum + gradient;
        step.set(m, velocity);
        direction =
            step.optimizer.nesterov ? gradient + velocity * step.optimizer.momentum : velocity;
    }
    step.set(parameter, p - rate * direction);
}

// 1 - beta^t without cancellation: -expm1(t log beta), t counted from 1.
Value bias_correction(Step& step, double beta) {
    if (beta <= 0) return step.number(1.0);
    return -step.builder.unary(OpId::expm1, (step.steps_done + 1.0) * std::log(beta));
}

// `scale2`: one by the root of the second correction, so that an element waits for one division.
void adam(Step& step, VariableId parameter, Value gradient, Value rate, Value correction1,
          Value scale2) {
    const OptimizerSpec& o = step.optimizer;
    Value p = step.read(parameter);
    if (o.kind == OptimizerKind::adamw && step.module.variables[parameter].decay &&
        o.weight_decay != 0) {
        p = p * (1.0 - rate * o.weight_decay);
    }
    VariableId m_id, v_id;
    Value m = step.slot_of(parameter, ":m", m_id) * o.beta1 + gradient * (1.0 - o.beta1);
    Value v = step.slot_of(parameter, ":v", v_id) * o.beta2 + gradient * gradient * (1.0 - o.beta2);
    step.set(m_id, m);
    step.set(v_id, v);
    Value denominator = step.builder.unary(OpId::sqrt, v) * step.beside(scale2, v) + o.epsilon;
    step.set(parameter, p - (rate / step.beside(correction1, rate)) * (m / denominator));
}

void rmsprop(Step& step, VariableId parameter, Value gradient, Value rate) {
    const OptimizerSpec& o = step.optimizer;
    VariableId v_id;
    Value v = step.slot_of(parameter, ":v", v_id) * o.alpha + gradient * gradient * (1.0 - o.alpha);
    step.set(v_id, v);
    Value direction = gradient / (step.builder.unary(OpId::sqrt, v) + o.epsilon);
    if (o.momentum != 0) {
        VariableId m_id;
        direction = step.slot_of(parameter, ":m", m_id) * o.momentum + direction;
        step.set(m_id, direction);
    }
    step.set(parameter, step.read(parameter) - rate * direction);
}

std::vector<Value> clip(Step& step, std::vector<Value> gradients, double limit) {
    Value squares{};
    for (Value g : gradients) {
        std::vector<std::int64_t> axes(g.type().rank());
        for (std::size_t i = 0; i < axes.size(); ++i) axes[i] = static_cast<std::int64_t>(i);
        Value sum = g * g;
        if (!axes.empty()) sum = step.builder.reduce_sum(sum, axes);
        sum = step.builder.cast(sum, step.numbers);
        squares = squares.builder ? squares + sum : sum;
    }
    if (squares.builder == nullptr) return gradients;
    Value norm = step.builder.unary(OpId::sqrt, squares);
    Value factor = step.builder.binary(OpId::min, limit / (norm + 1e-6), step.number(1.0));
    for (Value& g : gradients) g = g * step.beside(factor, g);
    return gradients;
}

}  // namespace

Result<NodeId> update(Module& module, Function& function, const OptimizerSpec& optimizer,
                      const std::vector<VariableId>& parameters,
                      const std::vector<NodeId>& gradients) {
    if (uses_seconds(optimizer.rate)) {
        return Error{kExitProgram,
                     "a schedule of the learning rate counts epochs or steps, not seconds"};
    }
    Step step{module, function, GraphBuilder(function), optimizer};
    for (NodeId id : gradients) {
        if (function[id].type.dtype == DType::f64) step.numbers = DType::f64;
    }
    make_rate(step);
    std::vector<Value> values;
    for (NodeId id : gradients) values.push_back({&step.builder, id});
    if (optimizer.clip) values = clip(step, std::move(values), *optimizer.clip);

    const bool adaptive =
        optimizer.kind == OptimizerKind::adam || optimizer.kind == OptimizerKind::adamw;
    Value correction1{}, scale2{};
    if (adaptive) {
        correction1 = bias_correction(step, optimizer.beta1);
        scale2 = 1.0 / step.builder.unary(OpId::sqrt, bias_correction(step, optimizer.beta2));
    }
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        step.builder.set_origin(function[gradients[i]].origin);
        Value gradient = values[i];
        const double scale = module.variables[parameters[i]].rate;
        Value rate = step.beside(scale == 1.0 ? step.rate : step.rate * scale, gradient);
        switch (optimizer.kind) {
            case OptimizerKind::sgd: sgd(step, parameters[i], gradient, rate); break;
            case OptimizerKind::adam:
            case OptimizerKind::adamw:
                adam(step, parameters[i], gradient, rate, correction1, scale2);
                break;
            case OptimizerKind::rmsprop: rmsprop(step, parameters[i], gradient, rate); break;
            case OptimizerKind::lbfgs:
                return Error{kExitInternal, "an optimizer over all data has no step of a batch"};
        }
    }
    return step.builder.cast(step.rate, DType::f32).id;  // for the log
}

}  // namespace netc
