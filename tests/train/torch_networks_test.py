#!/usr/bin/env python3
"""The networks of examples/imagenet against PyTorch on the same weights: forward, and the gradient of every parameter.

    torch_networks_test.py --netc PATH [NAME...]

Batch 2, images of 64 x 64, from the weights that `netc init` wrote. Both compute gradients in double precision: of the
millions of values before a relu some lie closer to 0 than f32 can tell, and one that is on the other side moves a
gradient by a percent. The forward pass is compared in f32 too. Where PyTorch cannot be imported the test runs itself
with the interpreter in NETC_TORCH_PYTHON, else it is skipped (status 77).
"""
import argparse
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import with_torch  # noqa: E402, F401
import torch  # noqa: E402
import torch.nn.functional as f  # noqa: E402

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples/imagenet"
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-9}  # of the largest element of a tensor
SIZE = 64
TRAIN = """
train %s as compared {
  target y: i32[B]
  loss = cross_entropy(out, y)
  batch = 2
  dtype = %s
}
"""


class Weights:
    """Parameters by their path; `training` decides what batch normalisation uses."""

    def __init__(self, tensors, training):
        self.tensors, self.training = tensors, training

    def conv(self, path, x, **how):
        return f.conv2d(x, self.tensors[path + ".weight"], self.tensors.get(path + ".bias"), **how)

    def linear(self, path, x):
        return x @ self.tensors[path + ".weight"] + self.tensors[path + ".bias"]

    def conv_bn(self, path, x, k=3, stride=1):
        x = self.conv(path + ".conv_1", x, stride=stride, padding=k // 2)
        part = lambda name: self.tensors[f"{path}.batch_norm_1.{name}"]
        return f.batch_norm(x, part("running_mean").clone(), part("running_var").clone(), part("gamma"),
                            part("beta"), self.training)


def alexnet(w, x):
    x = f.max_pool2d(f.relu(w.conv("conv_1", x, stride=4, padding=2)), 3, 2)
    x = f.max_pool2d(f.relu(w.conv("conv_2", x, padding=2)), 3, 2)
    for i in (3, 4, 5):
        x = f.relu(w.conv(f"conv_{i}", x, padding=1))
    x = f.max_pool2d(x, 3, 2).flatten(1)
    for i in (1, 2):
        x = f.relu(w.linear(f"linear_{i}", x))
    return w.linear("linear_3", x)


def vgg(*stages):
    def forward(w, x):
        number = 0
        for count in stages:
            for _ in range(count):
                number += 1
                x = f.relu(w.conv(f"vgg_1.conv_{number}", x, padding=1))
            x = f.max_pool2d(x, 2)
        x = x.flatten(1)
        for i in (1, 2):
            x = f.relu(w.linear(f"vgg_1.linear_{i}", x))
        return w.linear("vgg_1.linear_3", x)
    return forward


def resnet(kind, *depths):
    def unit(w, path, x, width, stride):
        kernels = (3, 3) if kind == "basic" else (1, 3, 1)
        strides = (stride, 1) if kind == "basic" else (1, stride, 1)
        h = x
        for i, (k, s) in enumerate(zip(kernels, strides)):
            h = w.conv_bn(f"{path}.conv_bn_{i + 1}", h, k, s)
            h = f.relu(h) if i + 1 < len(kernels) else h
        wide = width if kind == "basic" else 4 * width
        if stride != 1 or x.shape[1] != wide:
            x = w.conv_bn(f"{path}.conv_bn_{len(kernels) + 1}", x, 1, stride)
        return f.relu(h + x)

    def forward(w, x):
        x = f.max_pool2d(f.relu(w.conv_bn("resnet_1.conv_bn_1", x, 7, 2)), 3, 2, 1)
        number = 0
        for stage, depth in enumerate(depths):
            for i in range(depth):
                number += 1
                x = unit(w, f"resnet_1.{kind}_{number}", x, 64 * 2**stage, 2 if stage > 0 and i == 0 else 1)
        return w.linear("resnet_1.linear_1", x.mean((2, 3)))
    return forward


NETWORKS = {
    "AlexNet": ("alexnet", alexnet),
    "VGG16": ("vgg", vgg(2, 2, 3, 3, 3)),
    "VGG19": ("vgg", vgg(2, 2, 4, 4, 4)),
    "ResNet18": ("resnet", resnet("basic", 2, 2, 2, 2)),
    "ResNet34": ("resnet", resnet("basic", 3, 4, 6, 3)),
    "ResNet50": ("resnet", resnet("bottleneck", 3, 4, 6, 3)),
    "ResNet101": ("resnet", resnet("bottleneck", 3, 4, 23, 3)),
    "ResNet152": ("resnet", resnet("bottleneck", 3, 8, 36, 3)),
}


def source(name, file, dtype):
    """One model of the example at the size of the test, without dropout, whose random numbers PyTorch does not have."""
    real = "f64" if dtype == torch.float64 else "f32"
    text = (EXAMPLES / f"{file}.net").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("assert ")]
    text = "\n".join(lines).replace("224", str(SIZE)).replace("dropout(0.5)", "dropout(0.0)")
    text = text[:text.index("\ntrain ")] if "\ntrain " in text else text
    text = re.sub(rf"^model (?!{name}\b).*?(?=^\w|\Z)", "", text + "\n", flags=re.M | re.S)
    return text.replace("f32[", f"{real}[") + TRAIN % (name, real)


def write_npy(path, array):
    code, size = {torch.float32: ("<f4", "f"), torch.float64: ("<f8", "d"), torch.int32: ("<i4", "i")}[array.dtype]
    head = f"{{'descr': '{code}', 'fortran_order': False, 'shape': {tuple(array.shape)}, }}"
    head += " " * ((-len(head) - 11) % 64) + "\n"
    values = array.flatten().tolist()
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode()
                     + struct.pack(f"<{len(values)}{size}", *values))


def read_npy(path, dtype):
    data = path.read_bytes()
    return torch.frombuffer(bytearray(data[10 + struct.unpack("<H", data[8:10])[0]:]), dtype=dtype).double()


def read_safetensors(path):
    data = bytearray(path.read_bytes())
    length = struct.unpack("<Q", data[:8])[0]
    tensors = {}
    for name, entry in json.loads(data[8:8 + length]).items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            dtype = {"F32": torch.float32, "F64": torch.float64}[entry["dtype"]]
            part = torch.frombuffer(data, dtype=dtype, count=(end - begin) // dtype.itemsize, offset=8 + length + begin)
            tensors[name] = part.double().reshape(entry["shape"])
    return tensors


def distance(found, wanted):
    return ((found.reshape(wanted.shape) - wanted).abs().max() / wanted.abs().max().clamp_min(1e-30)).item()


def compare(netc, name, dtype, folder):
    file, forward = NETWORKS[name]
    (folder / "net.net").write_text(source(name, file, dtype))

    def run(*arguments):
        subprocess.run([netc, *map(str, arguments)], cwd=folder, check=True, capture_output=True)

    run("init", "net.net", name, "--seed", 3, "-o", "w.safetensors")
    torch.manual_seed(5)
    x = torch.randn(2, 3, SIZE, SIZE, dtype=dtype)
    y = torch.tensor([3, 7], dtype=torch.int32)
    write_npy(folder / "x.npy", x)
    write_npy(folder / "y.npy", y)
    tensors = read_safetensors(folder / "w.safetensors")
    with torch.no_grad():
        wanted = forward(Weights(tensors, False), x.double())
    run("predict", "net.net", name, "--weights", "w.safetensors", "--input", "x=x.npy", "-o", "out.npy")
    worst = distance(read_npy(folder / "out.npy", dtype), wanted)
    text = f"{name} in {str(dtype)[6:]}: output {worst:.1e}"
    if dtype == torch.float64:
        parameters = {k: v.requires_grad_() for k, v in tensors.items() if ".running_" not in k}
        f.cross_entropy(forward(Weights(tensors, True), x), y.long()).backward()
        run("grad", "net.net", "compared", "--weights", "w.safetensors", "--input", "x=x.npy", "--input", "y=y.npy",
            "-o", "g.safetensors")
        found = read_safetensors(folder / "g.safetensors")
        assert set(found) == set(parameters), "parameters differ"
        gradient, where = max((distance(found[k], v.grad), k) for k, v in parameters.items())
        text += f", gradients {gradient:.1e} ({where})"
        worst = max(worst, gradient)
    print(text, flush=True)
    return worst <= TOLERANCE[dtype]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--netc", required=True)
    parser.add_argument("names", nargs="*", default=list(NETWORKS))
    arguments = parser.parse_args()
    netc = str(pathlib.Path(arguments.netc).resolve())
    failed = []
    for name in arguments.names:
        for dtype in TOLERANCE:
            with tempfile.TemporaryDirectory() as folder:
                if not compare(netc, name, dtype, pathlib.Path(folder)):
                    failed.append(name)
    print("differ: " + ", ".join(failed) if failed else "all within the tolerance")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
