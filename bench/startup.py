"""What is measured once a process: time to check, to the first training step, to the first output; memory of a training run."""
import os
import pathlib
import shutil
import struct
import tempfile
from array import array

from processes import HERE, Failed, run

REPEATS = 15
PIXELS, CLASSES = 3 * 224 * 224, 1000


def best(measure, key="first", repeats=REPEATS):
    return min((measure() for _ in range(repeats)), key=lambda row: row[key])


def first_step(netc, cache, folder, cores=(), count=[0]):
    """netc train writes its first line when the first epoch, here a step, is over."""
    count[0] += 1
    return run([netc, "train", HERE / "workloads/lenet5.net", "--section", "generated", "--steps", 1, "--json",
                "--cache", cache, "--run", f"{folder}/run{count[0]}"], cores)


def first_steps(netc):
    """[(what, budget in ms, ms to the step, ms to the end of the process, ms of processor time)]"""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        names = iter(range(10**6))
        first_step(netc, f"{folder}/kept", folder)
        for what, budget, cache in (
                ("LeNet-5, first training step, cold (`--cache off`)", 250, lambda: "off"),
                ("LeNet-5, first training step, empty cache", 250, lambda: f"{folder}/new{next(names)}"),
                ("LeNet-5, first training step, from the cache", 100, lambda: f"{folder}/kept")):
            row = best(lambda: first_step(netc, cache(), folder))
            rows.append((what, budget, row["first"] * 1e3, row["wall"] * 1e3, row["cpu"] * 1e3))
    return rows


def checks(netc):
    rows = []
    for name in ("xor", "lenet5"):
        row = best(lambda: run([netc, "check", HERE / f"workloads/{name}.net"]), "wall")
        rows.append((f"`netc check` of {name}.net", 30, None, row["wall"] * 1e3, row["cpu"] * 1e3))
    return rows


def times(netc):
    rows = []
    for part in (checks, first_steps):
        try:
            rows += part(netc)
        except Failed as error:
            rows.append((f"{part.__name__}: {error}", None, None, None, None))
    return rows


def write_zeros(path, *shape):
    """An .npy file of f32, by hand."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    count = 1
    for size in shape:
        count *= size
    pathlib.Path(path).write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
                                   + array("f", bytes(4 * count)).tobytes())


def training_variants(netc, cores, repeats):
    """[(variant, seconds, MiB)] to the end of the first step of LeNet-5."""
    with tempfile.TemporaryDirectory() as folder:
        first_step(netc, f"{folder}/kept", folder)
        for variant, cache in (("cold", "off"), ("cached", f"{folder}/kept")):
            row = best(lambda: first_step(netc, cache, folder, cores), "first", repeats)
            yield variant, row["first"], row["mib"]


def inference_variants(netc, cores, repeats):
    """The same to the first output of ResNet-50, `object` for a C program with the compiled network inside."""
    file = HERE / "workloads/resnet.net"
    with tempfile.TemporaryDirectory() as folder:
        weights = f"{folder}/resnet50.safetensors"
        run([netc, "init", file, "ResNet50", "-o", weights])
        write_zeros(f"{folder}/x.npy", 1, 3, 224, 224)
        predict = [netc, "predict", file, "ResNet50", "--weights", weights, "--input", f"x={folder}/x.npy",
                   "--batch", 1, "--threads", len(cores), "-o", f"{folder}/out.npy", "--cache"]
        run([*predict, f"{folder}/kept"])
        for variant, cache in (("cold", "off"), ("cached", f"{folder}/kept")):
            row = best(lambda: run([*predict, cache], cores), "wall", repeats)
            yield variant, row["wall"], row["mib"]
        compiler = shutil.which("cc")
        if compiler:
            run([netc, "compile", file, "ResNet50", "--weights", weights, "--train", "no", "--batch", 1, "--prefix", "model",
                 "--emit=obj,header,weights", "-o", f"{folder}/model.o"])
            run([compiler, "-O2", f"-DINPUT={PIXELS}", f"-DOUTPUT={CLASSES}", f"-I{folder}", HERE / "first_output.c",
                 f"{folder}/model.o", "-o", f"{folder}/first_output"])
            row = best(lambda: run([f"{folder}/first_output", f"{folder}/model.weights"], cores), "wall", repeats)
            yield "object", row["wall"], row["mib"]


VARIANTS = {"startup_lenet5_train": (training_variants, ["torch", "torch_compile", "jax"]),
            "startup_resnet50_infer": (inference_variants, ["torch", "onnxruntime", "openvino", "iree", "ncnn", "jax"])}


def beside_peers(netc, peers, name, repeats=3):
    """[(who, variant, seconds, MiB)] and [(peer, why not)]"""
    variants, names = VARIANTS[name]
    rows, missing = [], []
    try:
        for row in variants(netc, peers.cores, repeats):
            rows.append(("netc", *row))
    except Failed as error:
        missing.append(("netc", str(error)))
    for peer in names if peers.shared else []:
        try:
            rows += [(peer, row["variant"], row["min_s"], row["peak_rss_mib"]) for row in peers.rows(peer, name, 0)]
        except Failed as error:
            missing.append((peer, str(error)))
    return rows, missing


def mnist_memory(netc):
    """One epoch of LeNet-5 on MNIST: (peak resident MiB, seconds), or why not."""
    data = pathlib.Path(os.environ.get("NETC_DATA", HERE / "../../shared/data")) / "mnist"
    if not data.is_dir():
        return f"no MNIST in {os.path.relpath(data, HERE.parent)}; NETC_DATA names the folder above it"
    with tempfile.TemporaryDirectory() as folder:
        try:
            row = run([netc, "train", HERE / "../examples/mnist/lenet5.net", "--data", data, "--epochs", 1, "--quiet",
                       "--run", f"{folder}/run"])
        except Failed as error:
            return str(error)
    return row["mib"], row["wall"]
