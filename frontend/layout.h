// How a text is broken into lines: a document that says where it may break, and a printer that breaks
// where a line would be too long (Oppen 1980, Wadler 2003).
//
//     group("f(" nest(softline "a," line "b") softline ")")      f(a, b)      or      f(
//                                                                                       a,
//                                                                                       b
//                                                                                     )
//
// A group stands on one line if it fits, else every line of it that is in no inner group breaks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace netc {

// The parts of a document are numbers in its Layout; part 0 is the empty one.
using Part = std::uint32_t;

class Layout {
public:
    Layout() { add({Kind::sequence, 0, {}, {}}); }

    // The text must outlive the layout and holds no line break.
    Part text(std::string_view text) { return add({Kind::text, 0, text, {}}); }
    Part line() { return add({Kind::line, 0, {}, {}}); }          // a space or a line break
    Part softline() { return add({Kind::softline, 0, {}, {}}); }  // nothing or a line break
    Part hardline() { return add({Kind::hardline, 0, {}, {}}); }
    // An empty line, where a line begins that does not open a block.
    Part blank() { return add({Kind::blank, 0, {}, {}}); }
    // What follows is lined up with what follows the stops of the lines before and after.
    Part stop() { return add({Kind::stop, 0, {}, {}}); }
    // A line without a stop that does not end a run of lines with stops.
    Part no_stop() { return add({Kind::no_stop, 0, {}, {}}); }
    // A comment runs to the end of its line: text that follows it must go to the next one. It stands
    // on a line of its own where one begins, else behind what else the line holds.
    Part comment(std::string_view text) { return add({Kind::comment, 0, text, {}}); }
    Part trailing_comment(std::string_view text) { return add({Kind::trailing, 0, text, {}}); }
    Part sequence(std::vector<Part> parts) {
        return add({Kind::sequence, 0, {}, std::move(parts)});
    }
    Part group(std::vector<Part> parts) { return add({Kind::group, 0, {}, std::move(parts)}); }
    Part nest(std::uint32_t columns, std::vector<Part> parts) {
        return add({Kind::nest, columns, {}, std::move(parts)});
    }

    std::string print(Part part, std::size_t width) const;

private:
    friend class LayoutPrinter;
    enum class Kind : std::uint8_t {
        text,
        line,
        softline,
        hardline,
        blank,
        stop,
        no_stop,
        comment,
        trailing,
        sequence,
        group,
        nest
    };
    struct Node {
        Kind kind;
        std::uint32_t columns;
        std::string_view text;
        std::vector<Part> parts;
    };

    Part add(Node node) {
        nodes_.push_back(std::move(node));
        return static_cast<Part>(nodes_.size() - 1);
    }

    std::vector<Node> nodes_;
};

}  // namespace netc
