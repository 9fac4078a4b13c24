// Draws digits that no training has seen (another seed) and writes them for main.c: an int32 and 28 * 28 floats each.
//
//     demo_samples COUNT FILE

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <vector>

#include "runtime/data/dataset.h"

int main(int argc, char** argv) {
    using namespace netc;
    if (argc != 3) {
        std::cerr << "usage: demo_samples COUNT FILE\n";
        return 2;
    }
    DataSource source;
    source.kind = SourceKind::digits;
    source.count = std::atoll(argv[1]);
    source.seed = 987654321;
    const std::vector<FieldRequest> wanted = {
        {.name = "x", .dtype = DType::f32, .sample_shape = {1, 28, 28}, .classes = {}},
        {.name = "y",
         .dtype = DType::i32,
         .sample_shape = {},
         .role = FieldRole::target,
         .classes = 10},
    };
    const Result<Dataset> data = load(source, wanted, {});
    if (!data) {
        std::cerr << data.error().message << "\n";
        return 3;
    }
    const Field& images = *find_field(*data, "x");
    const Field& labels = *find_field(*data, "y");
    std::ofstream file(argv[2], std::ios::binary);
    std::vector<std::byte> image(static_cast<std::size_t>(images.sample_bytes()));
    std::int32_t label = 0;
    for (std::int64_t row = 0; row < data->rows; ++row) {
        gather(images, {&row, 1}, image.data());
        gather(labels, {&row, 1}, reinterpret_cast<std::byte*>(&label));
        file.write(reinterpret_cast<const char*>(&label), sizeof label);
        file.write(reinterpret_cast<const char*>(image.data()),
                   static_cast<std::streamsize>(image.size()));
    }
    file.close();
    if (!file) {
        std::cerr << argv[2] << ": could not be written\n";
        return 3;
    }
    return 0;
}
