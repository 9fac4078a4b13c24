// L-BFGS: Liu and Nocedal 1989, with the line search of Nocedal and Wright, Numerical Optimization (2006),
// algorithms 3.5 and 3.6, which ends where the strong Wolfe conditions hold:
//
//     f(x + t d) <= f(x) + c1 t d'g(x)     and     |d'g(x + t d)| <= c2 |d'g(x)|
//
// The next trial is the minimum of the cubic through two points and their slopes. All in double; the
// parameters are rounded to their own type before they are evaluated, and differences are taken of what
// was evaluated.
#pragma once

#include <functional>
#include <vector>

#include "ir/network.h"
#include "runtime/train/checkpoint.h"

namespace netc {

// A function to be minimised, at a point that it may round: `x` becomes what was evaluated.
struct Point {
    std::vector<double> x;
    double loss = 0, penalty = 0;
    std::vector<double> gradient;
};
using Evaluate = std::function<Status(Point&)>;

class Lbfgs {
public:
    Lbfgs(const OptimizerSpec& spec, std::size_t size) : spec_(spec), size_(size) {}

    // One iteration from `point`, whose loss and gradient are known. False where there is no smaller loss to
    // be found: then the point stays.
    Result<bool> step(Point& point, const Evaluate& evaluate);
    double length() const { return length_; }  // t of the last step

    // The pairs of the last steps, oldest first, for a run that goes on later.
    std::vector<Memory> memory() const;
    void restore(const std::vector<Memory>& memory);
    void forget() { steps_.clear(); }

private:
    struct Pair {
        std::vector<double> s, y;  // differences of parameters and of gradients
    };
    std::vector<double> direction(const std::vector<double>& gradient) const;
    Result<bool> search(Point& point, const std::vector<double>& direction, double first,
                        const Evaluate& evaluate);

    OptimizerSpec spec_;
    std::size_t size_;
    std::vector<Pair> steps_;
    double length_ = 0;
};

}  // namespace netc
