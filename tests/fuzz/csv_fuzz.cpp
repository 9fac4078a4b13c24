// links: ir
// sources: runtime/data/csv_table.cpp
// Text of a table: rows, header, every cell.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/data/csv_table.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    auto table = netc::CsvTable::parse(std::string(reinterpret_cast<const char*>(data), size),
                                       "fuzz.csv", {});
    if (!table) return 0;
    (void)table->check_widths();
    std::vector<netc::CsvCell> cells;
    for (std::int64_t row = 0; row < table->rows(); ++row) {
        table->read(row, cells);
        for (const netc::CsvCell& cell : cells) (void)table->place(cell);
    }
    if (table->rows() > 0) table->take_header();
    return 0;
}
