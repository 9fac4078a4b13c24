#include "cli/graph_drawing.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <map>
#include <set>
#include <vector>

#include <fmt/format.h>

#include "ir/op_def.h"

extern char** environ;  // NOLINT: what posix_spawnp wants

namespace netc {
namespace {

std::string dot_string(std::string_view text) {
    std::string result = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') result += '\\';
        result += c == '\n' ? std::string("\\n") : std::string(1, c);
    }
    return result + "\"";
}

// Fills for kernels, light enough for black text.
constexpr std::array kFills = {"#dbe9f6", "#fde3cf", "#d9f0e3", "#f5deeb",
                               "#fbefc8", "#ddf1fb", "#e8e0f3"};

// Instances inside each other, as their paths say.
struct Cluster {
    std::string path;
    std::map<std::string, Cluster> inner;
    std::vector<std::uint32_t> nodes;
};

class Drawing {
public:
    explicit Drawing(const Module& module) : module_(module) {}

    std::string run() {
        text_ = fmt::format(
            "digraph {} {{\n"
            "  graph [fontname=\"sans-serif\", compound=true, rankdir=TB, bgcolor=\"white\"];\n"
            "  node [fontname=\"sans-serif\", fontsize=10, shape=box, style=\"filled,rounded\", "
            "fillcolor=\"white\"];\n"
            "  edge [fontname=\"sans-serif\", fontsize=8, color=\"#606060\"];\n",
            dot_string(module_.name));
        for (std::size_t i = 0; i < module_.functions.size(); ++i) draw(module_.functions[i], i);
        return text_ + "}\n";
    }

private:
    // Variables and constants belong to the node that reads them: they would hide the flow.
    static bool is_drawn(const Node& node) {
        return node.op != OpId::variable && node.op != OpId::constant && node.op != OpId::hyper;
    }

    std::string id(std::uint32_t node) const { return fmt::format("f{}n{}", number_, node); }

    void draw(const Function& function, std::size_t number) {
        number_ = number;
        text_ += fmt::format(
            "  subgraph cluster_f{} {{\n    label={}; style=rounded; color=\"#a0a0a0\";\n", number,
            dot_string(function.name));
        Cluster root;
        for (std::uint32_t i = 0; i < function.nodes.size(); ++i) {
            const Node& node = function.nodes[i];
            if (!is_drawn(node)) continue;
            place(root, function.origins[node.origin].instance).nodes.push_back(i);
        }
        next_cluster_ = 0;
        draw(function, root, 4);
        for (std::size_t i = 0; i < function.results.size(); ++i) {
            text_ += fmt::format("    f{}r{} [label={}, shape=ellipse];\n", number_, i,
                                 dot_string(function.results[i].name));
        }
        text_ += "  }\n";
        for (std::uint32_t i = 0; i < function.nodes.size(); ++i) {
            if (!is_drawn(function.nodes[i])) continue;
            for (const NodeId input : function.nodes[i].inputs) {
                if (is_drawn(function[input])) edge(function, input.index, id(i));
            }
        }
        for (std::size_t i = 0; i < function.results.size(); ++i) {
            const NodeId value = function.results[i].value;
            if (is_drawn(function[value]))
                edge(function, value.index, fmt::format("f{}r{}", number_, i));
        }
    }

    Cluster& place(Cluster& root, const std::string& instance) const {
        std::string_view rest = instance;
        if (rest == module_.name) return root;
        if (rest.starts_with(module_.name + ".")) rest.remove_prefix(module_.name.size() + 1);
        Cluster* at = &root;
        while (!rest.empty()) {
            const std::size_t dot = std::min(rest.find('.'), rest.size());
            const std::string part(rest.substr(0, dot));
            at = &at->inner[part];
            at->path = part;
            rest.remove_prefix(std::min(dot + 1, rest.size()));
        }
        return *at;
    }

    void draw(const Function& function, const Cluster& cluster, int indent) {
        for (const std::uint32_t i : cluster.nodes) {
            text_ += fmt::format("{:{}}{}", "", indent, id(i));
            const Node& node = function.nodes[i];
            const bool input = node.op == OpId::input;
            text_ += fmt::format(" [label={}{}{}];\n", dot_string(label(function, node)),
                                 input ? ", shape=ellipse" : "",
                                 node.group == 0 ? ""
                                                 : fmt::format(", fillcolor=\"{}\"",
                                                               kFills[node.group % kFills.size()]));
        }
        for (const auto& [name, inner] : cluster.inner) {
            text_ += fmt::format("{:{}}subgraph cluster_f{}_{} {{\n", "", indent, number_,
                                 next_cluster_++);
            text_ += fmt::format("{:{}}label={}; style=\"rounded,dashed\"; color=\"#808080\";\n",
                                 "", indent + 2, dot_string(name));
            draw(function, inner, indent + 2);
            text_ += fmt::format("{:{}}}}\n", "", indent);
        }
    }

    // The operator, and the variables that it reads.
    std::string label(const Function& function, const Node& node) const {
        if (node.op == OpId::input) {
            const auto index = static_cast<std::size_t>(node.attributes.get<std::int64_t>("index"));
            return fmt::format("{}\n{}", function.inputs[index].name, node.type.to_string());
        }
        std::string text(op_def(node.op).name);
        for (const NodeId input : node.inputs) {
            const Node& read = function[input];
            if (read.op != OpId::variable) continue;
            const auto index = static_cast<std::size_t>(read.attributes.get<std::int64_t>("index"));
            text += "\n" + module_.variables[index].name;
        }
        if (node.group != 0) text += fmt::format("\nkernel {}", node.group);
        return text;
    }

    void edge(const Function& function, std::uint32_t from, const std::string& to) {
        text_ += fmt::format("  {} -> {} [label={}];\n", id(from), to,
                             dot_string(function.nodes[from].type.to_string()));
    }

    const Module& module_;
    std::string text_;
    std::size_t number_ = 0;
    std::size_t next_cluster_ = 0;
};

// An unnamed file that `text` stands in.
int file_with(const std::string& text) {
    std::FILE* file = std::tmpfile();
    if (file == nullptr) return -1;
    const bool written =
        std::fwrite(text.data(), 1, text.size(), file) == text.size() && std::fflush(file) == 0;
    const int copy = written ? ::dup(fileno(file)) : -1;
    std::fclose(file);
    if (copy >= 0) ::lseek(copy, 0, SEEK_SET);
    return copy;
}

}  // namespace

std::string to_dot(const Module& module) { return Drawing(module).run(); }

Result<std::string> dot_to_svg(const std::string& dot) {
    const int input = file_with(dot);
    const int output = file_with("");
    if (input < 0 || output < 0) return Error{kExitRun, "no place for a temporary file"};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    char program[] = "dot", format[] = "-Tsvg";
    char* const arguments[] = {program, format, nullptr};
    pid_t child = 0;
    const int failure = ::posix_spawnp(&child, program, &actions, nullptr, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    int status = 0;
    if (failure == 0) {
        while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    }
    ::close(input);
    std::string svg;
    ::lseek(output, 0, SEEK_SET);
    char bytes[64 * 1024];
    for (ssize_t count = 0; (count = ::read(output, bytes, sizeof bytes)) > 0;)
        svg.append(bytes, static_cast<std::size_t>(count));
    ::close(output);
    if (failure == ENOENT || (failure == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 127)) {
        return Error{kExitRun,
                     "`dot`, which lays the picture out, is not installed",
                     {},
                     "install Graphviz (Debian: graphviz), or take the text: `--format=dot`"};
    }
    if (failure != 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0 || svg.empty())
        return Error{kExitRun, "`dot` could not lay the picture out"};
    return svg;
}

}  // namespace netc
