// Says when something that is to happen every so often is due: every(500st), every(1ep), every(5min).
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <optional>

#include "ir/network.h"

namespace netc {

class Ticker {
public:
    Ticker() = default;
    Ticker(const std::optional<Duration>& every, std::int64_t steps_per_epoch) : every_(every) {
        if (!every) return;
        const double unit =
            every->unit == DurationUnit::epochs ? static_cast<double>(steps_per_epoch) : 1.0;
        steps_ = std::max(1.0, every->value * unit);
    }

    explicit operator bool() const { return every_.has_value(); }

    // Whether it is due after so many steps of the run. By steps and epochs that is a function of the step,
    // so a run that was interrupted does it at the same steps.
    bool due(std::int64_t step) {
        if (!would_be_due(step)) return false;
        if (every_->unit == DurationUnit::seconds) last_ = Clock::now();
        return true;
    }
    // What due() would say now.
    bool would_be_due(std::int64_t step) const {
        if (!every_) return false;
        if (every_->unit == DurationUnit::seconds)
            return std::chrono::duration<double>(Clock::now() - last_).count() >= every_->value;
        return count(step) > count(step - 1);
    }

private:
    using Clock = std::chrono::steady_clock;
    double count(std::int64_t step) const {
        return std::floor(static_cast<double>(step) / steps_ + 1e-9);
    }

    std::optional<Duration> every_;
    double steps_ = 1;
    Clock::time_point last_ = Clock::now();
};

}  // namespace netc
