#include "runtime/train/lbfgs.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace netc {
namespace {

constexpr double kDecrease = 1e-4, kCurvature = 0.9;  // c1, c2
constexpr int kEvaluations = 25;                      // of one line search

double dot(const std::vector<double>& a, const std::vector<double>& b) {
    return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}
double largest(const std::vector<double>& a) {
    double result = 0;
    for (const double value : a) result = std::max(result, std::abs(value));
    return result;
}
std::vector<double> difference(const std::vector<double>& a, const std::vector<double>& b) {
    std::vector<double> result(a.size());
    for (std::size_t i = 0; i < a.size(); ++i) result[i] = a[i] - b[i];
    return result;
}

// A point on the line, with its slope there.
struct Trial {
    double t = 0, loss = 0, slope = 0;
    Point point;
};

// The minimum of the cubic through two trials and their slopes, inside of the interval.
double cubic_minimum(const Trial& a, const Trial& b) {
    const double low = std::min(a.t, b.t), high = std::max(a.t, b.t);
    const double d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t);
    const double square = d1 * d1 - a.slope * b.slope;
    double t = 0.5 * (low + high);
    if (square >= 0) {
        const double d2 = std::copysign(std::sqrt(square), b.t - a.t);
        const double found =
            b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2));
        if (std::isfinite(found)) t = found;
    }
    // Not so close to an end that the interval hardly shrinks.
    const double margin = 0.1 * (high - low);
    return std::clamp(t, low + margin, high - margin);
}

}  // namespace

// The two loops of Nocedal 1980: the newest pair first, then back.
std::vector<double> Lbfgs::direction(const std::vector<double>& gradient) const {
    std::vector<double> d = gradient;
    std::vector<double> alpha(steps_.size());
    for (std::size_t k = steps_.size(); k-- > 0;) {
        const Pair& pair = steps_[k];
        alpha[k] = dot(pair.s, d) / dot(pair.s, pair.y);
        for (std::size_t i = 0; i < size_; ++i) d[i] -= alpha[k] * pair.y[i];
    }
    if (!steps_.empty()) {
        const Pair& last = steps_.back();
        const double scale = dot(last.s, last.y) / dot(last.y, last.y);
        for (double& value : d) value *= scale;
    }
    for (std::size_t k = 0; k < steps_.size(); ++k) {
        const Pair& pair = steps_[k];
        const double beta = dot(pair.y, d) / dot(pair.s, pair.y);
        for (std::size_t i = 0; i < size_; ++i) d[i] += (alpha[k] - beta) * pair.s[i];
    }
    for (double& value : d) value = -value;
    return d;
}

Result<bool> Lbfgs::search(Point& point, const std::vector<double>& direction, double first,
                           const Evaluate& evaluate) {
    const Trial start{0, point.loss, dot(direction, point.gradient), point};
    if (!(start.slope < 0)) return false;
    int evaluations = 0;
    Status failure;
    auto at = [&](double t) {
        Trial trial;
        trial.t = t;
        trial.point.x = start.point.x;
        for (std::size_t i = 0; i < size_; ++i) trial.point.x[i] += t * direction[i];
        failure = evaluate(trial.point);
        ++evaluations;
        if (!failure) return trial;
        trial.loss = trial.point.loss;
        trial.slope = dot(direction, trial.point.gradient);
        return trial;
    };
    auto decreases = [&](const Trial& trial) {
        return trial.loss <= start.loss + kDecrease * trial.t * start.slope;
    };
    auto is_flat = [&](const Trial& trial) {
        return std::abs(trial.slope) <= -kCurvature * start.slope;
    };
    Trial best = start;  // the smallest loss seen
    auto remember = [&](const Trial& trial) {
        if (std::isfinite(trial.loss) && trial.loss < best.loss) best = trial;
    };
    auto accept = [&](const Trial& trial) {
        point = trial.point;
        length_ = trial.t;
        return true;
    };

    // Grow until an interval holds a point that fits.
    Trial before = start, low, high;
    double t = first;
    for (;;) {
        const Trial trial = at(t);
        if (!failure) return failure.error();
        remember(trial);
        const bool finite = std::isfinite(trial.loss) && std::isfinite(trial.slope);
        if (!finite && evaluations < kEvaluations) {
            t = 0.5 * (before.t + t);  // beyond where the loss is defined
            continue;
        }
        if (!finite) break;
        if (!decreases(trial) || (evaluations > 1 && trial.loss >= before.loss)) {
            low = before;
            high = trial;
            break;
        }
        if (is_flat(trial)) return accept(trial);
        if (trial.slope >= 0) {
            low = trial;
            high = before;
            break;
        }
        if (evaluations >= kEvaluations) break;
        before = trial;
        t = 2.5 * t;
    }
    // Shrink it. `low` always has the smaller loss and falls toward `high`.
    while (high.point.x.size() == size_ && evaluations < kEvaluations &&
           std::abs(high.t - low.t) * largest(direction) > 1e-12) {
        const Trial trial = at(cubic_minimum(low, high));
        if (!failure) return failure.error();
        remember(trial);
        if (!std::isfinite(trial.loss) || !decreases(trial) || trial.loss >= low.loss) {
            high = trial;
            continue;
        }
        if (is_flat(trial)) return accept(trial);
        if (trial.slope * (high.t - low.t) >= 0) high = low;
        low = trial;
    }
    // Rounding hides the conditions near a minimum: a smaller loss is progress all the same.
    return best.t > 0 && accept(best);
}

Result<bool> Lbfgs::step(Point& point, const Evaluate& evaluate) {
    if (largest(point.gradient) <= spec_.tolerance) return false;
    const Point before = point;
    for (;;) {
        double sum = 0;
        for (const double g : point.gradient) sum += std::abs(g);
        // Without a memory the gradient says nothing about how far to go.
        const double first =
            steps_.empty() ? std::min(1.0, 1.0 / sum) * spec_.rate.rate : spec_.rate.rate;
        Result<bool> moved = search(point, direction(point.gradient), first, evaluate);
        if (!moved) return moved.error();
        if (*moved) break;
        point = before;
        if (steps_.empty()) return false;
        steps_.clear();
    }
    Pair pair{difference(point.x, before.x), difference(point.gradient, before.gradient)};
    // Only pairs of positive curvature keep the direction one of descent.
    if (dot(pair.s, pair.y) > 1e-10 * dot(pair.y, pair.y)) {
        steps_.push_back(std::move(pair));
        if (steps_.size() > static_cast<std::size_t>(spec_.history)) steps_.erase(steps_.begin());
    }
    return true;
}

std::vector<Memory> Lbfgs::memory() const {
    if (steps_.empty()) return {};
    const std::vector<std::int64_t> shape{static_cast<std::int64_t>(steps_.size()),
                                          static_cast<std::int64_t>(size_)};
    Memory s{"lbfgs.s", shape, {}}, y{"lbfgs.y", shape, {}};
    for (const Pair& pair : steps_) {
        s.values.insert(s.values.end(), pair.s.begin(), pair.s.end());
        y.values.insert(y.values.end(), pair.y.begin(), pair.y.end());
    }
    return {s, y};
}

void Lbfgs::restore(const std::vector<Memory>& memory) {
    steps_.clear();
    const Memory *s = nullptr, *y = nullptr;
    for (const Memory& kept : memory) {
        if (kept.name == "lbfgs.s") s = &kept;
        if (kept.name == "lbfgs.y") y = &kept;
    }
    if (s == nullptr || y == nullptr || s->values.size() != y->values.size()) return;
    for (std::size_t at = 0; at + size_ <= s->values.size(); at += size_) {
        const auto from = static_cast<std::ptrdiff_t>(at);
        const auto to = static_cast<std::ptrdiff_t>(at + size_);
        steps_.push_back({{s->values.begin() + from, s->values.begin() + to},
                          {y->values.begin() + from, y->values.begin() + to}});
    }
}

}  // namespace netc
