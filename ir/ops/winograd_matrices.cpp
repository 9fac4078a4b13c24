#include "ir/ops/winograd.h"

#include <cmath>

namespace netc::ops {
namespace {

// The sum of row[i] * element(i) over these i, from the first one on; nothing where all are zero.
ScalarId sum_of(ScalarGraph& s, const Row& row, const Element& element, std::size_t first,
                std::size_t step, double sign = 1) {
    ScalarId sum = kNoScalar;
    for (std::size_t i = first; i < row.size(); i += step) {
        const double factor = sign * row[i];
        if (factor == 0) continue;
        const ScalarId value = element(i);
        const ScalarId number = s.number(factor, s.type(value));
        sum = sum == kNoScalar ? s.binary(ScalarOp::mul, number, value)
              : factor == 1    ? s.binary(ScalarOp::add, value, sum)
                               : s.fma(number, value, sum);
    }
    return sum;
}

ScalarId add(ScalarGraph& s, ScalarId a, ScalarId b, bool minus) {
    if (b == kNoScalar) return a;
    if (minus) b = s.unary(ScalarOp::neg, b);
    return a == kNoScalar ? b : s.binary(ScalarOp::add, a, b);
}

}  // namespace

Status check_tile(std::int64_t tile) {
    if (tile == 2 || tile == 4) return {};
    return fact(fmt::format("tiles of {} places", tile));
}

Status check_winograd_rank(const Type& type, std::size_t rank) {
    if (Status s = check_dtype(float_dtype, type.dtype); !s) return s;
    if (type.rank() == rank) return {};
    return fact(fmt::format("{} has not {} dimensions", type.to_string(), rank));
}

std::size_t within(const Index& index, std::int64_t side) {
    const Index rest = simplify(floor_mod(index, side), [](AxisId) { return std::nullopt; });
    if (!rest.is_constant()) internal_error("a tile is computed in parts");
    return static_cast<std::size_t>(rest.constant());
}

WinogradMatrices winograd_matrices(std::int64_t tile) {
    const std::vector<double> points = tile == 2 ? std::vector<double>{0, 1, -1}
                                                 : std::vector<double>{0, 0.625, -0.625, 1.5, -1.5};
    // Coefficients of the product of (x - point) over all points but one.
    const auto product_without = [&](std::size_t left_out) {
        Row product{1};
        for (std::size_t i = 0; i < points.size(); ++i) {
            if (i == left_out) continue;
            product.insert(product.begin(), 0);
            for (std::size_t k = 0; k + 1 < product.size(); ++k)
                product[k] -= points[i] * product[k + 1];
        }
        return product;
    };
    WinogradMatrices m;
    for (std::size_t i = 0; i < points.size(); ++i) {
        Row data = product_without(i);
        double denominator = 0;
        for (std::size_t k = data.size(); k-- > 0;) denominator = denominator * points[i] + data[k];
        data.push_back(0);
        m.input.push_back(std::move(data));
        Row taps;
        for (int k = 0; k < kWinogradTaps; ++k)
            taps.push_back(std::pow(points[i], k) / denominator);
        m.weights.push_back(std::move(taps));
    }
    m.input.push_back(product_without(points.size()));
    m.weights.push_back({0, 0, 1});
    for (std::int64_t k = 0; k < tile; ++k) {
        Row powers;
        for (double point : points) powers.push_back(std::pow(point, k));
        powers.push_back(k + 1 == tile ? 1 : 0);
        m.output.push_back(std::move(powers));
    }
    return m;
}

std::vector<Row> transposed(const std::vector<Row>& matrix) {
    std::vector<Row> result(matrix[0].size());
    for (const Row& row : matrix) {
        for (std::size_t i = 0; i < row.size(); ++i) result[i].push_back(row[i]);
    }
    return result;
}

ScalarId row_of_pairs(ScalarGraph& s, const Row& row, const Element& element) {
    double sign = 1;
    for (std::size_t i = row.size() - (row.size() % 2 == 0 ? 1 : 2); i < row.size(); i -= 2) {
        if (row[i] != 0) {
            sign = row[i] < 0 ? -1 : 1;
            break;
        }
    }
    return add(s, sum_of(s, row, element, 0, 2), sum_of(s, row, element, 1, 2, sign), sign < 0);
}

ScalarId row_over_pairs(ScalarGraph& s, const Row& row, const Element& element) {
    Row factors{row[0]};
    for (std::size_t i = 1; i + 1 < row.size(); i += 2) factors.push_back(row[i]);
    factors.push_back(row.back());
    const auto joined = [&](std::size_t k) {
        if (k == 0) return element(0);
        if (k + 1 == factors.size()) return element(row.size() - 1);
        const std::size_t i = 2 * k - 1;
        return add(s, element(i), element(i + 1), row[i] != row[i + 1]);
    };
    return sum_of(s, factors, joined, 0, 1);
}

ScalarId plain_row(ScalarGraph& s, const Row& row, const Element& element) {
    return sum_of(s, row, element, 0, 1);
}

ScalarId of_both(ScalarGraph& s, RowRule rule, const Row& row, const Row& column,
                 const std::function<ScalarId(std::size_t, std::size_t)>& element) {
    return rule(s, column, [&](std::size_t j) {
        return rule(s, row, [&](std::size_t i) { return element(i, j); });
    });
}

}  // namespace netc::ops
