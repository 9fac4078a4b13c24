// From a .net file to networks as graphs: parse, check, elaborate. The one header of this folder that
// the command line needs besides diagnostics and their rendering.
//
//     SourceMap sources;
//     Diagnostics diagnostics;
//     Result<CheckedFile> file = check_file("lenet5.net", {}, sources, diagnostics);
//     if (!file && file.error().status != kExitProgram) return file.error();   // unreadable, bad --set
//     std::cerr << render(diagnostics, sources);                               // errors and warnings
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "frontend/diagnostics.h"
#include "ir/network.h"
#include "ir/result.h"
#include "ir/source.h"

namespace netc {

namespace ast {
struct File;
}

// What expressions of the user's files were found to be, by where they begin and end: a tensor's type
// (`f32[B, 10]`) or a static value (`3`). The stage of a pipeline has what flows out of it. An
// expression that was evaluated several times keeps what it was first.
struct ExpressionTypes {
    struct Type {
        std::string text;
        bool tensor = false;
    };
    std::map<std::pair<std::uint64_t, std::uint32_t>, Type> all;  // file and begin, end
    const Type* find(Span place) const;
    void add(Span place, Type type);
};

// What the library is called among the sources.
inline constexpr const char* kLibraryPath = "std.net";

struct CheckOptions {
    std::vector<std::pair<std::string, std::string>> settings;  // --set NAME=VALUE, of an `option`
    std::vector<std::pair<std::string, std::int64_t>> dims;     // --dim T=128
    // Symbolic dimensions other than the batch may stay open: for `check` and `doc`, where no code
    // is generated. Otherwise an open one is E0404.
    bool open_dimensions = false;
    std::string only;  // a model or section: open dimensions of other models do not matter
    ExpressionTypes* types = nullptr;  // where given, filled during the elaboration
    // From parse_library(), for those who check many texts: parsing the library is most of the time that a
    // small one takes. Used where `sources` is empty.
    std::shared_ptr<const ast::File> library;
};

std::shared_ptr<const ast::File> parse_library();

// Reads, parses and elaborates a file with all that it imports. Afterwards `sources` holds every text
// that took part (the library as "std.net", the file, its imports): what a cache key needs.
//
// Errors of the program are in `diagnostics`; the Error then has the status kExitProgram and only says
// how many there are. Other statuses: kExitUsage for settings and dims that the file does not have or
// that have the wrong type, kExitData where the file itself cannot be read.
Result<CheckedFile> check_file(const std::string& path, const CheckOptions& options,
                               SourceMap& sources, Diagnostics& diagnostics);

// The same for a text in memory. Imports are relative to the folder of `path`.
Result<CheckedFile> check_text(const std::string& path, std::string text,
                               const CheckOptions& options, SourceMap& sources,
                               Diagnostics& diagnostics);

}  // namespace netc
