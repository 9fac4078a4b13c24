// The syntax tree of a .net file: one plain struct a construct of Net.g4, every one with its span.
//
// The elaborator walks it with std::visit. A file that parses without an error gives a tree without
// holes: pointers are never null unless their comment says so. Text that a name, a string or a
// number stands for is already decoded.
#pragma once

#include "ir/source.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace netc::ast {

struct Expr;
struct Stmt;
struct Type;
using ExprPtr = std::unique_ptr<Expr>;

struct Name {
    std::string text;
    Span span;
};

// `n` or `(n, (a, b))`. A tuple has two parts or more and no name.
struct Pattern {
    Span span;
    std::string name;  // empty for a tuple
    std::vector<Pattern> parts;

    bool is_tuple() const { return !parts.empty(); }
};

struct Block {
    Span span;  // with its braces
    std::vector<Stmt> statements;
};

// ---------------------------------------------------------------- types

enum class Dtype { f64, f32, f16, bf16, i64, i32, i16, i8, u8, b1, real, any };
std::string_view spelling(Dtype dtype);
std::optional<Dtype> parse_dtype(std::string_view word);

struct PackDim {  // *S
    Name name;
};
struct AnyDim {};  // _
struct Dim {
    Span span;
    std::variant<PackDim, AnyDim, ExprPtr> kind;
};

struct TensorType {  // f32[B, 784]
    Dtype dtype;
    Span dtype_span;
    std::vector<Dim> dims;
};

enum class StaticKind { integer, floating, boolean, string, list, fn, layer, init, dtype };
std::string_view spelling(StaticKind kind);  // "int", "float", ...

struct StaticType {
    StaticKind kind;
};

struct Field;
struct TupleType {  // (same: f32[B, 1], digit: f32[B, 10])
    std::vector<Field> fields;
};

struct Type {
    Span span;
    std::variant<TensorType, StaticType, TupleType> kind;
};

struct Field {
    std::optional<Name> name;
    Type type;
};

// ---------------------------------------------------------------- expressions

struct IntLiteral {
    std::int64_t value;
};
struct FloatLiteral {
    double value;
};
enum class Unit { epochs, steps, seconds, minutes, hours };
std::string_view spelling(Unit unit);  // "ep", "st", "s", "min", "h"
struct QuantityLiteral {               // 20ep
    double value;
    Unit unit;
};
struct StringLiteral {
    std::string value;
};
struct BoolLiteral {
    bool value;
};
struct DtypeLiteral {  // `real` in cast(x, real)
    Dtype dtype;
};
struct NameRef {
    std::string name;
};
struct Tuple {  // (a, b): two items or more
    std::vector<Expr> items;
};
struct List {  // [a, b]
    std::vector<Expr> items;
};

struct Argument;
struct Call {  // callee(arguments)
    ExprPtr callee;
    std::vector<Argument> arguments;
    Span arguments_span;  // with its parentheses
};

struct WholeAxis {};  // :
struct Ellipsis {};   // ...
struct SliceRange {   // a..b, a.., ..b
    ExprPtr begin;    // null when open
    ExprPtr end;      // null when open
};
struct SliceIndex {
    ExprPtr index;
};
struct SliceItem {
    Span span;
    std::variant<WholeAxis, Ellipsis, SliceRange, SliceIndex> kind;
};
struct Index {  // base[items]
    ExprPtr base;
    std::vector<SliceItem> items;
};
struct Member {  // base.name
    ExprPtr base;
    Name name;
};
struct Ascribe {  // value as f32[B, T]
    ExprPtr value;
    Type type;
};

enum class UnaryOperator { negate, logical_not };
std::string_view spelling(UnaryOperator op);
struct Unary {
    UnaryOperator op;
    Span op_span;
    ExprPtr operand;
};

enum class BinaryOperator {
    add,
    subtract,
    concat,
    multiply,
    divide,
    floor_divide,
    modulo,
    matmul,
    power,
    equal,
    not_equal,
    less,
    less_equal,
    greater,
    greater_equal,
    logical_and,
    logical_or,
    range
};
std::string_view spelling(BinaryOperator op);  // "+", "-", "++", "*", ...
struct Binary {
    BinaryOperator op;
    Span op_span;
    ExprPtr left;
    ExprPtr right;
};

// x |> a |> b and a >> b >> c. Flat, so that a deep network is no deep tree.
struct Stage;
struct Pipe {
    ExprPtr first;
    std::vector<Stage> stages;  // at least one
};
struct Compose {
    ExprPtr first;
    std::vector<Stage> stages;  // at least one
};

struct IfExpr {  // if c then a else b
    ExprPtr condition;
    ExprPtr then_value;
    ExprPtr else_value;
};
struct Lambda {  // x -> e, (x, y) -> e
    std::vector<Name> parameters;
    ExprPtr body;
};
struct Repeat {                      // repeat n { e }, repeat p in list { e }
    std::optional<Pattern> pattern;  // absent: `source` is a count
    ExprPtr source;
    ExprPtr body;
};
struct Scan {  // scan p in unstack(x, 1) { ... yield e }
    Pattern pattern;
    ExprPtr source;
    Block body;
};

struct Expr {
    Span span;  // with the parentheses, where the text has some
    bool parenthesized = false;
    std::variant<IntLiteral, FloatLiteral, QuantityLiteral, StringLiteral, BoolLiteral,
                 DtypeLiteral, NameRef, Tuple, List, Call, Index, Member, Ascribe, Unary, Binary,
                 Pipe, Compose, IfExpr, Lambda, Repeat, Scan>
        kind;
};

struct Argument {
    Span span;
    std::optional<Name> name;
    Expr value;
};

struct Stage {
    Span op_span;  // of `|>` or `>>`
    Expr value;
};

// ---------------------------------------------------------------- statements

struct Let {
    Pattern pattern;
    std::optional<Type> type;
    Expr value;
};
struct Var {
    Name name;
    std::optional<Type> type;
    Expr value;
};
struct Param {  // param p: T = init with decay = false
    Name name;
    Type type;
    Expr value;
    std::vector<Argument> attributes;
};
struct State {
    Name name;
    Type type;
    Expr value;
};
struct Update {
    Name name;
    Expr value;
};
struct Assign {
    Name name;
    Expr value;
};
struct For {
    Pattern pattern;
    Expr source;
    Block body;
};
struct If {
    Expr condition;
    Block then_block;
    std::optional<Block> else_block;  // `else if` is a block of one If
};

// One piece of an assert's text: literal text, or the value of an expression in braces.
struct TextPart {
    std::string text;
    ExprPtr value;  // null for literal text
};
struct Assert {
    Expr condition;
    std::vector<TextPart> text;  // empty when the assert has none
};
struct Yield {
    Expr value;
};
struct Return {
    Expr value;
};

struct Stmt {
    Span span;
    std::variant<Let, Var, Param, State, Update, Assign, For, If, Assert, Yield, Return> kind;
};

// ---------------------------------------------------------------- declarations

struct Formal {
    Span span;
    Name name;
    Type type;
    ExprPtr default_value;  // null when the argument is required
};
struct FormalList {
    Span span;  // with its parentheses
    std::vector<Formal> formals;
};

using Body = std::variant<ExprPtr, Block>;

enum class CallableKind { fn, layer, model };
std::string_view spelling(CallableKind kind);

// fn, layer or model. With one list of arguments that is `inputs`; with two, the first is
// `configuration`.
struct Callable {
    CallableKind kind;
    Span keyword;
    Name name;
    std::optional<FormalList> configuration;
    FormalList inputs;
    std::optional<Type> result;
    Body body;
};
struct Import {
    std::string path;
    Span path_span;
    std::optional<Name> alias;
};
struct Const {
    Name name;
    std::optional<Type> type;
    Expr value;
};
struct Option {
    Name name;
    Type type;
    Expr value;
    std::string help;  // may be empty
};

struct Target {
    Name name;
    Type type;
};
struct Augment {
    Name name;
    Expr value;
};
struct Metric {
    Name name;
    Expr value;
};
struct Setting {
    Name name;
    Expr value;
};
struct TrainItem {
    Span span;
    std::string doc;
    std::variant<Target, Augment, Metric, Setting> kind;
};
struct Train {  // train model as name { ... }
    Span keyword;
    Name model;
    std::optional<Name> name;
    std::vector<TrainItem> items;
};

struct Item {
    Span span;
    std::string doc;  // the `##` lines before it, without the marks, joined by '\n'
    std::variant<Import, Const, Option, Callable, Train, Assert> kind;
};

struct File {
    std::uint32_t file = kNoFile;  // its number in the SourceMap
    int version = 1;
    Span version_span;  // unknown when the file does not state it
    std::vector<Item> items;
};

}  // namespace netc::ast
