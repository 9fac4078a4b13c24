" Colours of netc's .net files.
if exists("b:current_syntax")
  finish
endif
syntax keyword netcDeclaration fn layer model train const option let var param state update target metric augment import
syntax keyword netcStatement net as if then else for in repeat scan return yield assert with
syntax keyword netcOperator and or not
syntax keyword netcConstant true false training
syntax keyword netcType f64 f32 f16 bf16 i64 i32 i16 i8 u8 b1 real any int float bool string list init dtype
syntax match netcNumber "\<\d[0-9_]*\(\.\d\+\)\?\([eE][+-]\?\d\+\)\?\(ep\|st\|min\|h\|s\)\?\>"
syntax match netcSign "|>\|>>\|->"
syntax region netcString start=+"+ skip=+\\.+ end=+"\|$+ contains=netcEscape
syntax match netcEscape "\\." contained
syntax match netcComment "#.*$" contains=netcTodo
syntax match netcDoc "##.*$"
syntax keyword netcTodo TODO contained
highlight default link netcDeclaration Structure
highlight default link netcStatement Statement
highlight default link netcOperator Operator
highlight default link netcConstant Constant
highlight default link netcType Type
highlight default link netcNumber Number
highlight default link netcSign Operator
highlight default link netcString String
highlight default link netcEscape SpecialChar
highlight default link netcComment Comment
highlight default link netcDoc SpecialComment
highlight default link netcTodo Todo
let b:current_syntax = "netc"
