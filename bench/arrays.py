#!/usr/bin/env python3
"""Arrays as files: safetensors, eight bytes with the length of a JSON header, the header, the data; and the parameters
of a peer under netc's names and in netc's layouts.

  arrays.py DUMP LAYOUT FOLDER INPUT FILE   turns DUMP, the definition of a workload with what PyTorch makes of it, into
      FOLDER/weights.safetensors, named and laid out as LAYOUT, which `netc init` wrote; FOLDER/FILE_<INPUT>.npy and
      FILE_t.npy, the batch; FOLDER/expected.json, the losses or the output.
"""
import json
import re
import struct
import sys

import numpy as np

DTYPES = {"F32": np.float32, "I64": np.int64, "I32": np.int32}
KINDS = {"depthwise_conv": "conv", "batch_norm": "bn", "embedding": "embed", "position": "embed", "last_state": "lstm"}
ROLES = {"weight": "w", "bias": "b", "gamma": "w", "beta": "b", "running_mean": "mean", "running_var": "var",
         "table": "tok", "position": "pos"}


def write_safetensors(path, tensors):
    """tensors: {name: numpy array}, f32 only."""
    header, offset = {}, 0
    for name, array in tensors.items():
        assert array.dtype == np.float32, f"{name} is {array.dtype}"
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in tensors.values():
            file.write(np.ascontiguousarray(array).data)


def shapes(path):
    """{name: (dtype, shape, first byte)} in the order of the file."""
    with open(path, "rb") as file:
        size, = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
    header.pop("__metadata__", None)
    entries = sorted(header.items(), key=lambda item: item[1]["data_offsets"])
    return {name: (DTYPES[e["dtype"]], tuple(e["shape"]), 8 + size + e["data_offsets"][0]) for name, e in entries}


def read_safetensors(path):
    return {name: np.memmap(path, dtype, "r", offset, shape) if shape else np.zeros(shape, dtype)
            for name, (dtype, shape, offset) in shapes(path).items()}


def peers_order(names):
    """{(kind, role): [names in order]} of names such as conv12_w."""
    found = {}
    for name in sorted(names, key=lambda n: int(re.search(r"(\d+)_[a-z]+$", n)[1])):
        kind, role = re.fullmatch(r"(.+?)\d+_([a-z]+)", name).groups()
        found.setdefault((kind, role), []).append(name)
    return found


def to_netc(theirs, layout):
    """netc numbers the layers of a kind in each layer, and keeps dense weights [in, out] where PyTorch has [out, in];
    convolutions agree. Layers of one kind pair up in their order."""
    waiting, tensors = peers_order(theirs), {}
    for name, (_, shape, _) in layout.items():
        *path, leaf = name.split(".")
        layer = re.sub(r"_\d+$", "", path[-1]) if path else leaf
        array = theirs[waiting[KINDS.get(layer, layer), ROLES.get(leaf, leaf)].pop(0)]
        if leaf in ("weight", "wx", "wh") and array.ndim == 2:
            array = array.T
        assert array.shape == shape, f"{name} is {shape} here and {array.shape} there"
        tensors[name] = array
    assert not any(waiting.values()), f"netc has no {waiting}"
    return tensors


def save_batch(folder, file, input, x, t):
    for name, array in ((input, x), ("t", t)):
        if array is not None:
            np.save(f"{folder}/{file}_{name}.npy", array.astype(np.int32) if array.dtype == np.int64 else array)


def save_expected(folder, **values):
    with open(f"{folder}/expected.json", "w") as out:
        json.dump({name: np.asarray(value, np.float64).ravel().tolist() for name, value in values.items()}, out)


def main(dump, layout, folder, input, file):
    arrays = read_safetensors(dump)
    save_batch(folder, file, input, arrays.pop("x"), arrays.pop("t", None))
    save_expected(folder, **{name: arrays.pop(name) for name in ("losses", "output") if name in arrays})
    write_safetensors(f"{folder}/weights.safetensors", to_netc(arrays, shapes(layout)))


if __name__ == "__main__":
    main(*sys.argv[1:])
