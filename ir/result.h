// What can fail returns a Result: a value, or an Error that a user can act on. No exceptions.
//
//     Result<Dataset> data = load(source, wanted, options);
//     if (!data) return data.error();
//     use(*data);
#pragma once

#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

namespace netc {

// The exit statuses of the command line; an Error carries the one that its cause deserves.
enum ExitStatus : int {
    kExitDone = 0,
    kExitProgram = 1,    // the .net program is wrong
    kExitUsage = 2,      // the command line is wrong
    kExitData = 3,       // a file or the data is missing, unreadable or malformed
    kExitRun = 4,        // the run failed: not finite, no memory, no such device
    kExitInternal = 70,  // a bug in netc
    kExitInterrupted = 130,
};

// A place in a file of the user: lines and columns count from 1, 0 means unknown.
struct FilePlace {
    std::string file;
    int line = 0;
    int column = 0;
};

struct Error {
    int status = kExitData;
    std::string message;  // states the fact; no "error:" in front, no full stop behind
    std::optional<FilePlace> place{};
    std::string help{};  // what to do about it; may be empty
};

// One line as the terminal shows it: "file:line:column: message", without severity and help.
inline std::string to_string(const Error& error) {
    std::string text;
    if (error.place) {
        text = error.place->file;
        if (error.place->line > 0) text += ":" + std::to_string(error.place->line);
        if (error.place->line > 0 && error.place->column > 0) {
            text += ":" + std::to_string(error.place->column);
        }
        text += ": ";
    }
    return text + error.message;
}

template <class T>
class [[nodiscard]] Result {
public:
    using value_type = T;

    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    bool ok() const { return state_.index() == 0; }
    explicit operator bool() const { return ok(); }

    // Only after ok().
    T& value() & { return *std::get_if<0>(&state_); }
    const T& value() const& { return *std::get_if<0>(&state_); }
    T&& value() && { return std::move(*std::get_if<0>(&state_)); }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T&& operator*() && { return std::move(*this).value(); }
    T* operator->() { return std::get_if<0>(&state_); }
    const T* operator->() const { return std::get_if<0>(&state_); }

    // Only when not ok().
    Error& error() & { return *std::get_if<1>(&state_); }
    const Error& error() const& { return *std::get_if<1>(&state_); }
    Error&& error() && { return std::move(*std::get_if<1>(&state_)); }

private:
    static_assert(!std::is_same_v<T, Error>, "a Result of an Error is ambiguous");
    std::variant<T, Error> state_;
};

// Success without a value: `return {};`, or an Error.
template <>
class [[nodiscard]] Result<void> {
public:
    using value_type = void;

    Result() = default;
    Result(Error error) : error_(std::move(error)) {}

    bool ok() const { return !error_.has_value(); }
    explicit operator bool() const { return ok(); }
    Error& error() & { return *error_; }
    const Error& error() const& { return *error_; }
    Error&& error() && { return std::move(*error_); }

private:
    std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace netc
