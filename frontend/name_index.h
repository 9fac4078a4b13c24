// Which text is which name: every declaration of a file and of what it imports, and every place in the
// file that names one. The language server and `netc doc` read it.
//
// It follows the rules of scopes over the syntax tree alone, so it also knows the names of branches
// that are not taken and of layers that nothing calls, and of a file whose shapes are wrong.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/ast.h"
#include "ir/source.h"

namespace netc {

enum class NameKind : std::uint8_t {
    builtin,
    function,
    layer,
    model,
    section,
    constant,
    option,
    alias,
    formal,
    input,
    output,
    target,
    metric,
    dimension,
    local,
    parameter,
    state
};
std::string_view spelling(NameKind kind);

struct NamedThing {
    NameKind kind{};
    std::string name;
    Span place;              // of the name where it is declared; unknown for builtins
    Span visible;            // where the name can be used; the whole file for global names
    std::string signature;   // `layer linear(out: int, ...)(x: real[*S, I]) -> real[*S, out]`
    std::string doc;         // the `##` lines before it
    std::string value_type;  // of formals and inputs: the type as written
    std::vector<std::uint32_t> formals;  // configuration, then inputs
    std::vector<std::uint32_t>
        inside;                        // formals, dimensions and outputs: what a train section sees
    std::uint32_t imported = kNoFile;  // of aliases: the file that it stands for
};

struct Occurrence {
    Span place;
    std::uint32_t thing = 0;
};

struct NameIndex {
    std::vector<NamedThing> things;
    std::vector<Occurrence> occurrences;  // in the main file, declarations too, by place
    std::vector<Span> stages;             // of pipelines, in their order; a pipeline is one run
    std::vector<std::size_t> pipelines;   // the number of the first stage of each
    std::vector<Span> bindings;           // names that `let` and `var` bind
    std::map<std::uint32_t, std::map<std::string, std::uint32_t, std::less<>>> globals;  // by file

    // What is named at an offset of the main file, or behind whose last letter the offset stands.
    const Occurrence* at(std::uint32_t file, std::uint32_t offset) const;
    // A global name of this file, else nullptr.
    const NamedThing* global(std::uint32_t file, std::string_view name) const;
};

// `files`: the main file, then what it may import; `library`, where given, is seen by all.
NameIndex index_names(const SourceMap& sources, const ast::File& main,
                      const std::vector<const ast::File*>& imported, const ast::File* library);

// A declaration on one line, without its body.
std::string signature_of(const SourceMap& sources, const ast::Item& item);

}  // namespace netc
