#include "cli/pictures.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>

#include <fmt/format.h>

#include "cli/loaded_network.h"
#include "cli/section_data.h"
#include "cli/theory.h"

namespace netc {
namespace {

constexpr int kCells = 128;  // of the plane, along each axis
constexpr double kSide = 480, kMargin = 40;
constexpr std::size_t kMostSamples = 600;
constexpr std::array kColours = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00",
                                 "#56b4e9", "#8c6bb1", "#a6761d", "#666666", "#000000"};

struct Sample {
    double x = 0, y = 0;
    std::size_t label = 0;
};
struct Plane {
    std::array<double, 2> low{-1, -1}, high{1, 1};
    std::vector<Sample> samples;
};

double number_at(DType dtype, const std::byte* bytes, std::size_t i) {
    if (dtype == DType::f64) {
        double value = 0;
        std::memcpy(&value, bytes + i * sizeof value, sizeof value);
        return value;
    }
    float value = 0;
    std::memcpy(&value, bytes + i * sizeof value, sizeof value);
    return static_cast<double>(value);
}

void put_number(DType dtype, std::byte* bytes, std::size_t i, double number) {
    if (dtype == DType::f64) {
        std::memcpy(bytes + i * sizeof number, &number, sizeof number);
        return;
    }
    const auto value = static_cast<float>(number);
    std::memcpy(bytes + i * sizeof value, &value, sizeof value);
}

std::size_t sample_size(const EntryArgument& argument) {
    return static_cast<std::size_t>(std::max<std::int64_t>(1, [&] {
        std::int64_t count = 1;
        for (const Extent& extent : argument.dims) count *= extent.at(1);
        return count;
    }()));
}

// The training samples and the range that they cover; without readable data the range that the weights
// remember, or -1 to 1.
Plane plane_of(const Loaded& loaded, const Options& options) {
    Plane plane;
    std::vector<Sample>& samples = plane.samples;
    if (loaded.section != nullptr && loaded.section->data) {
        // What the data must supply stands in an entry that takes targets.
        const Result<Program> program =
            make_program(*loaded.model, loaded.section, options, {"evaluate"}, 1);
        Result<SectionData> data =
            program ? load_section_data(*loaded.model, *loaded.section, *program, options,
                                        loaded.statistics ? &*loaded.statistics : nullptr)
                    : Result<SectionData>(program.error());
        if (data) {
            std::vector<const Field*> inputs, targets;
            for (const Field& field : data->train.fields) {
                const bool input = std::ranges::any_of(
                    loaded.model->inputs, [&](const Input& i) { return i.name == field.name; });
                (input ? inputs : targets).push_back(&field);
            }
            const std::size_t wanted = std::min(kMostSamples, data->train_rows.size());
            for (std::size_t i = 0; i < wanted; ++i) {
                const std::int64_t row = data->train_rows[i * data->train_rows.size() / wanted];
                std::array<double, 2> place{};
                std::size_t next = 0;
                for (const Field* field : inputs)
                    for (std::int64_t e = 0; e < field->sample_size() && next < 2; ++e)
                        place[next++] = element(*field, row, e);
                double label = 0;
                if (!targets.empty() && targets[0]->sample_size() == 1)
                    label = element(*targets[0], row, 0);
                if (label != std::floor(label) || label < 0) label = label > 0 ? 1 : 0;
                samples.push_back({place[0], place[1], static_cast<std::size_t>(label)});
            }
        }
    }
    std::array<double, 2> low, high;
    low.fill(std::numeric_limits<double>::infinity());
    high.fill(-std::numeric_limits<double>::infinity());
    for (const Sample& sample : samples) {
        const std::array<double, 2> place{sample.x, sample.y};
        for (std::size_t axis = 0; axis < 2; ++axis) {
            low[axis] = std::min(low[axis], place[axis]);
            high[axis] = std::max(high[axis], place[axis]);
        }
    }
    for (std::size_t axis = 0; axis < 2; ++axis) {
        if (!(low[axis] <= high[axis])) continue;
        const double room = high[axis] > low[axis] ? 0.1 * (high[axis] - low[axis]) : 1;
        plane.low[axis] = low[axis] - room;
        plane.high[axis] = high[axis] + room;
    }
    return plane;
}

// The class of each cell and how sure it is, from 0 to 1.
struct Answer {
    std::size_t label = 0;
    double sure = 1;
};

std::vector<Answer> answers_of(const EntryArgument& output, std::span<const std::byte> bytes) {
    const std::size_t classes = sample_size(output);
    std::vector<Answer> answers(kCells * kCells);
    std::vector<double> values(answers.size() * classes);
    for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = number_at(output.dtype, bytes.data(), i);
    if (classes > 1) {
        for (std::size_t i = 0; i < answers.size(); ++i) {
            const auto first = values.begin() + static_cast<std::ptrdiff_t>(i * classes);
            const auto last = first + static_cast<std::ptrdiff_t>(classes);
            answers[i].label = static_cast<std::size_t>(std::max_element(first, last) - first);
        }
        return answers;
    }
    // Probabilities have their boundary at 1/2, scores at 0.
    const auto [least, most] = std::ranges::minmax(values);
    const double boundary = least >= 0 && most <= 1 ? 0.5 : 0;
    const double widest = std::max({most - boundary, boundary - least, 1e-30});
    for (std::size_t i = 0; i < answers.size(); ++i) {
        answers[i].label = values[i] >= boundary ? 1 : 0;
        answers[i].sure = std::abs(values[i] - boundary) / widest;
    }
    return answers;
}

std::string head(double width, double height, std::string_view title) {
    return fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" "
        "width=\"{0:.0f}\" "
        "height=\"{1:.0f}\" font-family=\"sans-serif\" font-size=\"12\">\n<title>{2}</title>\n",
        width, height, title);
}

std::string draw(const Plane& plane, const std::vector<Answer>& answers, std::string_view title,
                 const std::array<std::string, 2>& names) {
    std::string svg = head(kSide + 2 * kMargin, kSide + 2 * kMargin, title);
    // All cells of one colour are one path, in units of cells: a picture of tens of kilobytes.
    std::map<std::pair<std::size_t, long>, std::string> shades;
    for (int row = 0; row < kCells; ++row) {
        for (int begin = 0; begin < kCells;) {
            const auto shade = [&](int column) {
                const Answer& answer = answers[static_cast<std::size_t>(row * kCells + column)];
                return std::pair(answer.label % kColours.size(), std::lround(answer.sure * 8));
            };
            int end = begin + 1;
            while (end < kCells && shade(end) == shade(begin)) ++end;
            shades[shade(begin)] +=
                fmt::format("M{} {}h{}v1h-{}z", begin, kCells - 1 - row, end - begin, end - begin);
            begin = end;
        }
    }
    svg += fmt::format("<g transform=\"translate({0:.0f} {0:.0f}) scale({1})\" "
                       "shape-rendering=\"crispEdges\">\n",
                       kMargin, kSide / kCells);
    for (const auto& [shade, cells] : shades) {
        svg += fmt::format("<path fill=\"{}\" fill-opacity=\"{:.2f}\" d=\"{}\"/>\n",
                           kColours[shade.first], 0.15 + 0.05 * static_cast<double>(shade.second),
                           cells);
    }
    svg += "</g>\n<g stroke=\"white\" stroke-width=\"0.6\">\n";
    for (const Sample& sample : plane.samples) {
        svg += fmt::format(
            "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.5\" fill=\"{}\"/>\n",
            kMargin + kSide * (sample.x - plane.low[0]) / (plane.high[0] - plane.low[0]),
            kMargin + kSide * (plane.high[1] - sample.y) / (plane.high[1] - plane.low[1]),
            kColours[sample.label % kColours.size()]);
    }
    svg += "</g>\n";
    const double bottom = kMargin + kSide + 16;
    const auto text = [&](double x, double y, const char* anchor, const std::string& words) {
        svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" fill=\"#808080\">{}"
                           "</text>\n",
                           x, y, anchor, words);
    };
    text(kMargin, bottom, "start", fmt::format("{:.3g}", plane.low[0]));
    text(kMargin + kSide, bottom, "end", fmt::format("{:.3g}", plane.high[0]));
    text(kMargin + kSide / 2, bottom, "middle", names[0]);
    text(kMargin - 4, kMargin + kSide, "end", fmt::format("{:.3g}", plane.low[1]));
    text(kMargin - 4, kMargin + 10, "end", fmt::format("{:.3g}", plane.high[1]));
    text(kMargin - 4, kMargin + kSide / 2, "end", names[1]);
    text(kMargin, kMargin - 12, "start", std::string(title));
    return svg + "</svg>\n";
}

}  // namespace

Result<std::string> decision_boundary_svg(Options options) {
    Result<Loaded> loaded = load_network(options, false, {"prepare", "forward"}, kCells * kCells);
    if (!loaded) return loaded.error();
    const Entry& entry = loaded->entry("forward");
    std::size_t numbers = 0;
    bool real = true;
    for (const EntryArgument& input : entry.inputs) {
        numbers += sample_size(input);
        real = real && (input.dtype == DType::f32 || input.dtype == DType::f64);
    }
    if (numbers != 2 || !real || entry.outputs.empty()) {
        return Error{
            kExitUsage,
            fmt::format("`{}` takes {} number{} a sample; a decision boundary is drawn over two",
                        loaded->model->name, numbers, numbers == 1 ? "" : "s"),
            {},
            "`--filters` draws the weights of the first layer"};
    }
    const EntryArgument& output = entry.outputs.front();
    if (output.dtype != DType::f32 && output.dtype != DType::f64)
        return Error{kExitUsage, fmt::format("the output `{}` holds no real numbers", output.name)};
    const Plane plane = plane_of(*loaded, options);
    std::vector<std::vector<std::byte>> memory;
    std::vector<const std::byte*> pointers;
    std::array<std::string, 2> names;
    std::size_t axis = 0;
    for (const EntryArgument& input : entry.inputs) {
        const std::size_t size = sample_size(input);
        std::vector<std::byte>& bytes =
            memory.emplace_back(static_cast<std::size_t>(kCells * kCells) * size *
                                static_cast<std::size_t>(size_of(input.dtype)));
        for (std::size_t e = 0; e < size; ++e, ++axis) {
            names[axis] = size == 1 ? input.name : fmt::format("{}[{}]", input.name, e);
            for (int cell = 0; cell < kCells * kCells; ++cell) {
                const int step = axis == 0 ? cell % kCells : cell / kCells;
                const double at = (step + 0.5) / kCells;
                put_number(input.dtype, bytes.data(), static_cast<std::size_t>(cell) * size + e,
                           plane.low[axis] + at * (plane.high[axis] - plane.low[axis]));
            }
        }
    }
    for (const auto& bytes : memory) pointers.push_back(bytes.data());
    if (Status s = loaded->session->run("prepare", {}, 1); !s) return s.error();
    if (Status s = loaded->session->run("forward", pointers, kCells * kCells); !s) return s.error();
    if (Status s = loaded->session->wait(); !s) return s.error();
    return draw(plane, answers_of(output, loaded->session->output(0)), loaded->model->name, names);
}

Result<std::string> filters_svg(Options options) {
    Result<Safetensors> weights = read_weights(options.weights, options);
    if (!weights) return weights.error();
    Result<std::unique_ptr<Workbench>> bench = open_workbench(options);
    if (!bench) return bench.error();
    Result<const Model*> model = find_model_of(**bench, options);
    if (!model) return model.error();
    for (const Variable& variable : (*model)->module.variables) {
        const Shape& shape = variable.type.shape;
        const bool filter = shape.size() == 4;
        if (variable.kind != VariableKind::parameter || (!filter && shape.size() != 2)) continue;
        const std::vector<double> values = numbers_of(*weights, variable.name);
        const std::int64_t inputs = filter ? shape[1].value() : 1;
        const std::int64_t outputs = filter ? shape[0].value() : shape[1].value();
        std::int64_t height = filter ? shape[2].value() : 0, width = filter ? shape[3].value() : 0;
        if (!filter) {
            height = width = std::llround(std::sqrt(static_cast<double>(shape[0].value())));
            if (height * width != shape[0].value()) {
                return Error{kExitUsage,
                             fmt::format("`{}` has {} inputs, which make no square image",
                                         variable.name, shape[0].value())};
            }
        }
        if (values.size() != static_cast<std::size_t>(inputs * outputs * height * width))
            return Error{kExitData, fmt::format("{} has no `{}` of this shape", options.weights,
                                                variable.name)};
        const std::int64_t shown = std::min<std::int64_t>(outputs, 64);
        const auto columns =
            static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(shown * inputs))));
        const std::int64_t images = shown * inputs;
        const double pixel =
            std::max(2.0, std::floor(64.0 / static_cast<double>(std::max(height, width))));
        const double gap = 6;
        const double step_x = static_cast<double>(width) * pixel + gap;
        const double step_y = static_cast<double>(height) * pixel + gap;
        std::string svg = head(static_cast<double>(columns) * step_x + gap,
                               static_cast<double>((images + columns - 1) / columns) * step_y + gap,
                               variable.name);
        for (std::int64_t image = 0; image < images; ++image) {
            const std::int64_t o = image / inputs, c = image % inputs;
            const auto value = [&](std::int64_t i) {
                const std::int64_t at =
                    filter ? (o * inputs + c) * height * width + i : i * outputs + o;
                return values[static_cast<std::size_t>(at)];
            };
            double largest = 1e-30;
            for (std::int64_t i = 0; i < height * width; ++i)
                largest = std::max(largest, std::abs(value(i)));
            for (std::int64_t i = 0; i < height * width; ++i) {
                const auto grey = std::lround(127.5 + 127.5 * value(i) / largest);
                svg += fmt::format(
                    "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" "
                    "fill=\"#{:02x}{:02x}{:02x}\"/>\n",
                    gap + static_cast<double>(image % columns) * step_x +
                        static_cast<double>(i % width) * pixel,
                    gap + static_cast<double>(image / columns) * step_y +
                        static_cast<double>(i / width) * pixel,
                    pixel, pixel, grey, grey, grey);
            }
        }
        return svg + "</svg>\n";
    }
    return Error{kExitUsage,
                 fmt::format("`{}` has no layer with a matrix or filters", (*model)->name)};
}

}  // namespace netc
