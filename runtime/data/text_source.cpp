// A text as windows of tokens.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "runtime/data/array_sources.h"
#include "runtime/data/convert.h"
#include "runtime/data/file_sources.h"
#include "runtime/data/selector_text.h"
#include "runtime/data/utf8_check.h"
#include "runtime/files/gzip.h"

namespace netc {
namespace {

constexpr const char* kVocabulary = "vocabulary";

FilePlace place_of(const DataFile& file, std::size_t at) {
    const std::string_view before = std::string_view(file.bytes).substr(0, at);
    const std::size_t line_begin = before.rfind('\n');
    const std::string_view line =
        line_begin == std::string_view::npos ? before : before.substr(line_begin + 1);
    const auto characters = std::count_if(line.begin(), line.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    });
    return {file.path, static_cast<int>(std::count(before.begin(), before.end(), '\n')) + 1,
            static_cast<int>(characters) + 1};
}

Result<std::vector<std::string_view>> characters_of(const DataFile& file) {
    std::vector<std::string_view> characters;
    const std::string_view text = file.bytes;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t length = character_length(text, at);
        if (length == 0) {
            return Error{.message = not_utf8_text(text, at),
                         .place = place_of(file, at),
                         .help = "`tokens = byte` reads any file"};
        }
        characters.push_back(text.substr(at, length));
        at += length;
    }
    return characters;
}

struct Tokens {
    std::vector<std::int32_t> codes;
    std::vector<std::string> vocabulary;  // empty for bytes
};

Result<Tokens> tokens_of(const DataFile& file, bool bytes, std::vector<std::string> vocabulary) {
    Tokens tokens;
    if (bytes) {
        for (const char c : file.bytes) tokens.codes.push_back(static_cast<unsigned char>(c));
        return tokens;
    }
    const Result<std::vector<std::string_view>> characters = characters_of(file);
    if (!characters) return characters.error();
    if (vocabulary.empty()) {
        const std::set<std::string_view> found(characters->begin(), characters->end());
        vocabulary.assign(found.begin(), found.end());
    }
    std::map<std::string_view, std::int32_t> code_of;
    for (const std::string& character : vocabulary) {
        code_of.emplace(character, static_cast<std::int32_t>(code_of.size()));
    }
    for (const std::string_view character : *characters) {
        const auto code = code_of.find(character);
        if (code == code_of.end()) {
            const auto at = static_cast<std::size_t>(character.data() - file.bytes.data());
            return Error{.message = fmt::format("the character {} does not occur in the text of "
                                                "the training",
                                                quoted_text(character)),
                         .place = place_of(file, at)};
        }
        tokens.codes.push_back(code->second);
    }
    tokens.vocabulary = std::move(vocabulary);
    return tokens;
}

}  // namespace

std::vector<std::string> trained_categories(const DataStatistics* trained, const std::string& field,
                                            const std::string& column) {
    if (trained == nullptr) return {};
    for (const FieldStatistics& known : *trained) {
        if (known.name != field) continue;
        for (const ColumnStatistics& statistics : known.columns) {
            if (statistics.column == column) return statistics.categories;
        }
    }
    return {};
}

Result<std::vector<LoadedField>> read_text(const DataSource& source,
                                           const std::vector<FieldRequest>& wanted,
                                           const std::string& root, const DataStatistics* trained) {
    const Result<DataFile> file = read_data_file(root, source.path);
    if (!file) return file.error();
    std::vector<std::string> vocabulary;
    for (const FieldRequest& request : wanted) {
        if (vocabulary.empty()) vocabulary = trained_categories(trained, request.name, kVocabulary);
    }
    Result<Tokens> tokens = tokens_of(*file, source.byte_tokens, std::move(vocabulary));
    if (!tokens) return tokens.error();
    // Every sample needs one token more than it has: the last one that follows.
    const auto count = static_cast<std::int64_t>(tokens->codes.size());
    const std::int64_t rows =
        count > source.window ? (count - source.window - 1) / source.stride + 1 : 0;
    if (rows == 0) {
        return Error{.message =
                         fmt::format("{} has {} tokens, but a sample of `context = {}` needs "
                                     "{}",
                                     file->path, count, source.window, source.window + 1)};
    }
    const bool narrow = source.byte_tokens || tokens->vocabulary.size() <= 256;
    const DType stored = narrow ? DType::u8 : DType::i32;
    Result<std::vector<LoadedField>> fields =
        fields_from_arrays(source, wanted, [&](std::size_t i) -> Result<NamedArray> {
            const Result<const SourceField*> field = find_source_field(source, wanted[i].name);
            if (!field) return field.error();
            const std::int64_t shift = (*field)->part == FieldPart::following ? 1 : 0;
            Array array{stored, {rows, source.window}, {}};
            const std::int64_t size = size_of(stored);
            array.bytes.resize(static_cast<std::size_t>(rows * source.window * size));
            std::byte* out = array.bytes.data();
            for (std::int64_t row = 0; row < rows; ++row) {
                for (std::int64_t t = 0; t < source.window; ++t, out += size) {
                    const auto at = static_cast<std::size_t>(row * source.stride + t + shift);
                    store_number(stored, tokens->codes[at], out);
                }
            }
            return NamedArray{std::move(array), file->path};
        });
    if (!fields) return fields;
    if (!source.byte_tokens) {
        for (LoadedField& loaded : *fields) {
            loaded.field.statistics.columns = {{kVocabulary, tokens->vocabulary, std::nullopt}};
        }
    }
    return fields;
}

}  // namespace netc
