#include "backends/cpu/merge_objects.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include <llvm/BinaryFormat/ELF.h>
#include <llvm/Object/ELF.h>

#include "backends/llvm.h"

namespace netc {
namespace {

namespace elf = llvm::ELF;
using Elf = llvm::object::ELF64LE;

Error refused() {
    return {kExitInternal, "the objects of a program could not be put together", std::nullopt,
            "this is a bug in netc, please report it with the program"};
}

// The value, or nothing; what LLVM says about it concerns nobody who uses netc.
template <class T>
std::optional<T> value_of(llvm::Expected<T> value) {
    if (value) return std::move(*value);
    llvm::consumeError(value.takeError());
    return std::nullopt;
}

template <class T>
void append(std::string& bytes, const T& value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void align(std::string& bytes, std::uint64_t alignment) {
    while (alignment > 1 && bytes.size() % alignment != 0) bytes += '\0';
}

// A string table: names one behind the other, each ended by a zero.
struct Names {
    std::string bytes = std::string(1, '\0');
    std::map<std::string, std::uint32_t, std::less<>> places{{"", 0}};

    std::uint32_t place(const std::string& name) {
        const auto [at, isnew] = places.emplace(name, static_cast<std::uint32_t>(bytes.size()));
        if (isnew) bytes += name + '\0';
        return at->second;
    }
};

// Sections one behind the other, between the head of a file and the table of their headers.
class ObjectWriter {
public:
    // The header may be completed until the next call.
    elf::Elf64_Shdr& put(const std::string& name, std::string_view bytes, std::uint32_t type,
                         std::uint64_t alignment) {
        align(file_, alignment);
        elf::Elf64_Shdr header{};
        header.sh_name = names_.place(name);
        header.sh_type = type;
        header.sh_offset = file_.size();
        header.sh_size = bytes.size();
        header.sh_addralign = alignment;
        file_ += bytes;
        return headers_.emplace_back(header);
    }

    std::string finish(std::uint16_t machine, std::uint32_t flags) && {
        names_.place(".shstrtab");  // it holds its own name
        put(".shstrtab", names_.bytes, elf::SHT_STRTAB, 1);
        align(file_, 8);
        elf::Elf64_Ehdr head{};
        std::copy_n(elf::ElfMagic, 4, head.e_ident);
        head.e_ident[elf::EI_CLASS] = elf::ELFCLASS64;
        head.e_ident[elf::EI_DATA] = elf::ELFDATA2LSB;
        head.e_ident[elf::EI_VERSION] = elf::EV_CURRENT;
        head.e_type = elf::ET_REL;
        head.e_machine = machine;
        head.e_version = elf::EV_CURRENT;
        head.e_shoff = file_.size();
        head.e_flags = flags;
        head.e_ehsize = sizeof head;
        head.e_shentsize = sizeof(elf::Elf64_Shdr);
        head.e_shnum = static_cast<std::uint16_t>(headers_.size());
        head.e_shstrndx = static_cast<std::uint16_t>(headers_.size() - 1);
        for (const elf::Elf64_Shdr& header : headers_) append(file_, header);
        file_.replace(0, sizeof head, reinterpret_cast<const char*>(&head), sizeof head);
        return std::move(file_);
    }

private:
    std::string file_ = std::string(sizeof(elf::Elf64_Ehdr), '\0');
    Names names_;  // of sections
    std::vector<elf::Elf64_Shdr> headers_{elf::Elf64_Shdr{}};
};

class Merger {
public:
    explicit Merger(std::string_view prefix) : prefix_(prefix) {}
    bool add(std::string_view object);
    std::string finish() const;

private:
    struct Section {
        std::string name;
        std::uint32_t type = 0;
        std::uint64_t flags = 0, entry_size = 0, alignment = 1;
        std::string bytes;
        std::vector<elf::Elf64_Rela> relocations;  // symbols by index into symbols_
    };
    struct Symbol {
        std::string name;
        std::uint8_t type = elf::STT_NOTYPE;
        bool global = false;
        std::optional<std::uint32_t> section;  // index into sections_; nothing: undefined
        std::uint64_t value = 0, size = 0;
    };
    // Where a section of the object at hand went.
    struct Place {
        std::uint32_t section = 0;
        std::uint64_t offset = 0;
    };
    struct Input {
        explicit Input(llvm::object::ELFFile<Elf> of) : file(std::move(of)) {}
        llvm::object::ELFFile<Elf> file;
        Elf::ShdrRange sections;
        std::map<std::uint32_t, Place>
            places;  // by number of the section; those left out are not here
        std::vector<std::uint32_t> symbols;  // by number: index into symbols_
        std::vector<std::int64_t> shifts;    // what the addends of relocations to it gain
    };

    struct SymbolTable {
        std::string bytes;
        Names names;
        std::uint32_t locals = 0;            // how many, they come first
        std::vector<std::uint32_t> numbers;  // of symbols_
    };

    SymbolTable symbol_table() const;
    bool add_section(Input& input, std::uint32_t number);
    bool add_symbols(Input& input, const Elf::Shdr& table);
    bool add_relocations(Input& input, const Elf::Shdr& table);
    std::uint32_t section_symbol(std::uint32_t section);
    std::uint32_t global_symbol(Symbol symbol);
    bool stays_global(const Symbol& symbol) const {
        return symbol.global && (!symbol.section || symbol.name.starts_with(prefix_));
    }

    std::string_view prefix_;
    std::uint16_t machine_ = 0;
    std::uint32_t flags_ = 0;
    bool failed_ = false;
    std::vector<Section> sections_;
    std::vector<Symbol> symbols_{Symbol{}};  // the first one is none
    std::map<std::uint32_t, std::uint32_t> section_symbols_;
    std::map<std::string, std::uint32_t> globals_;
};

bool Merger::add(std::string_view object) {
    auto file = value_of(llvm::object::ELFFile<Elf>::create({object.data(), object.size()}));
    if (!file) return false;
    Input input(std::move(*file));
    machine_ = input.file.getHeader().e_machine;
    flags_ = input.file.getHeader().e_flags;
    const auto sections = value_of(input.file.sections());
    if (!sections) return false;
    input.sections = *sections;
    const auto count = static_cast<std::uint32_t>(sections->size());
    for (std::uint32_t i = 0; i < count; ++i) {
        if (!add_section(input, i)) return false;
    }
    for (const Elf::Shdr& section : *sections) {
        if (section.sh_type == elf::SHT_SYMTAB && !add_symbols(input, section)) return false;
    }
    for (const Elf::Shdr& section : *sections) {
        if (section.sh_type == elf::SHT_RELA && !add_relocations(input, section)) return false;
    }
    return !failed_;
}

bool Merger::add_section(Input& input, std::uint32_t number) {
    const Elf::Shdr& header = input.sections[number];
    const auto name = value_of(input.file.getSectionName(header));
    if (!name) return false;
    if (header.sh_type == elf::SHT_GROUP || header.sh_type == elf::SHT_REL) return false;
    const bool is_code_or_data = (header.sh_flags & elf::SHF_ALLOC) != 0;
    const bool is_note = *name == ".note.GNU-stack";  // that the stack holds no code
    if (*name == kJitSection || (!is_code_or_data && !is_note)) return true;
    if (header.sh_type == elf::SHT_NOBITS) return header.sh_size == 0;
    const auto bytes = value_of(input.file.getSectionContents(header));
    if (!bytes) return false;
    std::uint32_t found = 0;
    while (found < sections_.size() &&
           (sections_[found].name != *name || sections_[found].flags != header.sh_flags ||
            sections_[found].entry_size != header.sh_entsize))
        ++found;
    if (found == sections_.size()) {
        sections_.push_back({.name = name->str(),
                             .type = header.sh_type,
                             .flags = header.sh_flags,
                             .entry_size = header.sh_entsize,
                             .alignment = 1,
                             .bytes = {},
                             .relocations = {}});
    }
    Section& section = sections_[found];
    section.alignment = std::max<std::uint64_t>(section.alignment, header.sh_addralign);
    align(section.bytes, header.sh_addralign);
    input.places[number] = {found, section.bytes.size()};
    section.bytes.append(reinterpret_cast<const char*>(bytes->data()), bytes->size());
    return true;
}

std::uint32_t Merger::section_symbol(std::uint32_t section) {
    const auto [at, isnew] =
        section_symbols_.emplace(section, static_cast<std::uint32_t>(symbols_.size()));
    if (isnew) {
        Symbol symbol;
        symbol.type = elf::STT_SECTION;
        symbol.section = section;
        symbols_.push_back(symbol);
    }
    return at->second;
}

// One for all objects that name it.
std::uint32_t Merger::global_symbol(Symbol symbol) {
    const auto [at, isnew] =
        globals_.emplace(symbol.name, static_cast<std::uint32_t>(symbols_.size()));
    if (isnew) {
        symbols_.push_back(std::move(symbol));
    } else if (symbol.section) {
        failed_ = failed_ || symbols_[at->second].section.has_value();  // two of one name
        symbols_[at->second] = std::move(symbol);
    }
    return at->second;
}

bool Merger::add_symbols(Input& input, const Elf::Shdr& table) {
    const auto names = value_of(input.file.getStringTableForSymtab(table));
    const auto symbols = value_of(input.file.symbols(&table));
    if (!names || !symbols) return false;
    input.symbols.resize(symbols->size());
    input.shifts.resize(symbols->size());
    for (std::size_t i = 1; i < symbols->size(); ++i) {
        const Elf::Sym& from = (*symbols)[i];
        const auto name = value_of(from.getName(*names));
        if (!name) return false;
        Symbol symbol{.name = name->str(),
                      .type = from.getType(),
                      .global = from.getBinding() == elf::STB_GLOBAL,
                      .section = {},
                      .value = from.st_value,
                      .size = from.st_size};
        if (from.getType() == elf::STT_FILE) continue;
        if (from.st_shndx == elf::SHN_UNDEF) {
            input.symbols[i] = global_symbol(std::move(symbol));
            continue;
        }
        if (from.st_shndx >= elf::SHN_LORESERVE) return false;
        const auto place = input.places.find(from.st_shndx);
        if (place == input.places.end()) continue;
        const auto [section, offset] = place->second;
        if (from.getType() == elf::STT_SECTION) {
            input.symbols[i] = section_symbol(section);
            input.shifts[i] = static_cast<std::int64_t>(offset);
            continue;
        }
        symbol.section = section;
        symbol.value += offset;
        if (symbol.global) {
            input.symbols[i] = global_symbol(std::move(symbol));
        } else {
            input.symbols[i] = static_cast<std::uint32_t>(symbols_.size());
            symbols_.push_back(std::move(symbol));
        }
    }
    return true;
}

bool Merger::add_relocations(Input& input, const Elf::Shdr& table) {
    const auto place = input.places.find(table.sh_info);
    if (place == input.places.end()) return true;
    const auto relocations = value_of(input.file.relas(table));
    if (!relocations) return false;
    for (const Elf::Rela& from : *relocations) {
        const std::uint32_t symbol = from.getSymbol(false);
        // Into what was left out.
        if (symbol >= input.symbols.size() || input.symbols[symbol] == 0) return false;
        elf::Elf64_Rela to{};
        to.r_offset = from.r_offset + place->second.offset;
        to.setSymbolAndType(input.symbols[symbol], from.getType(false));
        to.r_addend = from.r_addend + input.shifts[symbol];
        sections_[place->second.section].relocations.push_back(to);
    }
    return true;
}

// What every symbol is called and where it lies, the locals first.
Merger::SymbolTable Merger::symbol_table() const {
    SymbolTable table;
    table.numbers.resize(symbols_.size());
    std::uint32_t count = 0;
    for (const bool global : {false, true}) {
        for (std::size_t i = 0; i < symbols_.size(); ++i) {
            const Symbol& from = symbols_[i];
            if (stays_global(from) != global) continue;
            table.numbers[i] = count++;
            elf::Elf64_Sym symbol{};
            symbol.st_name = table.names.place(from.name);
            symbol.setBindingAndType(global ? elf::STB_GLOBAL : elf::STB_LOCAL, from.type);
            // Sections stand in the file in their order, behind an empty one.
            symbol.st_shndx = from.section ? static_cast<std::uint16_t>(*from.section + 1) : 0;
            symbol.st_value = from.value;
            symbol.st_size = from.size;
            append(table.bytes, symbol);
        }
        if (!global) table.locals = count;
    }
    return table;
}

std::string Merger::finish() const {
    const SymbolTable symbols = symbol_table();
    ObjectWriter writer;
    std::uint32_t table = static_cast<std::uint32_t>(sections_.size()) + 1;  // where symbols stand
    for (const Section& section : sections_) {
        elf::Elf64_Shdr& header =
            writer.put(section.name, section.bytes, section.type, section.alignment);
        header.sh_flags = section.flags;
        header.sh_entsize = section.entry_size;
        table += !section.relocations.empty();
    }
    for (std::uint32_t i = 0; i < sections_.size(); ++i) {
        if (sections_[i].relocations.empty()) continue;
        std::string bytes;
        for (elf::Elf64_Rela relocation : sections_[i].relocations) {
            relocation.setSymbol(symbols.numbers[relocation.getSymbol()]);
            append(bytes, relocation);
        }
        elf::Elf64_Shdr& header = writer.put(".rela" + sections_[i].name, bytes, elf::SHT_RELA, 8);
        header.sh_flags = elf::SHF_INFO_LINK;
        header.sh_link = table;
        header.sh_info = i + 1;
        header.sh_entsize = sizeof(elf::Elf64_Rela);
    }
    elf::Elf64_Shdr& header = writer.put(".symtab", symbols.bytes, elf::SHT_SYMTAB, 8);
    header.sh_link = table + 1;
    header.sh_info = symbols.locals;
    header.sh_entsize = sizeof(elf::Elf64_Sym);
    writer.put(".strtab", symbols.names.bytes, elf::SHT_STRTAB, 1);
    return std::move(writer).finish(machine_, flags_);
}

}  // namespace

Result<std::string> merge_objects(std::span<const std::string_view> objects,
                                  std::string_view prefix) {
    Merger merger(prefix);
    for (const std::string_view object : objects) {
        if (!merger.add(object)) return refused();
    }
    return merger.finish();
}

}  // namespace netc
