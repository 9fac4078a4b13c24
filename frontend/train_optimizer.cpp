// Optimizers, schedules, splits and what `stop` and `save` watch.
#include <algorithm>

#include <fmt/format.h>

#include "frontend/suggest.h"
#include "frontend/train_settings.h"

namespace netc::frontend {

namespace {

constexpr std::string_view kSchedules[] = {"constant", "step",   "exponential",
                                           "cosine",   "linear", "piecewise"};

// In the order of time, from the beginning on; the first mistake is told.
void check_order(SettingReader& reader, const Items& items,
                 const std::vector<std::pair<Duration, double>>& points) {
    if (points.front().first.value != 0) {
        reader.out_of_range(items[0].place, "piecewise", "a list that begins at 0st or 0ep");
        return;
    }
    for (std::size_t i = 1; i < points.size(); ++i) {
        const Duration &before = points[i - 1].first, &at = points[i].first;
        if (before.unit != at.unit || before.value < at.value) continue;
        reader.out_of_range(items[i].place, "piecewise",
                            "a list of points one after the other in time");
        return;
    }
}

void read_points(SettingReader& reader, const ast::Expr& expression, Schedule& schedule) {
    const Datum list = reader.value(expression);
    if (list.failed()) return;
    bool good = list.items() && !list.items()->empty();
    for (std::size_t i = 0; good && i < list.items()->size(); ++i) {
        const Items* pair = (*list.items())[i].items();
        good = pair && pair->size() == 2 && (*pair)[0].is<QuantityValue>() &&
               (*pair)[1].is_number() && !(*pair)[1].is<Dim>();
        if (!good) break;
        const QuantityValue& at = *(*pair)[0].as<QuantityValue>();
        const bool counted = at.unit == ast::Unit::epochs || at.unit == ast::Unit::steps;
        good = counted;
        schedule.points.emplace_back(Duration{at.value, at.unit == ast::Unit::epochs
                                                            ? DurationUnit::epochs
                                                            : DurationUnit::steps},
                                     number_of((*pair)[1]));
    }
    if (!good) {
        reader.error(
            diagnose<Code::wrong_static_type>(expression.span, "the argument of `piecewise`",
                                              "a list such as `[(0st, 0.1), (10ep, 0.01)]`"));
        return;
    }
    schedule.rate = schedule.points.front().second;
    check_order(reader, *list.items(), schedule.points);
}

// Schedules count epochs or steps; nothing divides by a duration of 0.
void check_durations(SettingReader& reader, const SettingCall& call, const Schedule& schedule) {
    if (reader.failed) return;
    const std::string name(call.name);
    for (const Duration& duration : {schedule.every, schedule.over, schedule.warmup}) {
        if (duration.unit != DurationUnit::seconds) continue;
        reader.out_of_range(call.place, name, "in epochs (`20ep`) or steps (`500st`)");
        return;
    }
    if (schedule.kind == ScheduleKind::constant) return;
    const bool periodic =
        schedule.kind == ScheduleKind::step || schedule.kind == ScheduleKind::exponential;
    if (periodic && !(schedule.every.value > 0)) {
        reader.out_of_range(call.place, "every", "above 0");
    } else if (periodic && schedule.gamma < 0) {
        reader.out_of_range(call.place, "gamma", "at least 0");
    } else if (!periodic && !(schedule.over.value > 0)) {
        reader.out_of_range(call.place, "over", "above 0");
    } else if (schedule.warmup.unit == schedule.over.unit &&
               schedule.warmup.value >= schedule.over.value && !periodic) {
        reader.out_of_range(call.place, "warmup", "shorter than `over`, inside of which it lies");
    }
}

}  // namespace

Schedule read_schedule(SettingReader& reader, const ast::Expr& given) {
    const ast::Expr& expression = resolve_condition(reader, given);
    Schedule schedule;
    const std::optional<SettingCall> call = std::holds_alternative<ast::Call>(expression.kind)
                                                ? setting_call(reader, expression)
                                                : std::nullopt;
    const bool known = call && std::find(std::begin(kSchedules), std::end(kSchedules),
                                         call->name) != std::end(kSchedules);
    if (!known) {
        schedule.rate = reader.number(expression, "lr").value_or(0);
        if (schedule.rate < 0) reader.out_of_range(expression.span, "lr", "at least 0");
        return schedule;
    }
    if (call->name == "piecewise") {
        schedule.kind = ScheduleKind::piecewise;
        const SettingArguments arguments(reader, *call, {"points"}, 1);
        if (const ast::Expr* points = arguments.find("points")) {
            read_points(reader, *points, schedule);
        } else {
            reader.error(diagnose<Code::missing_argument>(call->place, call->name, "a list"));
        }
        return schedule;
    }
    std::vector<std::string_view> names{"lr"};
    if (call->name == "step" || call->name == "exponential") names = {"lr", "gamma", "every"};
    if (call->name == "cosine") names = {"lr", "over", "warmup", "floor"};
    if (call->name == "linear") names = {"lr", "over", "floor"};
    const SettingArguments arguments(reader, *call, names, names.size());
    if (!arguments.find("lr")) {
        reader.error(
            diagnose<Code::missing_argument>(call->place, call->name, "the base rate `lr`"));
    }
    schedule.rate = arguments.number("lr").value_or(0);
    if (schedule.rate < 0) reader.out_of_range(call->place, "lr", "at least 0");
    schedule.floor = arguments.number("floor").value_or(0);
    if (call->name == "step" || call->name == "exponential") {
        schedule.kind = call->name == "step" ? ScheduleKind::step : ScheduleKind::exponential;
        schedule.gamma = arguments.number("gamma").value_or(0.1);
        schedule.every = arguments.needed_duration("every");
    } else if (call->name == "cosine" || call->name == "linear") {
        schedule.kind = call->name == "cosine" ? ScheduleKind::cosine : ScheduleKind::linear;
        schedule.over = arguments.needed_duration("over");
        schedule.warmup = arguments.duration("warmup").value_or(Duration{});
    }
    check_durations(reader, *call, schedule);
    return schedule;
}

namespace {

OptimizerSpec read_lbfgs(SettingReader& reader, const SettingCall& call) {
    OptimizerSpec spec;
    spec.kind = OptimizerKind::lbfgs;
    spec.span = call.place;
    const SettingArguments arguments(reader, call, {"lr", "history", "tolerance"}, 1);
    spec.rate.rate = arguments.number("lr").value_or(1.0);
    spec.history = arguments.integer("history").value_or(spec.history);
    spec.tolerance = arguments.number("tolerance").value_or(spec.tolerance);
    if (!(spec.rate.rate > 0)) {
        reader.out_of_range(arguments.find("lr")->span, "lr", "above 0: the first step tried");
    }
    if (spec.history < 1 || spec.history > 1000) {
        reader.out_of_range(arguments.find("history")->span, "history", "from 1 to 1000");
    }
    if (!(spec.tolerance >= 0)) {
        reader.out_of_range(arguments.find("tolerance")->span, "tolerance", "at least 0");
    }
    return spec;
}

}  // namespace

OptimizerSpec read_optimizer(SettingReader& reader, const ast::Expr& expression) {
    OptimizerSpec spec;
    spec.span = expression.span;
    spec.rate.rate = 1e-3;
    const std::optional<SettingCall> call = setting_call(reader, expression);
    if (!call) {
        reader.error(diagnose<Code::wrong_static_type>(expression.span, "`optimizer`",
                                                       "an optimizer such as `adam(lr = 1e-3)`"));
        return spec;
    }
    if (!known_word(reader, *call, "optimizer", {"sgd", "adam", "adamw", "rmsprop", "lbfgs"})) {
        return spec;
    }
    if (call->name == "lbfgs") return read_lbfgs(reader, *call);
    std::vector<std::string_view> names{"lr"};
    if (call->name == "sgd") {
        spec.kind = OptimizerKind::sgd;
        names = {"lr", "momentum", "nesterov", "clip"};
    } else if (call->name == "adam") {
        spec.kind = OptimizerKind::adam;
        names = {"lr", "beta1", "beta2", "eps", "clip"};
    } else if (call->name == "adamw") {
        spec.kind = OptimizerKind::adamw;
        spec.weight_decay = 0.01;
        names = {"lr", "weight_decay", "beta1", "beta2", "eps", "clip"};
    } else {
        spec.kind = OptimizerKind::rmsprop;
        spec.rate.rate = 1e-2;
        names = {"lr", "alpha", "eps", "momentum", "clip"};
    }
    const SettingArguments arguments(reader, *call, names, 1);
    if (const ast::Expr* rate = arguments.find("lr")) {
        spec.rate = read_schedule(reader, *rate);
    } else if (spec.kind == OptimizerKind::sgd) {  // the others have one that suits most networks
        reader.error(diagnose<Code::missing_argument>(call->place, call->name, "the base rate `lr`")
                         .help("for example `sgd(lr = 0.1)`"));
    }
    spec.momentum = arguments.number("momentum").value_or(spec.momentum);
    spec.nesterov = arguments.boolean("nesterov").value_or(spec.nesterov);
    spec.beta1 = arguments.number("beta1").value_or(spec.beta1);
    spec.beta2 = arguments.number("beta2").value_or(spec.beta2);
    spec.epsilon = arguments.number("eps").value_or(spec.epsilon);
    spec.alpha = arguments.number("alpha").value_or(spec.alpha);
    spec.weight_decay = arguments.number("weight_decay").value_or(spec.weight_decay);
    spec.clip = arguments.number("clip");
    const auto below_one = [&](std::string_view name, double value) {
        if (value >= 0 && value < 1) return;
        const ast::Expr* place = arguments.find(name);
        reader.out_of_range(place ? place->span : call->place, name, "at least 0 and below 1");
    };
    below_one("momentum", spec.momentum);
    below_one("beta1", spec.beta1);
    below_one("beta2", spec.beta2);
    below_one("alpha", spec.alpha);
    if (spec.clip && *spec.clip <= 0) {
        reader.out_of_range(arguments.find("clip")->span, "clip", "above 0");
    }
    if (spec.weight_decay < 0) {
        reader.out_of_range(arguments.find("weight_decay")->span, "weight_decay", "at least 0");
    }
    if (spec.nesterov && spec.momentum == 0) {
        reader.out_of_range(arguments.find("nesterov")->span, "nesterov",
                            "used with a `momentum` above 0");
    }
    return spec;
}

namespace {

// A field; of a table also a column by its name in the header: "patient", or col("patient").
std::string field_name(SettingReader& reader, const ast::Expr* expression, bool table) {
    if (!expression) return {};
    const auto* reference = std::get_if<ast::NameRef>(&expression->kind);
    const auto* text = std::get_if<ast::StringLiteral>(&expression->kind);
    std::string name = reference ? reference->name : text ? text->value : "";
    const auto& fields = reader.fields;
    const auto* call = std::get_if<ast::Call>(&expression->kind);
    const auto* callee = call ? std::get_if<ast::NameRef>(&call->callee->kind) : nullptr;
    if (callee && callee->name == "col" && call->arguments.size() == 1) {
        const ast::Expr& column = call->arguments[0].value;
        if (const auto* named = std::get_if<ast::StringLiteral>(&column.kind)) text = named;
        if (text) name = text->value;
    }
    if (table && text && !name.empty()) return name;
    if (std::find(fields.begin(), fields.end(), name) != fields.end()) return name;
    const auto meant = suggest(name, fields);
    reader.error(diagnose<Code::unknown_name>(expression->span, "input or target",
                                              name.empty() ? "this" : name)
                     .caused_by(name)
                     .help_text(meant ? "did you mean `" + *meant + "`?" : ""));
    return {};
}

}  // namespace

std::optional<SplitSpec> read_split(SettingReader& reader, const ast::Expr& expression,
                                    bool table) {
    const std::optional<SettingCall> call = setting_call(reader, expression);
    if (!call) {
        reader.error(diagnose<Code::wrong_static_type>(
            expression.span, "`split`", "such as `random(train = 0.8, valid = 0.2)`"));
        return std::nullopt;
    }
    if (!known_word(reader, *call, "split", {"random", "last", "fold"})) return std::nullopt;
    SplitSpec spec;
    spec.span = expression.span;
    const auto part = [&](std::string_view name, double fraction) {
        if (fraction == 0) {
            reader.error(diagnose<Code::empty_part>(call->place, name));
        } else if (!(fraction > 0 && fraction <= 1)) {
            reader.out_of_range(call->place, name, "a fraction between 0 and 1");
        }
    };
    if (call->name == "random") {
        const SettingArguments arguments(
            reader, *call, {"train", "valid", "test", "stratify", "group", "seed"}, 3);
        const auto train = arguments.number("train");
        const auto valid = arguments.number("valid");
        spec.test = arguments.number("test").value_or(0);
        spec.train = train ? *train : 1 - valid.value_or(0.2) - spec.test;
        spec.valid = valid ? *valid : 1 - spec.train - spec.test;
        spec.stratify = field_name(reader, arguments.find("stratify"), table);
        spec.group = field_name(reader, arguments.find("group"), table);
        spec.seed = static_cast<std::uint64_t>(arguments.integer("seed").value_or(0));
        part("train", spec.train);
        part("valid", spec.valid);
        if (spec.train + spec.valid + spec.test > 1 + 1e-9) {
            reader.out_of_range(call->place, "split", "fractions that sum to at most 1");
        }
    } else if (call->name == "last") {
        spec.kind = SplitKind::last;
        const SettingArguments arguments(reader, *call, {"valid"}, 1);
        spec.valid = arguments.number("valid").value_or(0.2);
        spec.train = 1 - spec.valid;
        part("valid", spec.valid);
        part("train", spec.train);
    } else {
        spec.kind = SplitKind::fold;
        const SettingArguments arguments(reader, *call, {"k", "i"}, 2);
        spec.folds = arguments.integer("k").value_or(5);
        spec.fold = arguments.integer("i").value_or(0);
        if (spec.folds < 2) reader.out_of_range(call->place, "k", "at least 2");
        if (spec.fold < 0 || spec.fold >= spec.folds) {
            reader.out_of_range(call->place, "i", fmt::format("from 0 to {}", spec.folds - 1));
        }
    }
    return spec;
}

std::string read_sample(SettingReader& reader, const ast::Expr& expression) {
    const std::optional<SettingCall> call = setting_call(reader, expression);
    if (!call) {
        reader.error(diagnose<Code::wrong_static_type>(expression.span, "`sample`",
                                                       "such as `balanced(y)`"));
        return {};
    }
    if (!known_word(reader, *call, "sample", {"balanced"})) return {};
    const SettingArguments arguments(reader, *call, {"field"}, 1);
    if (const ast::Expr* field = arguments.find("field")) return field_name(reader, field, false);
    reader.error(diagnose<Code::missing_argument>(call->place, call->name, "a target"));
    return {};
}

std::optional<Watch> read_watch(SettingReader& reader, const ast::Expr& expression,
                                const Watchable& watchable) {
    const std::vector<MetricInfo>& metrics = watchable.metrics;
    Watch watch;
    watch.span = expression.span;
    std::optional<Direction01> direction;
    const ast::Expr* name = &expression;
    if (const auto* call = std::get_if<ast::Call>(&expression.kind)) {
        const auto* callee = std::get_if<ast::NameRef>(&call->callee->kind);
        const bool known = callee && (callee->name == "min" || callee->name == "max") &&
                           call->arguments.size() == 1;
        if (known) {
            direction = callee->name == "min" ? Direction01::min : Direction01::max;
            name = &call->arguments[0].value;
        }
    }
    if (const auto* reference = std::get_if<ast::NameRef>(&name->kind)) {
        watch.name = reference->name;
    } else {
        const auto text = reader.text(*name, "what is watched");
        if (!text) return std::nullopt;
        watch.name = *text;
    }
    std::string plain = watch.name;
    if (plain.starts_with("valid.") ||
        (plain.starts_with("train.") && watchable.held_out && watchable.train_metrics)) {
        plain.erase(0, 6);
    } else if (watchable.held_out && plain != "loss") {
        watch.name = "valid." + plain;  // that is where metrics run
    }
    std::vector<std::string> names;
    for (const MetricInfo& metric : metrics) names.push_back(metric.name);
    const auto found = std::find(names.begin(), names.end(), plain);
    if (found == names.end()) {
        std::vector<std::string> full;
        for (const std::string& known : names) full.push_back("valid." + known);
        auto meant = suggest(watch.name, full);
        reader.error(diagnose<Code::unknown_name>(name->span, "metric", watch.name)
                         .note("known are {}", fmt::join(full, ", "))
                         .help_text(meant ? "did you mean `" + *meant + "`?" : ""));
        return std::nullopt;
    }
    const MetricInfo& metric = metrics[static_cast<std::size_t>(found - names.begin())];
    if (!direction) direction = metric.direction;
    if (!direction) {
        reader.error(diagnose<Code::direction_unknown>(expression.span, watch.name)
                         .help("write `min(\"{}\")` or `max(\"{}\")`", watch.name, watch.name));
        return std::nullopt;
    }
    watch.direction = *direction;
    return watch;
}

}  // namespace netc::frontend
