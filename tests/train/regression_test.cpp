// links: runtime ir
// Linear regression by every way that netc has, against the solution in double precision.
#include <array>
#include <cmath>
#include <cstring>

#include "runtime/files/safetensors.h"
#include "train_example.h"

using namespace netc;

namespace {

using Row = std::array<double, 9>;  // eight variables, y

// Numbers as f32, which is what netc reads.
std::vector<Row> table() {
    std::ifstream file(example("data/sparse.csv"));
    std::vector<Row> rows;
    std::string line;
    std::getline(file, line);  // the names
    while (std::getline(file, line)) {
        Row row{};
        const char* at = line.c_str();
        for (double& value : row) {
            char* end = nullptr;
            value = static_cast<double>(std::strtof(at, &end));
            at = end + 1;
        }
        rows.push_back(row);
    }
    REQUIRE(rows.size() == 120);
    return rows;
}

// Minimises mean (w x + b - y)^2 + ridge |w|^2 + lasso |w|_1 by coordinate descent (Friedman et al. 2007), in
// double, over the first `variables` columns; the bias is last.
std::vector<double> minimum(std::size_t variables, double ridge, double lasso) {
    const std::vector<Row> rows = table();
    const auto n = static_cast<double>(rows.size());
    std::vector<double> w(variables + 1, 0.0), residual;
    for (const Row& row : rows) residual.push_back(row[8]);
    for (int sweep = 0; sweep < 5000; ++sweep) {
        for (std::size_t j = 0; j <= variables; ++j) {
            const bool bias = j == variables;
            double square = 0, product = 0;
            for (std::size_t i = 0; i < rows.size(); ++i) {
                const double x = bias ? 1.0 : rows[i][j];
                square += x * x / n;
                product += x * (residual[i] + x * w[j]) / n;
            }
            const double cut = bias ? 0.0 : lasso / 2;
            const double shrunk = std::copysign(std::max(std::abs(product) - cut, 0.0), product);
            const double next = shrunk / (square + (bias ? 0.0 : ridge));
            for (std::size_t i = 0; i < rows.size(); ++i) {
                residual[i] -= (bias ? 1.0 : rows[i][j]) * (next - w[j]);
            }
            w[j] = next;
        }
    }
    return w;
}

std::vector<double> trained(const std::string& section, const std::string& c) {
    const TemporaryDirectory directory;
    const Trained run = train_example(
        {example("regression/regularized.net"), section, "--set", "c=" + c}, directory);
    const Result<Safetensors> file = read_safetensors(run.run + "/last.safetensors");
    REQUIRE(file);
    std::vector<double> w, bias, v;
    for (const Safetensors::Tensor& tensor : file->tensors) {
        std::vector<double> values;
        const std::byte* at = file->data(tensor).data();
        const auto size = static_cast<std::size_t>(size_of(tensor.dtype));
        for (std::size_t begin = 0; begin < tensor.size; begin += size) {
            float narrow = 0;
            double wide = 0;
            std::memcpy(size == 4 ? static_cast<void*>(&narrow) : &wide, at + begin, size);
            values.push_back(size == 4 ? static_cast<double>(narrow) : wide);
        }
        std::vector<double>& to = tensor.name.ends_with("bias") ? bias : tensor.name == "v" ? v : w;
        to = values;
    }
    for (std::size_t i = 0; i < v.size(); ++i) w[i] *= v[i];  // of the factored model
    w.insert(w.end(), bias.begin(), bias.end());
    return w;
}

void expect_equal(const std::vector<double>& found, const std::vector<double>& wanted) {
    REQUIRE(found.size() == wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        INFO("unknown " << i);
        CHECK(std::abs(found[i] - wanted[i]) <= 1e-4);
    }
}

}  // namespace

TEST_CASE("least squares by the normal equation, by descent and by L-BFGS") {
    const std::vector<double> wanted = minimum(8, 0, 0);
    for (const char* section : {"LeastSquares", "Descent", "QuasiNewton"}) {
        INFO(section);
        expect_equal(trained(section, "0"), wanted);
    }
    expect_equal(trained("Line", "0"), minimum(1, 0, 0));
}

TEST_CASE("ridge") {
    for (const char* c : {"0.01", "0.1", "1.0"}) {
        INFO("c = " << c);
        expect_equal(trained("Ridge", c), minimum(8, std::atof(c), 0));
    }
}

TEST_CASE("the path of the lasso has the right zeros") {
    std::size_t zeros_before = 0;
    for (const char* c : {"0.02", "0.2", "0.5", "2.0", "4.0"}) {
        INFO("c = " << c);
        const std::vector<double> wanted = minimum(8, 0, std::atof(c));
        const std::vector<double> found = trained("Lasso", c);
        expect_equal(found, wanted);
        std::size_t zeros = 0;
        for (std::size_t i = 0; i < 8; ++i) {
            CHECK((wanted[i] == 0) == (std::abs(found[i]) < 1e-4));
            zeros += wanted[i] == 0 ? 1u : 0u;
        }
        CHECK(zeros >= zeros_before);
        zeros_before = zeros;
    }
    CHECK(zeros_before >= 5);
}
