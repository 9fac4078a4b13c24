#include "runtime/train/normal_equation.h"

#include <Eigen/Dense>

#include <cmath>
#include <limits>

namespace netc {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

VectorXd vector_of(const std::vector<double>& values) {
    return Eigen::Map<const VectorXd>(values.data(), static_cast<Eigen::Index>(values.size()));
}

Result<VectorXd> gradient_at(Objective& objective, const VectorXd& parameters) {
    objective.set_parameters(std::span(parameters.data(), objective.size()));
    Result<Objective::Value> value = objective.value();
    if (!value) return value.error();
    VectorXd gradient = vector_of(value->gradient);
    if (!gradient.allFinite()) {
        return Error{kExitRun, "the gradient of the loss is not finite: are all samples numbers?"};
    }
    return gradient;
}

// H with a diagonal of ones: columns of very different size, such as raw features, then lose no digits.
struct System {
    VectorXd scale;
    Eigen::SelfAdjointEigenSolver<MatrixXd> eigen;

    explicit System(MatrixXd h) {
        scale = h.diagonal().cwiseMax(0.0).cwiseSqrt();
        for (double& entry : scale) entry = entry > 0 ? 1.0 / entry : 1.0;
        h = scale.asDiagonal() * h * scale.asDiagonal();
        eigen.compute(0.5 * (h + h.transpose()));
    }
    double threshold() const {
        const double largest = eigen.eigenvalues().cwiseAbs().maxCoeff();
        return largest * static_cast<double>(scale.size()) *
               std::numeric_limits<double>::epsilon() * 16;
    }
    // Directions in which the loss does not change are left at 0.
    VectorXd solve(const VectorXd& right) const {
        const VectorXd parts = eigen.eigenvectors().transpose() * scale.cwiseProduct(right);
        VectorXd divided = parts;
        for (Eigen::Index i = 0; i < parts.size(); ++i) {
            const double value = eigen.eigenvalues()[i];
            divided[i] = value > threshold() ? parts[i] / value : 0.0;
        }
        return scale.cwiseProduct(eigen.eigenvectors() * divided);
    }
    bool has_minimum() const { return eigen.eigenvalues().minCoeff() > -1e3 * threshold(); }
};

}  // namespace

Status solve_normal_equation(Objective& objective) {
    const auto size = static_cast<Eigen::Index>(objective.size());
    VectorXd parameters = VectorXd::Zero(size);
    Result<VectorXd> constant = gradient_at(objective, parameters);
    if (!constant) return constant.error();
    MatrixXd h(size, size);
    for (Eigen::Index i = 0; i < size; ++i) {
        Result<VectorXd> column = gradient_at(objective, VectorXd::Unit(size, i));
        if (!column) return column.error();
        h.col(i) = *column - *constant;
    }
    const System system(std::move(h));
    if (!system.has_minimum()) {
        return Error{kExitRun, "the loss has no minimum: it falls without end in some direction"};
    }
    parameters = system.solve(-*constant);
    // What rounding left, once more.
    Result<VectorXd> rest = gradient_at(objective, parameters);
    if (!rest) return rest.error();
    parameters -= system.solve(*rest);
    objective.set_parameters(std::span(parameters.data(), objective.size()));
    return {};
}

}  // namespace netc
