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

std::string_view word_of(const ast::Expr& expression) {
    if (const auto* dtype = std::get_if<ast::DtypeLiteral>(&expression.kind)) {
        return ast::spelling(dtype->dtype);
    }
    const auto* name = std::get_if<ast::NameRef>(&expression.kind);
    return name ? std::string_view(name->name) : std::string_view();
}

struct PrecisionReader {
    SettingReader& reader;
    const PrecisionSettings& settings;
    TrainSection& section;
    DType real = DType::f32;

    void unknown_word(const ast::Expr& expression, std::string_view setting,
                      std::initializer_list<std::string_view> words) {
        static const std::vector<ast::Argument> none;
        known_word(reader, {word_of(expression), expression.span, expression.span, &none}, setting,
                   words);
    }

    // The value of a setting whose words are dtypes. What is no dtype and no name of the file is a
    // word that was meant to be one of them.
    Datum dtype_value(const ast::Expr& given, std::string_view setting,
                      std::initializer_list<std::string_view> words) {
        const ast::Expr& expression = resolve_condition(reader, given);
        const auto* name = std::get_if<ast::NameRef>(&expression.kind);
        if (!name || find_global(reader.session.main, name->name)) return reader.value(expression);
        unknown_word(expression, setting, words);
        return failed_datum();
    }

    void read_dtype() {
        const ast::Expr* expression = settings.dtype;
        if (!expression) return;
        const Datum value = dtype_value(*expression, "dtype", {"f32", "f64"});
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
        const Datum value = dtype_value(*expression, "precision", {"f32", "bf16"});
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
        const std::string_view word = word_of(expression);
        for (const auto& [known, precision] : kArithmetic) {
            if (word == known) return take(expression, "matmul", precision);
        }
        if (word == "tf32") return reader.waits(expression.span, "`matmul = tf32`");
        if (word.empty()) {
            reader.error(diagnose<Code::wrong_static_type>(expression.span, "`matmul`",
                                                           "f32, bf16, bf16x3 or bf16x6"));
            return;
        }
        unknown_word(expression, "matmul", {"f32", "bf16", "bf16x3", "bf16x6"});
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
