// Blame: what goes wrong inside library code is told at the user's call of it.
#include <algorithm>

#include <fmt/format.h>

#include "frontend/elaborate.h"
#include "frontend/utf8.h"

namespace netc::frontend {

bool is_library(const Context& context, Span place) {
    return place.known() && context.session.library &&
           place.file == context.session.library->tree->file;
}

Span blame(const Context& context, Span place) {
    const Frame* frame = context.frame;
    while (frame && (is_library(context, place) || !place.known())) {
        place = frame->call;
        frame = frame->caller;
    }
    return place;
}

std::string_view blamed_callee(const Context& context, Span place) {
    std::string_view name;
    const Frame* frame = context.frame;
    while (frame && (is_library(context, place) || !place.known())) {
        if (frame->function) name = frame->function->name();
        place = frame->call;
        frame = frame->caller;
    }
    return name;
}

bool spend(Context& context, Span place, std::size_t steps) {
    Session& session = context.session;
    if (session.detached) return true;  // data is made with it, as much as is wanted
    const bool told = session.steps > kStepBudget;
    session.steps += steps;
    if (session.steps <= kStepBudget) return true;
    if (!told) report(context, diagnose<Code::step_budget>(blame(context, place), kStepBudget));
    return false;
}

std::string source_text(const Context& context, Span place, std::size_t limit) {
    if (!place.known() || context.session.detached) return {};
    std::string text;
    bool space = false;
    for (const char c : context.session.sources.text(place)) {
        if (c == ' ' || c == '\n' || c == '\t' || c == '\r') {
            space = !text.empty();
            continue;
        }
        if (space) text += ' ';
        space = false;
        text += c;
    }
    if (text.size() > limit) {
        std::size_t end = limit - 3;
        while (!begins_character(text, end)) --end;
        text = text.substr(0, end) + "...";
    }
    return text;
}

Datum report(const Context& context, Diagnostic diagnostic) {
    if (context.session.detached) return failed_datum();
    const Span place = diagnostic.primary.span;
    // The frames from the library are no business of the user; those of their own layers are.
    const Frame* frame = context.frame;
    while (frame && is_library(context, frame->call)) frame = frame->caller;
    int shown = 0;
    for (; frame && frame->caller && shown < 3; frame = frame->caller) {
        const bool own = !is_library(context, frame->call) && frame->call.known() &&
                         !(frame->call == place) && frame->function && frame->declaration &&
                         frame->file && !frame->file->library;
        if (!own) continue;
        ++shown;
        diagnostic.notes.push_back(
            {fmt::format("in `{}`", source_text(context, frame->call)), {frame->call, ""}});
    }
    context.session.diagnostics.add(std::move(diagnostic));
    return failed_datum();
}

}  // namespace netc::frontend
