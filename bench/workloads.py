"""The workloads: names, sizes, what counts as work, and the floors that netc must reach."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    name: str          # also the peer's name for it
    file: str          # workloads/<file>.net
    model: str
    mode: str          # train | infer
    batch: int
    flops: float       # of one call: 2 for each multiply-accumulate of products and convolutions, nothing else
    floor: float = 0   # how many times as fast as PyTorch at least
    peak: float = 0    # which share of the FMA peak at least


WORKLOADS = [
    Workload("xor", "xor", "Xor", "train", 4, 112, floor=100),
    Workload("playground", "playground", "Playground", "train", 10, 920),
    Workload("softmax", "softmax", "Softmax", "train", 100, 3_136_000),
    Workload("mlp", "mlp", "Mlp", "train", 64, 205_389_824, floor=1),
    Workload("lenet5", "lenet5", "LeNet5", "train", 64, 144_869_376, floor=2),
    Workload("infer_xor_b4", "xor", "Xor", "infer", 4, 48),
    Workload("infer_playground_b10", "playground", "Playground", "infer", 10, 360),
    Workload("infer_softmax_b100", "softmax", "Softmax", "infer", 100, 1_568_000),
    Workload("infer_mlp_b1", "mlp", "Mlp", "infer", 1, 1_337_344),
    Workload("infer_mlp_b64", "mlp", "Mlp", "infer", 64, 85_590_016),
    Workload("infer_lenet5_b1", "lenet5", "LeNet5", "infer", 1, 833_040),
    Workload("infer_lenet5_b64", "lenet5", "LeNet5", "infer", 64, 53_314_560),
    Workload("sgemm_512x512x512", "matmul", "MatMul", "infer", 512, 2 * 512**3, peak=0.7),
    Workload("linear_512x512x512", "matmul", "Linear", "infer", 512, 2 * 512**3, peak=0.7),
]
