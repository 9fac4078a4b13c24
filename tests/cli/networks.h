// Small networks that the tests of the command line run, and arrays in files for them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/files/npy.h"

namespace netc {

inline const std::string kXor = R"(net 1
model Xor(x: f32[B, 2]) -> f32[B, 1] = x |> linear(4) |> tanh |> linear(1)
train Xor {
  target t: f32[B, 1]
  data      = inline(x = [[0,0], [0,1], [1,0], [1,1]], t = [[0], [1], [1], [0]])
  loss      = bce_with_logits(out, t)
  optimizer = adam(lr = 0.05)
  epochs    = 500
  batch     = 4
  metric acc = binary_accuracy(out, t)
}
)";

// Shuffled, held-out data, dropout, a penalty, momentum, a metric that decides what is best.
inline const std::string kMoons = R"(net 1
option width: int = 24
model Moons(x: f32[B, 2]) -> f32[B, 1] = x |> linear(width) |> tanh |> dropout(0.1) |> linear(width) |> relu |> linear(1)
train Moons {
  target y: f32[B, 1]
  data      = moons(n = 600, noise = 0.2, seed = 5)
  split     = random(train = 0.8, valid = 0.2)
  loss      = bce_with_logits(out, y)
  penalty   = l2(1e-4, on = "*.weight")
  optimizer = sgd(lr = 0.1, momentum = 0.9)
  batch     = 32
  epochs    = 6
  metric acc = binary_accuracy(out, y)
  save      = best(by = max("valid.acc"))
}
)";

// Three classes of a table.
inline const std::string kTable = R"(net 1
model Table(x: f32[B, 2]) -> f32[B, 3] = x |> linear(3)
train Table {
  target y: i32[B]
  data      = csv("points.csv", x = cols(0, 1), y = col(2))
  loss      = cross_entropy(out, y)
  optimizer = sgd(lr = 0.1)
  batch     = 4
  epochs    = 2
}
)";

inline std::span<const std::byte> bytes_of(const auto& values) {
    return std::as_bytes(std::span(values));
}

inline bool put_npy(const std::string& path, const std::vector<std::int64_t>& shape,
                    const std::vector<float>& values) {
    return write_npy(path, DType::f32, shape, bytes_of(values)).ok();
}
inline bool put_npy(const std::string& path, const std::vector<std::int64_t>& shape,
                    const std::vector<std::int32_t>& values) {
    return write_npy(path, DType::i32, shape, bytes_of(values)).ok();
}

// Numbers that look random and are the same everywhere: -1 .. 1.
inline std::vector<float> noise(std::size_t count, std::uint32_t seed = 1) {
    std::vector<float> values(count);
    std::uint32_t state = seed * 2654435761u + 12345u;
    for (float& value : values) {
        state = state * 1664525u + 1013904223u;
        value = static_cast<float>(state >> 8) / 8388608.0f - 1.0f;
    }
    return values;
}

// Images of 2 x 2 in a folder for each of two classes.
inline const std::string kPhotos = R"(net 1
model Photos(x: f32[B, 1, 2, 2]) -> f32[B, 2] = x |> flatten |> linear(2)
train Photos {
  target y: i32[B]
  data = images("photos", x = image(), y = folder())
  loss = cross_entropy(out, y)
  epochs = 1
}
)";

}  // namespace netc
