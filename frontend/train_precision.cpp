// dtype, precision, matmul: what a train section computes in.
#include "frontend/train_settings.h"

namespace netc::frontend {
namespace {

constexpr std::pair<std::string_view, Precision> kArithmetic[] = {
    {"f32", Precision::f32},
    {"bf16", Precision::bf16},
    {"bf16x3", Precision::bf16x3},
    {"bf16x6", Precision::bf16x6},
};

struct PrecisionReader {
    SettingReader& reader;
    const PrecisionSettings& settings;
    TrainSection& section;
    DType real = DType::f32;

    void read_dtype() {
        const ast::Expr* expression = settings.dtype;
        if (!expression) return;
        const Datum value = reader.value(*expression);
        const auto* dtype = value.as<DtypeValue>();
        if (dtype && dtype->dtype == ast::Dtype::f64) {
            real = DType::f64;
        } else if (dtype && (dtype->dtype == ast::Dtype::f16 || dtype->dtype == ast::Dtype::bf16)) {
            reader.waits(expression->span, "training in 16 bits");
        } else if (!value.failed() && !(dtype && (dtype->dtype == ast::Dtype::f32 ||
                                                  dtype->dtype == ast::Dtype::real))) {
            reader.error(
                diagnose<Code::wrong_static_type>(expression->span, "`dtype`", "f32 or f64"));
        }
    }

    void take(const ast::Expr& expression, std::string_view setting, Precision precision) {
        if (precision != Precision::f32 && real == DType::f64) {
            reader.error(
                diagnose<Code::wrong_static_type>(
                    expression.span, "`" + std::string(setting) + "` of a network in f64", "f32")
                    .label(settings.dtype->span, "f64 here"));
            return;
        }
        section.precision = precision;
    }

    void read_policy() {
        const ast::Expr* expression = settings.precision;
        if (!expression) return;
        const Datum value = reader.value(*expression);
        const auto* dtype = value.as<DtypeValue>();
        if (dtype && dtype->dtype == ast::Dtype::bf16) {
            take(*expression, "precision", Precision::bf16);
        } else if (!value.failed() && !(dtype && dtype->dtype == ast::Dtype::f32)) {
            reader.error(
                diagnose<Code::wrong_static_type>(expression->span, "`precision`", "f32 or bf16"));
        }
    }

    // The arithmetic of contractions alone, which `precision` chooses with everything else.
    void read_matmul() {
        if (!settings.matmul) return;
        const ast::Expr& expression = resolve_condition(reader, *settings.matmul);
        std::string_view word;
        if (const auto* dtype = std::get_if<ast::DtypeLiteral>(&expression.kind)) {
            word = ast::spelling(dtype->dtype);
        } else if (const auto* name = std::get_if<ast::NameRef>(&expression.kind)) {
            word = name->name;
        }
        for (const auto& [known, precision] : kArithmetic) {
            if (word == known) return take(expression, "matmul", precision);
        }
        if (word == "tf32") return reader.waits(expression.span, "`matmul = tf32`");
        if (word.empty()) {
            reader.error(diagnose<Code::wrong_static_type>(expression.span, "`matmul`",
                                                           "f32, bf16, bf16x3 or bf16x6"));
            return;
        }
        static const std::vector<ast::Argument> none;
        known_word(reader, {word, expression.span, expression.span, &none}, "matmul",
                   {"f32", "bf16", "bf16x3", "bf16x6"});
    }
};

}  // namespace

DType read_precision(SettingReader& reader, const PrecisionSettings& settings,
                     TrainSection& section) {
    PrecisionReader precision{reader, settings, section};
    precision.read_dtype();
    precision.read_policy();
    precision.read_matmul();
    return precision.real;
}

}  // namespace netc::frontend
