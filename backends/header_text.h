// What the headers of all emitted objects have in common, see c_header.h and gpu/object/gpu_header.h.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "backends/backend.h"
#include "backends/c_names.h"
#include "ir/program.h"

namespace netc {

// `2 * B, 4`: dimensions as users read them.
std::string dims_text(const std::vector<Extent>& dims);

// No end of the comment inside it, and no beginning of another: compilers warn of that.
std::string comment_safe(std::string_view text);

// A header that grows.
struct HeaderText {
    HeaderText(const Program& of, const ObjectOptions& with);

    template <class... Args>
    void line(fmt::format_string<Args...> format, Args&&... args) {
        text += fmt::format(format, std::forward<Args>(args)...) + "\n";
    }
    // As parameters of a C function, each with a comma behind it.
    std::string inputs_text(const Entry& entry) const;
    std::string outputs_text(const Entry& entry) const;
    void documentation();  // of the model, inside a comment
    void includes();       // and the guards, which closing() ends
    void region_sizes();
    void hyper_type();
    void table();  // of the tensors
    void closing();

    const Program& program;
    const ObjectOptions& options;
    std::string p, P;  // prefix in lower and upper case
    CNames names;
    std::string text;
};

}  // namespace netc
