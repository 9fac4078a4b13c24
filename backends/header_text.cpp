#include "backends/header_text.h"

#include <cctype>

#include "backends/c_header.h"

namespace netc {
namespace {

std::string upper_case(std::string text) {
    for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return text;
}

const char* c_type(DType dtype) {
    switch (dtype) {
        case DType::f64: return "double";
        case DType::f32: return "float";
        case DType::i64: return "int64_t";
        case DType::i32: return "int32_t";
        case DType::i16: return "int16_t";
        case DType::i8: return "int8_t";
        case DType::u8:
        case DType::b1: return "uint8_t";
        case DType::f16:
        case DType::bf16: return "uint16_t";
    }
    return "void";
}

// Lines of a documentation comment, as they stand inside a comment of C.
std::vector<std::string> doc_lines(const std::string& doc) {
    std::vector<std::string> lines{{}};
    for (char c : comment_safe(doc)) {
        if (c == '\n') {
            lines.emplace_back();
        } else if (c != '\r') {
            lines.back() += c;
        }
    }
    // A backslash at the end of a line would join it to the next.
    for (std::string& line : lines) {
        if (line.ends_with('\\')) line += '.';
    }
    return lines;
}

}  // namespace

std::string dims_text(const std::vector<Extent>& dims) {
    std::string text;
    for (const Extent& dim : dims) {
        if (!text.empty()) text += ", ";
        if (dim.is_static()) {
            text += std::to_string(dim.constant);
            continue;
        }
        text += dim.per_batch == 1 ? "B" : fmt::format("{} * B", dim.per_batch);
        if (dim.constant > 0) text += fmt::format(" + {}", dim.constant);
        if (dim.constant < 0) text += fmt::format(" - {}", -dim.constant);
    }
    return text;
}

std::string comment_safe(std::string_view text) {
    std::string safe;
    for (const char c : text) {
        const char last = safe.empty() ? ' ' : safe.back();
        if ((last == '*' && c == '/') || (last == '/' && c == '*')) safe += ' ';
        safe += c;
    }
    return safe;
}

HeaderText::HeaderText(const Program& of, const ObjectOptions& with)
    : program(of), options(with), p(with.prefix), P(upper_case(with.prefix)), names(of, p, P) {}

std::string HeaderText::inputs_text(const Entry& entry) const {
    std::string list;
    for (const EntryArgument& argument : entry.inputs) {
        list += fmt::format("const {} *{} /* [{}] */, ", c_type(argument.dtype),
                            names.input(argument.name), dims_text(argument.dims));
    }
    return list;
}

std::string HeaderText::outputs_text(const Entry& entry) const {
    std::string list;
    for (const EntryArgument& argument : entry.outputs) {
        list += fmt::format("{} *{} /* [{}] */, ", c_type(argument.dtype),
                            names.output(argument.name), dims_text(argument.dims));
    }
    return list;
}

void HeaderText::documentation() {
    if (options.doc.empty()) return;
    for (const std::string& text_line : doc_lines(options.doc)) line(" * {}", text_line);
    line(" *");
}

void HeaderText::includes() {
    line("#ifndef NETC_{}_H", P);
    line("#define NETC_{}_H\n", P);
    line("#include <stddef.h>");
    line("#include <stdint.h>\n");
    line("#ifdef __cplusplus");
    line("extern \"C\" {{");
    line("#endif\n");
}

void HeaderText::region_sizes() {
    std::int64_t count = 0;
    for (const VariablePlace& place : program.weights) {
        if (place.kind == VariableKind::parameter && !place.frozen)
            count += place.size / size_of(place.dtype);
    }
    line("#define {}_ALIGN {}", P, kAlignment);
    line("#define {}_PARAM_COUNT {}", P, count);
    line("#define {}_WEIGHTS_SIZE {}", P, program.weights_size);
    line("#define {}_PREPARED_SIZE {}", P, program.prepared_size);
    line("#define {}_OPTIMIZER_SIZE {}", P, options.train ? program.optimizer_size : 0);
    line("#define {}_MODEL_HASH UINT64_C(0x{:016x})\n", P, program.model_hash);
}

void HeaderText::hyper_type() {
    line("/* A null pointer for the whole, or NaN as the rate, means what the train section "
         "says, its schedule included;");
    line(" * the step count lives in the optimizer region. steps_per_epoch counts for "
         "schedules in epochs; 0 means the");
    line(" * number that an earlier call left, or training stored with the weights. */");
    line("typedef struct {}_hyper {{", p);
    line("    float learning_rate;");
    line("    uint64_t seed;");
    line("    uint64_t steps_per_epoch;");
    line("}} {}_hyper;\n", p);
}

void HeaderText::table() {
    const TensorTable layout = tensor_table(program);
    line("/* What lies in the weights, at which offset; row-major, names as in the safetensors "
         "file. */");
    line("enum {{ {0}_F64, {0}_F32, {0}_F16, {0}_BF16, {0}_I64, {0}_I32, {0}_I16, {0}_I8, "
         "{0}_U8, {0}_B1 }};",
         P);
    line("enum {{ {0}_PARAMETER, {0}_STATE }};", P);
    line("typedef struct {}_tensor {{", p);
    line("    char name[{}];", layout.name_size);
    line("    int32_t dtype, rank;");
    line("    int64_t shape[{}];", layout.max_rank);
    line("    uint64_t offset, size;   /* bytes */");
    line("    int32_t kind, frozen;");
    line("}} {}_tensor;", p);
    line("const {0}_tensor *{0}_tensors(size_t *count);\n", p);
}

void HeaderText::closing() {
    line("#ifdef __cplusplus");
    line("}}");
    line("#endif");
    line("#endif");
}

}  // namespace netc
