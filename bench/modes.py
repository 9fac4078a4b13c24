"""netc's modes of --matmul beside its own f32, in turns: products of which both factors are rounded to bf16, or split into two
or three parts. What they are for is a processor with matrix units; the table says what there is."""
from rounds import best, time_netc
from workloads import WORKLOADS

MODES = ("bf16x6", "bf16x3", "bf16")
# Name of the row's start, workload: weights are made ready in `prepare`.
ROWS = {"modes_linear_1024": "linear_1024x1024x1024", "modes_vgg_cifar": "vgg_cifar", "modes_resnet18_cifar": "resnet18_cifar",
        "modes_resnet50_train": "resnet50_224_train", "modes_resnet50_b1": "infer_resnet50_b1"}
NAMES = tuple(ROWS)


def units():
    """Which instructions for bf16 the processor has, as Linux tells it."""
    try:
        flags = set(next(line for line in open("/proc/cpuinfo") if line.startswith("flags")).split())
    except (OSError, StopIteration):
        return "unknown"
    return ", ".join(word for word in ("amx_bf16", "avx512_bf16") if word in flags) or "none"


def measure(netc, cores, name, rounds):
    """{mode: (minimum, median) in seconds}, f32 first, and the workload."""
    work = next(work for work in WORKLOADS if work.name == ROWS[name])
    times = {mode: [] for mode in ("f32", *MODES)}
    for _ in range(max(1, rounds)):
        for mode, found in times.items():
            found.append(time_netc(netc, work, cores, "--matmul", mode)[0])
    return {mode: best(found) for mode, found in times.items()}, work
