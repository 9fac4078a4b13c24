#!/usr/bin/env python3
"""PyTorch eager, the peer that needs nothing else. Reads requests, a line each, and answers with a line of JSON:

  version                     what this is
  time NAME SECONDS           minimum and median of one call of a workload, in seconds
  check NAME LAYOUT FOLDER INPUT FILE
                              writes what arrays.py makes of a definition, of the one that stands here

f32, OMP_NUM_THREADS threads, fused optimizers, denormals off, no data loading; the fastest of the memory layouts.

  torch_peer.py steps NAME [BENCH]   ten steps of training and nothing else, for the memory that they take; with BENCH, a
                              folder with the definitions as code, of the workload as it is defined there
"""
import json
import math
import os
import statistics
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

from arrays import save_batch, save_expected, shapes, to_netc, write_safetensors

NETWORKS = {  # input of one sample, layers, gain of convolutions
    "xor": ((2,), [("linear", 2), "tanh", ("linear", 1), "sigmoid"]),
    "playground": ((2,), [("linear", 4), "tanh", ("linear", 2), "tanh", ("linear", 1), "tanh"]),
    "softmax": ((784,), [("linear", 10)]),
    "mlp": ((784,), [("linear", 512), "relu", ("linear", 512), "relu", ("linear", 10)]),
    "lenet5": ((1, 28, 28), [("conv", 6, 5, 2), "tanh", "avgpool", ("conv", 16, 5, 0), "tanh", "avgpool", "flatten",
                             ("linear", 120), "tanh", ("linear", 84), "tanh", ("linear", 10)]),
}
TRAINING = {  # batch, loss, optimizer
    "xor": (4, F.mse_loss, lambda p: torch.optim.SGD(p, 0.5, fused=True)),
    "playground": (10, F.mse_loss, lambda p: torch.optim.SGD(p, 0.03, fused=True)),
    "softmax": (100, F.cross_entropy, lambda p: torch.optim.SGD(p, 0.01, fused=True)),
    "mlp": (64, F.cross_entropy, lambda p: torch.optim.Adam(p, 0.001, (0.9, 0.999), 1e-8, fused=True)),
    "lenet5": (64, F.cross_entropy, lambda p: torch.optim.SGD(p, 0.01, 0.9, fused=True)),
}
NETWORKS["mlp_b1024"], TRAINING["mlp_b1024"] = NETWORKS["mlp"], (1024, *TRAINING["mlp"][1:])
PLAIN = {"tanh": torch.tanh, "relu": F.relu, "sigmoid": torch.sigmoid,
         "avgpool": lambda x: F.avg_pool2d(x, 2), "flatten": lambda x: x.flatten(1)}


def initial(name):
    """[(kind, weight, bias)]: weights uniform in +-sqrt(3 / fan-in), biases 0."""
    shape, layers = NETWORKS[name]
    random, parameters = np.random.default_rng(1), []
    for layer in layers:
        if layer == "avgpool":
            shape = (shape[0], shape[1] // 2, shape[2] // 2)
        elif layer == "flatten":
            shape = (math.prod(shape),)
        elif layer[0] == "linear":
            weight, shape = (layer[1], shape[0]), (layer[1],)
        elif layer[0] == "conv":
            _, out, k, pad = layer
            weight = (out, shape[0], k, k)
            shape = (out, shape[1] + 2 * pad - k + 1, shape[2] + 2 * pad - k + 1)
        if not isinstance(layer, str):
            bound = math.sqrt(3 / math.prod(weight[1:]))
            values = ((2 * random.random(weight, np.float32) - 1) * bound).astype(np.float32)
            parameters.append((layer[0], values, np.zeros(layer[1], np.float32)))
    return parameters


def batch_of(name, size=None):
    """One batch and its target: the same at every step."""
    if name == "xor":
        return (np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32), np.array([[0], [1], [1], [0]], np.float32))
    random = np.random.default_rng(2)
    size = size or TRAINING[name][0]
    x = random.standard_normal((size, *NETWORKS[name][0]), np.float32)
    if name == "playground":
        return x, np.sign(x[:, :1] * x[:, 1:2]).astype(np.float32)
    return x, random.integers(0, 10, size).astype(np.int64)


def network(name, layout, training):
    """The forward function and its parameters."""
    tensors, calls = [], []
    layers = iter(initial(name))
    for layer in NETWORKS[name][1]:
        if isinstance(layer, str):
            calls.append(PLAIN[layer])
            continue
        _, weight, bias = next(layers)
        weight, bias = torch.from_numpy(weight), torch.from_numpy(bias)
        if layer[0] == "conv":
            weight = weight.contiguous(memory_format=layout)
        weight.requires_grad_(training), bias.requires_grad_(training)
        tensors += [weight, bias]
        calls.append((lambda x, w=weight, b=bias: F.linear(x, w, b)) if layer[0] == "linear" else
                     (lambda x, w=weight, b=bias, pad=layer[3]: F.conv2d(x, w, b, 1, pad)))

    def forward(x):
        for call in calls:
            x = call(x)
        return x

    return forward, tensors


def input_of(name, layout, size=None):
    x, t = (torch.from_numpy(a) for a in batch_of(name, size))
    return (x.contiguous(memory_format=layout) if x.dim() == 4 else x), t


def training_step(name, layout):
    forward, tensors = network(name, layout, True)
    x, t = input_of(name, layout)
    _, loss_of, optimizer_of = TRAINING[name]
    optimizer = optimizer_of(tensors)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(forward(x), t)
        loss.backward()
        optimizer.step()
        return loss

    return step


def inference(name, layout, size):
    forward, _ = network(name, layout, False)
    x, _ = input_of(name, layout, size)

    def call():
        with torch.inference_mode():
            return forward(x)

    return call


def product(m, n, k):
    random = torch.Generator().manual_seed(0)
    a, b = torch.randn(m, k, generator=random), torch.randn(k, n, generator=random)
    c = torch.empty(m, n)
    return lambda: torch.mm(a, b, out=c)


def weights_product(m, n, k):
    a, b = torch.randn(m, k), torch.randn(n, k)

    def call():
        with torch.inference_mode():
            return F.linear(a, b)

    return call


def trained_or_used(name):
    """The network, and the batch if the name says that it is only used, as infer_mlp_b64 does."""
    name, _, size = name.removeprefix("infer_").rpartition("_b") if name.startswith("infer_") else (name, "", "0")
    if name not in NETWORKS:
        raise LookupError("torch_peer.py has no such workload")
    return name, int(size)


def calls_of(name):
    """Every way worth trying: the layouts of images."""
    if name.startswith("sgemm_"):
        return [product(*map(int, name[6:].split("x")))]
    if name.startswith("linear_"):
        return [weights_product(*map(int, name[7:].split("x")))]
    name, size = trained_or_used(name)
    layouts = [torch.contiguous_format] + ([torch.channels_last] if name == "lenet5" else [])
    return [inference(name, layout, size) if size else training_step(name, layout) for layout in layouts]


def measure(call, seconds, block=1e-3):
    """Two calls and a tenth of the time as warm-up, then blocks of at least a millisecond, at least five."""
    clock = time.perf_counter
    call(), call()
    start, count = clock(), 0
    while count < 1 or clock() - start < min(0.3, seconds / 10):
        call()
        count += 1
    inner = max(1, math.ceil(block / ((clock() - start) / count)))
    times, end = [], clock() + seconds
    while len(times) < 5 or clock() < end:
        start = clock()
        for _ in range(inner):
            call()
        times.append((clock() - start) / inner)
    return min(times), statistics.median(times)


def time_workload(name, seconds):
    calls = calls_of(name)
    if len(calls) > 1:
        calls.sort(key=lambda call: measure(call, 0.3)[0])
    minimum, median = measure(calls[0], seconds)
    return {"min_s": minimum, "median_s": median}


def check(name, layout, folder, input, file):
    name, size = trained_or_used(name)
    x, t = batch_of(name, size)
    counts, arrays = {}, {}
    for kind, weight, bias in initial(name):
        counts[kind] = counts.get(kind, 0) + 1
        arrays |= {f"{kind}{counts[kind]}_w": weight, f"{kind}{counts[kind]}_b": bias}
    save_batch(folder, file, input, x, t)
    write_safetensors(f"{folder}/weights.safetensors", to_netc(arrays, shapes(layout)))
    if size:
        save_expected(folder, output=inference(name, torch.contiguous_format, size)().numpy())
    else:
        step = training_step(name, torch.contiguous_format)
        save_expected(folder, losses=[float(step().detach()) for _ in range(10)])
    return {}


def steps(name, bench=None):
    if bench:
        sys.path.insert(0, bench)
        import peer_torch
        import workloads
        step = peer_torch._trainer(workloads.ALL[name], False, False)
    else:
        step = training_step(name, torch.contiguous_format)
    for _ in range(10):
        step()


def serve():
    verbs = {"version": lambda: {"version": torch.__version__}, "check": check,
             "time": lambda name, seconds: time_workload(name, float(seconds))}
    for line in sys.stdin:
        verb, *words = line.split()
        try:
            answer = verbs[verb](*words)
        except Exception as error:  # noqa: BLE001: what went wrong is an answer, too
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    torch.set_flush_denormal(True)
    if sys.argv[1:2] == ["steps"]:
        steps(*sys.argv[2:])
    else:
        serve()
