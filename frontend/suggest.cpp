// Suggestions for misspelt names.
#include "frontend/suggest.h"

#include <algorithm>
#include <cctype>

namespace netc {
namespace {

struct Synonym {
    std::string_view theirs;  // in small letters, without underscores
    std::string_view ours;
};

// The words of other frameworks. A word may stand for several of ours; the first one in scope is
// proposed.
constexpr Synonym kSynonyms[] = {
    // layers and functions
    {"dense", "linear"},
    {"fullyconnected", "linear"},
    {"fc", "linear"},
    {"affine", "linear"},
    {"innerproduct", "linear"},
    {"conv2d", "conv"},
    {"convolution", "conv"},
    {"convolution2d", "conv"},
    {"separableconv2d", "depthwise_conv"},
    {"depthwiseconv2d", "depthwise_conv"},
    {"convtranspose2d", "conv_transpose"},
    {"conv2dtranspose", "conv_transpose"},
    {"deconv", "conv_transpose"},
    {"maxpool", "max_pool"},
    {"maxpool2d", "max_pool"},
    {"maxpooling2d", "max_pool"},
    {"avgpool", "avg_pool"},
    {"avgpool2d", "avg_pool"},
    {"averagepooling2d", "avg_pool"},
    {"meanpool", "avg_pool"},
    {"adaptiveavgpool2d", "global_avg_pool"},
    {"globalaveragepooling2d", "global_avg_pool"},
    {"batchnorm", "batch_norm"},
    {"batchnorm2d", "batch_norm"},
    {"batchnorm1d", "batch_norm"},
    {"batchnormalization", "batch_norm"},
    {"layernorm", "layer_norm"},
    {"layernormalization", "layer_norm"},
    {"groupnorm", "group_norm"},
    {"rmsnorm", "rms_norm"},
    {"gaussiannoise", "add_noise"},
    {"alphadropout", "dropout"},
    {"multiheadattention", "attention"},
    {"selfattention", "attention"},
    {"transformer", "transformer_block"},
    {"logistic", "sigmoid"},
    {"sigm", "sigmoid"},
    {"swish", "silu"},
    {"rectifier", "relu"},
    {"hardtanh", "clamp"},
    {"cat", "concat"},
    {"concatenate", "concat"},
    {"stack", "concat"},
    {"view", "reshape"},
    {"transpose", "permute"},
    {"matmul", "einsum"},
    {"bmm", "einsum"},
    {"dot", "einsum"},
    {"sum", "reduce_sum"},
    {"amax", "reduce_max"},
    {"prod", "product"},
    {"numel", "size"},
    {"ln", "log"},
    {"clip", "clamp"},
    {"detach", "stop_gradient"},
    {"average", "mean"},
    {"crossentropyloss", "cross_entropy"},
    {"categoricalcrossentropy", "cross_entropy"},
    {"sparsecategoricalcrossentropy", "cross_entropy"},
    {"nllloss", "cross_entropy"},
    {"mseloss", "mse"},
    {"meansquarederror", "mse"},
    {"l1loss", "mae"},
    {"meanabsoluteerror", "mae"},
    {"bce", "bce_with_logits"},
    {"bceloss", "bce_with_logits"},
    {"binarycrossentropy", "bce_with_logits"},
    {"bcewithlogitsloss", "bce_with_logits"},
    {"hingeloss", "hinge"},
    {"categoricalaccuracy", "accuracy"},
    {"acc", "accuracy"},
    // arguments
    {"kernel", "k"},
    {"kernelsize", "k"},
    {"poolsize", "k"},
    {"ksize", "k"},
    {"filters", "out"},
    {"units", "out"},
    {"outfeatures", "out"},
    {"outchannels", "out"},
    {"features", "out"},
    {"channels", "out"},
    {"numoutput", "out"},
    {"nout", "out"},
    {"padding", "pad"},
    {"strides", "stride"},
    {"dilationrate", "dilation"},
    {"usebias", "bias"},
    {"kernelinitializer", "w"},
    {"weightinitializer", "w"},
    {"init", "w"},
    {"rate", "p"},
    {"prob", "p"},
    {"dropoutrate", "drop"},
    {"dropout", "drop"},
    {"stddev", "std"},
    {"sigma", "std"},
    {"epsilon", "eps"},
    {"keepdim", "keep"},
    {"keepdims", "keep"},
    {"dim", "axis"},
    {"dims", "axes"},
    {"nhead", "heads"},
    {"numheads", "heads"},
    {"hiddensize", "hidden"},
    {"numembeddings", "vocab"},
    {"inputdim", "vocab"},
    {"embeddingdim", "dim"},
    {"outputdim", "dim"},
    {"negativeslope", "neg"},
    {"slope", "neg"},
    {"numclasses", "n"},
    // training
    {"learningrate", "lr"},
    {"stepsize", "lr"},
    {"batchsize", "batch"},
    {"minibatch", "batch"},
    {"maxepochs", "epochs"},
    {"numepochs", "epochs"},
    {"nepochs", "epochs"},
    {"iterations", "steps"},
    {"maxiter", "steps"},
    {"criterion", "loss"},
    {"objective", "loss"},
    {"optim", "optimizer"},
    {"regularizer", "penalty"},
    {"regularization", "penalty"},
    {"validation", "valid"},
    {"dataset", "data"},
    {"randomseed", "seed"},
    {"earlystopping", "stop"},
    {"checkpoint", "save"},
    {"weightdecay", "penalty"},
    {"beta1", "beta1"},
    {"betas", "beta1"},
    {"tmax", "over"},
    {"adamoptimizer", "adam"},
    {"cosineannealing", "cosine"},
    {"cosineannealinglr", "cosine"},
    {"steplr", "step"},
    {"exponentiallr", "exponential"},
    {"warmupsteps", "warmup"},
    {"clipnorm", "clip"},
    {"gradclip", "clip"},
    // the words of declarations and statements, and types
    {"def", "fn"},
    {"func", "fn"},
    {"function", "fn"},
    {"module", "layer"},
    {"class", "model"},
    {"network", "model"},
    {"training", "train"},
    {"include", "import"},
    {"use", "import"},
    {"parameter", "param"},
    {"weight", "param"},
    {"buffer", "state"},
    {"const", "let"},
    {"val", "let"},
    {"auto", "let"},
    {"mut", "var"},
    {"while", "for"},
    {"loop", "for"},
    {"float32", "f32"},
    {"float64", "f64"},
    {"double", "f64"},
    {"float16", "f16"},
    {"half", "f16"},
    {"bfloat16", "bf16"},
    {"int64", "i64"},
    {"long", "i64"},
    {"int32", "i32"},
    {"int16", "i16"},
    {"int8", "i8"},
    {"uint8", "u8"},
    {"byte", "u8"},
    {"bool", "b1"},
    {"boolean", "bool"},
    {"str", "string"},
    {"integer", "int"},
    {"number", "float"},
    {"array", "list"},
    {"tensor", "real"},
};

// Small letters without underscores: `KernelSize`, `kernel_size` and `kernelsize` are one word.
std::string folded(std::string_view word) {
    std::string text;
    for (const char c : word) {
        if (c != '_') text += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    return text;
}

}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t limit) {
    const std::size_t difference = a.size() > b.size() ? a.size() - b.size() : b.size() - a.size();
    if (difference > limit) return limit + 1;
    // Three rows of the table: two before, one before, this one.
    std::vector<std::size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) above[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replace = above[j - 1] + (a[i - 1] == b[j - 1] ? 0u : 1u);
            row[j] = std::min({replace, above[j] + 1, row[j - 1] + 1});
            const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
        }
        std::swap(before, above);
        std::swap(above, row);
    }
    return std::min(above[b.size()], limit + 1);
}

std::optional<std::string> suggest(std::string_view wrong,
                                   std::span<const std::string_view> candidates) {
    const std::string word = folded(wrong);
    for (const std::string_view candidate : candidates) {
        if (candidate != wrong && folded(candidate) == word) return std::string(candidate);
    }
    const std::size_t limit = wrong.size() <= 3 ? 1 : 2;
    std::optional<std::string> closest;
    std::size_t closest_distance = limit + 1;
    for (const std::string_view candidate : candidates) {
        if (candidate == wrong || candidate.size() < 2) continue;
        const std::size_t distance = edit_distance(wrong, candidate, limit);
        if (distance < closest_distance) {
            closest = std::string(candidate);
            closest_distance = distance;
        }
    }
    if (closest_distance <= 1) return closest;
    // A word of another framework is a better guess than a word two letters away: `float32` is
    // `f32`, not `float`.
    for (const Synonym& synonym : kSynonyms) {
        if (synonym.theirs != word) continue;
        const auto found = std::find(candidates.begin(), candidates.end(), synonym.ours);
        if (found != candidates.end()) return std::string(*found);
    }
    return closest;
}

std::optional<std::string> suggest(std::string_view wrong,
                                   const std::vector<std::string>& candidates) {
    const std::vector<std::string_view> views(candidates.begin(), candidates.end());
    return suggest(wrong, std::span<const std::string_view>(views));
}

}  // namespace netc
