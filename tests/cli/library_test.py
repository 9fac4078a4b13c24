#!/usr/bin/env python3
"""The library against formulas in double precision (library_formulas.py): a row for each of its functions and layers.

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

from library_formulas import (Array, attention, average, build, class_loss, conv1d, conv2d,
                              conv_transpose2d, elementwise, gelu, layer_norm, log_softmax, matmul,
                              only, over_rows, pairs, per_channel, pool, rows, scalar, sigmoid,
                              top_k, transformer_block)

ROOT = pathlib.Path(__file__).resolve().parents[2]


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
