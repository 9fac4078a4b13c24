// Words of kernel text. Private to kernel_parse.cpp.
#pragma once

#include <cctype>
#include <string>
#include <string_view>

namespace netc {

// Identifiers and numbers are words; `//`, `+=`, `->`, `<=` and single characters are signs.
class KernelLexer {
public:
    explicit KernelLexer(std::string_view text) : text_(text) { next(); }

    const std::string& word() const { return word_; }  // empty at the end
    int line() const { return line_; }
    bool is_name() const { return is_name_; }
    bool is_number() const { return is_number_; }

    void next() {
        skip_blank();
        is_name_ = is_number_ = false;
        word_.clear();
        if (at_ >= text_.size()) return;
        const char c = text_[at_];
        if (letter(c)) {
            is_name_ = true;
            while (at_ < text_.size() && (letter(text_[at_]) || digit(text_[at_]))) take();
            if (at_ < text_.size() && text_[at_] == '\'') take();
        } else if (digit(c)) {
            is_number_ = true;
            while (at_ < text_.size() && in_number()) take();
        } else {
            const std::string_view two = text_.substr(at_, 2);
            const bool is_pair = two == "//" || two == "+=" || two == "->";
            take();
            if (is_pair) take();
        }
    }

private:
    static bool letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_'; }
    static bool digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }
    bool in_number() const {
        const char c = text_[at_];
        const char before = word_.empty() ? ' ' : word_.back();
        return digit(c) || c == '.' || c == 'e' || ((c == '-' || c == '+') && before == 'e');
    }
    void take() { word_ += text_[at_++]; }
    // Comments run from # to the end of the line.
    void skip_blank() {
        while (at_ < text_.size()) {
            if (text_[at_] == '#') {
                while (at_ < text_.size() && text_[at_] != '\n') ++at_;
            } else if (std::isspace(static_cast<unsigned char>(text_[at_]))) {
                line_ += text_[at_++] == '\n';
            } else {
                return;
            }
        }
    }

    std::string_view text_;
    std::size_t at_ = 0;
    int line_ = 1;
    std::string word_;
    bool is_name_ = false, is_number_ = false;
};

}  // namespace netc
