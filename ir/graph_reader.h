// Words of graph text: what graph_parse.cpp reads with. Private to it. After the first error every
// reading function gives an empty value and leaves the place, so callers look at `error` where they
// please, at the latest when they are done.
#pragma once

#include <charconv>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "ir/graph.h"
#include "ir/graph_words.h"
#include "ir/result.h"

namespace netc {

class GraphReader {
public:
    explicit GraphReader(std::string_view text) : text_(text) {}

    const std::optional<Error>& error() const { return error_; }
    bool failed() const { return error_.has_value(); }
    void fail(const std::string& what) {
        if (error_) return;
        error_ = Error{kExitData, fmt::format("line {}: {}", line_, what)};
    }

    bool at_end() {
        skip_blank();
        return failed() || at_ == text_.size();
    }
    // The next character, blanks and comments skipped; 0 at the end.
    char peek() { return at_end() ? '\0' : text_[at_]; }

    // Signs and words. A word is not accepted as the beginning of a longer one.
    bool accept(std::string_view token) {
        skip_blank();
        if (failed() || text_.substr(at_, token.size()) != token) return false;
        const std::size_t end = at_ + token.size();
        const bool word = std::isalpha(static_cast<unsigned char>(token.front())) != 0;
        if (word && end < text_.size() && is_name_char(text_[end]) && text_[end] != ':') {
            return false;
        }
        at_ = end;
        return true;
    }
    // The same, but not behind a comment or on a later line.
    bool accept_on_line(std::string_view token) {
        skip_spaces();
        return text_.substr(at_, token.size()) == token && accept(token);
    }
    void expect(std::string_view token) {
        if (!accept(token)) fail(fmt::format("expected `{}` before `{}`", token, here()));
    }

    // A bare or quoted name.
    std::string name() {
        skip_blank();
        if (peek() == '"') return string();
        std::size_t end = at_;
        while (end < text_.size() && is_name_char(text_[end])) ++end;
        while (end > at_ && text_[end - 1] == ':') --end;
        if (end == at_) fail(fmt::format("expected a name before `{}`", here()));
        if (failed()) return {};
        std::string result(text_.substr(at_, end - at_));
        at_ = end;
        return result;
    }

    std::string string() {
        expect("\"");
        std::string result;
        while (!failed()) {
            if (at_ == text_.size() || text_[at_] == '\n') {
                fail("the text has no closing quote");
            } else if (text_[at_] == '"') {
                ++at_;
                return result;
            } else if (text_[at_] != '\\') {
                result += text_[at_++];
            } else {
                result += escaped();
            }
        }
        return {};
    }

    template <class T>
    T integer() {
        T value = 0;
        skip_blank();
        if (failed()) return 0;
        const char* begin = text_.data() + at_;
        const auto [end, status] = std::from_chars(begin, text_.data() + text_.size(), value);
        if (status != std::errc{}) {
            fail(fmt::format("expected a whole number before `{}`", here()));
            return 0;
        }
        at_ += static_cast<std::size_t>(end - begin);
        return value;
    }

    double number() {
        double value = 0;
        skip_blank();
        if (failed()) return 0;
        const char* begin = text_.data() + at_;
        const auto [end, status] = std::from_chars(begin, text_.data() + text_.size(), value);
        if (status != std::errc{}) {
            fail(fmt::format("expected a number before `{}`", here()));
            return 0;
        }
        at_ += static_cast<std::size_t>(end - begin);
        return value;
    }

    bool boolean() {
        if (accept("true")) return true;
        expect("false");
        return false;
    }

    DType dtype() {
        std::size_t end = at_;
        skip_blank();
        end = at_;
        while (end < text_.size() && std::isalnum(static_cast<unsigned char>(text_[end])) != 0)
            ++end;
        const std::optional<DType> type = parse_dtype(text_.substr(at_, end - at_));
        if (!type) fail(fmt::format("expected an element type before `{}`", here()));
        if (failed()) return DType::f32;
        at_ = end;
        return *type;
    }

    // `[`, entries with commas between, `]`.
    template <class Entry>
    void list(const Entry& entry) {
        expect("[");
        if (accept("]")) return;
        do {
            entry();
        } while (!failed() && accept(","));
        expect("]");
    }

    Shape shape() {
        Shape result;
        list([&] { result.push_back(dim()); });
        return result;
    }

    Type type() {
        Type result;
        result.dtype = dtype();
        result.shape = shape();
        return result;
    }

    Span span() {
        if (accept("?")) return {};
        Span result;
        result.file = integer<std::uint32_t>();
        expect(":");
        result.begin = integer<std::uint32_t>();
        expect("-");
        result.end = integer<std::uint32_t>();
        return result;
    }

    // `# instance span span...` at the end of a node's line, where there is one.
    std::optional<Origin> origin() {
        skip_spaces();
        if (failed() || at_ == text_.size() || text_[at_] != '#') return std::nullopt;
        ++at_;
        std::size_t end = text_.find('\n', at_);
        if (end == std::string_view::npos) end = text_.size();
        GraphReader words(text_.substr(at_, end - at_));
        words.line_ = line_;
        at_ = end;
        Origin result;
        result.instance = words.name();
        if (!words.at_end()) result.span = words.span();
        while (!words.at_end()) result.calls.push_back(words.span());
        if (words.failed()) error_ = words.error();
        return result;
    }

private:
    std::string here() {
        skip_blank();
        const std::size_t end = text_.find_first_of(" \n", at_);
        return at_ == text_.size() ? "the end" : std::string(text_.substr(at_, end - at_));
    }

    char escaped() {
        ++at_;
        if (at_ < text_.size() && (text_[at_] == '"' || text_[at_] == '\\')) return text_[at_++];
        unsigned value = 0;
        const std::string_view digits = text_.substr(at_ < text_.size() ? at_ + 1 : at_, 2);
        const auto [end, status] =
            std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
        if (status != std::errc{} || end != digits.data() + 2) {
            fail("unknown escape in a text");
            return 0;
        }
        at_ += 3;
        return static_cast<char>(value);
    }

    // Up to the comma or bracket that ends it.
    Dim dim() {
        std::size_t end = at_;
        while (end < text_.size() && text_[end] != ',' && text_[end] != ']' && text_[end] != '\n') {
            ++end;
        }
        const std::optional<Dim> result = parse_dim(text_.substr(at_, end - at_));
        if (!result) fail(fmt::format("expected a dimension before `{}`", here()));
        if (failed()) return {};
        at_ = end;
        return *result;
    }

    void skip_spaces() {
        while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    }
    void skip_blank() {
        while (at_ < text_.size()) {
            if (text_[at_] == '#') {
                while (at_ < text_.size() && text_[at_] != '\n') ++at_;
            } else if (std::isspace(static_cast<unsigned char>(text_[at_])) != 0) {
                line_ += text_[at_++] == '\n' ? 1 : 0;
            } else {
                return;
            }
        }
    }

    std::string_view text_;
    std::size_t at_ = 0;
    int line_ = 1;
    std::optional<Error> error_;
};

}  // namespace netc
