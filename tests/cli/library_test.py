#!/usr/bin/env python3
"""The library against formulas computed here in double precision: a row for each of its functions and layers.

usage: library_test.py --netc PROGRAM
"""
import argparse
import ast
import json
import math
import pathlib
import random
import re
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Array:
    """Numbers and a shape, row-major."""

    def __init__(self, shape, values):
        self.shape, self.values = tuple(shape), list(values)
        assert len(self.values) == math.prod(self.shape)

    def __getitem__(self, index):
        at = 0
        for i, n in zip(index, self.shape, strict=True):
            assert 0 <= i < n
            at = at * n + i
        return self.values[at]

    def map(self, function):
        return Array(self.shape, map(function, self.values))


def indices(shape):
    if not shape:
        yield ()
        return
    for first in range(shape[0]):
        for rest in indices(shape[1:]):
            yield (first, *rest)


def build(shape, function):
    return Array(shape, [function(*index) for index in indices(shape)])


def write_npy(path, array, integer=False):
    head = "{'descr': '%s', 'fortran_order': False, 'shape': %r, }" % (
        "<i4" if integer else "<f4", array.shape)
    head += " " * (-(len(head) + 11) % 64) + "\n"
    data = struct.pack("<%d%s" % (len(array.values), "i" if integer else "f"), *array.values)
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + data)


def read_npy(path):
    data = path.read_bytes()
    length = struct.unpack("<H", data[8:10])[0]
    head = ast.literal_eval(data[10:10 + length].decode())
    count = math.prod(head["shape"])
    return Array(head["shape"], struct.unpack("<%d%s" % (count, {"<f4": "f", "<i4": "i"}[head["descr"]]),
                                              data[10 + length:]))


def read_weights(path):
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    head = json.loads(data[8:8 + length])
    result = {}
    for name, entry in head.items():
        if name != "__metadata__":
            begin, end = (8 + length + at for at in entry["data_offsets"])
            result[name] = Array(entry["shape"],
                                 struct.unpack("<%df" % ((end - begin) // 4), data[begin:end]))
    return result


def with_random_weights(path, seed):
    """Replaces every number, so that a bias or a scale that is not used shows; running variances stay positive."""
    data = bytearray(path.read_bytes())
    length = struct.unpack("<Q", data[:8])[0]
    draw = random.Random(seed)
    count = (len(data) - 8 - length) // 4
    values = [struct.unpack("<f", struct.pack("<f", draw.uniform(0.2, 1.5)))[0] for _ in range(count)]
    data[8 + length:8 + length + 4 * count] = struct.pack("<%df" % count, *values)
    path.write_bytes(data)


# ---------------------------------------------------------------- formulas

def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def log_softmax(row):
    top = max(row)
    return [v - top - math.log(sum(math.exp(u - top) for u in row)) for v in row]


def rows(array):
    n = array.shape[-1]
    return [array.values[i:i + n] for i in range(0, len(array.values), n)]


def over_rows(function):
    return lambda w, x: Array(x.shape, [v for row in rows(x) for v in function(row)])


def average(values):
    values = list(values)
    return sum(values) / len(values)


def scalar(value):
    return Array((), [value])


def pairs(function):
    """The mean of a function of two numbers."""
    return lambda w, y, t: scalar(average(map(function, y.values, t.values)))


def normalised(values, eps=1e-5):
    mean = average(values)
    variance = average((v - mean) ** 2 for v in values)
    return [(v - mean) / math.sqrt(variance + eps) for v in values]


def conv2d(x, w, bias, stride=1, pad=0, dilation=1, groups=1):
    b, c, h, wide = x.shape
    out, per_group, kh, kw = w.shape
    height = (h + 2 * pad - dilation * (kh - 1) - 1) // stride + 1
    width = (wide + 2 * pad - dilation * (kw - 1) - 1) // stride + 1

    def value(n, o, i, j):
        total = bias[(o,)] if bias else 0.0
        first = o // (out // groups) * per_group
        for ci in range(per_group):
            for u in range(kh):
                for v in range(kw):
                    row, column = i * stride + u * dilation - pad, j * stride + v * dilation - pad
                    if 0 <= row < h and 0 <= column < wide:
                        total += w[o, ci, u, v] * x[n, first + ci, row, column]
        return total

    return build((b, out, height, width), value)


def conv_transpose2d(x, w, bias, stride, pad, output_pad):
    b, c, h, wide = x.shape
    _, out, kh, kw = w.shape
    height = (h - 1) * stride - 2 * pad + kh + output_pad
    width = (wide - 1) * stride - 2 * pad + kw + output_pad
    sums = {}
    for n, ci, i, j in indices(x.shape):
        for o, u, v in indices((out, kh, kw)):
            key = (n, o, i * stride + u - pad, j * stride + v - pad)
            sums[key] = sums.get(key, 0.0) + x[n, ci, i, j] * w[ci, o, u, v]
    return build((b, out, height, width), lambda n, o, i, j: sums.get((n, o, i, j), 0.0) + bias[(o,)])


def conv1d(x, w, bias, stride, pad):
    b, c, t = x.shape
    out, _, k = w.shape
    length = (t + 2 * pad - k) // stride + 1

    def value(n, o, i):
        return bias[(o,)] + sum(w[o, ci, u] * x[n, ci, i * stride + u - pad] for ci in range(c)
                                for u in range(k) if 0 <= i * stride + u - pad < t)

    return build((b, out, length), value)


def pool(function):
    return lambda w, x: build((*x.shape[:2], x.shape[2] // 2, x.shape[3] // 2),
                              lambda n, c, i, j: function([x[n, c, 2 * i + u, 2 * j + v]
                                                           for u in range(2) for v in range(2)]))


def matmul(x, w, bias=None):
    result = []
    for row in rows(x):
        for o in range(w.shape[1]):
            result.append(sum(v * w[i, o] for i, v in enumerate(row)) + (bias[(o,)] if bias else 0.0))
    return Array((*x.shape[:-1], w.shape[1]), result)


def per_channel(x, groups, gamma, beta):
    """Normalises over groups of channels of each sample."""
    b, c = x.shape[:2]
    inner = math.prod(x.shape[2:])
    size = c // groups * inner
    values = []
    for at in range(0, len(x.values), size):
        values += normalised(x.values[at:at + size])
    return Array(x.shape, [v * gamma[(i // inner % c,)] + beta[(i // inner % c,)]
                           for i, v in enumerate(values)])


def layer_norm(x, gamma, beta):
    return Array(x.shape, [v * gamma[(i,)] + beta[(i,)] for row in rows(x)
                           for i, v in enumerate(normalised(row))])


def attention(w, x, heads, causal=False, name=""):
    b, t, d = x.shape
    size = d // heads
    q, k, v = (matmul(x, w[f"{name}linear_{i}.weight"]) for i in (1, 2, 3))
    mixed = {}
    for n in range(b):
        for h in range(heads):
            for i in range(t):
                scores = [sum(q[n, i, h * size + e] * k[n, j, h * size + e] for e in range(size))
                          / math.sqrt(size) if j <= i or not causal else -1e9 for j in range(t)]
                weights = [math.exp(s) for s in log_softmax(scores)]
                for e in range(size):
                    mixed[n, i, h * size + e] = sum(a * v[n, j, h * size + e]
                                                    for j, a in enumerate(weights))
    return matmul(build((b, t, d), lambda *at: mixed[at]), w[f"{name}linear_4.weight"],
                  w[f"{name}linear_4.bias"])


def add(a, b):
    return Array(a.shape, map(float.__add__, a.values, b.values))


def gelu(x):
    return 0.5 * x * (1 + math.erf(x / math.sqrt(2)))


def transformer_block(w, x):
    first = layer_norm(x, w["residual_1.layer_norm_1.gamma"], w["residual_1.layer_norm_1.beta"])
    x = add(x, attention(w, first, 2, name="residual_1.attention_1."))
    h = layer_norm(x, w["residual_2.layer_norm_1.gamma"], w["residual_2.layer_norm_1.beta"])
    h = matmul(h, w["residual_2.linear_1.weight"], w["residual_2.linear_1.bias"]).map(gelu)
    return add(x, matmul(h, w["residual_2.linear_2.weight"], w["residual_2.linear_2.bias"]))


def top_k(k):
    def value(w, x, y):
        return scalar(average(float(sum(v > row[c] for v in row) < k)
                              for row, c in zip(rows(x), y.values)))
    return value


def class_loss(weight=None, smoothing=0.0, ignore=None):
    def value(w, x, y):
        total = counted = 0.0
        for row, c in zip(rows(x), y.values):
            if c == ignore:
                continue
            k = len(row)
            weights = weight or [1.0] * k
            logs = log_softmax(row)
            total -= (1 - smoothing) * weights[c] * logs[c]
            total -= smoothing / k * sum(a * b for a, b in zip(weights, logs))
            counted += weights[c]
        return scalar(total / counted)
    return value


def only(w, suffix):
    (name,) = [n for n in w if n.endswith(suffix)]
    return w[name]


def elementwise(function):
    return lambda w, x: x.map(function)


# ---------------------------------------------------------------- the table

MATRIX = "x: f32[B, 6]"
IMAGE = "x: f32[B, 4, 6, 6]"
SEQUENCE = "x: f32[B, 5, 4]"
PAIR = "y: f32[B, 3], t: f32[B, 3]"
CLASSES = "x: f32[B, 6], y: i32[B]"
ELU = 1.6732632423543772
SELU = 1.0507009873554805

# name: inputs, the expression, the formula of weights and inputs
TABLE = {
    "relu": (MATRIX, "x |> relu", elementwise(lambda x: max(x, 0))),
    "leaky_relu": (MATRIX, "x |> leaky_relu(0.2, 1.5)",
                   elementwise(lambda x: 1.5 * x if x > 0 else 0.2 * x)),
    "elu": (MATRIX, "x |> elu(0.7)", elementwise(lambda x: x if x > 0 else 0.7 * (math.exp(x) - 1))),
    "selu": (MATRIX, "x |> selu",
             elementwise(lambda x: SELU * (x if x > 0 else ELU * (math.exp(x) - 1)))),
    "sigmoid": (MATRIX, "x |> sigmoid", elementwise(sigmoid)),
    "hard_sigmoid": (MATRIX, "4.0 * x |> hard_sigmoid",
                     elementwise(lambda x: min(max(4 * x / 6 + 0.5, 0), 1))),
    "silu": (MATRIX, "x |> silu", elementwise(lambda x: x * sigmoid(x))),
    "swish": (MATRIX, "x |> swish", elementwise(lambda x: x * sigmoid(x))),
    "gelu": (MATRIX, "x |> gelu", elementwise(gelu)),
    "softplus": (MATRIX, "x |> softplus", elementwise(lambda x: math.log(1 + math.exp(x)))),
    "softmax": (MATRIX, "x |> softmax", over_rows(lambda r: [math.exp(v) for v in log_softmax(r)])),
    "log_softmax": (MATRIX, "x |> log_softmax", over_rows(log_softmax)),
    "prelu": (IMAGE, "x |> prelu", lambda w, x: build(
        x.shape, lambda n, c, i, j: max(x[n, c, i, j], 0) + only(w, "neg")[(c,)] * min(x[n, c, i, j], 0))),
    "heaviside": (MATRIX, "x |> heaviside", elementwise(lambda x: float(x >= 0))),
    "along": ("x: f32[B, 3, 2]", "along(tensor([1.0, 2.0, 3.0]), 1, x) + 0.0 * x",
              lambda w, x: build(x.shape, lambda n, c, i: c + 1.0)),
    "flatten": (IMAGE, "x |> flatten", lambda w, x: Array((x.shape[0], 144), x.values)),
    "mean": (MATRIX, "mean(x)", lambda w, x: scalar(average(x.values))),
    "mean_over": (IMAGE, "x |> mean_over([1, 3])", lambda w, x: build(
        (x.shape[0], 6), lambda n, i: average(x[n, c, i, j] for c in range(4) for j in range(6)))),
    "linear": (MATRIX, "x |> linear(3)",
               lambda w, x: matmul(x, only(w, "weight"), only(w, "bias"))),
    "perceptron": (MATRIX, "x |> perceptron(3)",
                   lambda w, x: matmul(x, only(w, "weight"), only(w, "bias")).map(lambda v: float(v >= 0))),
    "embedding": ("y: i32[B]", "y |> embedding(6, 3)", lambda w, y: build(
        (*y.shape, 3), lambda n, e: only(w, "table")[y[(n,)], e])),
    "maxout": (MATRIX, "x |> maxout(3, 2)", lambda w, x: (lambda h: build(
        (x.shape[0], 3), lambda n, o: max(h[n, 2 * o], h[n, 2 * o + 1])))(
            matmul(x, only(w, "weight"), only(w, "bias")))),
    "conv": (IMAGE, "x |> conv(6, k = 3, stride = 2, pad = 2, dilation = 2, groups = 2)",
             lambda w, x: conv2d(x, only(w, "weight"), only(w, "bias"), 2, 2, 2, 2)),
    "conv1d": (SEQUENCE, "x |> conv1d(3, k = 3, stride = 2, pad = 1)",
               lambda w, x: conv1d(x, only(w, "weight"), only(w, "bias"), 2, 1)),
    "conv_transpose": (IMAGE, "x |> conv_transpose(3, k = 3, stride = 2, pad = 1, output_pad = 1)",
                       lambda w, x: conv_transpose2d(x, only(w, "weight"), only(w, "bias"), 2, 1, 1)),
    "depthwise_conv": (IMAGE, "x |> depthwise_conv(3)",
                       lambda w, x: conv2d(x, only(w, "weight"), only(w, "bias"), 1, 1, 1, 4)),
    "max_pool": (IMAGE, "x |> max_pool(2)", pool(max)),
    "min_pool": (IMAGE, "x |> min_pool(2)", pool(min)),
    "avg_pool": (IMAGE, "x |> avg_pool(2)", pool(average)),
    "alpha_pool": (IMAGE, "x |> alpha_pool(0.3)", pool(lambda v: 0.3 * max(v) + 0.7 * min(v))),
    "global_avg_pool": (IMAGE, "x |> global_avg_pool", lambda w, x: build(
        x.shape[:2], lambda n, c: average(x[n, c, i, j] for i in range(6) for j in range(6)))),
    "batch_norm": (IMAGE, "x |> batch_norm", lambda w, x: build(
        x.shape, lambda n, c, i, j: (x[n, c, i, j] - only(w, "running_mean")[(c,)])
        / math.sqrt(only(w, "running_var")[(c,)] + 1e-5) * only(w, "gamma")[(c,)] + only(w, "beta")[(c,)])),
    "layer_norm": (SEQUENCE, "x |> layer_norm",
                   lambda w, x: layer_norm(x, only(w, "gamma"), only(w, "beta"))),
    "rms_norm": (SEQUENCE, "x |> rms_norm", lambda w, x: Array(x.shape, [
        v / math.sqrt(average(u * u for u in row) + 1e-5) * only(w, "gamma")[(i,)]
        for row in rows(x) for i, v in enumerate(row)])),
    "group_norm": (IMAGE, "x |> group_norm(2)",
                   lambda w, x: per_channel(x, 2, only(w, "gamma"), only(w, "beta"))),
    "instance_norm": (IMAGE, "x |> instance_norm",
                      lambda w, x: per_channel(x, 4, only(w, "gamma"), only(w, "beta"))),
    "dropout": (MATRIX, "x |> dropout(0.5)", elementwise(lambda x: x)),
    "add_noise": (MATRIX, "x |> add_noise(0.5)", elementwise(lambda x: x)),
    "residual": (MATRIX, "x |> residual(tanh)", elementwise(lambda x: x + math.tanh(x))),
    "attention": (SEQUENCE, "x |> attention(2, causal = true)",
                  lambda w, x: attention(w, x, 2, True, "attention_1.")),
    "transformer_block": (SEQUENCE, "x |> transformer_block(2, mlp = 2)", lambda w, x: transformer_block(
        {name.removeprefix("transformer_block_1."): a for name, a in w.items()}, x)),
    "mse": (PAIR, "mse(y, t)", pairs(lambda y, t: (y - t) ** 2)),
    "mae": (PAIR, "mae(y, t)", pairs(lambda y, t: abs(y - t))),
    "rmse": (PAIR, "rmse(y, t)", lambda w, y, t: scalar(
        math.sqrt(average((a - b) ** 2 for a, b in zip(y.values, t.values))))),
    "huber": (PAIR, "huber(0.4)(y, t)", pairs(
        lambda y, t: (y - t) ** 2 / 2 if abs(y - t) <= 0.4 else 0.4 * (abs(y - t) - 0.2))),
    "bce_with_logits": (PAIR, "bce_with_logits(3.0)(y, sigmoid(t))", pairs(
        lambda z, t: -3 * sigmoid(t) * math.log(sigmoid(z)) - (1 - sigmoid(t)) * math.log(1 - sigmoid(z)))),
    "one_hot": ("y: i32[B]", "y |> one_hot(6)",
                lambda w, y: build((*y.shape, 6), lambda n, k: float(y[(n,)] == k))),
    "cross_entropy": (CLASSES, "cross_entropy(weight = [1.0, 2.0, 0.5, 1.5, 1.0, 3.0], smoothing = 0.1, "
                      "ignore = 2)(x, y)", class_loss([1, 2, 0.5, 1.5, 1, 3], 0.1, 2)),
    "one_vs_rest": (CLASSES, "one_vs_rest(x, y)", lambda w, x, y: scalar(average(
        -math.log(sigmoid(v) if k == c else 1 - sigmoid(v))
        for row, c in zip(rows(x), y.values) for k, v in enumerate(row)))),
    "hinge": (PAIR, "hinge(y, t)", pairs(lambda s, t: max(0, 1 - t * s))),
    "perceptron_loss": (PAIR, "perceptron_loss(y, t)", pairs(lambda s, t: max(0, -t * s))),
    "kl_divergence": (PAIR, "kl_divergence(softmax(y), softmax(t))", lambda w, y, t: scalar(average(
        sum(math.exp(a) * (a - b) for a, b in zip(log_softmax(p), log_softmax(q)))
        for p, q in zip(rows(y), rows(t))))),
    "accuracy": (CLASSES, "accuracy(x, y)", top_k(1)),
    "binary_accuracy": (PAIR, "binary_accuracy(y, sigmoid(t))",
                        pairs(lambda z, t: float((z >= 0) == (t >= 0)))),
    "top_k_accuracy": (CLASSES, "top_k_accuracy(3)(x, y)", top_k(3)),
}
# Tested where they belong: recurrent layers, and metrics over a whole data set.
ELSEWHERE = {"rnn", "lstm", "gru", "r2", "confusion", "auc", "precision", "recall", "f1"}


def run(netc, *arguments):
    done = subprocess.run([netc, *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"netc {' '.join(map(str, arguments))}\n{done.stderr}")


def check(netc, folder, name, inputs, expression, formula, seed):
    source = folder / f"{name}.net"
    source.write_text(f"net 1\nmodel M({inputs}) = {expression}\n")
    draw = random.Random(seed)
    weights = folder / f"{name}.safetensors"
    run(netc, "init", source, "--seed", "1", "-o", weights)
    with_random_weights(weights, seed)
    arrays, options = [], []
    for label, dtype, dims in re.findall(r"(\w+): (\w+)\[(.*?)\]", inputs):
        shape = [7 if d == "B" else int(d) for d in dims.split(", ")]
        count = math.prod(shape)
        if dtype == "i32":
            values = [draw.randrange(6) for _ in range(count)]
        else:
            values = [struct.unpack("<f", struct.pack("<f", draw.gauss(0, 1)))[0] for _ in range(count)]
        arrays.append(Array(shape, values))
        write_npy(folder / f"{label}.npy", arrays[-1], dtype == "i32")
        options += ["--input", f"{label}={folder / label}.npy"]
    out = folder / f"{name}.npy"
    run(netc, "predict", source, "--weights", weights, *options, "-o", out, "--cache", "off")
    found, wanted = read_npy(out), formula(read_weights(weights), *arrays)
    if found.shape != wanted.shape:
        return f"shape {found.shape}, wanted {wanted.shape}"
    worst = max(abs(a - b) / max(1, abs(b)) for a, b in zip(found.values, wanted.values))
    return None if worst < 2e-5 else f"differs by {worst:.2g}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--netc", required=True)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    text = (ROOT / "frontend/std.net").read_text()
    declared = set(re.findall(r"^(?:fn|layer) ([a-z]\w*)", text, re.M))  # _names are private
    failures = [f"{name}: no documentation comment" for name in declared
                if not re.search(rf"^##[^\n]*\n(?:fn|layer) {name}\b", text, re.M)]
    missing = declared - TABLE.keys() - ELSEWHERE
    failures += [f"{name}: no row in the table" for name in sorted(missing)]
    with tempfile.TemporaryDirectory() as folder:
        for seed, (name, (inputs, expression, formula)) in enumerate(TABLE.items()):
            if arguments.names and name not in arguments.names:
                continue
            try:
                problem = check(arguments.netc, pathlib.Path(folder), name, inputs, expression, formula, seed)
            except RuntimeError as error:
                problem = str(error)
            if problem:
                failures.append(f"{name}: {problem}")
    for failure in failures:
        print(failure)
    print(f"{len(TABLE)} rows, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
