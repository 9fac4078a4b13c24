"""Whether netc computes what the peer computes: ten losses from the same parameters on the same batch, or the outputs."""
import json
import pathlib
import tempfile
from dataclasses import dataclass

from processes import HERE, run


@dataclass
class Verdict:
    worst: float         # largest difference: of a loss relative to it, of an output relative to the largest output
    equal: bool
    ours: float = 0      # the last loss
    theirs: float = 0
    mib: float = 0       # peak resident memory of ten steps of training
    their_mib: float = 0


def net_file(work):
    return HERE / f"workloads/{work.file}.net"


def section(work):
    """netc's words that choose among the sections for a model the one of its name."""
    return ["--section", work.model] if f"train {work.model} {{" in net_file(work).read_text() else []


def flat(values):
    return [number for value in values for number in flat(value)] if isinstance(values, list) else [values]


def compare(netc, peers, work):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        layout = folder / "layout.safetensors"
        run([netc, "init", net_file(work), work.model, *section(work), "-o", layout])
        peers.define(work, layout, folder)
        expected = json.loads((folder / "expected.json").read_text())
        common = [net_file(work), work.model, *section(work), "--batch", work.batch, "--threads", peers.threads, "--cache", "off"]
        return (trained if work.group == "train" else used)(netc, peers, work, folder, common, expected)


def trained(netc, peers, work, folder, common, expected):
    row = run([netc, "train", *common, "--data", folder, "--load", folder / "weights.safetensors", "--steps", 10,
               "--json", "--run", folder / "run"], peers.cores)
    pairs = list(zip((json.loads(line)["loss"] for line in row["out"].splitlines()), expected["losses"]))
    differences = [abs(a - b) / abs(b) for a, b in pairs[:work.steps]]
    return Verdict(max(differences), max(differences) <= work.tolerance and differences[0] <= 3e-5, *pairs[-1], row["mib"],
                   peers.ten_steps(work))


def used(netc, peers, work, folder, common, expected):
    out = folder / "out.json"
    run([netc, "predict", *common, "--weights", folder / "weights.safetensors",
         "--input", f"{work.input}={folder}/{work.file}_{work.input}.npy", "-o", out], peers.cores)
    ours, theirs = flat(json.loads(out.read_text())["out"]), expected["output"]
    worst = max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) / max(map(abs, theirs))
    return Verdict(worst, worst <= work.tolerance)
