"""Formulas of the library in double precision, over arrays of numbers: what library_test.py compares with."""
import math


class Array:
    """Numbers and a shape, row-major."""

    def __init__(self, shape, values):
        self.shape, self.values = tuple(shape), list(values)
        assert len(self.values) == math.prod(self.shape)

    def __getitem__(self, index):
        at = 0
        for i, n in zip(index, self.shape, strict=True):
            assert 0 <= i < n
            at = at * n + i
        return self.values[at]

    def map(self, function):
        return Array(self.shape, map(function, self.values))


def indices(shape):
    if not shape:
        yield ()
        return
    for first in range(shape[0]):
        for rest in indices(shape[1:]):
            yield (first, *rest)


def build(shape, function):
    return Array(shape, [function(*index) for index in indices(shape)])


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def log_softmax(row):
    top = max(row)
    return [v - top - math.log(sum(math.exp(u - top) for u in row)) for v in row]


def rows(array):
    n = array.shape[-1]
    return [array.values[i:i + n] for i in range(0, len(array.values), n)]


def over_rows(function):
    return lambda w, x: Array(x.shape, [v for row in rows(x) for v in function(row)])


def average(values):
    values = list(values)
    return sum(values) / len(values)


def scalar(value):
    return Array((), [value])


def pairs(function):
    """The mean of a function of two numbers."""
    return lambda w, y, t: scalar(average(map(function, y.values, t.values)))


def normalised(values, eps=1e-5):
    mean = average(values)
    variance = average((v - mean) ** 2 for v in values)
    return [(v - mean) / math.sqrt(variance + eps) for v in values]


def conv2d(x, w, bias, stride=1, pad=0, dilation=1, groups=1):
    b, c, h, wide = x.shape
    out, per_group, kh, kw = w.shape
    height = (h + 2 * pad - dilation * (kh - 1) - 1) // stride + 1
    width = (wide + 2 * pad - dilation * (kw - 1) - 1) // stride + 1

    def value(n, o, i, j):
        total = bias[(o,)] if bias else 0.0
        first = o // (out // groups) * per_group
        for ci in range(per_group):
            for u in range(kh):
                for v in range(kw):
                    row, column = i * stride + u * dilation - pad, j * stride + v * dilation - pad
                    if 0 <= row < h and 0 <= column < wide:
                        total += w[o, ci, u, v] * x[n, first + ci, row, column]
        return total

    return build((b, out, height, width), value)


def conv_transpose2d(x, w, bias, stride, pad, output_pad):
    b, c, h, wide = x.shape
    _, out, kh, kw = w.shape
    height = (h - 1) * stride - 2 * pad + kh + output_pad
    width = (wide - 1) * stride - 2 * pad + kw + output_pad
    sums = {}
    for n, ci, i, j in indices(x.shape):
        for o, u, v in indices((out, kh, kw)):
            key = (n, o, i * stride + u - pad, j * stride + v - pad)
            sums[key] = sums.get(key, 0.0) + x[n, ci, i, j] * w[ci, o, u, v]
    return build((b, out, height, width), lambda n, o, i, j: sums.get((n, o, i, j), 0.0) + bias[(o,)])


def conv1d(x, w, bias, stride, pad):
    b, c, t = x.shape
    out, _, k = w.shape
    length = (t + 2 * pad - k) // stride + 1

    def value(n, o, i):
        return bias[(o,)] + sum(w[o, ci, u] * x[n, ci, i * stride + u - pad] for ci in range(c)
                                for u in range(k) if 0 <= i * stride + u - pad < t)

    return build((b, out, length), value)


def pool(function):
    return lambda w, x: build((*x.shape[:2], x.shape[2] // 2, x.shape[3] // 2),
                              lambda n, c, i, j: function([x[n, c, 2 * i + u, 2 * j + v]
                                                           for u in range(2) for v in range(2)]))


def matmul(x, w, bias=None):
    result = []
    for row in rows(x):
        for o in range(w.shape[1]):
            result.append(sum(v * w[i, o] for i, v in enumerate(row)) + (bias[(o,)] if bias else 0.0))
    return Array((*x.shape[:-1], w.shape[1]), result)


def per_channel(x, groups, gamma, beta):
    """Normalises over groups of channels of each sample."""
    b, c = x.shape[:2]
    inner = math.prod(x.shape[2:])
    size = c // groups * inner
    values = []
    for at in range(0, len(x.values), size):
        values += normalised(x.values[at:at + size])
    return Array(x.shape, [v * gamma[(i // inner % c,)] + beta[(i // inner % c,)]
                           for i, v in enumerate(values)])


def layer_norm(x, gamma, beta):
    return Array(x.shape, [v * gamma[(i,)] + beta[(i,)] for row in rows(x)
                           for i, v in enumerate(normalised(row))])


def attention(w, x, heads, causal=False, name=""):
    b, t, d = x.shape
    size = d // heads
    q, k, v = (matmul(x, w[f"{name}linear_{i}.weight"]) for i in (1, 2, 3))
    mixed = {}
    for n in range(b):
        for h in range(heads):
            for i in range(t):
                scores = [sum(q[n, i, h * size + e] * k[n, j, h * size + e] for e in range(size))
                          / math.sqrt(size) if j <= i or not causal else -1e9 for j in range(t)]
                weights = [math.exp(s) for s in log_softmax(scores)]
                for e in range(size):
                    mixed[n, i, h * size + e] = sum(a * v[n, j, h * size + e]
                                                    for j, a in enumerate(weights))
    return matmul(build((b, t, d), lambda *at: mixed[at]), w[f"{name}linear_4.weight"],
                  w[f"{name}linear_4.bias"])


def add(a, b):
    return Array(a.shape, map(float.__add__, a.values, b.values))


def gelu(x):
    return 0.5 * x * (1 + math.erf(x / math.sqrt(2)))


def transformer_block(w, x):
    first = layer_norm(x, w["residual_1.layer_norm_1.gamma"], w["residual_1.layer_norm_1.beta"])
    x = add(x, attention(w, first, 2, name="residual_1.attention_1."))
    h = layer_norm(x, w["residual_2.layer_norm_1.gamma"], w["residual_2.layer_norm_1.beta"])
    h = matmul(h, w["residual_2.linear_1.weight"], w["residual_2.linear_1.bias"]).map(gelu)
    return add(x, matmul(h, w["residual_2.linear_2.weight"], w["residual_2.linear_2.bias"]))


def top_k(k):
    def value(w, x, y):
        return scalar(average(float(sum(v > row[c] for v in row) < k)
                              for row, c in zip(rows(x), y.values)))
    return value


def class_loss(weight=None, smoothing=0.0, ignore=None):
    def value(w, x, y):
        total = counted = 0.0
        for row, c in zip(rows(x), y.values):
            if c == ignore:
                continue
            k = len(row)
            weights = weight or [1.0] * k
            logs = log_softmax(row)
            total -= (1 - smoothing) * weights[c] * logs[c]
            total -= smoothing / k * sum(a * b for a, b in zip(weights, logs))
            counted += weights[c]
        return scalar(total / counted)
    return value


def only(w, suffix):
    (name,) = [n for n in w if n.endswith(suffix)]
    return w[name]


def elementwise(function):
    return lambda w, x: x.map(function)
