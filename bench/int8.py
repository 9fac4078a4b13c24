"""netc's inference in 8-bit integers beside its own in f32, in turns. Weights are initial ones and images are noise: the time
does not depend on the numbers. Whether results stay good is what `netc quantize` says."""
import array
import pathlib
import random
import struct
import tempfile

from processes import run
from rounds import best, time_netc
from same_work import net_file, section
from workloads import WORKLOADS

NAMES = ("int8_mlp_b64", "int8_resnet50_b1", "int8_mobilenet_v2_b1")
SAMPLES = 4
SHAPES = {"Mlp": (784,), "ResNet50": (3, 224, 224), "MobileNetV2": (3, 224, 224)}
# What `netc quantize` takes the ranges from; a step is never done.
CALIBRATION = """
train {model} as calibration {{
  target t: i32[B]
  data      = npy(x = "x.npy", t = "t.npy")
  loss      = cross_entropy(out, t)
  optimizer = sgd(lr = 0.1)
  batch     = {samples}
  steps     = 1
}}
"""


def write_npy(path, kind, shape, numbers):
    head = f"{{'descr': '<{kind}4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + array.array(kind, numbers).tobytes())


def quantized(netc, work, folder):
    """A file of weights with the ranges of what contractions read."""
    shape = (SAMPLES, *SHAPES[work.model])
    size = 1
    for extent in shape:
        size *= extent
    draw = random.Random(1)
    write_npy(folder / "x.npy", "f", shape, (draw.gauss(0, 1) for _ in range(size)))
    write_npy(folder / "t.npy", "i", (SAMPLES,), range(SAMPLES))
    file, weights, ready = folder / "network.net", folder / "weights.safetensors", folder / "int8.safetensors"
    file.write_text(net_file(work).read_text() + CALIBRATION.format(model=work.model, samples=SAMPLES))
    run([netc, "init", net_file(work), work.model, *section(work), "-o", weights])
    run([netc, "quantize", file, work.model, "--section", "calibration", "--data", folder, "--weights", weights, "-o", ready])
    return ready


def measure(netc, cores, name, rounds):
    """Times in f32 and in integers, each (minimum, median) in seconds, as rounds.best has them."""
    work = next(work for work in WORKLOADS if work.name == name.replace("int8", "infer"))
    with tempfile.TemporaryDirectory() as folder:
        weights = quantized(netc, work, pathlib.Path(folder))
        plain, integers = [], []
        for _ in range(rounds):
            plain.append(time_netc(netc, work, cores)[0])
            integers.append(time_netc(netc, work, cores, "--weights", weights)[0])
    return best(plain), best(integers)
