#include "frontend/train_function.h"

#include <fmt/format.h>

namespace netc::frontend {

namespace {

// Numbers of a result: a number, or a list or tuple of them.
bool numbers_of(const Datum& value, std::vector<double>& numbers) {
    if (value.is_number() && !value.is<Dim>()) {
        numbers.push_back(number_of(value));
        return true;
    }
    const Items* items = value.items();
    if (!items) return false;
    for (const Datum& item : *items) {
        if (!numbers_of(item, numbers)) return false;
    }
    return true;
}

// What evaluating a sample needs after the elaboration is over.
struct KeptFunction {
    std::shared_ptr<Session> session;
    FunctionPointer function;
    std::size_t parameters = 1;
};

Result<std::vector<double>> evaluate_sample(const KeptFunction& kept,
                                            std::span<const double> sample) {
    Context context(*kept.session);
    Frame frame;
    frame.file = kept.session->main;
    context.frame = &frame;
    Items values;
    for (const double number : sample) values.push_back({number, kept.function->place});
    if (kept.parameters == 1 && values.size() > 1) {
        values = {make_list(std::move(values), kept.function->place)};
    }
    const Datum result = apply(context, kept.function, std::move(values), kept.function->place,
                               kept.function->place);
    std::vector<double> numbers;
    if (!result.failed() && numbers_of(result, numbers)) return numbers;
    return Error{kExitProgram, "the function of the data source does not give numbers", {}, {}};
}

bool read_range(const Datum& value, std::pair<double, double>& range) {
    const Items* items = value.items();
    const bool pair = items && items->size() == 2 && (*items)[0].is_number() &&
                      (*items)[1].is_number() && !(*items)[0].is<Dim>() && !(*items)[1].is<Dim>();
    if (!pair) return false;
    range = {number_of((*items)[0]), number_of((*items)[1])};
    return range.first < range.second;
}

bool read_ranges(const Datum& value, std::vector<std::pair<double, double>>& ranges) {
    std::pair<double, double> range;
    if (read_range(value, range)) {
        ranges.push_back(range);
        return true;
    }
    if (!value.items() || value.items()->empty()) return false;
    for (const Datum& item : *value.items()) {
        if (!read_range(item, range)) return false;
        ranges.push_back(range);
    }
    return true;
}

}  // namespace

void read_function(SettingReader& reader, Span place, const ast::Expr* function,
                   const ast::Expr* over, DataSource& source) {
    if (!function || !over) {
        reader.error(diagnose<Code::missing_argument>(
                         place, "function", function ? "the argument `over`" : "a function")
                         .help("for example `function(x -> sin(3 * x), over = (-1, 1))`"));
        return;
    }
    const Datum value = reader.value(*function);
    const Datum ranges = reader.value(*over);
    if (value.failed() || ranges.failed()) return;
    const auto* pointer = value.as<FunctionPointer>();
    if (!pointer) {
        reader.error(diagnose<Code::wrong_static_type>(function->span, "what `function` samples",
                                                       "a function such as `x -> sin(x)`")
                         .text("this is {}", describe_kind(value)));
        return;
    }
    if (!read_ranges(ranges, source.over)) {
        reader.error(diagnose<Code::wrong_static_type>(
            over->span, "`over`", "a range `(low, high)` or a list of one for each input"));
        return;
    }
    KeptFunction kept{reader.session.self.lock(), *pointer, 1};
    if ((*pointer)->lambda) kept.parameters = (*pointer)->lambda->parameters.size();
    if ((*pointer)->declaration) {
        kept.parameters = (*pointer)->declaration->callable->inputs.formals.size();
    }
    if (kept.parameters != 1 && kept.parameters != source.over.size()) {
        reader.error(diagnose<Code::wrong_number_of_results>(over->span, "`over`",
                                                             source.over.size(), kept.parameters)
                         .label(function->span, "the function takes {} values", kept.parameters));
        return;
    }
    source.function = [kept](std::span<const double> sample) {
        return evaluate_sample(kept, sample);
    };
    // Once now, so that mistakes are reported here.
    const std::vector<double> middle = [&] {
        std::vector<double> values;
        for (const auto& [low, high] : source.over) values.push_back((low + high) / 2);
        return values;
    }();
    const std::size_t errors = reader.session.diagnostics.error_count();
    const Result<std::vector<double>> sample = source.function(middle);
    if (sample || reader.session.diagnostics.error_count() > errors) {
        reader.failed = reader.failed || !sample;
        return;
    }
    reader.error(diagnose<Code::wrong_static_type>(function->span, "the value of the function",
                                                   "a number or a list of numbers"));
}

}  // namespace netc::frontend
