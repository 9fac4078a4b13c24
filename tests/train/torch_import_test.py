#!/usr/bin/env python3
"""netc import: modules of PyTorch, saved under the names that PyTorch gives, compute the same here.

    torch_import_test.py --netc PATH

The layout of Keras is checked by its documentation: the same weights, brought to it by hand. Where PyTorch cannot be
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
import numpy  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402

NETC = ""
NAMES = {numpy.dtype("float32"): "F32", numpy.dtype("float64"): "F64", numpy.dtype("float16"): "F16",
         numpy.dtype("int64"): "I64"}


def write_safetensors(path, tensors):
    header, data = {}, b""
    for name in sorted(tensors):
        array = numpy.ascontiguousarray(tensors[name])
        header[name] = {"dtype": NAMES[array.dtype], "shape": list(tensors[name].shape),
                        "data_offsets": [len(data), len(data) + array.nbytes]}
        data += array.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def state(module):
    return {name: tensor.numpy() for name, tensor in module.state_dict().items()}


class Image(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.blocks = nn.Sequential(*[nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)) for _ in range(11)])
        self.deep = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.act = nn.PReLU(8)
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.out = nn.Linear(4, 5)

    def forward(self, x):
        x = torch.relu(self.norm(self.stem(x)))
        for block in self.blocks:
            x = torch.relu(block(x))
        x = self.up(self.act(self.deep(x)))
        return self.out(x.mean((2, 3)))


IMAGE = """net 1
layer block(x: real[B, C, H, W]) -> real[B, C, H, W] = x |> conv(C) |> batch_norm |> relu
model Image(x: f32[B, 3, 6, 6]) -> f32[B, 5] =
  x |> conv(8, bias=false) |> batch_norm |> relu |> repeat 11 { block } |> depthwise_conv(3) |> prelu
    |> conv_transpose(4, k=2, stride=2, pad=0) |> global_avg_pool |> linear(5)
"""


# All batch norms have eight channels: by the order of names, `blocks` would come before `norm`.
FIRST = ["--map", "norm.*=batch_norm_1.*"]


class Text(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.table = nn.Embedding(11, 6)
        self.rnn = kind(6, 7, batch_first=True)
        self.norm = nn.LayerNorm(7)
        self.out = nn.Linear(7, 11)

    def forward(self, x):
        return self.out(self.norm(self.rnn(self.table(x))[0]))


TEXT = """net 1
model Text(x: i32[B, 5]) -> f32[B, 5, 11] = x |> embedding(11, 6) |> %s(7) |> layer_norm |> linear(11)
"""


class Imports(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name)
        torch.manual_seed(1)

    def netc(self, *arguments, status=0):
        done = subprocess.run([NETC, *map(str, arguments)], cwd=self.path, capture_output=True, text=True, timeout=600,
                              env={**os.environ, "NETC_CACHE_DIR": str(self.path / "cache")})
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def same(self, program, tensors, module, x, layout, *more):
        (self.path / "net.net").write_text(program)
        write_safetensors(self.path / "theirs.safetensors", tensors)
        numpy.save(self.path / "x.npy", x)
        table = self.netc("import", "net.net", "--from", "theirs.safetensors", "--layout", layout,
                          "-o", "w.safetensors", *more)
        self.netc("predict", "net.net", "--weights", "w.safetensors", "--input", "x=x.npy", "-o", "out.npy")
        with torch.no_grad():
            expected = module.eval()(torch.from_numpy(x)).numpy()
        numpy.testing.assert_allclose(numpy.load(self.path / "out.npy"), expected, rtol=2e-4, atol=2e-5)
        return table

    def image(self):
        module = Image()
        for layer in module.modules():
            if isinstance(layer, nn.BatchNorm2d):
                nn.init.normal_(layer.weight, 1, 0.2)
                nn.init.normal_(layer.bias)
                nn.init.normal_(layer.running_mean)
                nn.init.uniform_(layer.running_var, 0.5, 2)
        return module, numpy.random.default_rng(1).standard_normal((3, 3, 6, 6)).astype("f")

    def text(self, kind):
        module = Text(kind)
        if kind is nn.GRU:
            with torch.no_grad():
                module.rnn.bias_hh_l0[14:] = 0
        return module, numpy.random.default_rng(2).integers(0, 11, (4, 5)).astype("i4")

    def test_images(self):
        module, x = self.image()
        table = self.same(IMAGE, state(module), module, x, "pytorch", *FIRST)
        self.assertNotIn("note", table.stderr)
        self.assertRegex(table.stdout, r"linear_1.weight +f32\[4, 5\] +out.weight +by order, transposed")
        self.assertRegex(table.stdout, r"batch_norm_1.gamma +f32\[8\] +batch_norm_1.weight +by name")

    def test_half_precision(self):
        module, x = self.image()
        halves = {name: array.astype("e") if array.dtype == numpy.float32 else array for name, array in state(module).items()}
        module.load_state_dict({name: torch.from_numpy(array.astype("f")) for name, array in halves.items()})
        self.same(IMAGE, halves, module, x, "pytorch", *FIRST)

    def test_recurrent(self):
        for kind, name in ((nn.LSTM, "lstm"), (nn.GRU, "gru")):
            with self.subTest(name):
                module, x = self.text(kind)
                self.same(TEXT % name, state(module), module, x, "pytorch")

    def test_a_bias_that_gru_has_not(self):
        module = Text(nn.GRU)
        (self.path / "net.net").write_text(TEXT % "gru")
        write_safetensors(self.path / "theirs.safetensors", state(module))
        done = self.netc("import", "net.net", "--from", "theirs.safetensors", "--layout", "pytorch",
                         "-o", "w.safetensors", status=3)
        self.assertIn("bias_hh_l0", done.stderr)
        self.assertFalse((self.path / "w.safetensors").exists())

    def test_names_by_map(self):
        module = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
        x = numpy.random.default_rng(3).standard_normal((5, 4)).astype("f")
        tensors = {"b_first." + name[2:]: array for name, array in state(module).items() if name.startswith("0.")}
        tensors |= {"a_second." + name[2:]: array for name, array in state(module).items() if name.startswith("2.")}
        program = "net 1\nmodel M(x: f32[B, 4]) -> f32[B, 4] = x |> linear(4) |> tanh |> linear(4)\n"
        self.same(program, tensors, module, x, "pytorch", "--map", "b_first.*=linear_1.*", "--map", "a_second.*=linear_2.*")

    def test_keras(self):
        module, x = self.image()
        theirs = {}
        for name, array in state(module).items():
            layer, leaf = name.replace(".", "_").rsplit("_", 1) if not name.endswith(("mean", "var")) else \
                name.replace(".", "_").rsplit("_running_", 1)
            kind = {"weight": "gamma" if array.ndim == 1 else "kernel", "bias": "beta" if "norm" in layer or layer.endswith("_1")
                    else "bias", "mean": "moving_mean", "var": "moving_variance"}.get(leaf)
            if layer == "act":
                kind = "alpha"
            if kind is None:
                continue
            if layer == "deep" and array.ndim == 4:  # depthwise: [kh, kw, C, 1]
                array = array.transpose(2, 3, 0, 1)
            elif array.ndim == 4:  # [kh, kw, in, out]; transposed: [kh, kw, out, in]
                array = array.transpose(2, 3, 1, 0)
            elif array.ndim == 2:
                array = array.T
            theirs[f"{layer}/{kind}:0"] = array
        self.same(IMAGE, theirs, module, x, "keras", "--map", "norm/*=batch_norm_1.*")

    def test_keras_recurrent(self):
        orders = {"lstm": (nn.LSTM, [0, 1, 2, 3]), "gru": (nn.GRU, [1, 0, 2])}  # i f c o; z r h
        for name, (kind, order) in orders.items():
            with self.subTest(name):
                module, x = self.text(kind)
                tensors = state(module)
                blocks = lambda array: numpy.concatenate([numpy.split(array, len(order))[g] for g in order])  # noqa: E731
                bias = [blocks(tensors["rnn.bias_ih_l0"]), blocks(tensors["rnn.bias_hh_l0"])]
                theirs = {"embedding/embeddings": tensors["table.weight"],
                          "cell/kernel": blocks(tensors["rnn.weight_ih_l0"]).T,
                          "cell/recurrent_kernel": blocks(tensors["rnn.weight_hh_l0"]).T,
                          "cell/bias": numpy.stack(bias) if name == "gru" else bias[0] + bias[1],
                          "norm/gamma": tensors["norm.weight"], "norm/beta": tensors["norm.bias"],
                          "dense/kernel": tensors["out.weight"].T, "dense/bias": tensors["out.bias"]}
                self.same(TEXT % name, theirs, module, x, "keras")

    def test_what_does_not_fit_is_listed(self):
        (self.path / "net.net").write_text(IMAGE)
        module, _ = self.image()
        tensors = state(module)
        tensors["out.weight"] = tensors["out.weight"][:, :3]
        write_safetensors(self.path / "theirs.safetensors", tensors)
        done = self.netc("import", "net.net", "--from", "theirs.safetensors", "--layout", "pytorch",
                         "-o", "w.safetensors", status=3)
        self.assertIn("linear_1.weight f32[4, 5]", done.stderr)
        self.assertIn("out.weight f32[5, 3]", done.stderr)
        self.assertFalse((self.path / "w.safetensors").exists())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--netc", required=True, type=os.path.abspath)
    known, rest = parser.parse_known_args()
    NETC = known.netc
    unittest.main(argv=[sys.argv[0], *rest])
