// A train section: its items, each setting once, then the graphs.
#include "frontend/train_section.h"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "frontend/elaborate_model.h"
#include "frontend/suggest.h"
#include "frontend/train_settings.h"

namespace netc::frontend {

namespace {

constexpr std::string_view kSettings[] = {
    "data",   "valid",  "test",     "split",     "loss",          "penalty", "optimizer",
    "batch",  "epochs", "steps",    "drop_last", "shuffle",       "seed",    "dtype",
    "stop",   "save",   "validate", "log",       "train_metrics", "sample",  "load",
    "freeze", "rate",   "solver",   "restarts",  "precision",     "matmul"};
// What the log of a run, and the table of all runs, hold besides the loss and metrics.
constexpr std::string_view kColumns[] = {"epoch",   "step", "epochs",  "steps",
                                         "penalty", "lr",   "seconds", "samples_per_second"};
// What a resumed run may find changed, metrics too.
constexpr std::string_view kAdjustable[] = {"epochs", "steps", "stop", "save", "validate", "log"};
constexpr std::string_view kOptimizerArguments[] = {"lr",           "learning_rate", "momentum",
                                                    "weight_decay", "nesterov",      "clip"};

}  // namespace

std::span<const std::string_view> setting_names() { return kSettings; }

namespace {

// Which way a metric of the library improves.
std::optional<Direction01> direction_of(const ast::Expr& expression) {
    const auto* call = std::get_if<ast::Call>(&expression.kind);
    while (call && std::holds_alternative<ast::Call>(call->callee->kind)) {
        call = std::get_if<ast::Call>(&call->callee->kind);
    }
    const auto* name = call ? std::get_if<ast::NameRef>(&call->callee->kind) : nullptr;
    if (!name) return std::nullopt;
    for (const std::string_view better : {"accuracy", "binary_accuracy", "top_k_accuracy", "r2",
                                          "precision", "recall", "f1", "auc"}) {
        if (name->name == better) return Direction01::max;
    }
    for (const std::string_view better :
         {"mse", "mae", "rmse", "huber", "hinge", "cross_entropy", "bce_with_logits",
          "kl_divergence", "perceptron_loss", "one_vs_rest"}) {
        if (name->name == better) return Direction01::min;
    }
    return std::nullopt;
}

struct SectionReader {
    Session& session;
    const ast::Train& train;
    SettingReader reader;
    TrainSection section = {};
    SectionItems items = {};
    std::map<std::string, const ast::Setting*> settings = {};
    DType real = DType::f32;

    const ast::Expr* setting(const std::string& name) const {
        const auto found = settings.find(name);
        return found == settings.end() ? nullptr : &found->second->value;
    }

    void unknown(const ast::Setting& node) {
        const std::string& name = node.name.text;
        std::string help;
        const bool optimizer =
            std::find(std::begin(kOptimizerArguments), std::end(kOptimizerArguments), name) !=
            std::end(kOptimizerArguments);
        if (optimizer) {
            const std::string argument = name == "learning_rate" ? "lr" : name;
            help = fmt::format("it belongs to the optimizer: `optimizer = {}({} = {})`",
                               argument == "momentum" || argument == "nesterov" ? "sgd"
                               : argument == "weight_decay"                     ? "adamw"
                                                                                : "adam",
                               argument, source_text(reader.context, node.value.span, 30));
        } else {
            const std::vector<std::string_view> known(std::begin(kSettings), std::end(kSettings));
            if (const auto meant = suggest(name, known)) help = "did you mean `" + *meant + "`?";
        }
        reader.error(diagnose<Code::unknown_setting>(node.name.span, "train", name)
                         .text("unknown setting")
                         .help_text(std::move(help)));
    }

    void add_setting(const ast::Setting& node) {
        const std::string& name = node.name.text;
        if (std::find(std::begin(kSettings), std::end(kSettings), name) == std::end(kSettings)) {
            unknown(node);
            return;
        }
        const auto [known, fresh] = settings.emplace(name, &node);
        if (fresh) return;
        reader.error(diagnose<Code::declared_twice>(node.name.span, name)
                         .label(known->second->name.span, "first given here"));
    }

    void collect(const Declaration& declaration) {
        for (const ast::Formal& formal : declaration.callable->inputs.formals) {
            reader.inputs.push_back(formal.name.text);
        }
        reader.fields = reader.inputs;
        for (const ast::TrainItem& item : train.items) {
            if (const auto* target = std::get_if<ast::Target>(&item.kind)) {
                const auto& fields = reader.fields;
                if (std::find(fields.begin(), fields.end(), target->name.text) != fields.end()) {
                    reader.error(
                        diagnose<Code::declared_twice>(target->name.span, target->name.text));
                    continue;
                }
                items.targets.push_back(target);
                reader.fields.push_back(target->name.text);
            } else if (const auto* augment = std::get_if<ast::Augment>(&item.kind)) {
                for (const ast::Augment* known : items.augments) {
                    if (known->name.text != augment->name.text) continue;
                    reader.error(
                        diagnose<Code::declared_twice>(augment->name.span, augment->name.text)
                            .label(known->name.span, "first augmented here"));
                }
                items.augments.push_back(augment);
            } else if (const auto* metric = std::get_if<ast::Metric>(&item.kind)) {
                const auto& names = reader.metrics;
                if (metric->name.text == "loss" ||
                    std::find(names.begin(), names.end(), metric->name.text) != names.end()) {
                    reader.error(
                        diagnose<Code::declared_twice>(metric->name.span, metric->name.text));
                    continue;
                }
                if (std::ranges::find(kColumns, metric->name.text) != std::end(kColumns)) {
                    reader.out_of_range(metric->name.span, "metric",
                                        fmt::format("another name than a column of the log has: {}",
                                                    fmt::join(kColumns, ", ")));
                    continue;
                }
                items.metrics.push_back(metric);
                reader.metrics.push_back(metric->name.text);
                section.metrics.push_back({metric->name.text, metric->name.span});
                section.adjustable.push_back(item.span);
            } else {
                add_setting(std::get<ast::Setting>(item.kind));
            }
        }
        items.loss = setting("loss");
        items.penalty = setting("penalty");
    }

    std::optional<DataSource> source(const std::string& name) {
        const ast::Expr* expression = setting(name);
        if (!expression) return std::nullopt;
        const bool failed = std::exchange(reader.failed, false);
        std::optional<DataSource> read = read_source(reader, *expression);
        // A field that was given under a wrong name is also missing: one mistake, told already.
        if (read && !reader.failed) check_fields(reader, items, *read, name);
        reader.failed = reader.failed || failed;
        return read;
    }

    void check_held_out() {
        if (!section.split) return;
        const auto refuse = [&](const std::string& name) {
            if (!setting(name)) return;
            reader.error(diagnose<Code::held_out_twice>(settings[name]->name.span, name)
                             .label(settings["split"]->name.span, "the split is here"));
        };
        refuse("valid");
        if (section.split->test > 0) refuse("test");
    }

    // Classes are drawn, so there must be one for each sample.
    void check_balance() {
        for (const ast::Target* target : items.targets) {
            const auto* type = std::get_if<ast::TensorType>(&target->type.kind);
            if (target->name.text != section.balance || !type) continue;
            if (type->dims.size() == 1) return;
        }
        if (section.balance.empty()) return;
        reader.error(diagnose<Code::wrong_static_type>(settings["sample"]->name.span, "`balanced`",
                                                       "a target of one class for each sample"));
    }

    std::optional<std::int64_t> positive(const std::string& name) {
        const ast::Expr* expression = setting(name);
        if (!expression) return std::nullopt;
        const auto number = reader.integer(*expression, name);
        if (number && *number < 1) {
            reader.out_of_range(expression->span, name, "at least 1");
            return std::nullopt;
        }
        return number;
    }

    void boolean(const std::string& name, bool& value) {
        if (const ast::Expr* expression = setting(name)) {
            value = reader.boolean(*expression, name).value_or(value);
        }
    }

    void read_numbers() {
        section.batch = positive("batch").value_or(32);
        section.batch_span = setting("batch") ? setting("batch")->span : section.span;
        section.epochs = positive("epochs");
        section.steps = positive("steps");
        if (setting("epochs") && setting("steps")) {
            reader.error(diagnose<Code::epochs_and_steps>(settings["steps"]->name.span)
                             .label(settings["epochs"]->name.span, "given here"));
        }
        boolean("drop_last", section.drop_last);
        boolean("shuffle", section.shuffle);
        boolean("train_metrics", section.train_metrics);
        if (const ast::Expr* seed = setting("seed")) {
            const auto number = reader.integer(*seed, "seed");
            if (number && *number < 0) reader.out_of_range(seed->span, "seed", "at least 0");
            section.seed = static_cast<std::uint64_t>(number.value_or(0));
        }
    }

    Watchable watchable() const {
        Watchable known{
            {{"loss", Direction01::min}}, section.valid || section.split, section.train_metrics};
        for (const ast::Metric* metric : items.metrics) {
            known.metrics.push_back({metric->name.text, direction_of(metric->value)});
        }
        return known;
    }

    void read_control() {
        if (const ast::Expr* stop = setting("stop")) {
            read_stop(reader, *stop, watchable(), section);
        }
        if (const ast::Expr* save = setting("save")) {
            read_save(reader, *save, watchable(), section);
        }
        if (const ast::Expr* validate = setting("validate")) {
            section.validate = read_every(reader, *validate, "validate");
        }
        if (const ast::Expr* log = setting("log")) {
            section.log = read_every(reader, *log, "log");
        }
        if (const ast::Expr* load = setting("load")) section.load = read_load(reader, *load);
        if (const ast::Expr* freeze = setting("freeze")) {
            read_freeze(reader, *freeze, items.patterns);
        }
        if (const ast::Expr* rate = setting("rate")) read_rate(reader, *rate, items.patterns);
        section.restarts = positive("restarts").value_or(1);
        for (const std::string_view name : kAdjustable) {
            const auto found = settings.find(std::string(name));
            if (found == settings.end()) continue;
            const ast::Setting& node = *found->second;
            section.adjustable.push_back(cover(node.name.span, node.value.span));
        }
    }

    void read_solver_and_optimizer() {
        section.optimizer.rate.rate = 1e-3;
        section.optimizer.span = train.keyword;
        if (const ast::Expr* optimizer = setting("optimizer")) {
            section.optimizer = read_optimizer(reader, *optimizer);
        }
        items.solver_place = section.optimizer.span;
        const ast::Expr* solver = setting("solver");
        if (!solver) return;
        read_solver(reader, *solver, section);
        items.solver_place = solver->span;
        // Settings of an iteration that does not take place.
        for (const char* name : {"optimizer", "restarts", "rate"}) {
            if (!section.normal_equation || !setting(name)) continue;
            reader.error(diagnose<Code::solver_does_not_fit>(
                             settings[name]->name.span, "solver = normal_equation()",
                             fmt::format("it solves one system of equations, without `{}`", name))
                             .label(settings["solver"]->name.span, "the solver is given here"));
        }
    }

    // Only a number is better or worse than another.
    bool check_watched() {
        std::vector<const Watch*> watched;
        if (section.best) watched.push_back(&*section.best);
        if (section.patience) watched.push_back(&section.patience->second);
        for (const Watch* watch : watched) {
            const std::string plain = watch->name.substr(watch->name.find('.') + 1);
            const Function* measure = section.module.find("measure");
            if (measure == nullptr) continue;
            for (const Function::Result& result : measure->results) {
                const Type& type = (*measure)[result.value].type;
                if (result.name != plain || type.rank() == 0) continue;
                reader.error(diagnose<Code::wrong_static_type>(
                                 watch->span, fmt::format("what is watched, `{}`,", watch->name),
                                 "a single number")
                                 .text("this is {}", type.to_string()));
            }
        }
        return !reader.failed;
    }

    std::optional<TrainSection> read(const Declaration& declaration, const Model& model) {
        section.model = model.name;
        section.name = train.name ? train.name->text : train.model.text;
        section.span = train.keyword;
        collect(declaration);
        section.data = source("data");
        section.valid = source("valid");
        section.test = source("test");
        if (const ast::Expr* split = setting("split")) {
            const bool table = section.data && section.data->kind == SourceKind::csv;
            section.split = read_split(reader, *split, table);
        }
        check_held_out();
        if (const ast::Expr* sample = setting("sample")) {
            section.balance = read_sample(reader, *sample);
            check_balance();
        }
        read_solver_and_optimizer();
        read_numbers();
        real = read_precision(reader, {setting("dtype"), setting("precision"), setting("matmul")},
                              section);
        read_control();
        if (!items.loss) {
            reader.error(diagnose<Code::no_loss>(train.model.span, section.name)
                             .help("add `loss = mse(out, y)`, or `cross_entropy(out, y)` for "
                                   "classes"));
            return std::nullopt;
        }
        // Errors in settings do not hide errors in the loss.
        const bool built =
            build_section_functions(session, declaration, model, items, real, section);
        if (!built || reader.failed || !check_watched()) return std::nullopt;
        return std::move(section);
    }
};

}  // namespace

std::optional<TrainSection> elaborate_section(Session& session, const ast::Train& train,
                                              const std::string& doc) {
    (void)doc;
    Global* global = find_global(session.main, train.model.text);
    const bool model = global && global->kind == GlobalKind::callable &&
                       global->declaration.callable->kind == ast::CallableKind::model;
    if (!model) {
        std::vector<std::string> names;
        for (const auto& [name, known] : session.main->names) {
            if (known->kind == GlobalKind::callable &&
                known->declaration.callable->kind == ast::CallableKind::model) {
                names.push_back(name);
            }
        }
        const auto meant = suggest(train.model.text, names);
        session.diagnostics.add(
            diagnose<Code::unknown_name>(train.model.span, "model", train.model.text)
                .text("not found")
                .help_text(meant ? "did you mean `" + *meant + "`?" : ""));
        return std::nullopt;
    }
    const ModelResult* result = elaborate_model(session, global->declaration);
    if (!result || !result->ok) return std::nullopt;
    SectionReader reader{session, train, SettingReader(session)};
    return reader.read(global->declaration, result->model);
}

}  // namespace netc::frontend
