// What the language server answers about a document. Places are offsets into the document's text;
// `now` is up to date when these are called.
#pragma once

#include <functional>

#include "cli/lsp_document.h"

namespace netc {

Json lsp_diagnostics(const Document& document);
Json lsp_hover(const Document& document, std::uint32_t offset);
// `library_path`: where the text of the library lies, or "".
Json lsp_definition(const Document& document, std::uint32_t offset,
                    const std::function<std::string()>& library_path);
Json lsp_references(const Document& document, std::uint32_t offset, bool with_declaration);
Json lsp_inlay_hints(const Document& document, std::uint32_t begin, std::uint32_t end);
Json lsp_symbols(const Document& document);
Json lsp_formatting(const Document& document);
Json lsp_completion(const Document& document, std::uint32_t offset);

// A refusal is a message for the user; the other is a WorkspaceEdit.
Result<Json> lsp_rename(const Document& document, std::uint32_t offset, const std::string& name);
// The range of what can be renamed here.
Result<Json> lsp_prepare_rename(const Document& document, std::uint32_t offset);

}  // namespace netc
