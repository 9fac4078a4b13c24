"""Writes safetensors by hand, from plain bytes, and reads their table of contents: eight bytes with the length of
a JSON header, the header, the data. PyTorch's parameters get netc's names and layouts here."""
import json
import struct


def write_safetensors(path, tensors):
    """tensors: {name: numpy array}, f32 only."""
    header, blobs, offset = {}, [], 0
    for name, array in tensors.items():
        assert str(array.dtype) == "float32", f"{name} is {array.dtype}"
        blob = array.tobytes(order="C")
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def to_netc(parameters):
    """[(kind, weight, bias)] in the order of the network -> {netc's name: array}.

    netc numbers the layers of a kind, and keeps dense weights [in, out] where PyTorch has [out, in]; convolutions
    agree."""
    seen, tensors = {}, {}
    for kind, weight, bias in parameters:
        seen[kind] = seen.get(kind, 0) + 1
        layer = f"{kind}_{seen[kind]}"
        tensors[f"{layer}.weight"] = weight.T if kind == "linear" else weight
        tensors[f"{layer}.bias"] = bias
    return tensors
