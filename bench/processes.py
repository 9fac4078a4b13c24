"""Runs netc and the peer: pinned, timed, with the time that the machine gave to others."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
CORE = os.environ.get("NETC_CORE", "0")
PIN = ["taskset", "-c", CORE] if shutil.which("taskset") else []


class Failed(Exception):
    pass


def machine_ticks():
    """Seconds of work of the whole machine so far, with what a hypervisor withheld."""
    try:
        words = pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:9]
    except OSError:
        return 0.0
    ticks = [int(word) for word in words]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


class Busy:
    """How many cores' worth of time went to others while `with` this; `own` is told afterwards."""

    def __enter__(self):
        self.start, self.work = time.perf_counter(), machine_ticks()
        return self

    def __exit__(self, *_):
        self.wall, self.work = time.perf_counter() - self.start, machine_ticks() - self.work

    def others(self, own):
        return max(0.0, (self.work - own) / self.wall)


def run(command, pinned=False):
    """Standard output, wall seconds, seconds until the first line, peak resident MiB, processor seconds."""
    with tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        process = subprocess.Popen([*(PIN if pinned else []), *map(str, command)], stdout=subprocess.PIPE,
                                   stderr=errors, stdin=subprocess.DEVNULL, text=True)
        lines = [process.stdout.readline()]
        first = time.perf_counter() - start
        lines += process.stdout.readlines()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            errors.seek(0)
            raise Failed(f"status {process.returncode}: {errors.read().strip()[-300:]}")
    return {"out": "".join(lines), "wall": wall, "first": first, "mib": usage.ru_maxrss / 1024,
            "cpu": usage.ru_utime + usage.ru_stime}


class Torch:
    """A process that stays; it waits without using the core while netc is measured."""

    def __init__(self):
        self.version, self.why = None, None
        python = os.environ.get("NETC_TORCH_PYTHON") or shutil.which("python3")
        environment = dict(os.environ, OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", PYTHONDONTWRITEBYTECODE="1",
                           # keeps freed memory in the process, in huge pages: some per cent in PyTorch's favour
                           MALLOC_MMAP_MAX_="0", MALLOC_TRIM_THRESHOLD_=str(1 << 34), MALLOC_TOP_PAD_=str(1 << 28),
                           GLIBC_TUNABLES="glibc.malloc.hugetlb=1")
        self.errors = tempfile.TemporaryFile("w+")
        try:
            self.process = subprocess.Popen([*PIN, python, "-B", str(HERE / "torch_peer.py")], env=environment,
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True)
            self.version = self.ask("version")["version"]
        except (OSError, Failed) as error:
            self.why = f"{python}: {error}"

    def ask(self, *words):
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

    def processor_seconds(self):
        words = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
