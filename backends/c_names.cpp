#include "backends/c_names.h"

#include <algorithm>
#include <cctype>
#include <string_view>

namespace netc {
namespace {

constexpr std::string_view kTaken[] = {
    // the other parameters
    "weights", "optimizer", "prepared", "workspace", "batch", "hyper", "loss", "gradients", "seed",
    "gpu", "stream",
    // C to C23, GNU C
    "alignas", "alignof", "asm", "auto", "bool", "break", "case", "char", "const", "constexpr",
    "continue", "default", "do", "double", "else", "enum", "extern", "false", "float", "for",
    "fortran", "goto", "if", "inline", "int", "long", "nullptr", "register", "restrict", "return",
    "short", "signed", "sizeof", "static", "static_assert", "struct", "switch", "thread_local",
    "true", "typedef", "typeof", "typeof_unqual", "union", "unsigned", "void", "volatile", "while",
    // C++ to C++26, and its words for operators
    "and", "and_eq", "bitand", "bitor", "catch", "char8_t", "char16_t", "char32_t", "class",
    "co_await", "co_return", "co_yield", "compl", "concept", "const_cast", "consteval", "constinit",
    "contract_assert", "decltype", "delete", "dynamic_cast", "explicit", "export", "friend",
    "mutable", "namespace", "new", "noexcept", "not", "not_eq", "operator", "or", "or_eq",
    "private", "protected", "public", "reinterpret_cast", "requires", "static_cast", "template",
    "this", "throw", "try", "typeid", "typename", "using", "virtual", "wchar_t", "xor", "xor_eq",
    // macros of <stddef.h>, and those that compilers define without an underscore in front
    "NULL", "offsetof", "unreachable", "linux", "unix", "i386", "sun", "sparc", "mips", "arm",
    "m68k", "hpux", "sgi", "vax", "vector", "pixel"};

// Types and limits of <stdint.h> and <stddef.h>: int32_t, SIZE_MAX, INT64_C.
bool is_of_the_system(std::string_view text) {
    return text.ends_with("_t") || text.ends_with("_MAX") || text.ends_with("_MIN") ||
           text.ends_with("_WIDTH") || text.ends_with("_C");
}

}  // namespace

CNames::CNames(const Program& program, const std::string& lower, const std::string& upper)
    : lower_(lower + "_"), upper_(upper + "_") {
    for (const char* entry_name : {"forward", "train_step", "gradient"}) {
        const Entry* entry = program.find(entry_name);
        if (entry == nullptr) continue;
        for (const EntryArgument& argument : entry->inputs) add(inputs_, argument.name);
    }
    for (const EntryArgument& argument : program.find("forward")->outputs) {
        add(outputs_, argument.name);
    }
}

void CNames::add(Names& names, const std::string& name) {
    if (names.contains(name)) return;
    std::string text;
    for (const char c : name) text += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
    const bool own = text.starts_with(lower_) || text.starts_with(upper_);
    if (own || std::ranges::find(kTaken, text) != std::end(kTaken) || is_of_the_system(text)) {
        text += '_';
    }
    while (!used_.insert(text).second) text += '_';
    names.emplace(name, std::move(text));
}

}  // namespace netc
