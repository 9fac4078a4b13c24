"""What the machine can do at most: fused multiply-adds (`netc bench --peak`), bytes from each level of the caches and
from memory (the C library's search and copy). Every core works in a process of its own, all at once; rates add up.
"""
import concurrent.futures
import ctypes
import json
import mmap
import pathlib
import sys
import time
from dataclasses import dataclass

from processes import run

SEARCHED = 0.4  # seconds for each figure


def cache_sizes():
    """{"L2": bytes, "L3": bytes} of what one core sees; a guess where the system does not say."""
    sizes = {"L2": 1 << 20, "L3": 32 << 20}
    for entry in pathlib.Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        name, text = "L" + (entry / "level").read_text().strip(), (entry / "size").read_text().strip()
        if name in sizes:
            sizes[name] = int(text.rstrip("KM")) << {"K": 10, "M": 20}[text[-1]]
    return sizes


def best_rate(call, size):
    """Bytes a nanosecond, of the fastest of blocks of about a millisecond."""
    clock, best, inner = time.perf_counter, float("inf"), max(1, (16 << 20) // size)
    end = clock() + SEARCHED
    while clock() < end:
        start = clock()
        for _ in range(inner):
            call()
        best = min(best, (clock() - start) / inner)
    return size / best / 1e9


def of_this_core(sharers):
    """{level: [read GB/s, copy GB/s]}; a copied byte counts twice."""
    libc, rates = ctypes.CDLL(None), {}
    libc.memchr.argtypes, libc.memchr.restype = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t], ctypes.c_void_p
    libc.memcpy.argtypes, libc.memcpy.restype = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t], ctypes.c_void_p
    caches = cache_sizes()
    for level, size in (("L2", caches["L2"] // 2), ("L3", caches["L3"] // 2 // sharers), ("memory", 8 * caches["L3"])):
        area = mmap.mmap(-1, size + (4 << 20))
        if hasattr(mmap, "MADV_HUGEPAGE"):
            area.madvise(mmap.MADV_HUGEPAGE)
        view = (ctypes.c_char * len(area)).from_buffer(area)
        at = (ctypes.addressof(view) + (2 << 20) - 1) & -(2 << 20)
        ctypes.memset(at, 1, size)
        half = size // 2
        rates[level] = [best_rate(lambda: libc.memchr(at, 0, size), size),
                        best_rate(lambda: libc.memcpy(at, at + half, half), size)]
        del view
        area.close()
    return rates


@dataclass
class Peaks:
    gflops: float       # of all cores in use
    vectors: str
    rates: dict         # level -> [read, copy], GB/s of all cores in use
    sizes: dict         # level -> bytes

    def level(self, footprint):
        return next((level for level in ("L2", "L3") if footprint <= self.sizes[level]), "memory")

    def bound(self, work):
        """(seconds that the work must take at least, what bounds it)."""
        level = self.level(work.footprint)
        read, copy = (rate * 1e9 for rate in self.rates[level])
        both = min(work.read, work.written)  # a copy's rate serves a byte read and a byte written
        moved = 2 * both / copy + (work.read - both) / read + (work.written - both) / copy
        return max((work.flops / self.gflops / 1e9, "FMA"), (moved, level))

    def text(self):
        rates = "; ".join(f"{level} {read:.0f} read, {copy:.0f} copy" for level, (read, copy) in self.rates.items())
        return f"FMA {self.gflops:.0f} GFLOP/s ({self.vectors}), GB/s: {rates}"


def measure(netc, cores):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        at_once = lambda command: [json.loads(row["out"]) for row in  # noqa: E731
                                   pool.map(lambda core: run(command, [core]), cores)]
        rows = at_once([netc, "bench", "--peak", "--json"])
        levels = at_once([sys.executable, "-B", __file__, len(cores)])
    sizes = cache_sizes()
    rates = {level: [sum(one[level][way] for one in levels) for way in (0, 1)] for level in levels[0]}
    for way, key in enumerate(("read_gbs", "copy_gbs")):
        rates["memory"][way] = max(rates["memory"][way], sum(row[key] for row in rows))
    return Peaks(sum(row["fma_gflops"] for row in rows), rows[0]["vectors"], rates,
                 {"L2": sizes["L2"] * len(cores), "L3": sizes["L3"]})


def better(a, b):
    """The larger of two measurements, figure by figure."""
    return Peaks(max(a.gflops, b.gflops), a.vectors,
                 {level: [max(pair) for pair in zip(a.rates[level], b.rates[level])] for level in a.rates}, a.sizes)


if __name__ == "__main__":
    print(json.dumps(of_this_core(int(sys.argv[1]))))
