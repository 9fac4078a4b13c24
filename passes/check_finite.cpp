#include "passes/check_finite.h"

#include <limits>
#include <map>

#include "ir/finite_check.h"
#include "passes/reduction_order.h"

namespace netc {
namespace {

// 0, 1 for an infinity, 2 for a NaN.
ScalarId badness(ScalarGraph& s, ScalarId value) {
    const DType type = s.type(value) == DType::f64 ? DType::f64 : DType::f32;
    const ScalarId x = s.type(value) == type ? value : s.cast(value, type);
    const ScalarId infinity = s.number(std::numeric_limits<double>::infinity(), type);
    const auto flag = [&](Finite f) { return s.integer(static_cast<int>(f), DType::i32); };
    const ScalarId finite = s.binary(ScalarOp::less, s.unary(ScalarOp::abs, x), infinity);
    const ScalarId number = s.binary(ScalarOp::equal, x, x);
    return s.select(finite, flag(Finite::all),
                    s.select(number, flag(Finite::infinity), flag(Finite::nan)));
}

// The worst of all elements of a buffer; with `gather` and of what the flag says already.
Kernel check_kernel(Param checked, bool gather) {
    Kernel kernel;
    checked.direction = Direction::in;
    kernel.params = {checked, {gather ? Direction::inout : Direction::out, DType::i32, {}, {}}};
    ReductionShape shape;
    Read read{.source = {Buffer::Kind::param, 0}, .index = {}};
    for (const Extent& dim : checked.dims) {
        const auto axis = static_cast<AxisId>(kernel.axes.size());
        kernel.axes.push_back({AxisKind::reduced, dim});
        shape.axes.push_back(axis);
        shape.extents.push_back(dim);
        read.index.push_back(Index::axis(axis));
    }
    shape.results = 1;
    kernel.reads.push_back(read);
    ScalarGraph& s = kernel.scalars;
    const ScalarId bad =
        badness(s, s.add_node({.op = ScalarOp::read, .type = checked.dtype, .operands = {}}));
    Stage stage;
    Store store{.target = {Buffer::Kind::param, 1}, .index = {}, .value = bad};
    if (!shape.axes.empty()) {
        const ScalarId state = s.state(0, DType::i32);
        store.value = state;
        stage.reduction =
            Reduction{.axes = shape.axes,
                      .states = {{DType::i32, 0}},
                      .step = {s.binary(ScalarOp::max, bad, state)},
                      .merge = {s.binary(ScalarOp::max, s.other(0, DType::i32), state)},
                      .order = reduction_order(shape),
                      .guards = {}};
        if (stage.reduction->order.kind == OrderKind::sequential) stage.reduction->merge.clear();
    }
    if (gather) {
        kernel.reads.push_back({.source = {Buffer::Kind::param, 1}, .index = {}});
        store.value = s.binary(
            ScalarOp::max, store.value,
            s.add_node({.op = ScalarOp::read, .type = DType::i32, .operands = {}, .integer = 1}));
    }
    stage.stores.push_back(store);
    kernel.stages.push_back(std::move(stage));
    return kernel;
}

// Sets flags to Finite::all.
Kernel clear_kernel(std::int64_t flags) {
    Kernel kernel;
    kernel.params = {{Direction::out, DType::i32, {Extent{0, flags}}, row_major(1)}};
    kernel.axes = {{AxisKind::outer, Extent{0, flags}}};
    kernel.outer = {0};
    Stage stage;
    stage.stores.push_back({.target = {Buffer::Kind::param, 0},
                            .index = {Index::axis(0)},
                            .value = kernel.scalars.integer(0, DType::i32)});
    kernel.stages.push_back(std::move(stage));
    return kernel;
}

constexpr std::string_view kClear = "clear flags";

bool is_check(const Call& call) { return call.label.starts_with(kFiniteCheck); }

bool same_place(const BufferRef& a, const BufferRef& b) {
    return a.region == b.region && a.number == b.number && a.offset == b.offset;
}

// Which arguments of the calls the loss needs: the others go backward, some of them in the same kernel. Memory is
// used again, so what a call writes is needed only by those behind it.
std::vector<std::vector<bool>> forward_arguments(const Entry& entry,
                                                 const std::vector<Kernel>& kernels) {
    const bool trains = entry.name == "train_step" || entry.name == "gradient";
    std::vector<std::vector<bool>> forward;
    for (const Call& call : entry.calls) forward.emplace_back(call.arguments.size(), !trains);
    if (!trains) return forward;
    std::vector<BufferRef> needed;
    for (std::uint32_t i = 0; i < entry.outputs.size(); ++i) {
        if (entry.outputs[i].name == "loss") needed.push_back({RegionKind::output, i, {}});
    }
    for (std::size_t c = entry.calls.size(); c-- > 0;) {
        const Call& call = entry.calls[c];
        const std::vector<Param>& params = kernels[call.kernel].params;
        bool any = false;
        for (std::size_t i = 0; i < params.size(); ++i) {
            if (params[i].direction == Direction::in) continue;
            const auto count = std::erase_if(
                needed, [&](const BufferRef& n) { return same_place(n, call.arguments[i]); });
            forward[c][i] = count > 0;
            any = any || count > 0;
        }
        if (!any) continue;
        for (std::size_t i = 0; i < params.size(); ++i) {
            if (params[i].direction != Direction::out) needed.push_back(call.arguments[i]);
        }
    }
    return forward;
}

class Checks {
public:
    Checks(Program& program, const SourceMap& sources) : program_(program), sources_(sources) {}

    void add(Entry& entry) {
        const auto forward = forward_arguments(entry, program_.kernels);
        const std::vector<Call> calls = std::move(entry.calls);
        entry.calls.clear();
        flags_ = 0;
        for (std::uint32_t i = 0; i < entry.inputs.size(); ++i) {
            const EntryArgument& input = entry.inputs[i];
            check(entry, {Direction::in, input.dtype, input.dims, row_major(input.dims.size())},
                  {RegionKind::input, i, {}}, "the input `" + input.name + "`", 0);
        }
        std::vector<std::size_t> moved;  // where each call and its checks begin now
        std::size_t loop_end = 0;        // of the outermost loop that is open
        for (std::size_t c = 0; c < calls.size(); ++c) {
            moved.push_back(entry.calls.size());
            for (const Loop& loop : entry.loops) {
                if (loop.begin != c || c < loop_end) continue;
                loop_end = loop.end;
                clear_flags(entry, flags_of(calls, loop));
                moved.back() = entry.calls.size();
            }
            entry.calls.push_back(calls[c]);
            for (const bool pass : {true, false})
                check_stores(entry, calls[c], forward[c], pass, c < loop_end);
        }
        moved.push_back(entry.calls.size());
        for (Loop& loop : entry.loops) {
            loop.begin = moved[loop.begin];
            // What clears flags of the next loop stands between the two.
            loop.end = moved[loop.end - 1] + 1;
            while (loop.end < entry.calls.size() && is_check(entry.calls[loop.end])) ++loop.end;
        }
        make_room(entry);
    }

private:
    // The flags come first, everything else moves behind them.
    void make_room(Entry& entry) const {
        const std::int64_t bytes = flags_ * size_of(DType::i32);
        const std::int64_t room = (bytes + kAlignment - 1) / kAlignment * kAlignment;
        entry.workspace.constant += room;
        for (Call& call : entry.calls) {
            for (std::size_t i = 0; i < call.arguments.size(); ++i) {
                BufferRef& buffer = call.arguments[i];
                const bool flag = (is_check(call) && i == 1) || call.label == kClear;
                if (buffer.region == RegionKind::workspace && !flag) buffer.offset.constant += room;
            }
        }
    }

    // What the call stores of the forward pass, or of the backward pass.
    void check_stores(Entry& entry, const Call& call, const std::vector<bool>& forward, bool pass,
                      bool in_loop) {
        const std::vector<Param> params = program_.kernels[call.kernel].params;
        const Span span = entry.origins[call.origin].span;
        std::string what = "`" + call.label + "` of the ";
        what += pass ? "forward pass" : "backward pass";
        if (span.known()) what += ", " + sources_.describe(span);
        for (std::size_t i = 0; i < params.size(); ++i) {
            if (params[i].direction == Direction::in || forward[i] != pass) continue;
            check(entry, params[i], call.arguments[i], what, call.origin, in_loop);
        }
    }

    void check(Entry& entry, const Param& param, const BufferRef& buffer, const std::string& what,
               OriginId origin, bool in_loop = false) {
        if (!is_float(param.dtype)) return;
        const BufferRef flag{RegionKind::workspace, 0, {flags_++ * size_of(DType::i32), 0, 0}};
        // In a loop the flag keeps the worst of all steps.
        entry.calls.push_back({kernel_number(check_kernel(param, in_loop)),
                               {buffer, flag},
                               std::string(kFiniteCheck) + what,
                               origin});
    }

    // How many flags the checks of a loop will raise.
    std::int64_t flags_of(const std::vector<Call>& calls, const Loop& loop) const {
        std::int64_t count = 0;
        for (std::size_t c = loop.begin; c < loop.end; ++c) {
            for (const Param& param : program_.kernels[calls[c].kernel].params)
                count += param.direction != Direction::in && is_float(param.dtype);
        }
        return count;
    }

    void clear_flags(Entry& entry, std::int64_t count) {
        if (count == 0) return;
        const BufferRef flags{RegionKind::workspace, 0, {flags_ * size_of(DType::i32), 0, 0}};
        entry.calls.push_back(
            {kernel_number(clear_kernel(count)), {flags}, std::string(kClear), 0});
    }

    std::uint32_t kernel_number(Kernel kernel) {
        std::string text = to_text(kernel);
        const auto next = static_cast<std::uint32_t>(program_.kernels.size());
        const auto [place, is_new] = known_.emplace(text, next);
        if (is_new) {
            program_.kernels.push_back(std::move(kernel));
            program_.kernel_texts.push_back(std::move(text));
        }
        return place->second;
    }

    Program& program_;
    const SourceMap& sources_;
    std::map<std::string, std::uint32_t> known_;
    std::int64_t flags_ = 0;
};

}  // namespace

void check_finite(Program& program, const SourceMap& sources) {
    Checks checks(program, sources);
    for (Entry& entry : program.entries) checks.add(entry);
}

}  // namespace netc
