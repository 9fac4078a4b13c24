// The loss over all rows as a function of all trainable numbers, by way of the compiled `gradient`: what
// the normal equation and L-BFGS minimise. Computed a batch of rows at a time, in their order, in double;
// a batch counts by its size. A loss that is a mean over samples is then the mean over all of them.
#pragma once

#include <span>
#include <vector>

#include "runtime/train/trainer.h"

namespace netc {

class Objective {
public:
    struct Value {
        double loss = 0;  // with the penalty
        double penalty = 0;
        std::vector<double> gradient;
    };

    static Result<Objective> create(Session& session, const Dataset& data,
                                    std::span<const std::int64_t> rows, std::int64_t batch);

    std::size_t size() const { return size_; }
    std::vector<double> parameters() const;
    void set_parameters(std::span<const double> values);
    Result<Value> value();  // at the parameters as they are

private:
    struct Part {
        const VariablePlace* place;
        std::size_t output;  // of the entry
        std::size_t count;
    };

    Session* session_ = nullptr;
    std::span<const std::int64_t> rows_;
    std::int64_t batch_ = 1;
    BatchBuffers buffers_;
    std::vector<Part> parts_;
    std::size_t size_ = 0;
};

// Gives the weights of one session to another of the same names and shapes, in f32 or f64.
Status copy_numbers(const Session& from, Session& to);

}  // namespace netc
