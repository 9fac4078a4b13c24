// Small networks as .net texts: each a part of the language that turns into kernels of its own.
#pragma once

#include <string>
#include <vector>

namespace netc::testing {

struct SmallNetwork {
    std::string name;
    std::string text;                // one model, one train section
    std::int64_t integer_limit = 4;  // integer inputs are drawn below
};

inline SmallNetwork network(std::string name, const std::string& model, const std::string& section,
                            const std::string& optimizer = "sgd(lr = 0.1)",
                            const std::string& more = "") {
    return {std::move(name), "net 1\n" + model + "\ntrain M {\n" + section + "\n optimizer = " +
                                 optimizer + "\n batch = 8\n epochs = 1\n" + more + "\n}\n"};
}

// Classes 0..3 from images [B, 2, 8, 8].
inline SmallNetwork of_image(std::string name, const std::string& body,
                             const std::string& optimizer = "sgd(lr = 0.1)",
                             const std::string& more = "") {
    return network(
        std::move(name), "model M(x: f32[B, 2, 8, 8]) -> f32[B, 4] = x |> " + body,
        " target y: i32[B]\n loss = cross_entropy(out, y)\n metric acc = accuracy(out, y)",
        optimizer, more);
}
inline SmallNetwork of_vector(std::string name, const std::string& body,
                              const std::string& optimizer = "sgd(lr = 0.1)",
                              const std::string& more = "") {
    return network(std::move(name), "model M(x: f32[B, 6]) -> f32[B, 3] = x |> " + body,
                   " target t: f32[B, 3]\n loss = mse(out, t)", optimizer, more);
}

// Sequences [B, 5, 3] to [B, 2]: each a kind of loop.
inline SmallNetwork of_sequence(std::string name, const std::string& model) {
    return network(std::move(name), model, " target t: f32[B, 2]\n loss = mse(out, t)");
}
inline std::vector<SmallNetwork> scan_networks() {
    const std::string head = "model M(x: f32[B, 5, 3]) -> f32[B, 2] ";
    return {
        of_sequence("lstm", head + "{\n let h = x |> lstm(4)\n return h[:, -1] |> linear(2)\n}"),
        of_sequence("two lstm", head + "= x |> lstm(3) |> lstm(4) |> mean_over([1]) |> linear(2)"),
        of_sequence("gru", head + "= x |> gru(4) |> mean_over([1]) |> linear(2)"),
        of_sequence("rnn", head + "= x |> rnn(4, act=relu) |> mean_over([1]) |> linear(2)"),
        of_sequence("a sum backward, with its stack",
                    head +
                        "{\n param w: f32[3, 2] = xavier_uniform()\n var s = zeros_like([B, 2])\n"
                        " let y = scan v in unstack(x, 1, reverse=true) {\n  s = 0.5 * s + v @ w\n"
                        "  yield s * s\n }\n return s + reduce_sum(1)(y)\n}"),
        of_sequence(
            "a layer behind each step, nothing carried",
            head + "{\n let f = linear(4)\n let g = linear(2)\n"
                   " let y = scan v in unstack(x, 1) { yield v |> f |> tanh |> g |> softmax }\n"
                   " return y |> mean_over([1])\n}"),
        of_sequence(
            "two sequences, two results, a loop in a loop, a variable that is only read",
            "model M(x: f32[B, 4, 3], z: f32[B, 3, 4]) -> f32[B, 2] {\n"
            " param w: f32[3, 5] = xavier_uniform()\n param u: f32[5, 5] = xavier_uniform()\n"
            " param s: f32[5] = normal(0.0, 1.0)\n var h = 0.1 * (zeros_like([B, 5]) + s)\n"
            " var g = zeros_like([5])\n var fixed = s * 2.0\n"
            " let (a, b) = scan (p, q) in (unstack(x, 1, true), unstack(z, -1, true)) {\n"
            "  h = tanh(p @ w + h @ u * fixed)\n"
            "  let inner = scan r in unstack(h, 1) {\n"
            "   g = g * 0.5 + reduce_sum(0)(expand(r, 5)) * s * 0.1\n"
            "   yield r * reduce_sum()(g)\n  }\n  yield (h + q @ w, inner)\n }\n"
            " return a * 0.5 + b |> flatten |> linear(2)\n}"),
        of_sequence("dropout in each step",
                    head +
                        "{\n let f = linear(4)\n var h = zeros_like([B, 4])\n"
                        " let y = scan v in unstack(x, 1) {\n  h = tanh(f(v) + h) |> dropout(0.4)\n"
                        "  yield h\n }\n return y |> mean_over([1]) |> linear(2)\n}"),
        of_sequence("carries that change places",
                    head +
                        "{\n param w: f32[3, 2] = xavier_uniform()\n var a = zeros_like([B, 2])\n"
                        " var b = x[:, 0] @ w\n let y = scan v in unstack(x, 1) {\n  let old = a\n"
                        "  a = b\n  b = tanh(old + v @ w)\n  yield a * b\n }\n"
                        " return a + 2.0 * b + reduce_sum(1)(y)\n}"),
        of_sequence(
            "one step, backward",
            "model M(x: f32[B, 1, 3]) -> f32[B, 2] {\n param w: f32[3, 2] = xavier_uniform()\n"
            " param u: f32[2, 2] = orthogonal()\n var h = x[:, 0] @ w\n"
            " let y = scan v in unstack(x, 1, reverse=true) { h = tanh(h @ u + v @ w) yield h "
            "}\n return y[:, 0] + h\n}"),
        of_sequence("images and a convolution in each step",
                    "model M(x: f32[B, 3, 1, 5, 5]) -> f32[B, 2] {\n let f = conv(2)\n"
                    " var h = zeros_like([B, 2, 5, 5])\n let y = scan v in unstack(x, 1) {\n"
                    "  h = tanh(f(v) + 0.5 * h)\n  yield h |> global_avg_pool\n }\n"
                    " return y |> mean_over([1]) |> linear(2)\n}"),
        of_sequence("words in each step",
                    "model M(x: i32[B, 4]) -> f32[B, 2] {\n let f = embedding(4, 3)\n"
                    " var h = zeros_like([B, 3])\n let y = scan v in unstack(x, 1) {\n"
                    "  h = tanh(f(v) * 20.0 + h)\n  yield h\n }\n return y |> mean_over([1]) |> "
                    "linear(2)\n}"),
        network("a loop in double precision",
                "model M(x: f64[B, 4, 3]) -> f64[B, 2] {\n param w: f64[3, 2] = xavier_uniform()\n"
                " var h = cast(zeros_like([B, 2]), f64)\n let y = scan v in unstack(x, 1) {\n"
                "  h = tanh(h * 0.5 + v @ w)\n  yield h\n }\n return y[:, -1]\n}",
                " target t: f64[B, 2]\n loss = cast(reduce_sum((out - t) ^ 2), f32)"),
    };
}

inline std::vector<SmallNetwork> layer_networks() {
    std::vector<SmallNetwork> all = scan_networks();
    std::vector<SmallNetwork> others = {
        of_vector("dense", "linear(7) |> tanh |> linear(3)"),
        of_vector("dense, one unit", "linear(1) |> sigmoid |> linear(3)"),
        of_vector("activations", "linear(8) |> gelu |> linear(8) |> elu |> linear(8) |> silu |> "
                                 "linear(8) |> leaky_relu(neg=0.1) |> linear(3) |> softplus"),
        of_vector("layer_norm", "linear(8) |> layer_norm |> linear(3)"),
        of_vector("dropout", "linear(16) |> relu |> dropout(0.4) |> linear(3)"),
        of_vector("rows of 1 KiB",
                  "linear(256) |> relu |> linear(256) |> tanh |> linear(256) |> linear(3)"),
        of_vector("noise", "add_noise(0.3) |> linear(5) |> tanh |> linear(3)"),
        of_vector("maxout", "maxout(5, pieces=3) |> maxout(3, pieces=2)"),
        of_vector("residual", "repeat 2 { residual(linear(6) >> tanh) } |> linear(3)"),
        of_vector("softmax inside", "linear(5) |> softmax |> linear(3) |> log_softmax"),
        of_image("softmax cross entropy", "flatten |> linear(4)"),
        of_image("conv", "conv(5) |> tanh |> flatten |> linear(4)"),
        of_image("conv with average pooling",
                 "conv(5) |> tanh |> avg_pool(2) |> flatten |> linear(4)"),
        of_image("conv with maximum pooling",
                 "conv(5, pad=0) |> relu |> max_pool(2) |> flatten |> linear(4)"),
        of_image("overlapping pooling",
                 "conv(3) |> tanh |> max_pool(3, stride=2, pad=1) |> avg_pool(2, stride=1) "
                 "|> flatten |> linear(4)"),
        of_image("strided, padded conv",
                 "conv(5, k=3, stride=2, pad=2) |> tanh |> conv(3, k=2, stride=2, pad=0) "
                 "|> flatten |> linear(4)"),
        of_image("grouped conv",
                 "conv(4, k=1) |> conv(6, groups=2) |> tanh |> global_avg_pool |> linear(4)"),
        of_image("batch_norm",
                 "conv(4, bias=false) |> batch_norm |> relu |> global_avg_pool |> linear(4)"),
        of_image("two small LeNets",
                 "conv(3) |> tanh |> avg_pool(2) |> conv(4) |> tanh |> avg_pool(2) "
                 "|> flatten |> linear(9) |> tanh |> linear(4)"),
        network(
            "dilated conv",
            "layer wide()(x: real[B, C, H, W]) {\n param w: real[3, C, 3, 3] = he_normal()\n"
            " return conv_nd(stride=[1, 1], pad=[2, 2], dilation=[2, 2])(x, w)\n}\n"
            "model M(x: f32[B, 2, 8, 8]) -> f32[B, 4] = x |> wide |> tanh |> flatten |> linear(4)",
            " target y: i32[B]\n loss = cross_entropy(out, y)"),
        network("transposed conv",
                "layer up()(x: real[B, C, H, W]) {\n param w: real[C, 3, 3, 3] = normal(0.0, 0.3)\n"
                " return conv_transpose_nd(stride=[2, 2], pad=[1, 1], output_pad=1)(x, w)\n}\n"
                "model M(x: f32[B, 2, 4, 4]) -> f32[B, 4] = x |> up |> tanh |> avg_pool(2) |> "
                "flatten |> linear(4)",
                " target y: i32[B]\n loss = cross_entropy(out, y)"),
        network("embedding",
                "model M(ids: i32[B, 5]) -> f32[B, 4] = ids |> embedding(9, 6) |> mean_over([1]) "
                "|> linear(4)",
                " target y: i32[B]\n loss = cross_entropy(out, y)"),
        network("embedding, a large table",
                "model M(ids: i32[B, 5]) -> f32[B, 4] = ids |> embedding(300, 10) |> "
                "mean_over([1]) |> linear(4)",
                " target y: i32[B]\n loss = cross_entropy(out, y)"),
        network("rows added by numbers that are computed, their gradient a view",
                "model M(x: f32[B, 8]) -> f32[8] {\n param p: f32[8, 8] = ones()\n"
                " let t = x |> rms_norm\n return scatter_add(p, argmax(1)(t), t)[4]\n}",
                " loss = reduce_sum(sin(out))"),
        network("rows added, all of them alike",
                "model M(x: f32[B, 8], i: i32[B]) -> f32[] = reduce_sum(scatter_add(zeros_like([5, "
                "8]), i, x |> linear(8)))",
                " loss = out"),
        network("transposed conv, taps apart, more padding behind than a stride",
                "model M(x: f32[B, 2, 5, 5]) -> f32[B, 4] = x |> conv_transpose(3, pad = 1, "
                "output_pad = 1, dilation = 2) |> flatten |> linear(4)",
                " target y: i32[B]\n loss = cross_entropy(out, y)"),
        network("attention",
                "model M(x: f32[B, 5, 8]) -> f32[B, 4] = x |> attention(2, causal = true) |> "
                "layer_norm\n"
                " |> mean_over([1]) |> linear(4)",
                " target y: i32[B]\n loss = cross_entropy(out, y)"),
        network("transformer block",
                "model M(x: f32[B, 5, 8]) -> f32[B, 4] = x |> transformer_block(2, mlp = 2, drop = "
                "0.2)\n"
                " |> mean_over([1]) |> linear(4)",
                " target y: i32[B]\n loss = cross_entropy(out, y)"),
        network("shared layers, several outputs",
                "model M(a: f32[B, 1, 6, 6], b: f32[B, 1, 6, 6], m: f32[B, 3]) -> (same: f32[B, "
                "1], kind: f32[B, 4]) {\n"
                " let enc = conv(3) >> tanh >> avg_pool(2) >> flatten >> linear(5)\n"
                " let l = enc(a)\n let r = enc(b)\n let d = concat(1)(abs(l - r), m)\n"
                " return (d |> linear(1), l |> linear(4))\n}",
                " target s: f32[B, 1]\n target k: i32[B]\n"
                " loss = mse(same, s) + 0.3 * cross_entropy(kind, k)"),
        network("parameters by hand",
                "model M(x: f32[B, 4]) -> f32[B, 2] {\n param w: f32[4, 2] = [[1, -1], [0.5, 2], "
                "[0, 1], [-1, 0]]\n"
                " param s: f32[] = full(0.5)\n param unused: f32[3] = ones()\n return tanh(x @ w) "
                "* s + x[:, 1..3]\n}",
                " target t: f32[B, 2]\n loss = mse(out, t)"),
        network("double precision",
                "model M(x: f64[B, 6]) -> f64[B, 3] {\n param a: f64[6, 9] = xavier_uniform()\n"
                " param c: f64[9] = zeros()\n param b: f64[9, 3] = xavier_uniform()\n"
                " let h = tanh(x @ a + c)\n return log1p(exp(h @ b)) + sin(x[:, 0..3])\n}",
                " target t: f64[B, 3]\n loss = cast(reduce_sum((out - t) ^ 2), f32)",
                "adam(lr = 0.01)"),
        network("a sum over the batch",
                "model M(x: f32[B, 4]) -> f32[B, 2] {\n let c = x - mean_over([0], keep=true)(x)\n"
                " return c |> linear(2)\n}",
                " target t: f32[B, 2]\n loss = mse(out, t) + 0.1 * mean(out) ^ 2"),
    };
    all.insert(all.end(), others.begin(), others.end());
    return all;
}

inline std::vector<SmallNetwork> optimizer_networks() {
    const std::string dense = "linear(7) |> tanh |> linear(3)";
    const std::vector<std::pair<std::string, std::string>> optimizers = {
        {"sgd", "sgd(lr = 0.1)"},
        {"momentum", "sgd(lr = 0.1, momentum = 0.9)"},
        {"nesterov", "sgd(lr = 0.1, momentum = 0.9, nesterov = true)"},
        {"adam", "adam(lr = 0.01)"},
        {"adamw", "adamw(lr = 0.01, weight_decay = 0.1)"},
        {"rmsprop", "rmsprop(lr = 0.01)"},
        {"rmsprop with momentum", "rmsprop(lr = 0.01, momentum = 0.5)"},
        {"clip", "sgd(lr = 0.5, momentum = 0.9, clip = 0.05)"},
        {"cosine", "sgd(lr = cosine(0.2, over = 5st, warmup = 2st))"},
        {"exponential", "adam(lr = exponential(0.02, gamma = 0.5, every = 1ep))"},
    };
    std::vector<SmallNetwork> networks;
    for (const auto& [name, optimizer] : optimizers) {
        networks.push_back(of_vector(name, dense, optimizer));
    }
    networks.push_back(of_vector("penalty", dense, "sgd(lr = 0.1)",
                                 " penalty = l2(1e-2, on = \"*.weight\") + l1(1e-3)"));
    networks.push_back(of_vector("a norm over many gradients",
                                 "repeat 9 { linear(6) >> tanh } |> linear(3)",
                                 "sgd(lr = 0.5, clip = 0.05)"));
    networks.push_back(of_vector("adamw with clip and penalty", dense,
                                 "adamw(lr = 0.01, clip = 0.05)", " penalty = l2(1e-2)"));
    networks.push_back(network(
        "attributes of parameters",
        "model M(x: f32[B, 6]) -> f32[B, 3] {\n param a: f32[6, 3] = xavier_uniform() with lr=2.0\n"
        " param b: f32[3] = ones() with frozen=true\n param c: f32[3] = ones() with decay=false\n"
        " return x @ a * b + c\n}",
        " target t: f32[B, 3]\n loss = mse(out, t)", "adamw(lr = 0.01, weight_decay = 0.1)"));
    networks.push_back(of_image("lenet with adam",
                                "conv(3) |> tanh |> avg_pool(2) |> flatten |> linear(4)",
                                "adam(lr = 0.01)"));
    return networks;
}

}  // namespace netc::testing
