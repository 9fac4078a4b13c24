"""The workloads: names, sizes, what counts as work, the least traffic, and the targets."""
from dataclasses import dataclass

SLOTS = {"sgd": 0, "momentum": 1, "adam": 2}  # numbers that an optimizer keeps for each parameter


@dataclass(frozen=True)
class Workload:
    name: str           # also the peers' name for it
    group: str          # train | infer | kernel
    file: str           # workloads/<file>.net
    model: str
    mode: str           # train | infer: what netc runs
    batch: int
    flops: float        # of one call: 2 for each multiply-accumulate of products and convolutions, nothing else
    read: float         # bytes that a call must read at least,
    written: float      # and write
    ratio: float = 0    # target: how many times as fast as the best peer
    share: float = 0    # target: which share of the FMA peak
    options: tuple = ()  # of netc, which fix the sizes
    kernels: tuple = ()  # only these count: groups of names, of which the first counts that is there
    input: str = "x"    # its name in the model
    dense: bool = False  # no convolution, no scan: a peer may loop over steps inside compiled code
    tolerance: float = 3e-5  # of outputs and losses, relative
    steps: int = 10     # losses that are compared

    @property
    def footprint(self):
        """Bytes touched; a step of training writes where it has read."""
        return max(self.read, self.written) if self.group == "train" else self.read + self.written


def train(name, file, model, batch, flops, parameters, item, ratio, optimizer="sgd", **more):
    state = 4 * parameters * (1 + SLOTS[optimizer])
    return Workload(name, "train", file, model, "train", batch, flops, state + 4 * batch * item, state, ratio, **more)


def infer(name, file, model, batch, flops, parameters, item, output, ratio, **more):
    return Workload(f"infer_{name}_b{batch}", "infer", file, model, "infer", batch, flops,
                    4 * (parameters + batch * item), 4 * batch * output, ratio, **more)


def product(m, n, k):
    return Workload(f"sgemm_{m}x{n}x{k}", "kernel", "matmul", "MatMul", "infer", m, 2 * m * n * k, 4 * (m * k + k * n),
                    4 * m * n, 1.12, 0.8, ("--dim", f"K={k}", "--dim", f"N={n}"))


def prepared(n):
    return Workload(f"linear_{n}x{n}x{n}", "kernel", "matmul", "Linear", "infer", n, 2 * n**3, 8 * n * n, 4 * n * n,
                    1.12, 0.84, ("--set", f"width={n}"))


# Either one kernel, or by Winograd's filtering: what becomes of x and of dy, their product, what becomes of that.
WEIGHT_GRADIENT = (("conv_nd_weight_gradient",),
                   ("winograd_input", "winograd_output_gradient", "einsum", "winograd_weights_gradient"))


def convolution(direction, channels, size, out, window, stride, pad, batch):
    after = (size + 2 * pad - window) // stride + 1
    strided = f"s{stride}" if stride > 1 else ""
    shape = f"{window}x{window}{strided}_{channels}_{out}_{size}"
    x, y, w = (4 * count for count in (batch * channels * size**2, batch * out * after**2, out * channels * window**2))
    name, model, read, written, share = {
        "fwd": ("fwd", "Fwd", x + w, y, 0.82 if batch == 1 else 0.8),
        "data": ("bwd_data", "Data", y + w, x, 0.78),
        "weight": ("bwd_weight", "Weight", x + y, w, 0.78)}[direction]
    return Workload(f"conv_{name}_{shape}_b{batch}", "kernel", "convolutions", f"{model}_{shape}",
                    "train" if direction == "weight" else "infer", batch,
                    2 * batch * out * after**2 * channels * window**2, read, written,
                    share=share if channels >= 64 else 0, kernels=WEIGHT_GRADIENT if direction == "weight" else ())


def bandwidth(name, model, batch, read, written, **more):
    return Workload(name, "kernel", "bandwidth", model, more.pop("mode", "infer"), batch, 0, read, written, **more)


MLP, CONVS = 669_706, [(3, 224, 64, 7, 2, 3), (64, 56, 64, 3, 1, 1), (64, 56, 256, 1, 1, 0), (128, 56, 128, 3, 2, 1),
                       (1024, 14, 256, 1, 1, 0), (512, 7, 512, 3, 1, 1)]
IMAGE = 3 * 224 * 224
NORMED = dict(optimizer="momentum", tolerance=1e-3)  # batch norm in training

WORKLOADS = [
    train("xor", "xor", "Xor", 4, 112, 9, 3, 3.5, dense=True),
    train("playground", "playground", "Playground", 10, 920, 25, 3, 20, dense=True),
    train("softmax", "softmax", "Softmax", 100, 3_136_000, 7_850, 785, 3.5, dense=True),
    train("mlp", "mlp", "Mlp", 64, 205_389_824, MLP, 785, 1.4, "adam", dense=True),
    train("mlp_b1024", "mlp", "Mlp", 1024, 3_286_237_184, MLP, 785, 1.3, "adam", dense=True),
    train("lenet5", "lenet5", "LeNet5", 64, 144_890_880, 61_706, 785, 4.5, "momentum"),
    train("vgg_cifar", "vgg_cifar", "VggCifar", 64, 58_436_026_368, 1_148_874, 3073, 1.35, **NORMED),
    train("resnet18_cifar", "resnet18_cifar", "ResNet18Cifar", 32, 106_527_916_032, 11_173_962, 3073, 1.5, **NORMED),
    # Rounding grows so fast there that the fourth loss already says little: the first must agree to 1e-5.
    train("resnet50_224_train", "resnet", "ResNet50", 8, 194_392_621_056, 25_557_032, IMAGE + 1, 1.6, "momentum",
          tolerance=1e-2, steps=3),
    train("lstm", "lstm", "Lstm", 32, 939_769_856, 84_234, 64 * 32 + 1, 1.7, "adam"),
    train("chargpt", "chargpt", "CharGpt", 16, 11_376_525_312, 826_368, 256, 1.8, "adam", input="tokens"),
    infer("mlp", "mlp", "Mlp", 1, 1_337_344, MLP, 784, 10, 1.1),
    infer("mlp", "mlp", "Mlp", 64, 85_590_016, MLP, 784, 10, 1.25),
    infer("lenet5", "lenet5", "LeNet5", 1, 833_040, 61_706, 784, 10, 5),
    infer("lenet5", "lenet5", "LeNet5", 64, 53_314_560, 61_706, 784, 10, 3),
    infer("alexnet", "alexnet", "AlexNet", 1, 1_428_376_960, 61_100_840, IMAGE, 1000, 1.1),
    infer("vgg16", "vgg16", "Vgg16", 1, 30_940_528_640, 138_357_544, IMAGE, 1000, 1.3),
    infer("resnet18", "resnet", "ResNet18", 1, 3_628_146_688, 11_689_512, IMAGE, 1000, 1.2),
    infer("resnet50", "resnet", "ResNet50", 1, 8_178_368_512, 25_557_032, IMAGE, 1000, 1.2),
    infer("resnet50", "resnet", "ResNet50", 8, 65_426_948_096, 25_557_032, IMAGE, 1000, 1.2),
    infer("mobilenet_v2", "mobilenet", "MobileNetV2", 1, 601_548_544, 3_504_872, IMAGE, 1000, 1.2),
    infer("chargpt", "chargpt", "CharGpt", 1, 237_010_944, 826_368, 128, 128 * 65, 1.4, input="tokens"),
    *(product(n, n, n) for n in (128, 256, 512, 1024, 2048)),
    *(product(*sizes) for sizes in ((64, 512, 784), (1024, 512, 784), (100, 10, 784), (64, 10, 512), (49, 512, 512),
                                    (49, 512, 4608), (3136, 64, 576), (2048, 384, 128), (1, 4096, 4096))),
    *(prepared(n) for n in (512, 1024, 2048)),
    *(convolution(direction, *sizes, batch) for direction in ("fwd", "data", "weight") for sizes in CONVS for batch in (1, 8)),
    bandwidth("eltwise_gelu_16m", "Gelu", 4096, 12 << 24, 4 << 24),
    bandwidth("softmax_4096x1000", "Softmax", 4096, 4 * 4096 * 1000, 4 * 4096 * 1000),
    bandwidth("layer_norm_4096x1024", "LayerNorm", 4096, 4 << 22, 4 << 22),
    bandwidth("adam_25m", "Adam", 1, 16 * 25_000_000, 12 * 25_000_000, mode="train", kernels=(("sqrt",),)),
]
