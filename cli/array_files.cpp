#include "cli/array_files.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include <fmt/format.h>

#include "runtime/data/csv_table.h"
#include "runtime/files/gzip.h"
#include "runtime/files/image.h"
#include "runtime/files/npz.h"

namespace netc {
namespace {

bool ends_with(std::string_view file, std::string_view ending) {
    return file.ends_with(ending) || file.ends_with(std::string(ending) + ".gz");
}

Array array_of_numbers(const std::vector<double>& numbers, std::int64_t rows,
                       std::int64_t columns) {
    // Up to 2^53 a double holds every int; labels in a table are ints.
    const bool ints = std::all_of(numbers.begin(), numbers.end(), [](double value) {
        return value == std::floor(value) && std::abs(value) <= 9007199254740992.0;
    });
    Array array{ints ? DType::i64 : DType::f64, {rows, columns}, {}};
    array.bytes.resize(numbers.size() * 8);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        const auto whole = ints ? static_cast<std::int64_t>(numbers[i]) : 0;
        const void* from = ints ? static_cast<const void*>(&whole) : &numbers[i];
        std::memcpy(array.bytes.data() + i * 8, from, 8);
    }
    return array;
}

// A first row that holds no number is a header.
Result<Array> read_table(const std::string& path) {
    Result<DataFile> file = read_data_file("", path);
    if (!file) return file.error();
    Result<CsvTable> table = CsvTable::parse(std::move(file->bytes), file->path, {});
    if (!table) return table.error();
    std::vector<CsvCell> cells;
    if (table->rows() > 0) {
        table->read(0, cells);
        const bool header = std::all_of(cells.begin(), cells.end(), [](const CsvCell& cell) {
            return !cell.text.empty() && !parse_number(cell.text) &&
                   !is_too_large_number(cell.text);
        });
        if (header) table->take_header();
    }
    if (Status widths = table->check_widths(); !widths) return widths.error();
    std::vector<double> numbers;
    for (std::int64_t row = 0; row < table->rows(); ++row) {
        table->read(row, cells);
        for (const CsvCell& cell : cells) {
            const std::optional<double> number = parse_number(cell.text);
            if (!number) {
                return Error{.message =
                                 cell.text.empty()
                                     ? std::string("a value is missing")
                                     : fmt::format("`{}` is {}", excerpt(cell.text),
                                                   is_too_large_number(cell.text) ? "too large"
                                                                                  : "not a number"),
                             .place = table->place(cell)};
            }
            numbers.push_back(*number);
        }
    }
    return array_of_numbers(numbers, table->rows(), table->columns());
}

// [1, channels, height, width] for an input of channels, height and width; any other input must have
// as many elements as the image.
Result<Array> read_picture(const std::string& file, const EntryArgument& input) {
    std::vector<std::int64_t> sample;
    for (const Extent& extent : input.dims) {
        if (extent.is_static()) sample.push_back(extent.constant);
    }
    Result<Image> image = read_image(file);
    if (!image) return image.error();
    std::int64_t elements = 1;
    for (const std::int64_t extent : sample) elements *= extent;
    const bool shaped = sample.size() == 3;
    const std::int64_t pixels = image->width * image->height;
    const std::int64_t channels = shaped ? sample[0] : elements == pixels * 3 ? 3 : 1;
    const std::int64_t height = shaped ? sample[1] : sample.size() == 2 ? sample[0] : image->height;
    const std::int64_t width = shaped ? sample[2] : sample.size() == 2 ? sample[1] : image->width;
    if (channels != 1 && channels != 3) {
        return Error{.message = fmt::format("{}: an image is grey or has three colours, `{}` "
                                            "has {} channels",
                                            file, input.name, channels)};
    }
    if (image->width != width || image->height != height || pixels * channels != elements) {
        return Error{.message = fmt::format("{} is {} pixels wide and {} high, but `{}` takes [{}]",
                                            file, image->width, image->height, input.name,
                                            fmt::join(sample, ", "))};
    }
    Array array{DType::u8, {1, channels, image->height, image->width}, {}};
    const std::vector<std::uint8_t> planes =
        channels_first(with_channels(std::move(*image), channels));
    array.bytes.resize(planes.size());
    std::memcpy(array.bytes.data(), planes.data(), planes.size());
    return array;
}

}  // namespace

Result<Array> read_array_file(const std::string& file, const EntryArgument& input) {
    if (ends_with(file, ".npy")) return read_npy(file);
    if (ends_with(file, ".csv")) return read_table(file);
    if (ends_with(file, ".npz")) {
        Result<DataFile> packed = read_data_file("", file);
        if (!packed) return packed.error();
        Result<NpzFile> archive = NpzFile::open(std::move(packed->bytes), packed->path);
        if (!archive) return archive.error();
        return read_npz_array(*archive, input.name, packed->path);
    }
    if (is_image_name(file)) return read_picture(file, input);
    return Error{.message = fmt::format("{}: this kind of file is not read here", file),
                 .help = "inputs are .npy, .npz, .csv, .png, .jpg, .pgm or .ppm files"};
}

}  // namespace netc
