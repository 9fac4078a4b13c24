"""What is measured once a process: time to check, time to the first training step, memory of a training run."""
import os
import pathlib
import tempfile

from processes import HERE, Failed, run

REPEATS = 15


def best(measure, key="first"):
    return min((measure() for _ in range(REPEATS)), key=lambda row: row[key])


def first_step(netc, cache, folder, count=[0]):
    """netc train writes its first line when the first epoch, here a step, is over."""
    count[0] += 1
    return run([netc, "train", HERE / "workloads/lenet5.net", "--section", "generated", "--steps", 1, "--json",
                "--cache", cache, "--run", f"{folder}/run{count[0]}"])


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
