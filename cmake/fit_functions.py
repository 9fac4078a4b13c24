"""Fits the polynomials of backends/expand_functions.cpp; prints the tables of f32 or of f64.

    python3 cmake/fit_functions.py > backends/function_coefficients.h
    python3 cmake/fit_functions.py f64 > backends/function_coefficients_f64.h

Least squares of the relative error at Chebyshev points; coefficients are rounded to f32 one by one, from
the lowest degree, and the rest is fitted again. f64: Chebyshev's interpolation. Needs numpy and mpmath; not part of the build.
"""
import sys

import mpmath as mp
import numpy as np

mp.mp.dps = 60


def fit(function, low, high, degree, fixed=None, center=0.0, weight=None, points=160):
    """Coefficients of powers 0..degree of (x - center), those in `fixed` given."""
    fixed = dict(fixed or {})
    angles = (2 * np.arange(points) + 1) * np.pi / (2 * points)
    xs = (low + high) / 2 + (high - low) / 2 * np.cos(angles)
    exact = [function(mp.mpf(float(x))) for x in xs]
    scale = [1 / (weight(mp.mpf(float(x))) if weight else y) for x, y in zip(xs, exact)]
    ts = [mp.mpf(float(x)) - mp.mpf(center) for x in xs]
    half = (high - low) / 2
    for power in range(degree + 1):
        if power in fixed:
            continue
        free = [e for e in range(power, degree + 1) if e not in fixed]
        rest = [y - sum(mp.mpf(c) * t**e for e, c in fixed.items()) for t, y in zip(ts, exact)]
        matrix = np.array([[float(t**e * s / mp.mpf(half)**e) for e in free] for t, s in zip(ts, scale)])
        right = np.array([float(r * s) for r, s in zip(rest, scale)])
        solution = np.linalg.lstsq(matrix, right, rcond=None)[0]
        value = float(mp.mpf(float(solution[0])) / mp.mpf(half)**power)
        fixed[power] = float(np.float32(value))
    values = [sum(mp.mpf(c) * t**e for e, c in fixed.items()) for t in ts]
    error = max(abs((v - y) * s) for v, y, s in zip(values, exact, scale))
    return [fixed[e] for e in range(degree + 1)], float(error * 2**24)


def table(function, first_octave, degree):
    """Index 0: from 0 to 2^first_octave; then four intervals an octave. Odd functions."""
    centers, rows, worst = [], [], 0
    for i in range(32):
        if i == 0:
            low, high, center, fixed = 0.0, 2.0**first_octave, 0.0, {0: 0.0}
        else:
            octave, quarter = divmod(i - 1, 4)
            low = 2.0**(first_octave + octave) * (1 + quarter / 4)
            high = 2.0**(first_octave + octave) * (1 + (quarter + 1) / 4)
            center, fixed = (low + high) / 2, {}
        if i == 0:
            low = 1e-9
        coefficients, error = fit(function, low, high, degree, fixed, center)
        # Below the least normal number a coefficient is zero on the target anyway.
        coefficients = [c if abs(c) > 1e-36 else 0.0 for c in coefficients]
        worst = max(worst, error)
        centers.append(center)
        rows.append(coefficients)
    return centers, rows, worst


def number(x):
    return repr(float(x))


def array(name, values):
    lines, line = [], "   "
    for value in values:
        text = " " + number(value) + ","
        if len(line) + len(text) > 98:
            lines.append(line)
            line = "   "
        line += text
    lines.append(line)
    print(f"inline constexpr double {name}[] = {{\n" + "\n".join(lines) + "\n};")


def print_table(name, function, first_octave, degree):
    centers, rows, worst = table(function, first_octave, degree)
    print(f"\n// {worst:.3f} ulp before rounding in the evaluation.")
    array(f"k{name}Centers", centers)
    for power in range(degree + 1):
        array(f"k{name}{power}", [row[power] for row in rows])


def print_f64():
    mp.mp.dps = 420
    print("""// Written by cmake/fit_functions.py f64.
#pragma once

namespace netc::coefficients {
""")
    # erf x = x + x q(x^2)
    coefficients, error = mp.chebyfit(
        lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1 if z else 2 / mp.sqrt(mp.pi) - 1, [0, 1], 14, error=True)
    print(f"// erf(x) = x + x q(x^2), |x| <= 1: {float(error * 2**53):.2g} ulp.")
    array("kErfNear", coefficients[::-1])
    # 1 - erf x = e^(-x^2) g(t), t = (x - 2) / (x + 2)
    coefficients, error = mp.chebyfit(
        lambda t: mp.erfc(2 * (1 + t) / (1 - t)) * mp.exp((2 * (1 + t) / (1 - t))**2), [-1 / mp.mpf(3), mp.mpf(1) / 2], 19,
        error=True)
    print(f"\n// 1 - erf(x) = e^(-x^2) g(t), t = (x - 2) / (x + 2), 1 <= x <= 6: {float(error * mp.exp(-1) * 2**53):.2g} ulp.")
    array("kErfFar", coefficients[::-1])
    # 2^(32k) * 2 / pi modulo 4, in [-2, 2), for k = 0 .. 30: ten parts of 24 bits, each scaled to exponents of f32.
    parts = [[] for _ in range(10)]
    for k in range(32):
        rest = mp.fmod(mp.mpf(2)**(32 * k) * 2 / mp.pi + 2, 4) - 2
        for index, values in enumerate(parts):
            lowest = mp.mpf(2)**(-22 - 24 * index)
            part = mp.floor(rest / lowest) * lowest
            values.append(part * mp.mpf(2)**(48 * (index // 2)))
            rest -= part
    print("\n// 2^(32k) * 2/pi modulo 4: the sum over j of 2^(-48 j) times parts 2j and 2j + 1.")
    for index, values in enumerate(parts):
        array(f"kTwoOverPi64{index}", values)
    print("\n}  // namespace netc::coefficients")


if sys.argv[1:] == ["f64"]:
    print_f64()
    sys.exit()

print("""// Written by cmake/fit_functions.py. All numbers are exact in f32.
#pragma once

namespace netc::coefficients {
""")
limit = float(mp.log(2)) / 2 * 1.002
# e^r = 1 + r + r^2 q(r)
coefficients, error = fit(lambda r: mp.exp(r), -limit, limit, 6, {0: 1.0, 1: 1.0})
print(f"// e^r = 1 + r + r^2 q(r), |r| <= ln(2)/2: {error:.3f} ulp.")
array("kExp", coefficients[2:])
# log(1 + f) = f + f^2 q(f)
coefficients, error = fit(lambda f: mp.log1p(f), -1 / 3, 1 / 3, 10, {0: 0.0, 1: 1.0})
print(f"\n// log(1 + f) = f + f^2 q(f), |f| <= 1/3: {error:.3f} ulp.")
array("kLog", coefficients[2:])
quarter = float(mp.pi) / 4 * 1.0001
coefficients, error = fit(lambda z: mp.sin(mp.sqrt(z)) / mp.sqrt(z), 1e-12, quarter**2, 4, {0: 1.0})
print(f"\n// sin(x) = x + x z s(z), z = x^2, |x| <= pi/4: {error:.3f} ulp.")
array("kSin", coefficients[1:])
coefficients, error = fit(lambda z: mp.cos(mp.sqrt(z)), 1e-12, quarter**2, 4, {0: 1.0, 1: -0.5})
print(f"\n// cos(x) = 1 - z / 2 + z^2 c(z): {error:.3f} ulp.")
array("kCos", coefficients[2:])
print_table("Tanh", mp.tanh, -3, 5)
print_table("Erf", mp.erf, -3, 5)

# 2^(4k) * 2 / pi modulo 4, for k = 0 .. 31, in four parts of 24 bits each.
mp.mp.dps = 100
parts = [[], [], [], []]
for k in range(32):
    rest = mp.fmod(mp.mpf(2)**(4 * k) * 2 / mp.pi, 4)
    for index, lowest in enumerate((-22, -46, -70, -94)):
        part = mp.floor(rest * mp.mpf(2)**-lowest) * mp.mpf(2)**lowest
        parts[index].append(part)
        rest -= part
print("\n// 16^k * 2/pi modulo 4 = the sum of four parts of 24 bits.")
for index, values in enumerate(parts):
    array(f"kTwoOverPi{index}", values)
print("\n}  // namespace netc::coefficients")
