#!/usr/bin/env python3
"""netc against PyTorch on the same weights: outputs, gradients, and steps of the optimizers.

    torch_test.py --netc PATH

PyTorch computes in double precision, from the weights that `netc init` wrote. Where it cannot be
imported the test runs itself with the interpreter in NETC_TORCH_PYTHON, else it is skipped (status 77).
"""
import argparse
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import with_torch  # noqa: E402, F401
import torch  # noqa: E402

NETC = None
TOLERANCE = 1e-5  # of the largest element of a tensor

MLP = """net 1
model Mlp(x: f32[B, 20]) -> f32[B, 7] =
  x |> linear(32) |> relu |> linear(24) |> tanh |> linear(7)
train Mlp {
  target y: i32[B]
  data      = npy(x = "x.npy", y = "y.npy")
  loss      = cross_entropy(out, y)
  %s
  shuffle   = false
  batch     = 16
  steps     = 6
}
"""
LENET = """net 1
model LeNet5(x: f32[B, 1, 28, 28]) -> f32[B, 10] =
  x |> conv(6, k=5, pad=2)  |> tanh |> avg_pool(2)
    |> conv(16, k=5, pad=0) |> tanh |> avg_pool(2)
    |> flatten |> linear(120) |> tanh |> linear(84) |> tanh |> linear(10)
train LeNet5 {
  target y: i32[B]
  data      = npy(x = "x.npy", y = "y.npy")
  loss      = cross_entropy(out, y)
  %s
  shuffle   = false
  batch     = 16
  steps     = 4
}
"""
RESIDUAL = """net 1
model Net(x: f32[B, 3, 12, 12]) -> f32[B, 5] {
  let h = x |> conv(8, stride=2, bias=false) |> batch_norm |> relu |> max_pool(3, stride=2, pad=1)
  let r = h + (h |> conv(8, groups=2) |> gelu)
  return r |> global_avg_pool |> layer_norm |> linear(5)
}
train Net {
  target y: i32[B]
  data      = npy(x = "x.npy", y = "y.npy")
  loss      = cross_entropy(out, y)
  %s
  shuffle   = false
  batch     = 16
  steps     = 3
}
"""

OPTIMIZERS = {
    "sgd": ("sgd(lr = 0.1)", lambda p: torch.optim.SGD(p, lr=0.1)),
    "momentum": ("sgd(lr = 0.1, momentum = 0.9)", lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)),
    "nesterov": ("sgd(lr = 0.1, momentum = 0.9, nesterov = true)",
                 lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True)),
    "adam": ("adam(lr = 0.01)", lambda p: torch.optim.Adam(p, lr=0.01)),
    "rmsprop": ("rmsprop(lr = 0.01, momentum = 0.5)",
                lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.5)),
}


def write_npy(path, tensor):
    descr = {torch.float32: "<f4", torch.int32: "<i4"}[tensor.dtype]
    shape = "(" + "".join(f"{n}, " for n in tensor.shape) + ")"
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * ((-len(header) - 11) % 64) + "\n"
    code = "f" if tensor.dtype == torch.float32 else "i"
    values = tensor.flatten().tolist()
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
    pathlib.Path(path).write_bytes(data + struct.pack(f"<{len(values)}{code}", *values))


def read_npy(path):
    data = pathlib.Path(path).read_bytes()
    length = struct.unpack("<H", data[8:10])[0]
    header = eval(data[10:10 + length], {"__builtins__": {}}, {"False": False, "True": True})
    count = 1
    for n in header["shape"]:
        count *= n
    values = struct.unpack(f"<{count}f", data[10 + length:10 + length + 4 * count])
    return torch.tensor(values, dtype=torch.float64).reshape(header["shape"])


def read_safetensors(path):
    data = pathlib.Path(path).read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + length])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        values = struct.unpack(f"<{(end - begin) // 4}f", data[begin:end])
        tensors[name] = torch.tensor(values, dtype=torch.float64).reshape(entry["shape"])
    return tensors


def mlp(w, x, training):
    h = torch.relu(x @ w["linear_1.weight"] + w["linear_1.bias"])
    h = torch.tanh(h @ w["linear_2.weight"] + w["linear_2.bias"])
    return h @ w["linear_3.weight"] + w["linear_3.bias"]


def lenet(w, x, training):
    f = torch.nn.functional
    h = f.avg_pool2d(torch.tanh(f.conv2d(x, w["conv_1.weight"], w["conv_1.bias"], padding=2)), 2)
    h = f.avg_pool2d(torch.tanh(f.conv2d(h, w["conv_2.weight"], w["conv_2.bias"])), 2).flatten(1)
    for i in (1, 2):
        h = torch.tanh(h @ w[f"linear_{i}.weight"] + w[f"linear_{i}.bias"])
    return h @ w["linear_3.weight"] + w["linear_3.bias"]


def residual(w, x, training):
    f = torch.nn.functional
    h = f.conv2d(x, w["conv_1.weight"], None, stride=2, padding=1)
    h = f.batch_norm(h, w["batch_norm_1.running_mean"], w["batch_norm_1.running_var"],
                     w["batch_norm_1.gamma"], w["batch_norm_1.beta"], training)
    h = f.max_pool2d(torch.relu(h), 3, stride=2, padding=1)
    r = h + f.gelu(f.conv2d(h, w["conv_2.weight"], w["conv_2.bias"], padding=1, groups=2))
    r = r.mean((2, 3))
    r = f.layer_norm(r, (8,), w["layer_norm_1.gamma"], w["layer_norm_1.beta"])
    return r @ w["linear_1.weight"] + w["linear_1.bias"]


NETWORKS = {"mlp": (MLP, mlp, (20,), 7), "lenet5": (LENET, lenet, (1, 28, 28), 10),
            "residual": (RESIDUAL, residual, (3, 12, 12), 5)}


class Case:
    """A network in a directory of its own: weights, 64 samples."""

    def __init__(self, test, name, optimizer="sgd(lr = 0.1)"):
        text, self.forward, shape, classes = NETWORKS[name]
        self.folder = tempfile.TemporaryDirectory()
        test.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name)
        (self.path / "net.net").write_text(text % f"optimizer = {optimizer}")
        torch.manual_seed(5)
        self.x = torch.randn(64, *shape, dtype=torch.float32)
        self.y = torch.randint(classes, (64,), dtype=torch.int32)
        write_npy(self.path / "x.npy", self.x)
        write_npy(self.path / "y.npy", self.y)
        self.netc("init", "net.net", "--seed", "3", "-o", "w.safetensors")
        self.weights = read_safetensors(self.path / "w.safetensors")
        self.state = {k: v for k, v in self.weights.items() if ".running_" in k}
        self.parameters = {k: v.requires_grad_() for k, v in self.weights.items()
                           if k not in self.state}

    def netc(self, *arguments):
        environment = dict(os.environ, NETC_CACHE_DIR=str(self.path / "cache"), NO_COLOR="1")
        done = subprocess.run([NETC, *arguments], cwd=self.path, capture_output=True, text=True,
                              env=environment)
        if done.returncode != 0:
            raise AssertionError(f"netc {' '.join(arguments)}: {done.returncode}\n{done.stderr}")
        return done.stdout

    def loss(self, rows=slice(None)):
        out = self.forward(self.weights, self.x[rows].double(), True)
        return torch.nn.functional.cross_entropy(out, self.y[rows].long())


class Torch(unittest.TestCase):
    def assert_close(self, found, wanted, what, tolerance=TOLERANCE):
        self.assertEqual(found.shape, wanted.shape, what)
        error = (found - wanted).abs().max() / wanted.abs().max().clamp_min(1e-30)
        self.assertLessEqual(error.item(), tolerance, what)

    def test_forward(self):
        for name in NETWORKS:
            case = Case(self, name)
            case.netc("predict", "net.net", "--weights", "w.safetensors", "--input", "x=x.npy",
                      "-o", "out.npy")
            with torch.no_grad():
                wanted = case.forward(case.weights, case.x.double(), False)
            with self.subTest(name):
                self.assert_close(read_npy(case.path / "out.npy"), wanted, "out")

    def test_gradients(self):
        for name in NETWORKS:
            case = Case(self, name)
            case.netc("grad", "net.net", "--weights", "w.safetensors", "--input", "x=x.npy",
                      "--input", "y=y.npy", "-o", "g.safetensors")
            found = read_safetensors(case.path / "g.safetensors")
            case.loss().backward()
            with self.subTest(name):
                self.assertEqual(set(found), set(case.parameters))
                for path, parameter in case.parameters.items():
                    self.assert_close(found[path], parameter.grad, path)

    def steps(self, name, text, make, clip=None, l2=0.0, tolerance=TOLERANCE):
        case = Case(self, name, text)
        case.netc("train", "net.net", "--load", "w.safetensors", "--run", "run", "--quiet")
        found = read_safetensors(case.path / "run" / "last.safetensors")
        optimizer = make(case.parameters)
        steps = {"mlp": 6, "lenet5": 4, "residual": 3}[name]
        for step in range(steps):
            optimizer.zero_grad()
            begin = 16 * (step % 4)
            loss = case.loss(slice(begin, begin + 16))
            for path, parameter in case.parameters.items():
                if l2 and path.endswith(".weight"):
                    loss = loss + l2 * (parameter ** 2).sum()
            loss.backward()
            if clip:
                torch.nn.utils.clip_grad_norm_(case.parameters.values(), clip)
            optimizer.step()
        with self.subTest(f"{name}, {text}"):
            for path, value in case.weights.items():
                self.assert_close(found[path], value.detach(), path, tolerance)

    def test_optimizers(self):
        for text, make in OPTIMIZERS.values():
            self.steps("mlp", text, lambda p, make=make: make(p.values()), tolerance=2e-5)
        self.steps("lenet5", "sgd(lr = 0.05, momentum = 0.9)",
                   lambda p: torch.optim.SGD(p.values(), lr=0.05, momentum=0.9))
        self.steps("residual", "sgd(lr = 0.05, momentum = 0.9)",
                   lambda p: torch.optim.SGD(p.values(), lr=0.05, momentum=0.9), tolerance=2e-5)

    def test_adamw_spares_biases(self):
        self.steps("mlp", "adamw(lr = 0.01, weight_decay = 0.1)", lambda p: torch.optim.AdamW(
            [{"params": [v for k, v in p.items() if k.endswith("weight")], "weight_decay": 0.1},
             {"params": [v for k, v in p.items() if k.endswith("bias")], "weight_decay": 0.0}],
            lr=0.01), tolerance=2e-5)

    def test_clip_and_penalty(self):
        self.steps("mlp", 'sgd(lr = 0.5, clip = 0.1)\n  penalty = l2(0.01, on = "*.weight")',
                   lambda p: torch.optim.SGD(p.values(), lr=0.5), clip=0.1, l2=0.01)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--netc", required=True)
    known, rest = parser.parse_known_args()
    NETC = str(pathlib.Path(known.netc).resolve())
    torch.set_num_threads(1)
    unittest.main(argv=[sys.argv[0], *rest])
