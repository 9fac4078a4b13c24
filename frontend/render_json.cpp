// Diagnostics for programs: {"diagnostics": [{severity, code, message, file, line, column,
// end_line, end_column, labels, notes, help}]}.
#include "frontend/render.h"

#include <nlohmann/json.hpp>

namespace netc {
namespace {

using Json = nlohmann::ordered_json;

// Lines and columns count from one, columns in code points; the end is the position behind the last
// character.
void add_place(Json& object, Span span, const SourceMap& sources) {
    if (!span.known()) return;
    const Position begin = sources.begin(span);
    const Position end = sources.end(span);
    object["file"] = sources.path(span.file);
    object["line"] = begin.line;
    object["column"] = begin.column;
    object["end_line"] = end.line;
    object["end_column"] = end.column;
}

Json label_object(const Label& label, bool primary, const SourceMap& sources) {
    Json object;
    object["text"] = label.text;
    object["primary"] = primary;
    add_place(object, label.span, sources);
    return object;
}

Json object_of(const Diagnostic& diagnostic, const SourceMap& sources) {
    Json object;
    object["severity"] = diagnostic.severity == Severity::error ? "error" : "warning";
    object["code"] = info(diagnostic.code).code;
    object["message"] = diagnostic.message;
    add_place(object, diagnostic.primary.span, sources);
    object["labels"] = Json::array();
    if (diagnostic.primary.span.known())
        object["labels"].push_back(label_object(diagnostic.primary, true, sources));
    for (const Label& label : diagnostic.labels)
        object["labels"].push_back(label_object(label, false, sources));
    object["notes"] = Json::array();
    for (const Note& note : diagnostic.notes) {
        Json entry;
        entry["text"] = note.text;
        if (note.place.span.known()) {
            entry["label"] = note.place.text;
            add_place(entry, note.place.span, sources);
        }
        object["notes"].push_back(std::move(entry));
    }
    object["help"] = diagnostic.helps;
    return object;
}

}  // namespace

std::string render_json(const Diagnostics& diagnostics, const SourceMap& sources) {
    Json all;
    all["diagnostics"] = Json::array();
    for (const Diagnostic& diagnostic : diagnostics.all())
        all["diagnostics"].push_back(object_of(diagnostic, sources));
    if (diagnostics.left_out() > 0) all["left_out"] = diagnostics.left_out();
    // Texts may quote bytes of a file that is not UTF-8.
    return all.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace netc
