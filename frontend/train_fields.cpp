// Whether a data source supplies what the model and the loss want.
#include <algorithm>

#include <fmt/format.h>

#include "frontend/train_settings.h"

namespace netc::frontend {

void check_fields(SettingReader& reader, const SectionItems& items, const DataSource& source,
                  std::string_view name) {
    std::vector<std::string> supplied;
    for (const SourceField& field : source.fields) supplied.push_back(field.name);
    switch (source.kind) {
        case SourceKind::xor_gate:
        case SourceKind::circles:
        case SourceKind::gauss:
        case SourceKind::spiral:
        case SourceKind::moons:
        case SourceKind::digits:
        case SourceKind::function: supplied = {"x", "y"}; break;
        case SourceKind::inline_values:
        case SourceKind::csv:
        case SourceKind::idx:
        case SourceKind::npy:
        case SourceKind::npz:
        case SourceKind::images:
        case SourceKind::text:
        case SourceKind::series:
        case SourceKind::cifar: break;
    }
    for (const SourceField& field : source.fields) {
        const bool input = std::find(reader.inputs.begin(), reader.inputs.end(), field.name) !=
                           reader.inputs.end();
        if (input || !has_standardize(field.selector)) continue;
        reader.error(
            diagnose<Code::wrong_static_type>(field.span, "what is standardized", "an input")
                .text("`{}` is a target", field.name)
                .note("targets are taken as they are, so that a loss is in their unit"));
    }
    for (const std::string& field : reader.fields) {
        if (std::find(supplied.begin(), supplied.end(), field) != supplied.end()) continue;
        const bool input =
            std::find(reader.inputs.begin(), reader.inputs.end(), field) != reader.inputs.end();
        Diagnostic diagnostic =
            diagnose<Code::missing_field>(
                source.span, name, fmt::format("the {} `{}`", input ? "input" : "target", field))
                .text("supplies: {}", supplied.empty()
                                          ? std::string("nothing")
                                          : fmt::format("{}", fmt::join(supplied, ", ")));
        for (const ast::Target* target : items.targets) {
            if (target->name.text != field) continue;
            std::move(diagnostic).label(target->name.span, "declared here");
        }
        switch (source.kind) {
            case SourceKind::idx:
                std::move(diagnostic).help("add `{} = \"train-labels\"`", field);
                break;
            case SourceKind::npy:
                std::move(diagnostic).help("add `{} = \"{}.npy\"`", field, field);
                break;
            case SourceKind::csv: std::move(diagnostic).help("add `{} = col(0)`", field); break;
            case SourceKind::inline_values:
                std::move(diagnostic).help("add `{} = [...]`", field);
                break;
            case SourceKind::xor_gate:
            case SourceKind::circles:
            case SourceKind::gauss:
            case SourceKind::spiral:
            case SourceKind::moons:
            case SourceKind::digits:
            case SourceKind::function:
                std::move(diagnostic).help("generated data fills `x` and `y`: call them so");
                break;
            case SourceKind::npz:
                std::move(diagnostic).help("add `{} = \"{}\"`", field, field);
                break;
            case SourceKind::images:
                std::move(diagnostic).help("add `{} = {}`", field, input ? "image()" : "folder()");
                break;
            case SourceKind::text:
                std::move(diagnostic)
                    .help("add `{} = {}`", field, input ? "this()" : "following()");
                break;
            case SourceKind::series:
                std::move(diagnostic)
                    .help("add `{} = {}`", field, input ? "cols(0..4)" : "folder()");
                break;
            case SourceKind::cifar:
                std::move(diagnostic).help("add `{} = {}`", field, input ? "image()" : "label()");
                break;
        }
        reader.error(std::move(diagnostic));
    }
}

}  // namespace netc::frontend
