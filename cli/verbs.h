// One function a verb; each gives the exit status.
#pragma once

#include "cli/options.h"

namespace netc {

int verb_check(Options options);
int verb_fmt(Options options);
int verb_lsp(Options options);
int verb_doc(Options options);
int verb_summary(Options options);
int verb_import(Options options);
int verb_init(Options options);
int verb_train(Options options);
int verb_eval(Options options);
int verb_predict(Options options);
int verb_grad(Options options);
int verb_gradcheck(Options options);
int verb_compile(Options options);
int verb_dump(Options options);
int verb_bench(Options options);
int verb_quantize(Options options);
int verb_explain(Options options);
int verb_ops(Options options);
int verb_plot(Options options);
int verb_weights(Options options);
int verb_runs(Options options);
int verb_cache(Options options);

}  // namespace netc
