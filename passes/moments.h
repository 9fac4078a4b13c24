// moments: mean and mean of the centred square in one pass over memory.
//
//     %s = reduce_sum %x {axes}                      %X = cast %x;  %S = reduce_sum %X;  %Q = reduce_sum (mul %X, %X)
//     %m = div %s, n                          ->     %s = cast %S;  %M = div %S, n;  %m = cast %M
//     %d = sub %x, broadcast %m                      %d = sub %x, broadcast %m
//     %q = reduce_sum (mul %d, %d) {axes}            %q = cast max(%Q - %S %M, 0)      capitals in f64
//
// Why: %q waited for %m, so the sums went through %x one after the other. Now neither waits for the other, and
// emit_group makes both in one pass (siblings.h).
//
// Products of two f32 are exact in f64. With k the longest chain of additions the relative error of %q is at most
// 2^-24 + (k + 4) 2^-53 (1 + mean^2 / variance): for 1,000 terms in a chain and a mean of 10,000 deviations 1.1e-5 at worst, and
// 1e-7 as errors go, where sums of f32 lose that much in the mean alone.
// For values of f32 only, and where they are in no cache when the second sum begins: sums over the batch, and
// over kMuch elements and more. Logical shape alone decides.
//
// Requires: gradients are taken. Changes rounding, and is listed in ir/README.md.
#pragma once

#include "ir/graph.h"

namespace netc {

void moments(Function& function);

}  // namespace netc
