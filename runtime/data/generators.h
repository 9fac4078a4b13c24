// Data without files: xor, circles, gauss, spiral, moons, digits, function. Every sample is a
// function of (seed, row) alone, with + - * / and sqrt in double only, so that all machines make
// the same bits and `n` can grow without changing what was there.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ir/data_spec.h"
#include "ir/philox.h"
#include "ir/result.h"
#include "runtime/data/csv_source.h"
#include "runtime/data/dataset.h"

namespace netc {

// Fills the requests called `x` and `y`. The points generators take x of two numbers; y is the
// class 0 or 1, as an int or as a float, or one-hot where y has two elements. digits takes x of 784
// numbers (28 x 28, ink from 0 to 1) and y of ten classes.
Result<std::vector<LoadedField>> generate(const DataSource& source,
                                          const std::vector<FieldRequest>& wanted);

// One digit, 28 x 28 row-major, ink from 0 to 1; `noise` from 0 (clean) to about 0.5.
void draw_digit(int digit, double noise, PhiloxStream& random, std::span<float, 784> image);

// sin(2 pi t) and cos(2 pi t) within 1e-9 from a polynomial: the same bits everywhere, unlike the C
// library's.
double sin_turns(double t);
double cos_turns(double t);

// About normal with mean 0 and deviation 1: the sum of twelve uniform numbers less six; never
// beyond 6.
double bell(PhiloxStream& random);

}  // namespace netc
