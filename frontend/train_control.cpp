// What controls a run: when it validates, stops and saves, what it starts from, what it leaves alone.
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "frontend/train_settings.h"

namespace netc::frontend {

std::optional<Duration> read_every(SettingReader& reader, const ast::Expr& expression,
                                   std::string_view name) {
    const auto call = setting_call(reader, expression);
    if (!call) {
        reader.error(diagnose<Code::wrong_static_type>(expression.span, fmt::format("`{}`", name),
                                                       "such as `every(500st)`"));
        return std::nullopt;
    }
    if (!known_word(reader, *call, name, {"every"})) return std::nullopt;
    const SettingArguments arguments(reader, *call, {"period"}, 1);
    const Duration period = arguments.needed_duration("period");
    const ast::Expr* place = arguments.find("period");
    if (place && !reader.failed && !(period.value > 0)) {
        reader.out_of_range(place->span, name, "a period above 0");
    }
    return period;
}

namespace {

bool refers_to_held_out(const Watch& watch) { return watch.name.starts_with("valid."); }

// Of a file of weights beside those that a run keeps anyway.
void check_file_name(SettingReader& reader, const ast::Expr* place, const std::string& name) {
    if (place == nullptr) return;
    const auto refuse = [&](std::string_view wanted) {
        reader.out_of_range(place->span, "file", wanted);
    };
    if (name.empty() || name.find('/') != std::string::npos)
        return refuse("a name without folders");
    const bool control = std::ranges::any_of(
        name, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
    if (control) return refuse("a name without control characters");
    if (name.starts_with('.')) return refuse("a name that does not begin with a dot");
    if (name == "last" || name == "state") {
        refuse("another name: a run keeps its own files as `last` and `state`");
    }
}

void save_best(SettingReader& reader, const SettingCall& call, const Watchable& watchable,
               TrainSection& section) {
    const SettingArguments arguments(reader, call, {"file", "by"}, 1);
    if (auto file = arguments.text("file")) {
        if (file->ends_with(".safetensors")) file->resize(file->size() - 12);
        check_file_name(reader, arguments.find("file"), *file);
        section.best_file = *file;
    }
    const ast::Expr* by = arguments.find("by");
    if (!by) {
        if (!watchable.held_out) {
            reader.session.diagnostics.add(diagnose<Code::no_held_out_data>(call.place, "save"));
        }
        return;
    }
    const auto watch = read_watch(reader, *by, watchable);
    if (!watch) return;
    if (refers_to_held_out(*watch) && !watchable.held_out) {
        reader.session.diagnostics.add(diagnose<Code::no_held_out_data>(watch->span, "save"));
    }
    section.best = *watch;
}

void save_every(SettingReader& reader, const SettingCall& call, TrainSection& section) {
    const SettingArguments arguments(reader, call, {"period", "file"}, 2);
    SaveEvery save;
    save.period = arguments.needed_duration("period");
    const ast::Expr* period = arguments.find("period");
    if (period && !reader.failed && !(save.period.value > 0)) {
        reader.out_of_range(period->span, "save", "a period above 0");
    }
    save.file = arguments.text("file").value_or(save.period.unit == DurationUnit::epochs ? "epoch"
                                                                                         : "step");
    if (save.file.ends_with(".safetensors")) save.file.resize(save.file.size() - 12);
    check_file_name(reader, arguments.find("file"), save.file);
    section.save_every = save;
}

}  // namespace

void read_stop(SettingReader& reader, const ast::Expr& expression, const Watchable& watchable,
               TrainSection& section) {
    const auto call = setting_call(reader, expression);
    if (!call) {
        reader.error(diagnose<Code::wrong_static_type>(expression.span, "`stop`",
                                                       "such as `patience(3ep)`"));
        return;
    }
    if (!known_word(reader, *call, "stop", {"patience"})) return;
    const SettingArguments arguments(reader, *call, {"patience", "on"}, 1);
    const Duration patience = arguments.needed_duration("patience");
    const ast::Expr* epochs = arguments.find("patience");
    if (epochs && patience.unit != DurationUnit::epochs) {
        reader.error(
            diagnose<Code::wrong_static_type>(epochs->span, "`patience`", "in epochs: `3ep`"));
    } else if (epochs && !reader.failed && !(patience.value > 0)) {
        reader.out_of_range(epochs->span, "patience", "above 0ep");
    }
    Watch watch{watchable.held_out ? "valid.loss" : "loss", Direction01::min, call->place};
    if (const ast::Expr* on = arguments.find("on")) {
        const auto given = read_watch(reader, *on, watchable);
        if (!given) return;
        watch = *given;
    }
    if (refers_to_held_out(watch) && !watchable.held_out) {
        reader.error(
            diagnose<Code::missing_field>(
                watch.span, "data", fmt::format("`{}`: there is no held-out data", watch.name))
                .help("add `split = random(train = 0.8, valid = 0.2)`"));
        return;
    }
    section.patience = {patience.value, watch};
}

void read_save(SettingReader& reader, const ast::Expr& expression, const Watchable& watchable,
               TrainSection& section) {
    const auto call = setting_call(reader, expression);
    if (!call) {
        reader.error(diagnose<Code::wrong_static_type>(expression.span, "`save`",
                                                       "such as `best(by = max(\"valid.acc\"))`"));
        return;
    }
    if (!known_word(reader, *call, "save", {"best", "every"})) return;
    if (call->name == "best") {
        save_best(reader, *call, watchable, section);
    } else {
        save_every(reader, *call, section);
    }
}

void read_solver(SettingReader& reader, const ast::Expr& expression, TrainSection& section) {
    const auto call = setting_call(reader, expression);
    if (!call) {
        reader.error(
            diagnose<Code::wrong_static_type>(expression.span, "`solver`", "`normal_equation()`"));
        return;
    }
    if (!known_word(reader, *call, "solver", {"normal_equation"})) return;
    const SettingArguments none(reader, *call, {}, 0);
    section.normal_equation = true;
}

// ---- what training starts from

namespace {

std::ptrdiff_t stars(const std::string& text) { return std::count(text.begin(), text.end(), '*'); }

// [("resnet_1.*", "backbone.*")]: names in the file, names in the model.
void read_map(SettingReader& reader, const ast::Expr& expression, LoadSpec& load) {
    const Datum value = reader.value(expression);
    if (value.failed()) return;
    const Items* items = value.items();
    bool good = items != nullptr;
    for (std::size_t i = 0; good && i < items->size(); ++i) {
        const Items* pair = (*items)[i].items();
        const std::string* from =
            pair && pair->size() == 2 ? (*pair)[0].as<std::string>() : nullptr;
        const std::string* to = from ? (*pair)[1].as<std::string>() : nullptr;
        good = to != nullptr;
        if (!good) break;
        if (stars(*from) != stars(*to)) {
            reader.out_of_range((*items)[i].place, "map",
                                "pairs with as many `*` on both sides: each stands for the same "
                                "text");
        }
        load.map.emplace_back(*from, *to);
    }
    if (good) return;
    reader.error(
        diagnose<Code::wrong_static_type>(expression.span, "`map`",
                                          "a list such as `[(\"resnet_1.*\", \"backbone.*\")]`")
            .text("names in the file, names in the model"));
}

}  // namespace

std::optional<LoadSpec> read_load(SettingReader& reader, const ast::Expr& given) {
    const ast::Expr& expression = resolve_condition(reader, given);
    LoadSpec load;
    load.span = expression.span;
    if (!std::holds_alternative<ast::Call>(expression.kind)) {
        const auto path = reader.text(expression, "load");
        if (!path) return std::nullopt;
        load.path = *path;
        return load;
    }
    const auto call = setting_call(reader, expression);
    if (!call || !known_word(reader, *call, "load", {"weights"})) return std::nullopt;
    const SettingArguments arguments(reader, *call, {"path", "map", "partial"}, 1);
    if (!arguments.find("path")) {
        reader.error(diagnose<Code::missing_argument>(call->place, "weights", "a file name"));
        return std::nullopt;
    }
    load.path = arguments.text("path").value_or("");
    load.partial = arguments.boolean("partial").value_or(false);
    if (const ast::Expr* map = arguments.find("map")) read_map(reader, *map, load);
    return load;
}

// ---- what it leaves alone

void read_freeze(SettingReader& reader, const ast::Expr& expression, Patterns& patterns) {
    const Datum value = reader.value(expression);
    if (value.failed()) return;
    bool good = value.items() != nullptr;
    for (std::size_t i = 0; good && i < value.items()->size(); ++i) {
        const Datum& item = (*value.items())[i];
        const std::string* glob = item.as<std::string>();
        good = glob != nullptr;
        if (good) patterns.freeze.push_back({*glob, item.place});
    }
    if (good) return;
    reader.error(diagnose<Code::wrong_static_type>(expression.span, "`freeze`",
                                                   "a list of patterns such as `[\"backbone.*\"]`")
                     .text("this is {}", describe_kind(value)));
}

void read_rate(SettingReader& reader, const ast::Expr& expression, Patterns& patterns) {
    const Datum value = reader.value(expression);
    if (value.failed()) return;
    bool good = value.items() != nullptr;
    for (std::size_t i = 0; good && i < value.items()->size(); ++i) {
        const Datum& item = (*value.items())[i];
        const Items* pair = item.items();
        good = pair && pair->size() == 2 && (*pair)[0].as<std::string>() &&
               (*pair)[1].is_number() && !(*pair)[1].is<Dim>();
        if (!good) break;
        const double factor = number_of((*pair)[1]);
        if (!(factor >= 0)) reader.out_of_range((*pair)[1].place, "rate", "at least 0");
        patterns.rate.push_back({*(*pair)[0].as<std::string>(), factor, item.place});
    }
    if (good) return;
    reader.error(diagnose<Code::wrong_static_type>(expression.span, "`rate`",
                                                   "a list such as `[(\"backbone.*\", 0.1)]`")
                     .text("this is {}", describe_kind(value)));
}

bool apply_patterns(Session& session, const Patterns& patterns, Module& module) {
    bool good = true;
    const auto each = [&](const std::string& glob, Span place, bool states, auto change) {
        bool matched = false;
        for (Variable& variable : module.variables) {
            const bool kind = variable.kind == VariableKind::parameter ||
                              (states && variable.kind == VariableKind::state);
            if (!kind || !glob_matches(glob, variable.name)) continue;
            matched = true;
            change(variable);
        }
        if (matched) return;
        good = false;
        session.diagnostics.add(
            diagnose<Code::glob_matches_nothing>(place, glob).text("no parameter has such a path"));
    };
    for (const Patterns::Frozen& freeze : patterns.freeze) {
        each(freeze.glob, freeze.place, true, [](Variable& v) { v.frozen = true; });
    }
    for (const Patterns::Rate& rate : patterns.rate) {
        each(rate.glob, rate.place, false, [&](Variable& v) { v.rate *= rate.factor; });
    }
    return good;
}

std::set<std::string> frozen_instances(const Module& module) {
    std::map<std::string, bool> all_frozen;
    for (const Variable& variable : module.variables) {
        if (variable.kind != VariableKind::parameter) continue;
        for (std::size_t dot = variable.name.find('.'); dot != std::string::npos;
             dot = variable.name.find('.', dot + 1)) {
            bool& all = all_frozen.try_emplace(variable.name.substr(0, dot), true).first->second;
            all = all && variable.frozen;
        }
    }
    std::set<std::string> instances;
    for (const auto& [path, all] : all_frozen) {
        if (all) instances.insert(path);
    }
    return instances;
}

}  // namespace netc::frontend
