" Comments, indentation and formatting of netc's .net files.
if exists("b:did_ftplugin")
  finish
endif
let b:did_ftplugin = 1
setlocal commentstring=#\ %s comments=:##,:# expandtab shiftwidth=2 softtabstop=2 textwidth=100
command! -buffer NetcFormat update | execute '!netc fmt ' . shellescape(expand('%')) | edit
let b:undo_ftplugin = "setlocal commentstring< comments< expandtab< shiftwidth< softtabstop< textwidth< | delcommand -buffer NetcFormat"
