// Reading the settings of a train section: each is a word of its own table with arguments, such as
// `adam(lr = 1e-3)`, `random(train = 0.8)`, `csv("f", x = col(0))`.
#pragma once

#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/elaborate.h"

namespace netc::frontend {

// What all settings of a section share. Errors are reported where they are found; `failed` says that
// there was one.
struct SettingReader {
    Session& session;
    Context context;  // static: no tensors in settings
    Frame frame;
    ScopePointer scope = std::make_shared<Scope>();
    std::vector<std::string> fields;  // inputs, then targets
    std::vector<std::string> inputs;
    std::vector<std::string> metrics;
    bool failed = false;

    explicit SettingReader(Session& of);
    SettingReader(const SettingReader&) = delete;

    void error(Diagnostic diagnostic);
    Datum value(const ast::Expr& expression);  // failed values set `failed`
    std::optional<double> number(const ast::Expr& expression, std::string_view what);
    std::optional<std::int64_t> integer(const ast::Expr& expression, std::string_view what);
    std::optional<bool> boolean(const ast::Expr& expression, std::string_view what);
    std::optional<std::string> text(const ast::Expr& expression, std::string_view what);
    std::optional<Duration> duration(const ast::Expr& expression, std::string_view what);
    void waits(Span place, std::string_view what);
    void out_of_range(Span place, std::string_view name, std::string_view wanted);
};

// `name(arguments)`, or a bare `name`. Conditions known while compiling are resolved first.
struct SettingCall {
    std::string_view name;
    Span name_place;
    Span place;
    const std::vector<ast::Argument>* arguments = nullptr;
};
std::optional<SettingCall> setting_call(SettingReader& reader, const ast::Expr& expression);
const ast::Expr& resolve_condition(SettingReader& reader, const ast::Expr& expression);

// The arguments of a call by name; unknown ones are E0201.
class SettingArguments {
public:
    // `positional` may be given by position, in this order; all others by name only. With `fields`,
    // further names are collected as fields.
    SettingArguments(SettingReader& reader, const SettingCall& call,
                     std::vector<std::string_view> names, std::size_t positional,
                     bool with_fields = false);

    const ast::Expr* find(std::string_view name) const;
    Span place() const { return call_.place; }
    std::optional<double> number(std::string_view name) const;
    std::optional<std::int64_t> integer(std::string_view name) const;
    std::optional<bool> boolean(std::string_view name) const;
    std::optional<std::string> text(std::string_view name) const;
    std::optional<Duration> duration(std::string_view name) const;
    // As duration; missing is E0202.
    Duration needed_duration(std::string_view name) const;

    std::vector<const ast::Argument*> fields;

private:
    SettingReader& reader_;
    const SettingCall& call_;
    std::vector<std::pair<std::string_view, const ast::Expr*>> values_;
};

// The word of a table, or E0601 with a suggestion.
bool known_word(SettingReader& reader, const SettingCall& call, std::string_view setting,
                std::initializer_list<std::string_view> words);

Schedule read_schedule(SettingReader& reader, const ast::Expr& expression);
OptimizerSpec read_optimizer(SettingReader& reader, const ast::Expr& expression);
// `table`: columns of the data may be named that are no fields.
std::optional<SplitSpec> read_split(SettingReader& reader, const ast::Expr& expression, bool table);
// balanced(y): the name of the field; empty when wrong (reported).
std::string read_sample(SettingReader& reader, const ast::Expr& expression);
std::optional<DataSource> read_source(SettingReader& reader, const ast::Expr& expression);

// min("valid.loss"), max("valid.acc"), or a bare name whose direction is known.
struct MetricInfo {
    std::string name;
    std::optional<Direction01> direction;
};
// What `stop` and `save` may watch.
struct Watchable {
    std::vector<MetricInfo> metrics;
    bool held_out = false, train_metrics = false;
};
// A metric without a prefix is the held-out one where there are held-out data.
std::optional<Watch> read_watch(SettingReader& reader, const ast::Expr& expression,
                                const Watchable& watchable);
// every(500st)
std::optional<Duration> read_every(SettingReader& reader, const ast::Expr& expression,
                                   std::string_view name);
void read_stop(SettingReader& reader, const ast::Expr& expression, const Watchable& watchable,
               TrainSection& section);
void read_save(SettingReader& reader, const ast::Expr& expression, const Watchable& watchable,
               TrainSection& section);
std::optional<LoadSpec> read_load(SettingReader& reader, const ast::Expr& expression);
// What the section computes in; null where a setting is missing. Gives `real` and sets section.precision.
struct PrecisionSettings {
    const ast::Expr *dtype = nullptr, *precision = nullptr, *matmul = nullptr;
};
DType read_precision(SettingReader& reader, const PrecisionSettings& settings,
                     TrainSection& section);
void read_solver(SettingReader& reader, const ast::Expr& expression, TrainSection& section);

// freeze = ["backbone.*"], rate = [("head.*", 10.0)]
struct Patterns {
    struct Frozen {
        std::string glob;
        Span place;
    };
    struct Rate {
        std::string glob;
        double factor = 1;
        Span place;
    };
    std::vector<Frozen> freeze;
    std::vector<Rate> rate;
};
void read_freeze(SettingReader& reader, const ast::Expr& expression, Patterns& patterns);
void read_rate(SettingReader& reader, const ast::Expr& expression, Patterns& patterns);
// Marks the variables that the patterns match; false where one matches nothing (reported).
bool apply_patterns(Session& session, const Patterns& patterns, Module& module);
// The instances below which there are parameters and all of them are frozen.
std::set<std::string> frozen_instances(const Module& module);

// ---- the graph side (train_graph.cpp, train_penalty.cpp)

struct SectionItems {
    std::vector<const ast::Target*> targets;
    std::vector<const ast::Augment*> augments;
    std::vector<const ast::Metric*> metrics;
    const ast::Expr* loss = nullptr;
    const ast::Expr* penalty = nullptr;
    Patterns patterns = {};
    Span solver_place = {};  // of `solver`, else of `optimizer`
};
// Every input and target by name; targets are not standardized. Else E0602, E0203.
void check_fields(SettingReader& reader, const SectionItems& items, const DataSource& source,
                  std::string_view name);
// Builds forward, training and evaluate; false when something is wrong (reported).
bool build_section_functions(Session& session, const Declaration& declaration, const Model& model,
                             const SectionItems& items, DType real, TrainSection& section);
// l2(c, on = "glob") + l1(...) as a node; failed when something is wrong.
Datum penalty_value(Context& context, SettingReader& reader, const ast::Expr& expression);
// E0615 where the section's solver, or L-BFGS, cannot train this graph.
bool check_solver(Session& session, const TrainSection& section, const SectionItems& items);
// Gradients of 16 bits would have to be added in 16 bits: whether some would (reported).
bool trains_through_half(Session& session, const Function& training);
// Warns of parameters that `total` reads, but only through operators without a derivative, and where it depends on
// no parameter that is trained.
void lint_gradient(Session& session, const TrainSection& section, const Function& training,
                   NodeId total, Span loss);
bool glob_matches(std::string_view glob, std::string_view text);

}  // namespace netc::frontend
