"""Runs netc and the peers: pinned, timed, with the time that the machine gave to others."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
CORES = os.environ.get("NETC_CORES", ",".join(map(str, range(os.cpu_count())))).split(",")


class Failed(Exception):
    def __init__(self, why, out=""):
        super().__init__(why)
        self.out = out

    def __str__(self):
        """In one line, short, without this machine's folders."""
        return re.sub(r"(?<![\w.])/([\w.+~-]+/)+", "", " ".join(super().__str__().split()))[-200:]


def pin(cores):
    """The words before a command that give it these cores alone."""
    return ["taskset", "-c", ",".join(cores)] if cores and shutil.which("taskset") else []


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


def run(command, cores=(), environment=None, timeout=1800):
    """Standard output, wall seconds, seconds until the first line, peak resident MiB, processor seconds."""
    with tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        process = subprocess.Popen([*pin(cores), *map(str, command)], stdout=subprocess.PIPE, stderr=errors,
                                   stdin=subprocess.DEVNULL, text=True, env={**os.environ, **(environment or {})})
        timer = threading.Timer(timeout, process.kill)
        timer.start()
        lines = [process.stdout.readline()]
        first = time.perf_counter() - start
        lines += process.stdout.readlines()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            errors.seek(0)
            raise Failed(f"status {process.returncode}: {errors.read().strip()[-300:]}", "".join(lines))
    return {"out": "".join(lines), "wall": wall, "first": first, "mib": usage.ru_maxrss / 1024,
            "cpu": usage.ru_utime + usage.ru_stime}
