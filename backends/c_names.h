// The names of a model's inputs, targets and results as parameters in C: legal in C99 to C23, GNU C and C++,
// nothing that the header or what it includes declares, and no two the same.
#pragma once

#include <map>
#include <set>
#include <string>

#include "ir/program.h"

namespace netc {

class CNames {
public:
    // `lower`, `upper`: what the header's own names begin with.
    CNames(const Program& program, const std::string& lower, const std::string& upper);

    const std::string& input(const std::string& name) const { return inputs_.at(name); }
    const std::string& output(const std::string& name) const { return outputs_.at(name); }

private:
    using Names = std::map<std::string, std::string>;
    void add(Names& names, const std::string& name);

    std::string lower_, upper_;
    std::set<std::string> used_;
    Names inputs_, outputs_;  // an input and a result may share a name
};

}  // namespace netc
