"""The peers, which do the same work as netc.

Where a folder with definitions and drivers of many peers is there (NETC_REFERENCE, default ../shared/bench) and so is its
environment (NETC_PEERS), its peers.py measures, each time in a process of its own. What it has not, and everything where it
is missing, is PyTorch's alone: torch_peer.py, a process that waits without using the core while others are measured.
"""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

from processes import CORES, HERE, Failed, pin, run

REFERENCE = pathlib.Path(os.environ.get("NETC_REFERENCE", HERE / "../../shared/bench")).resolve()
ENVIRONMENT = pathlib.Path(os.environ.get("NETC_PEERS", "~/.cache/netc-peers")).expanduser()
KERNELS = {"sgemm": ["torch", "jax", "openblas"], "conv": ["torch", "jax"]}


class Torch:
    """PyTorch by torch_peer.py."""

    def __init__(self, python, cores):
        # What is freed stays in the process, in huge pages: some per cent in PyTorch's favour.
        environment = dict(os.environ, **threads_of(len(cores)), MALLOC_MMAP_MAX_="0", MALLOC_TRIM_THRESHOLD_=str(1 << 34),
                           MALLOC_TOP_PAD_=str(1 << 28), GLIBC_TUNABLES="glibc.malloc.hugetlb=1")
        self.errors = tempfile.TemporaryFile("w+")
        self.version, self.why = None, None
        try:
            self.process = subprocess.Popen([*pin(cores), str(python), "-B", str(HERE / "torch_peer.py")], env=environment,
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True)
            self.version = self.ask("version")["version"]
        except (OSError, Failed) as error:
            self.why = str(error)

    def ask(self, *words):
        if self.why:
            raise Failed(self.why)
        try:
            self.process.stdin.write(" ".join(map(str, words)) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except OSError:
            line = ""
        if not line:
            self.errors.seek(0)
            raise Failed((self.errors.read().strip().splitlines() or ["it ended without a word"])[-1])
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(answer["error"])
        return answer


def threads_of(count):
    return {"OMP_NUM_THREADS": str(count), "MKL_NUM_THREADS": str(count), "PYTHONDONTWRITEBYTECODE": "1"}


class Peers:
    def __init__(self, threads, without=()):
        self.cores, self.threads, self.without = CORES[:threads], threads, without
        own = ENVIRONMENT / "bin/python"
        self.python = own if own.exists() else os.environ.get("NETC_TORCH_PYTHON") or shutil.which("python3")
        self.shared = own.exists() and (REFERENCE / "peers.py").exists()
        self.versions, self.missing = {}, {}
        self.torch = Torch(self.python, self.cores)
        if self.torch.version:
            self.versions["torch"] = self.torch.version
        else:
            self.missing["torch"] = self.torch.why

    def of(self, work):
        """The names of the peers that may know this workload."""
        return [peer for peer in self.all_of(work) if peer not in self.without]

    def all_of(self, work):
        if not self.shared or work.name.startswith("linear_"):
            return ["torch"]
        if work.group == "train":
            plain = work.dense or work.name == "lenet5"
            return ["torch", "torch_compile", "jax"] + ["jax_loop"] * work.dense + ["darknet"] * (plain and self.threads == 1)
        if work.group == "infer":
            image = work.batch == 1 and work.input == "x"
            return ["torch", "torch_compile", "jax", "onnxruntime", "openvino", "iree"] + ["ncnn"] * image
        return KERNELS.get(work.name.split("_")[0], ["torch", "torch_compile", "jax"])

    def time(self, peer, work, seconds):
        """{"min_s", "median_s"}"""
        if not self.shared or work.name.startswith("linear_"):
            return self.torch.ask("time", work.name, seconds)
        if peer == "darknet" and not shutil.which("darknet"):
            raise Failed("not installed")
        return self.rows(peer, work.name, seconds)[0]

    def rows(self, peer, name, seconds):
        try:
            out = run([self.python, "-B", REFERENCE / "peers.py", "run", "--workload", name, "--peer", peer, "--threads",
                       self.threads, "--seconds", seconds, "--json"], environment={"NETC_PEERS": str(ENVIRONMENT)})["out"]
        except Failed as error:  # it ends with 1 where a row says why it has no figure
            out = error.out
        rows = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        for row in rows:
            if "error" in row:
                raise Failed(row["error"])
            self.versions[peer] = row["version"]
        if not rows:
            raise Failed("no answer")
        return rows

    def define(self, work, layout, folder):
        """Batch, parameters under netc's names, and what PyTorch makes of them, as arrays.py says."""
        if not self.shared:
            self.torch.ask("check", work.name, layout, folder, work.input, work.file)
            return
        run([self.python, "-B", REFERENCE / "reference.py", "--dump", folder, work.name], environment=threads_of(1))
        dump = folder / f"{work.name}.safetensors"
        run([self.python, "-B", HERE / "arrays.py", dump, layout, folder, work.input, work.file])
        dump.unlink()

    def ten_steps(self, work):
        """Peak resident MiB of a process that does ten steps in PyTorch."""
        return run([self.python, "-B", HERE / "torch_peer.py", "steps", work.name, *([REFERENCE] if self.shared else [])],
                   self.cores, threads_of(self.threads))["mib"]
