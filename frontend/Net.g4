// The grammar of the .net language. frontend/parse.cpp drives the parser that ANTLR makes of it.
//
// Nearly every decision is taken on one token, which makes parsing fast and lets an error surface exactly where the text goes
// wrong. Four rules therefore accept a little more than the language, and the builder of the syntax tree refuses the rest:
// what stands left of `->` is a name or a tuple of names, what stands left of `=` in an argument is a name, what stands between
// `repeat` and `in` is a pattern, and a tuple has two items or more.
grammar Net;

// ---------------------------------------------------------------- files
file        : versionDecl? item* EOF ;
versionDecl : 'net' (INT | FLOAT) ;
item        : importDecl | constDecl | optionDecl | fnDecl | layerDecl
            | modelDecl  | trainDecl | assertStmt ;

importDecl  : 'import' STRING ('as' name)? ;
constDecl   : 'const'  name (':' type)? '=' expr ;
optionDecl  : 'option' name ':' type '=' expr STRING? ;
fnDecl      : 'fn'     name paramList paramList? ('->' type)? body ;
layerDecl   : 'layer'  name paramList paramList? ('->' type)? body ;
modelDecl   : 'model'  name paramList ('->' type)? body ;
trainDecl   : 'train'  name ('as' name)? '{' trainItem* '}' ;

paramList   : '(' (formal (',' formal)* ','?)? ')' ;
formal      : name ':' type ('=' expr)? ;
body        : '=' expr | block ;
block       : '{' stmt* '}' ;

// ---------------------------------------------------------------- types
type        : DTYPE shape                                  # tensorType
            | ('int'|'float'|'bool'|'string'|'list'
              |'fn'|'layer'|'init'|'dtype')                # staticType
            | '(' field (',' field)* ')'                   # tupleType
            ;
field       : (name ':')? type ;
shape       : '[' (dim (',' dim)* ','?)? ']' ;
dim         : '*' name          # packDim
            | '_'               # anyDim
            | expr              # exprDim
            ;

// ---------------------------------------------------------------- statements
stmt        : 'let' pattern (':' type)? '=' expr           # letStmt
            | 'var' name (':' type)? '=' expr              # varStmt
            | 'param' name ':' type '=' expr withClause?   # paramStmt
            | 'state' name ':' type '=' expr               # stateStmt
            | 'update' name '=' expr                       # updateStmt
            | name '=' expr                                # assignStmt
            | 'for' pattern 'in' expr block                # forStmt
            | ifStmt                                       # ifStmtAlt
            | assertStmt                                   # assertStmtAlt
            | 'yield' expr                                 # yieldStmt
            | 'return' expr                                # returnStmt
            ;
ifStmt      : 'if' expr block ('else' (block | ifStmt))? ;
assertStmt  : 'assert' expr (',' STRING)? ;
withClause  : 'with' arg (',' arg)* ;
pattern     : name | '(' pattern (',' pattern)+ ')' ;

// ---------------------------------------------------------------- training
trainItem   : 'target'  name ':' type                      # targetItem
            | 'augment' name '=' expr                      # augmentItem
            | 'metric'  name '=' expr                      # metricItem
            | name '=' expr                                # settingItem
            ;

// ---------------------------------------------------------------- expressions
expr        : 'if' expr 'then' expr 'else' expr
            | pipe ('->' expr)?                            // x -> e, (x, y) -> e
            ;
pipe        : compose ('|>' compose)* ;
compose     : orExpr ('>>' orExpr)* ;
orExpr      : andExpr ('or' andExpr)* ;
andExpr     : notExpr ('and' notExpr)* ;
notExpr     : 'not' notExpr | cmp ;
cmp         : range (('=='|'!='|'<'|'<='|'>'|'>=') range)? ;
range       : sum ('..' sum)? ;
sum         : term (('+'|'-'|'++') term)* ;
term        : unary (('*'|'/'|'//'|'%'|'@') unary)* ;
unary       : '-' unary | power ;
power       : postfix ('^' unary)? ;
postfix     : primary postOp* ;
postOp      : '(' (arg (',' arg)* ','?)? ')'               # callOp
            | '[' sliceItem (',' sliceItem)* ']'           # indexOp
            | '.' name                                     # memberOp
            | 'as' type                                    # ascribeOp
            ;
sliceItem   : ':' | '...' | '..' sum? | sum '..' | expr ;
arg         : argKeyword '=' expr | expr ('=' expr)? ;     // name = e
argKeyword  : 'train' | 'model' | 'layer' | 'fn' | 'in' | 'param' | 'var' ;
primary     : INT | FLOAT | QUANTITY | STRING
            | 'true' | 'false' | DTYPE
            | name
            | paren
            | list
            | repeatExpr
            | scanExpr
            ;
paren       : '(' expr (',' expr)* ','? ')' ;
list        : '[' (expr (',' expr)* ','?)? ']' ;
repeatExpr  : 'repeat' expr ('in' expr)? '{' expr '}' ;
scanExpr    : 'scan' pattern 'in' expr block ;

name        : ID | 'target' | 'metric' | 'augment' | 'net' | 'option' | 'init' | 'list' | 'state' | 'update' | 'with' | 'dtype' ;

// ---------------------------------------------------------------- lexer
DTYPE       : 'f64'|'f32'|'f16'|'bf16'|'i64'|'i32'|'i16'|'i8'|'u8'|'b1'|'real'|'any' ;
QUANTITY    : DIGIT (DIGIT|'_')* ('.' DIGIT+)? ('ep'|'st'|'min'|'h'|'s') ;
FLOAT       : DIGIT (DIGIT|'_')* '.' DIGIT+ EXP? | DIGIT (DIGIT|'_')* EXP ;
INT         : DIGIT (DIGIT|'_')* ;
STRING      : '"' ( '\\' . | ~["\\\r\n] )* '"' ;
ID          : [A-Za-z] [A-Za-z0-9_]* | '_' [A-Za-z0-9_]+ ;
DOC         : '##' ~[\r\n]* -> channel(HIDDEN) ;
COMMENT     : '#' ~[\r\n]*  -> channel(HIDDEN) ;
WS          : [ \t\r\n]+    -> skip ;
fragment DIGIT : [0-9] ;
fragment EXP   : [eE] [+-]? DIGIT+ ;
