// The sources that are more than an array in a file: text, images, series, cifar.
#pragma once

#include <string_view>
#include <vector>

#include "frontend/train_settings.h"

namespace netc::frontend {

// this(), following(n), folder(), image(), label(), resize(256) >> random_crop(224), columns: what the
// source gives to a field.
void read_part(SettingReader& reader, SourceKind source, const ast::Expr& expression,
               SourceField& field);

// Whether a selector takes columns as they are.
bool only_numbers(const FieldSelector& selector);

// Where nothing is bound, text and cifar fill `x` and `y`.
void add_default_fields(DataSource& source);

// `context` or `window`, and `stride`.
void read_windows(SettingReader& reader, const SettingCall& call, const SettingArguments& arguments,
                  std::string_view size, DataSource& source);

// One name or pattern, or a list of them.
void read_paths(SettingReader& reader, const SettingCall& call, const SettingArguments& arguments,
                DataSource& source);

void read_on_error(SettingReader& reader, const SettingArguments& arguments, DataSource& source);

// Whether `tokens = char` or `tokens = byte` is among the arguments; any other `tokens` is a field.
bool token_argument(const std::vector<ast::Argument>& arguments);

}  // namespace netc::frontend
