// netc weights: what is in a weights file, as a table, as numbers, or against another file.

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/layer_rows.h"
#include "cli/tensor_numbers.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/workbench.h"
#include "frontend/suggest.h"
#include "frontend/train_settings.h"
#include "runtime/data/convert.h"
#include "runtime/files/npy.h"

namespace netc {
namespace {

using Json = nlohmann::ordered_json;
using Tensor = Safetensors::Tensor;
using frontend::glob_matches;

struct WeightsFile {
    std::string path;
    Safetensors content;
    std::vector<const Tensor*> chosen;  // those that the glob names, in the order of the file
};

Result<WeightsFile> open_weights(const std::string& path) {
    Result<std::string> file = resolve_weights(path);
    if (!file) return file.error();
    Result<Safetensors> content = read_safetensors(*file);
    if (!content) return content.error();
    return WeightsFile{std::move(*file), std::move(*content), {}};
}

void choose(WeightsFile& file, const std::string& glob) {
    for (const Tensor& tensor : file.content.tensors) {
        if (glob.empty() || glob_matches(glob, tensor.name)) file.chosen.push_back(&tensor);
    }
}

Error nothing_matches(const std::string& glob, const WeightsFile& file) {
    std::vector<std::string> names;
    for (const Tensor& tensor : file.content.tensors) names.push_back(shown_name(tensor.name));
    std::string help;
    if (const auto meant = suggest(glob, names)) {
        help = fmt::format("did you mean `{}`?", *meant);
    } else if (std::ranges::any_of(names, [&](const std::string& name) {
                   return glob_matches("*" + glob + "*", name);
               })) {
        help = fmt::format("`*{}*` matches some", glob);
    } else {
        const std::size_t shown = std::min<std::size_t>(names.size(), 12);
        help = fmt::format(
            "the file has: {}{}",
            fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
            names.size() > shown ? ", ..." : "");
    }
    return {kExitUsage, fmt::format("{}: no tensor matches `{}`", file.path, glob), {}, help};
}

Json json_number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

// Where the file is from, in words; most files from elsewhere say nothing.
std::string origin_of(const Metadata& metadata) {
    std::string text;
    for (const auto& [key, what] :
         {std::pair("netc.model", "model"), std::pair("netc.section", "section"),
          std::pair("netc.options", "options"), std::pair("netc.dims", "dims"),
          std::pair("netc.version", "netc")}) {
        const auto found = metadata.find(key);
        if (found == metadata.end() || found->second.empty() || found->second == "{}") continue;
        text += fmt::format("{}{} {}", text.empty() ? "" : ", ", what, shown_name(found->second));
    }
    return text;
}

// ---- the table ----------------------------------------------------------------------------------

int print_statistics(const WeightsFile& file, bool json) {
    std::int64_t numbers = 0, bytes = 0, nan = 0, infinite = 0;
    std::vector<NumberSummary> summaries;
    for (const Tensor* tensor : file.chosen) {
        summaries.push_back(summarize(tensor->dtype, file.content.data(*tensor)));
        numbers += summaries.back().count;
        bytes += static_cast<std::int64_t>(tensor->size);
        nan += summaries.back().nan;
        infinite += summaries.back().infinite;
    }
    if (json) {
        Json result;
        result["file"] = file.path;
        result["metadata"] = file.content.metadata;
        result["tensors"] = Json::array();
        for (std::size_t i = 0; i < summaries.size(); ++i) {
            const NumberSummary& s = summaries[i];
            const bool any = s.finite() > 0;
            const auto number = [&](double value) {
                return any ? json_number(value) : Json(nullptr);
            };
            result["tensors"].push_back({{"name", file.chosen[i]->name},
                                         {"dtype", name_of(file.chosen[i]->dtype)},
                                         {"shape", file.chosen[i]->shape},
                                         {"numbers", s.count},
                                         {"mean", number(s.mean)},
                                         {"deviation", number(s.deviation)},
                                         {"min", number(s.min)},
                                         {"max", number(s.max)},
                                         {"nan", s.nan},
                                         {"infinite", s.infinite}});
        }
        result["total"] = {{"tensors", summaries.size()},
                           {"numbers", numbers},
                           {"bytes", bytes},
                           {"nan", nan},
                           {"infinite", infinite}};
        print_out(result.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
        return kExitDone;
    }
    std::size_t width = 6, shape = 5;
    for (const Tensor* tensor : file.chosen) {
        width = std::max(width, tensor->name.size());
        shape = std::max(shape, type_text(*tensor).size());
    }
    if (const std::string origin = origin_of(file.content.metadata); !origin.empty())
        print_out(origin + "\n\n");
    print_out(fmt::format("{:<{}}  {:<{}}  {:>11}  {:>11}  {:>11}  {:>11}\n", "tensor", width,
                          "shape", shape, "mean", "deviation", "min", "max"));
    print_out(std::string(width + shape + 54, '-') + "\n");
    for (std::size_t i = 0; i < summaries.size(); ++i) {
        const NumberSummary& s = summaries[i];
        const auto number = [&](double value) {
            return s.finite() > 0 ? fmt::format("{:.5g}", value) : std::string("-");
        };
        const std::string odd = not_finite_text(s);
        print_out(fmt::format("{:<{}}  {:<{}}  {:>11}  {:>11}  {:>11}  {:>11}{}{}\n",
                              shown_name(file.chosen[i]->name), width, type_text(*file.chosen[i]),
                              shape, number(s.mean), number(s.deviation), number(s.min),
                              number(s.max), odd.empty() ? "" : "  ", odd));
    }
    print_out(std::string(width + shape + 54, '-') + "\n");
    NumberSummary all;
    all.nan = nan;
    all.infinite = infinite;
    const std::string odd = not_finite_text(all);
    print_out(fmt::format("{} tensor{}, {} numbers, {}{}{}\n", summaries.size(),
                          summaries.size() == 1 ? "" : "s", with_separators(numbers),
                          amount(static_cast<double>(bytes), "B"), odd.empty() ? "" : "; ", odd));
    return kExitDone;
}

// ---- the numbers --------------------------------------------------------------------------------

Json nested(const Tensor& tensor, std::span<const std::byte> bytes, std::size_t dim,
            std::size_t& at) {
    if (tensor.size == 0) return Json::array();  // whatever extents stand beside the 0
    if (dim == tensor.shape.size()) {
        const std::byte* from = bytes.data() + at;
        at += static_cast<std::size_t>(size_of(tensor.dtype));
        if (tensor.dtype == DType::i64) return load_as<std::int64_t>(from);
        const double value = load_number(tensor.dtype, from);
        if (tensor.dtype == DType::b1) return value != 0;
        if (is_int(tensor.dtype)) return static_cast<std::int64_t>(value);
        return json_number(value);
    }
    Json list = Json::array();
    for (std::int64_t i = 0; i < tensor.shape[dim]; ++i)
        list.push_back(nested(tensor, bytes, dim + 1, at));
    return list;
}

// An axis a column of brackets would be too much: a line holds the last dimension, in front of it the
// indices of the others.
void print_values(const WeightsFile& file) {
    for (const Tensor* tensor : file.chosen) {
        print_out(fmt::format("{} {}\n", shown_name(tensor->name), type_text(*tensor)));
        const std::span<const std::byte> bytes = file.content.data(*tensor);
        const auto size = static_cast<std::size_t>(size_of(tensor->dtype));
        const std::int64_t columns = tensor->shape.empty() ? 1 : tensor->shape.back();
        std::vector<std::int64_t> index(tensor->shape.empty() ? 0 : tensor->shape.size() - 1, 0);
        for (std::size_t at = 0; at < bytes.size();) {
            std::string line = index.empty() ? " " : fmt::format("  [{}]", fmt::join(index, ", "));
            for (std::int64_t c = 0; c < columns; ++c, at += size)
                line += " " + number_text(tensor->dtype, bytes.data() + at);
            print_out(line + "\n");
            for (std::size_t d = index.size(); d-- > 0;) {
                if (++index[d] < tensor->shape[d]) break;
                index[d] = 0;
            }
        }
    }
}

// A line a number, so that tensors of all ranks fit one table.
void print_csv(const WeightsFile& file) {
    print_out("tensor,index,value\n");
    for (const Tensor* tensor : file.chosen) {
        const std::string name = csv_cell(tensor->name);
        const std::span<const std::byte> bytes = file.content.data(*tensor);
        const auto size = static_cast<std::size_t>(size_of(tensor->dtype));
        std::vector<std::int64_t> index(tensor->shape.size(), 0);
        for (std::size_t at = 0; at < bytes.size(); at += size) {
            print_out(fmt::format("{},{},{}\n", name, fmt::join(index, " "),
                                  number_text(tensor->dtype, bytes.data() + at)));
            for (std::size_t d = index.size(); d-- > 0;) {
                if (++index[d] < tensor->shape[d]) break;
                index[d] = 0;
            }
        }
    }
}

// A name in the file is no path: it must not leave the directory.
std::string file_name_of(const std::string& tensor) {
    std::string name = tensor;
    for (char& c : name) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '/') c = '_';
    }
    return name + ".npy";
}

Status write_arrays(const WeightsFile& file, const std::string& directory) {
    std::set<std::string> taken;
    for (const Tensor* tensor : file.chosen) {
        if (taken.insert(file_name_of(tensor->name)).second) continue;
        return Error{kExitData, fmt::format("{}: two tensors would be written as {}", file.path,
                                            file_name_of(tensor->name))};
    }
    std::error_code code;
    std::filesystem::create_directories(directory, code);
    if (code) {
        return Error{kExitData,
                     fmt::format("cannot make the directory {}: {}", directory, code.message())};
    }
    for (const Tensor* tensor : file.chosen) {
        const std::string path = directory + "/" + file_name_of(tensor->name);
        std::span<const std::byte> bytes = file.content.data(*tensor);
        DType dtype = tensor->dtype;
        std::vector<std::byte> wide;
        if (dtype == DType::bf16) {  // NumPy has no such type; f32 holds the same numbers
            wide.resize(bytes.size() * 2);
            for (std::size_t i = 0; i < bytes.size(); i += 2)
                store_number(DType::f32, load_number(DType::bf16, &bytes[i]), &wide[i * 2]);
            bytes = wide;
            dtype = DType::f32;
        }
        if (Status s = write_npy(path, dtype, tensor->shape, bytes); !s) return s;
    }
    print_err(fmt::format("{} arrays are in {}\n", file.chosen.size(), directory));
    return {};
}

// ---- two files ----------------------------------------------------------------------------------

int print_difference(const WeightsFile& a, const WeightsFile& b, bool json) {
    struct Row {
        const Tensor* tensor;
        NumberDifference difference;
    };
    std::vector<Row> rows;
    std::vector<std::pair<const Tensor*, const Tensor*>> misfits;
    std::vector<std::string> only_a, only_b;
    std::size_t same = 0;
    double largest = 0;
    for (const Tensor* tensor : a.chosen) {
        const Tensor* other = b.content.find(tensor->name);
        if (other == nullptr) {
            only_a.push_back(tensor->name);
        } else if (other->shape != tensor->shape) {
            misfits.emplace_back(tensor, other);
        } else {
            rows.push_back({tensor, difference_of(a.content, *tensor, b.content, *other)});
            same += rows.back().difference.same_bits ? 1u : 0u;
            const double distance = rows.back().difference.max_abs;
            if (!(distance <= largest)) largest = distance;
        }
    }
    for (const Tensor* tensor : b.chosen) {
        if (a.content.find(tensor->name) == nullptr) only_b.push_back(tensor->name);
    }
    if (json) {
        Json result;
        result["files"] = {a.path, b.path};
        result["tensors"] = Json::array();
        for (const Row& row : rows) {
            result["tensors"].push_back({{"name", row.tensor->name},
                                         {"dtype", name_of(row.tensor->dtype)},
                                         {"shape", row.tensor->shape},
                                         {"max_abs", json_number(row.difference.max_abs)},
                                         {"rms", json_number(row.difference.rms)},
                                         {"same_bits", row.difference.same_bits}});
        }
        result["different_shapes"] = Json::array();
        for (const auto& [first, second] : misfits) {
            result["different_shapes"].push_back(
                {{"name", first->name}, {"shapes", {first->shape, second->shape}}});
        }
        result["only_in_first"] = only_a;
        result["only_in_second"] = only_b;
        print_out(result.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
        return kExitDone;
    }
    std::size_t width = 6, shape = 5;
    for (const Row& row : rows) {
        width = std::max(width, row.tensor->name.size());
        shape = std::max(shape, type_text(*row.tensor).size());
    }
    if (!rows.empty()) {
        print_out(fmt::format("{:<{}}  {:<{}}  {:>11}  {:>11}\n", "tensor", width, "shape", shape,
                              "max abs", "rms"));
        print_out(std::string(width + shape + 28, '-') + "\n");
        for (const Row& row : rows) {
            const NumberDifference& d = row.difference;
            print_out(fmt::format("{:<{}}  {:<{}}  {:>11}  {:>11}\n", shown_name(row.tensor->name),
                                  width, type_text(*row.tensor), shape,
                                  d.same_bits ? "same bits" : fmt::format("{:.5g}", d.max_abs),
                                  d.same_bits ? "" : fmt::format("{:.5g}", d.rms)));
        }
        print_out(std::string(width + shape + 28, '-') + "\n");
    }
    for (const auto& [first, second] : misfits) {
        print_out(fmt::format("{}: {} against {}\n", shown_name(first->name), type_text(*first),
                              type_text(*second)));
    }
    for (const std::string& name : only_a)
        print_out(fmt::format("{}: only in {}\n", shown_name(name), a.path));
    for (const std::string& name : only_b)
        print_out(fmt::format("{}: only in {}\n", shown_name(name), b.path));
    print_out(fmt::format("{} of {} tensors in both have the same bits; the largest difference is "
                          "{:.5g}\n",
                          same, rows.size() + misfits.size(), largest));
    return kExitDone;
}

}  // namespace

int verb_weights(Options options) {
    const int forms = options.values + options.csv + !options.npy.empty() + !options.diff.empty();
    if (forms > 1) return report({kExitUsage, "give one of --values, --csv, --npy and --diff"});
    if (options.json && (options.csv || !options.npy.empty()))
        return report({kExitUsage, "--csv and --npy are forms of their own, without --json"});
    Result<WeightsFile> file = open_weights(options.weights);
    if (!file) return report(file.error());
    choose(*file, options.glob);
    if (!options.diff.empty()) {
        Result<WeightsFile> other = open_weights(options.diff);
        if (!other) return report(other.error());
        choose(*other, options.glob);
        if (!options.glob.empty() && file->chosen.empty() && other->chosen.empty())
            return report(nothing_matches(options.glob, *file));
        return print_difference(*file, *other, options.json);
    }
    if (!options.glob.empty() && file->chosen.empty())
        return report(nothing_matches(options.glob, *file));
    if (!options.npy.empty()) {
        const Status written = write_arrays(*file, options.npy);
        return written ? kExitDone : report(written.error());
    }
    if (options.csv) {
        print_csv(*file);
        return kExitDone;
    }
    if (options.values && options.json) {
        Json result = Json::object();
        for (const Tensor* tensor : file->chosen) {
            std::size_t at = 0;
            result[tensor->name] = nested(*tensor, file->content.data(*tensor), 0, at);
        }
        print_out(result.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
        return kExitDone;
    }
    if (options.values) {
        print_values(*file);
        return kExitDone;
    }
    return print_statistics(*file, options.json);
}

}  // namespace netc
