// The walk behind name_index.h: scopes over the syntax tree. Declarations of files are in
// name_index.cpp, bodies in name_resolver.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "frontend/name_index.h"

namespace netc::frontend {

class NameResolver {
public:
    NameResolver(const SourceMap& sources, const ast::File& main, const ast::File* library,
                 NameIndex& index)
        : sources_(sources), main_(main), library_(library), index_(index) {}

    void add_builtins();
    void declare_file(const ast::File& file);
    void resolve();

private:
    static constexpr std::uint32_t kNone = 0xffff'ffffu;

    std::uint32_t add(NamedThing thing);
    std::uint32_t add_formal(const ast::Formal& formal, NameKind kind, Span visible);
    std::uint32_t imported_file(std::uint32_t from, const std::string& path) const;

    // A name from here to the end of the scope that is open.
    std::uint32_t declare(NameKind kind, std::string_view name, Span place,
                          std::string signature = {});
    std::uint32_t lookup(std::string_view name) const;
    std::uint32_t lookup_global(std::string_view name) const;
    void mention(Span place, std::uint32_t thing);
    void refer(const ast::Name& name) { mention(name.span, lookup(name.text)); }
    // Forgets the names declared since `mark`; they were visible up to `end`.
    void close(std::size_t mark, std::uint32_t end);

    void callable(const ast::Item& item, const ast::Callable& callable);
    void train(const ast::Item& item, const ast::Train& train);
    void data_fields(const ast::Expr& source);
    void type(const ast::Type& type, NamedThing* binds);
    void pattern(const ast::Pattern& pattern, bool bound_by_statement);
    void block(const ast::Block& block);
    void statement(const ast::Stmt& statement);
    void arguments(const std::vector<ast::Argument>& arguments, std::uint32_t callee);
    void assertion(const ast::Assert& assertion);
    void expression(const ast::Expr& expression);
    Span name_in(Span place, std::string_view name) const;

    const SourceMap& sources_;
    const ast::File& main_;
    const ast::File* library_;
    NameIndex& index_;
    std::vector<std::uint32_t> locals_;
    Span scope_;            // of the item that is being walked
    bool setting_ = false;  // words of a setting are no names of the library
};

}  // namespace netc::frontend
