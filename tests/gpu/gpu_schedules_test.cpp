// links: frontend passes backends ir
// labels: slow
// The ways in which a kernel is spread over a grid, each of which has to leave the bits as they are: every tile, with
// ragged edges, windows, batches of products and sums in blocks; sums whose parts are a kernel of their own.
//
// The batch hint of a program guides schedules and nothing else, so a hint of thousands tests the schedules of large
// batches on small ones.
#include <set>
#include <tuple>

#include "backends/gpu/gpu_code.h"
#include "backends/gpu/split_reduction.h"
#include "backends/gpu/team_schedule.h"
#include "backends/gpu/tile_schedule.h"
#include "tests/cpu/network_support.h"
#include "tests/unit/temporary_directory.h"

using namespace netc;
using namespace netc::testing;

namespace {

// A hint changes some kernels of a program.
const std::string& cache() {
    static const TemporaryDirectory directory;
    return directory.path();
}

SmallNetwork forward_of(const std::string& model) {
    return network("tiles", model, " loss = mean(out)");
}

// The tiles of all kernels that `entry` calls, as text.
std::set<std::string> tiles_of(const Program& program, const std::string& entry,
                               std::int64_t hint) {
    std::set<std::string> tiles;
    for (const Call& call : program.find(entry)->calls) {
        if (const auto how = tile_schedule(program.kernels[call.kernel], hint, kTilesEverywhere))
            tiles.insert(to_text(*how));
    }
    return tiles;
}

std::int64_t count(std::string_view text, std::string_view what) {
    std::int64_t found = 0;
    for (std::size_t at = 0; (at = text.find(what, at)) != text.npos; ++at) ++found;
    return found;
}

// An entry on the emulator, scheduled for another batch than those it runs on, against the CPU.
void check_entry(const Module& module, Form form, std::int64_t hint, const std::string& entry,
                 const SmallNetwork& network, const std::vector<std::int64_t>& batches,
                 bool tiles = true) {
    Bench wanted(module, form, on_cpu(1, "native", cache()));
    Bench found(module, form, [&](const Program& program) {
        Program scheduled = program;
        scheduled.batch_hint = hint;
        return emulated(scheduled, tiles ? kTilesEverywhere : GpuThresholds{}, cache());
    });
    found.instance.set_variables(wanted.instance.variables());
    for (Bench* bench : {&wanted, &found}) {
        if (bench->program.find("prepare") != nullptr) bench->run("prepare", {}, 1);
    }
    for (const std::int64_t batch : batches) {
        INFO("B = " << batch);
        const Numbers inputs = wanted.inputs(entry, network, batch, 5);
        CHECK(different_bits(found.run(entry, inputs, batch), wanted.run(entry, inputs, batch)) ==
              "");
    }
}

constexpr std::int64_t kHints[] = {1, 8, 16, 32, 64, 256, 1000, 4000, 20'000, 100'000};

}  // namespace

TEST_CASE("every tile computes a product with ragged edges") {
    // Tiles that are wide, and those of many products at once, are for products of a shape of their own.
    struct Row {
        std::string model;
        std::vector<std::int64_t> hints, batches;
    };
    std::vector<Row> rows;
    for (const std::int64_t columns : {3, 30, 33, 100, 130, 600, 4100}) {
        const std::string n = std::to_string(columns);
        rows.push_back(
            {"model M(x: f32[B, 37]) -> f32[B, " + n + "] = x |> linear(" + n + ", bias = false)",
             {16, 1000, 4000, 8000, 40'000, 100'000},
             {1, columns < 200 ? 129 : 17}});
    }
    for (const auto& [m, n, hint] :
         {std::tuple(24, 122, 64), std::tuple(45, 4150, 4), std::tuple(10, 15'240, 4)}) {
        const std::string rows_of = std::to_string(m), columns = std::to_string(n);
        rows.push_back({"model M(x: f32[B, " + rows_of + ", 5], y: f32[B, 5, " + columns +
                            "]) -> f32[B, " + rows_of + ", " + columns + "] = x @ y",
                        {hint},
                        {1, 2}});
    }
    std::set<std::string> seen;
    for (const Row& row : rows) {
        const SmallNetwork subject = forward_of(row.model);
        const Module module = built(checked(subject), {"init", "forward"});
        const Program program = program_of(module, Form::rows, kHint);
        for (const std::int64_t hint : row.hints) {
            const std::set<std::string> tiles = tiles_of(program, "forward", hint);
            bool fresh = false;
            for (const std::string& tile : tiles) fresh |= seen.insert(tile).second;
            if (!fresh) continue;
            INFO(row.model << ", hint " << hint << ": " << *tiles.begin());
            check_entry(module, Form::rows, hint, "forward", subject, row.batches);
        }
    }
    std::string all;
    for (const std::string& tile : seen) all += tile + "\n";
    INFO(all);
    CHECK(seen.size() >= 10);
}

TEST_CASE("tiles of windows, their gradients, products in batches, sums in blocks") {
    struct Row {
        std::string model;
        std::vector<std::int64_t> batches;
    };
    const Row rows[] = {
        {"model M(x: f32[B, 3, 9, 7]) -> f32[B, 5, 9, 7] = x |> conv(5, k=3, pad=1)", {1, 3}},
        {"model M(x: f32[B, 4, 9, 9]) -> f32[B, 18, 5, 5] = x |> conv(18, k=3, pad=1, stride=2)",
         {1, 3}},
        {"model M(x: f32[B, 6, 10]) -> f32[B, 6, 6] = x @ (x |> permute([0, 2, 1]))", {1, 5}},
        {"model M(x: f32[B, 20, 5]) -> f32[B, 20, 7] = x |> linear(7)", {1, 5}},
        {"model M(x: f32[B, 1100]) -> f32[B, 19] = x |> linear(19)", {1, 18}},
    };
    std::set<std::string> seen;
    for (const Row& row : rows) {
        INFO(row.model);
        const SmallNetwork subject = forward_of(row.model);
        const bool has_weights = row.model.find("@") == std::string::npos;
        const std::string entry = has_weights ? "gradient" : "forward";
        const Module module = built(checked(subject), {"init", entry});
        for (const Form form : {Form::rows, Form::channels}) {
            const Program program = program_of(module, form, kHint);
            std::set<std::set<std::string>> mine;
            for (const std::int64_t hint : kHints) {
                const std::set<std::string> tiles = tiles_of(program, entry, hint);
                if (!mine.insert(tiles).second || mine.size() > 2) continue;
                seen.insert(tiles.begin(), tiles.end());
                INFO(name_of(form) << ", hint " << hint);
                check_entry(module, form, hint, entry, subject, row.batches);
            }
        }
    }
    CHECK(seen.size() >= 4);
}

TEST_CASE("sums whose parts are a kernel of their own") {
    const SmallNetwork rows[] = {
        of_image("weights of a convolution", "conv(5, k=3, pad=1) |> tanh |> flatten |> linear(4)"),
        of_image("means of channels", "conv(3, k=3) |> batch_norm |> relu |> flatten |> linear(4)"),
        of_image("means of many channels", "conv(33, k=3) |> batch_norm |> flatten |> linear(4)"),
        of_vector("weights and bias of a layer", "linear(20) |> tanh |> linear(3)"),
        of_vector("scales of a norm", "linear(8) |> layer_norm |> linear(3)"),
    };
    std::size_t with_leaves = 0, without = 0, blocked = 0;
    for (const SmallNetwork& subject : rows) {
        INFO(subject.name);
        const CheckedFile file = checked(subject);
        for (const std::int64_t hint : {64, 4096}) {
            // What the order of a sum is follows from its shape, and what a hint makes of it from the hint.
            const Module module = built(file, {"init", "gradient"}, hint);
            for (const Form form : {Form::rows, Form::channels}) {
                const Program program = program_of(module, form, hint);
                bool any = false;
                for (const Kernel& kernel : program.kernels) {
                    if (!split_reduction(kernel, hint)) continue;
                    any = true;
                    const Order& order = kernel.stages[0].reduction->order;
                    if (order.kind == OrderKind::blocked) {
                        ++blocked;
                    } else {
                        ++(order.leaf > 0 ? with_leaves : without);
                    }
                }
                if (!any) continue;
                INFO(name_of(form) << ", hint " << hint);
                Bench wanted(module, form, on_cpu(1, "native", cache()), hint);
                Bench found(module, form, on_emulator({}, cache()), hint);
                found.instance.set_variables(wanted.instance.variables());
                // Leaves of 128 samples or so: two of them and a part of a third.
                for (const std::int64_t batch : {1, 16, 17, 33, 260}) {
                    INFO("B = " << batch);
                    const Numbers inputs = wanted.inputs("gradient", subject, batch, 5);
                    CHECK(different_bits(found.run("gradient", inputs, batch),
                                         wanted.run("gradient", inputs, batch)) == "");
                }
            }
        }
    }
    INFO("lanes with leaves " << with_leaves << ", without " << without << ", blocked " << blocked);
    CHECK(with_leaves > 0);
    CHECK(without > 0);
    CHECK(blocked > 0);
}

TEST_CASE("rows that sixteen threads keep in registers") {
    struct Row {
        std::string model;
        std::int64_t places;  // elements a thread; 0: rows are not kept
    };
    // Last elements for no thread, one, half of them; rows of a warp; of two axes; states that are pairs, and of 64
    // bits; a mask; rows that are too long, and with another order.
    const Row rows[] = {
        {"model M(x: f32[B, 64]) -> f32[B, 64] = softmax(x)", 4},
        {"model M(x: f32[B, 65]) -> f32[B, 65] = softmax(x)", 5},
        {"model M(x: f32[B, 1000]) -> f32[B, 1000] = softmax(x)", 63},
        {"model M(x: f32[B, 1024]) -> f32[B, 1024] = x |> layer_norm", 64},
        {"model M(x: f32[B, 3, 7, 72]) -> f32[B, 3, 7, 72] = x |> rms_norm |> tanh", 5},
        {"model M(x: f32[B, 1536]) -> f32[B, 1536] = x |> layer_norm", 48},
        {"model M(x: f32[B, 2049]) -> f32[B, 2049] = softmax(x)", 65},
        {"model M(x: f32[B, 3072]) -> f32[B, 3072] = x |> layer_norm", 96},
        {"model M(x: f32[B, 3088]) -> f32[B, 3088] = x |> layer_norm", 0},
        {"model M(x: f32[B, 1700]) -> i32[B] = argmax(x, axis = 1)", 54},
        {"model M(x: f32[B, 100]) -> i32[B] = argmax(x, axis = 1)", 7},
        {"model M(x: f64[B, 100]) -> f64[B] = reduce_sum(x * x, axis = 1)", 7},
        {"model M(x: f32[B, 2, 9, 72]) -> f32[B, 2, 9, 72] = "
         "where(iota([9, 72], 1) <= iota([9, 72], 0), x, -1e9) |> softmax",
         5},
        {"model M(x: f32[B, 40]) -> f32[B, 40] = softmax(x)", 0},
    };
    for (const Row& row : rows) {
        INFO(row.model);
        const SmallNetwork subject = network("rows", row.model, " loss = mean(cast(out, f32))");
        const Module module = built(checked(subject), {"init", "forward"});
        const Program program = program_of(module, Form::rows, kHint);
        constexpr std::int64_t kMany = 20'000;
        std::int64_t places = 0;
        for (const Call& call : program.find("forward")->calls)
            places =
                std::max(places, team_schedule(program.kernels[call.kernel], kMany).row_places);
        CHECK(places == row.places);
        check_entry(module, Form::rows, kMany, "forward", subject, {1, 9, 18}, false);
    }
}

TEST_CASE("gradients and losses of rows that are kept") {
    const std::tuple<SmallNetwork, std::int64_t> rows[] = {
        {of_vector("layer norm", "linear(100) |> layer_norm |> linear(3)"), 2},
        {of_vector("softmax", "linear(65) |> softmax |> linear(3)"), 2},
        {of_vector("rms norm", "linear(64) |> rms_norm |> linear(3)"), 2},
    };
    for (const auto& [subject, least] : rows) {
        INFO(subject.name);
        constexpr std::int64_t kMany = 20'000;
        const Module module = built(checked(subject), {"init", "gradient"});
        const Program program = program_of(module, Form::rows, kHint);
        std::int64_t kept = 0;
        for (const Call& call : program.find("gradient")->calls)
            kept += team_schedule(program.kernels[call.kernel], kMany).row_places > 0 ? 1 : 0;
        CHECK(kept >= least);
        check_entry(module, Form::rows, kMany, "gradient", subject, {1, 9, 18}, false);
    }
}

TEST_CASE("elementwise kernels and updates of parameters access 16 bytes at once") {
    // Accesses of the kernel that has most of them; the update reads the gradient, two moments and the parameter.
    struct Row {
        std::string model, section, optimizer, entry;
        std::int64_t hint, loads, stores;
    };
    const std::string one_of = "model M(g: f32[B, 300_000]) -> f32[B] {\n param p: f32[300_000] = "
                               "normal(0.0, 1.0)\n return reduce_sum(p * g, axis = 1)\n}";
    const Row rows[] = {
        {"model M(a: f32[B, 512], b: f32[B, 512]) -> f32[B, 512] = gelu(a * b)",
         " loss = mean(out)", "sgd(lr = 0.1)", "forward", 1024, 2, 1},
        {one_of, " loss = mean(out)", "adam(lr = 0.1)", "train_step", 1, 4, 3},
        {one_of, " loss = mean(out)", "sgd(lr = 0.1)", "train_step", 1, 2, 1},
    };
    for (const Row& row : rows) {
        INFO(row.model << ", " << row.optimizer);
        const SmallNetwork subject = network("wide", row.model, row.section, row.optimizer);
        const Module module = built(checked(subject), {"init", row.entry}, row.hint);
        const Program program = program_of(module, Form::rows, row.hint);
        const Result<GpuCode> code = emit_gpu_code(program, {row.entry}, {});
        REQUIRE(code);
        std::int64_t loads = 0, stores = 0, narrow = 0;
        std::string_view rest = code->ptx;
        while (rest.find(".entry") != rest.npos) {
            rest.remove_prefix(rest.find(".entry") + 1);
            const std::string_view kernel = rest.substr(0, rest.find(".entry"));
            if (count(kernel, "global.v4.f32") <= loads + stores) continue;
            loads = count(kernel, "ld.global.v4.f32");
            stores = count(kernel, "st.global.v4.f32");
            narrow = count(kernel, "st.global.f32");
        }
        CHECK(narrow == 0);
        CHECK(loads == row.loads);
        CHECK(stores == row.stores);
    }
}

TEST_CASE("an update of four parameters a thread has the bits of one") {
    const SmallNetwork subject =
        network("update",
                "model M(g: f32[B, 40]) -> f32[B] {\n param p: f32[40] = normal(0.0, 1.0)\n "
                "return reduce_sum(p * g, axis = 1)\n}",
                " loss = mean(out)", "adam(lr = 0.01)");
    const Module module = built(checked(subject));
    GpuThresholds vectors;
    vectors.vector_points = 0;
    const Program program = program_of(module, Form::rows, kHint);
    std::int64_t wide = 0;
    for (const Call& call : program.find("train_step")->calls)
        wide += team_schedule(program.kernels[call.kernel], kHint, vectors).vector == 4 ? 1 : 0;
    CHECK(wide == 1);
    Bench wanted(module, Form::rows, on_cpu(1, "native", cache()));
    Bench found(module, Form::rows, on_emulator(vectors, cache()));
    check_bits(everything(found, subject), everything(wanted, subject));
}

TEST_CASE("gradients of embeddings look for their terms") {
    struct Row {
        std::int64_t vocabulary, tokens, dim;
    };
    // Few values, which are not looked for; one term a sum and several rounds of them; tiles of several values.
    for (const Row& row :
         {Row{15, 16, 8}, Row{16, 1, 5}, Row{65, 37, 8}, Row{300, 40, 40}, Row{24, 16, 1}}) {
        const std::string tokens = std::to_string(row.tokens), dim = std::to_string(row.dim);
        SmallNetwork subject =
            network("embedding",
                    "model M(x: i32[B, " + tokens + "]) -> f32[B, " + dim +
                        "] = x |> embedding(vocab = " + std::to_string(row.vocabulary) +
                        ", dim = " + dim + ") |> tanh |> mean_over([1])",
                    " target t: f32[B, " + dim + "]\n loss = mse(out, t)");
        subject.integer_limit = row.vocabulary;
        const CheckedFile file = checked(subject);
        for (const std::int64_t hint : {16, 4096}) {
            INFO(subject.text << "hint " << hint);
            const Module module = built(file, {"init", "gradient"}, hint);
            for (const bool everywhere : {false, true})
                check_entry(module, Form::rows, hint, "gradient", subject, {1, 9, 70}, everywhere);
        }
    }
}

TEST_CASE("kernels that are compiled side by side are one text, the same each time") {
    const SmallNetwork subject = of_vector(
        "parts", "linear(8) |> layer_norm |> dropout(0.5) |> linear(8) |> gelu |> linear(3)",
        "adam(lr = 0.1)");
    const Program program = program_of(built(checked(subject)), Form::rows, kHint);
    const Result<GpuCode> code = emit_gpu_code(program, {}, {});
    REQUIRE(code);
    CHECK(program.kernels.size() > 2 * 8);
    CHECK(count(code->ptx, ".address_size") == 1);
    for (const GpuKernel& kernel : code->kernels)
        for (const GpuLaunch& launch : kernel.launches)
            CHECK(count(code->ptx, ".visible .entry " + launch.symbol + "(") == 1);
    // What kernels share has a name in each part: shared memory, the function of random numbers.
    for (std::size_t part = 0; part < 3; ++part) {
        const std::string name = "netc_shared_part" + std::to_string(part);
        CHECK(count(code->ptx, ".b8 " + name + "[") <= 1);
    }
    CHECK(count(code->ptx, ") netc_philox_1_part0") == 2);  // declared, defined
    for (int again = 0; again < 3; ++again)
        CHECK((emit_gpu_code(program, {}, {})->ptx == code->ptx));
}
