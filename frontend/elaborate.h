// The elaborator's own interface: an interpreter of the static world that appends nodes to the graph
// under construction. Start at elaborate_files.cpp (what happens to a file), then elaborate_model.cpp.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "frontend/diagnostics.h"
#include "frontend/frontend.h"
#include "frontend/value.h"
#include "ir/graph_builder.h"

namespace netc::frontend {

inline constexpr std::size_t kNodeBudget = 1'000'000;
inline constexpr std::size_t kStepBudget = 10'000'000;
inline constexpr int kCallDepth = 200;
inline constexpr std::int64_t kMaxElements = std::int64_t{1} << 40;  // of a tensor, for one sample
inline constexpr std::size_t kMaxDimText = 4000;  // letters of a size as a polynomial

// ---- names

struct Declaration {
    const ast::Callable* callable = nullptr;
    const FileScope* file = nullptr;
    std::string doc;
};

enum class GlobalKind : std::uint8_t { constant, option, callable, alias };
enum class Progress : std::uint8_t { untouched, running, done };
struct Global {
    GlobalKind kind = GlobalKind::constant;
    Span place;
    const FileScope* file = nullptr;        // where it was declared
    const ast::Expr* expression = nullptr;  // of constants and options
    const ast::Option* option = nullptr;
    std::string doc;
    Declaration declaration;            // of callables
    const FileScope* module = nullptr;  // of aliases
    Datum value;
    Progress progress = Progress::untouched;
    bool used = false;
};

// The names that one file sees.
struct FileScope {
    std::shared_ptr<const ast::File> tree;
    bool library = false;
    std::map<std::string, std::shared_ptr<Global>, std::less<>> names;
    const FileScope* parent = nullptr;  // the library
};

enum class EntryKind : std::uint8_t { let, var, formal, input, dimension, parameter, state, loop };
struct Entry {
    std::string_view name;  // of the syntax tree
    Datum value;
    EntryKind kind = EntryKind::let;
    Span place;
    std::optional<VariableId> variable;  // of state and parameters
};
struct Scope {
    std::shared_ptr<Scope> parent;
    std::vector<Entry> entries;

    Entry* find(std::string_view name);
};
using ScopePointer = std::shared_ptr<Scope>;

// ---- what is being built

// One configured layer in the tree of the network; owns the ordinals of what is below it.
struct Instance {
    Instance* parent = nullptr;
    std::string path;                     // below the model; empty for the model
    std::string layer;                    // conv, linear
    std::map<std::string, int> ordinals;  // of this application
    std::map<std::string, int> names;     // let, param and state of this application
    std::map<std::string, std::unique_ptr<Instance>> children;
    int applications = 0;
    int claimed = 0;  // the parent's application that last used this path
    int random_operators = 0;
    bool owns_variables = false;
    std::vector<Type> inputs;  // of the first application
    Span first_use;
    FunctionPointer function;  // keeps the value alive that points here
};

// One call on the way to what is being evaluated.
struct Frame {
    Frame* caller = nullptr;
    const Declaration* declaration = nullptr;  // null for lambdas
    const FileScope* file = nullptr;           // whose text is being evaluated
    const FunctionValue* function = nullptr;
    Span call;  // the text of the call, in the caller's file
    Instance* instance = nullptr;
    OriginId origin = 0;  // for library code, made once per call
    int depth = 0;
};

// A `repeat` that is being applied: what went into each turn so far.
struct Turns {
    std::size_t count = 0;
    std::vector<Type> inputs = {};
};

struct Lint {  // remembered for warnings after the elaboration
    std::string layer;
    std::string path;
    Span place;
};

struct Session;
struct Region;  // elaborate_scan.h

// One elaboration: a model or an expression of a train section, with one value of `training`.
struct Context {
    explicit Context(Session& of) : session(of) {}

    Session& session;
    Module* module = nullptr;  // null where only static values are wanted
    Function* function = nullptr;
    GraphBuilder* builder = nullptr;
    // Inside of a `scan`, `function` and `builder` are its body's; the model's own builder then is
    // `root_builder`. Origins belong to the model's function while a body is being made.
    GraphBuilder* root_builder = nullptr;
    Region* region = nullptr;
    std::uint32_t regions = 0;  // how many there were
    bool training = false;
    // Instances that are elaborated as in inference even while training: all they own is frozen.
    std::set<std::string> inference_only = {};
    DType real = DType::f32;
    std::vector<Turns> turns = {};
    std::uint64_t elaboration = 0;
    Instance* root = nullptr;
    Frame* frame = nullptr;
    // `x |> f + y`: the pipe whose stage is being evaluated, for the message about precedence.
    const ast::Pipe* pipe = nullptr;
    bool whole_set = false;    // `whole` was called: the metric wants all samples at once
    std::string_view setting;  // the item of a train section being evaluated: loss, metric
    std::unordered_map<std::string, VariableId> variables;
    std::vector<NodeId> variable_nodes;  // of the model's function
    std::map<VariableId, Span> updates;
    std::map<std::pair<std::uint32_t, std::uint32_t>, OriginId> origins;  // of user expressions
    bool over_budget = false;
    bool lint = false;  // collect warnings in this elaboration
    // The node that a layer or function of a name gave, for lints: softmax, linear.
    std::unordered_map<std::uint32_t, Lint> made_by;
};

struct ModelResult;  // elaborate_model.h
struct Session {
    SourceMap& sources;
    Diagnostics& diagnostics;
    CheckOptions options;
    std::weak_ptr<Session> self;  // what data sources of functions keep alive
    bool detached = false;        // `sources` and `diagnostics` may be gone: nothing is reported
    std::map<std::string, std::unique_ptr<FileScope>> files;  // by path
    FileScope* library = nullptr;
    FileScope* main = nullptr;
    std::uint64_t elaborations = 0;
    int constant_depth = 0;       // constants that wait for constants
    bool told_constants = false;  // that they are too many: one message for the whole chain
    std::size_t steps = 0;        // of kStepBudget
    std::vector<std::string> used_dims;
    std::map<const Declaration*, std::unique_ptr<ModelResult>> models;

    Session(SourceMap& map, Diagnostics& sink, const CheckOptions& wanted);
    ~Session();
    Session(const Session&) = delete;
};

// ---- diagnostics

bool is_library(const Context& context, Span place);
// Library code is blamed on the user's call into it: the innermost place in a file of the user.
Span blame(const Context& context, Span place);
// The name of the library function that the blamed call calls; empty where the place is the user's.
std::string_view blamed_callee(const Context& context, Span place);
// Adds it, with notes on the calls that lead there; gives a failed value.
Datum report(const Context& context, Diagnostic diagnostic);
// Counts work of the static world; false beyond the budget (reported, once).
bool spend(Context& context, Span place, std::size_t steps = 1);
// `linear(10)`: the text of a span on one line, shortened.
std::string source_text(const Context& context, Span place, std::size_t limit = 60);

// ---- evaluation (elaborate_expressions.cpp and neighbours)

Datum evaluate(Context& context, const ast::Expr& expression, const ScopePointer& scope);
// Remembers what an expression of the user is, where somebody asked for that.
void note_type(const Context& context, Span place, const Datum& value);
// As evaluate, and a layer or function of all-default configuration may stand bare.
Datum evaluate_stage(Context& context, const ast::Expr& expression, const ScopePointer& scope);
Datum lookup(Context& context, std::string_view name, Span place, const ScopePointer& scope);
Datum global_value(Context& context, Global& global);
// The command line's values (elaborate_options.cpp); what the file has not is status 2.
Status apply_settings(Session& session);
Status check_dims(const Session& session);
Global* find_global(const FileScope* file, std::string_view name);

enum class Flow : std::uint8_t { next, returned, failed };
Flow execute(Context& context, const ast::Block& block, const ScopePointer& scope, Datum& result);
// Binds a pattern; false when the value does not fit it (reported).
bool bind(Context& context, const ast::Pattern& pattern, const Datum& value, EntryKind kind,
          const ScopePointer& scope);
// The truth of a static condition; nothing when it is none (reported).
// `choices`: the two values as a message would write them behind `where(c, `.
std::optional<bool> condition_value(Context& context, const ast::Expr& expression,
                                    std::string_view what, const ScopePointer& scope,
                                    const ast::IfExpr* choices = nullptr);
// The text of an assert with its values filled in; nothing when one is wrong (reported).
std::optional<std::string> assert_text(Context& context, const ast::Assert& assertion,
                                       const ScopePointer& scope);
// Ints of a range, list or tuple to iterate over; nothing when it is none (reported).
std::optional<Items> iterable(Context& context, const Datum& value, std::string_view what);

Datum binary(Context& context, ast::BinaryOperator op, const Datum& left, const Datum& right,
             Span place, Span op_span);
Datum negate(Context& context, const Datum& value, Span place, Span op_span);
Datum logical_not(Context& context, const Datum& value, Span place);
Datum static_binary(Context& context, ast::BinaryOperator op, const Datum& left, const Datum& right,
                    Span place, Span op_span);
Datum matmul(Context& context, const Datum& left, const Datum& right, Span place, Span op_span);
Datum index(Context& context, const ast::Expr& expression, const ast::Index& node,
            const ScopePointer& scope);

// ---- calls (elaborate_calls.cpp)

struct Actual {
    std::string_view name;  // empty when positional
    Span name_place;
    Span place;
    Datum value;
};
// f(...): configures or applies, as the arguments say.
Datum call(Context& context, const FunctionPointer& function, std::vector<Actual> actuals,
           Span place, Span callee_place);
// Applies a configured (or all-default) value to tensors.
Datum apply(Context& context, const FunctionPointer& function, std::vector<Datum> values,
            Span place, Span callee_place);
// The instance that this application of a layer or named composition runs in; null where its inputs
// do not fit an earlier use (reported).
Instance* enter_instance(Context& context, const FunctionPointer& function, std::string_view layer,
                         const std::vector<Datum>& values, Span place, Span callee_place);
// Inside an instance whose parameters are all frozen, `training` is false.
class InstanceMode {
public:
    InstanceMode(Context& context, const Instance* instance);
    ~InstanceMode() { context_.training = before_; }
    InstanceMode(const InstanceMode&) = delete;

private:
    Context& context_;
    bool before_;
};
// A name that is new in this application of an instance: bias, bias_2.
std::string claim_name(Instance& instance, const std::string& name);
// Warnings about what a user's call of a library layer is applied to.
void lint_call(Context& context, const FunctionValue& function, const std::vector<Datum>& values,
               const Datum& result, Span place);

// Pairs arguments with names: positional first, then by name. Nothing where one does not fit
// (reported); unmatched names stay null.
std::optional<std::vector<const Actual*>> pair_arguments(Context& context,
                                                         const FunctionValue& function,
                                                         const std::vector<std::string_view>& names,
                                                         const std::vector<Actual>& actuals,
                                                         Span place);
// The value with its default configuration; null when something is missing (reported).
FunctionPointer configure_by_default(Context& context, const FunctionPointer& function, Span place);
// conv(out, k = 3, ...): the declaration as the note of a message.
std::string signature_text(const Context& context, const FunctionValue& function);
std::vector<std::string> configuration_names(const FunctionValue& function);

// Checks a value against the type of a formal: ints become floats where floats are wanted, a number a
// constant where a tensor is. Static types only; tensors go through match_shape.
std::optional<Datum> adapt_static(Context& context, const Datum& value, ast::StaticKind wanted);
std::string_view wanted_text(ast::StaticKind kind);  // "an int"

// ---- signatures (elaborate_signatures.cpp)

// What no use of a declaration is needed for: names given twice, two packs in a shape.
void check_signature(Diagnostics& diagnostics, const ast::Callable& callable);

DType resolve(const Context& context, ast::Dtype dtype);
// Matches the tensor formals against the values, left to right; binds dimensions into the scope.
bool match_inputs(Context& context, const FunctionValue& function,
                  const std::vector<ast::Formal>& formals, std::vector<Datum>& values, Span call,
                  const ScopePointer& scope);
// The shape of a type whose names are all bound; nothing when something is wrong (reported).
// Dimensions that may be anything (`_`) are not allowed here.
std::optional<Shape> evaluate_shape(Context& context, const ast::TensorType& type,
                                    const ScopePointer& scope);
// Whether a declared input or target has a size that can be: every dimension at least 1, as far as it
// is known (E0307), and not too many elements (E0317). `what`: "the input `x`".
bool check_dimensions(Context& context, const Shape& shape, Span place, std::string_view what);
// Compares a result with the declared type; reports E0305, E0205.
bool check_result(Context& context, const ast::Type& type, const Datum& value,
                  std::string_view what, const ScopePointer& scope, bool outputs);
std::string type_text(const Context& context, const ast::Type& type);

// ---- tensors (elaborate_tensors.cpp)

netc::Value graph_value(Context& context, const Tensor& tensor);
// A tensor of a new node; dimensions take their origins from `sources` where equal, else from `place`.
Datum tensor_datum(Context& context, netc::Value value, Span place,
                   const std::vector<const Tensor*>& sources);
// True, and reported, where an operator would calculate in 16 bits.
bool refuse_half_arithmetic(Context& context, OpId op, DType result, Span place);
// Whether a machine could hold it; otherwise E0317. `what`: "the input `x`".
bool check_elements(Context& context, const Shape& shape, Span place, std::string_view what);
// Whether the batch, which code has as a number of its own, is in one dimension, a times it and b; otherwise E0801.
bool check_batch(Context& context, const Type& type, Span place);
// Appends a node; what the operator refuses is E0315 at the place, what it cannot do yet E0801.
Datum make_node(Context& context, OpId op, const std::vector<const Tensor*>& inputs,
                Attributes attributes, Span place);
// Whether a double holds it exactly, as constants of the graph are doubles.
bool is_double(std::int64_t value);
// Whether the type holds a static number; otherwise E0314 or E0318. Floats hold all, rounded.
bool check_number(const Context& context, const Datum& number, DType dtype, Span place);
// A static number as a tensor of this type: a filled constant, or computed from B.
Datum number_tensor(Context& context, const Datum& number, DType dtype, const Shape& shape,
                    Span place);
// A tensor for a datum that is a tensor or a static number (adapting to `dtype`).
Datum as_tensor(Context& context, const Datum& value, DType dtype, Span place);
// The value stretched to a shape that the broadcasting rules allow.
Datum broadcast_to(Context& context, const Datum& value, const Shape& shape, Span place);
// The shape of an elementwise operation; nothing when they do not line up.
std::optional<Shape> broadcast_shapes(const Shape& a, const Shape& b);
// E0303 or E0304. The shapes differ.
Datum shapes_error(Context& context, std::string_view op, const Tensor& left, const Tensor& right,
                   Span left_place, Span right_place, Span op_span);
void note_origin(Context& context, Span place);

}  // namespace netc::frontend
