// netc lsp: the language server, over standard input and output.
//
// One thread, one message after the other. Texts are analysed when nothing more waits to be read, or
// when a request needs it, so somebody who types faster than netc checks is not kept waiting.

#include <unistd.h>

#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include <fmt/format.h>

#include "cli/lsp_document.h"
#include "cli/lsp_features.h"
#include "cli/lsp_message.h"
#include "cli/verbs.h"
#include "cli/workbench.h"
#include "frontend/standard_library.h"
#include "runtime/files/files.h"

namespace netc {
namespace {

// Error codes of JSON-RPC and of the protocol.
constexpr int kParseError = -32700, kInvalidRequest = -32600, kUnknownMethod = -32601,
              kInvalidParams = -32602, kNotInitialized = -32002, kRequestFailed = -32803;

class Server {
public:
    explicit Server(const Options& options) : options_(options), reader_(STDIN_FILENO) {
        declare_notifications();
        declare_requests();
    }

    int run();

private:
    using Notification = std::function<void(const Json& params)>;
    // The result; where it cannot be done, why not.
    using Request = std::function<Result<Json>(const Json& params)>;

    void declare_notifications();
    void declare_requests();
    void handle(const std::string& body);
    void answer(const Json& id, const Request& request, const Json& params);
    void send(Json message) {
        message["jsonrpc"] = "2.0";
        open_ = open_ && write_message(STDOUT_FILENO, message.dump(-1, ' ', false,
                                                                   Json::error_handler_t::replace));
    }
    void send_error(const Json& id, int code, const std::string& message) {
        send({{"id", id}, {"error", {{"code", code}, {"message", message}}}});
    }
    void analyse_changed();
    void refresh(Document& document);
    void change(const Json& params);
    // The document of a request, analysed; null where it is not open.
    Document* document_of(const Json& params);
    Json with_document(const Json& params,
                       const std::function<Json(Document&, std::uint32_t)>& function);
    std::string library_path();

    Options options_;
    MessageReader reader_;
    std::map<std::string, Document> documents_;
    std::map<std::string, Notification> notifications_;
    std::map<std::string, Request> requests_;
    bool initialized_ = false, shut_down_ = false, done_ = false, open_ = true;
};

Json capabilities() {
    return {{"positionEncoding", "utf-16"},
            {"textDocumentSync", {{"openClose", true}, {"change", 2}}},
            {"hoverProvider", true},
            {"definitionProvider", true},
            {"referencesProvider", true},
            {"documentHighlightProvider", true},
            {"documentSymbolProvider", true},
            {"documentFormattingProvider", true},
            {"inlayHintProvider", true},
            {"renameProvider", {{"prepareProvider", true}}},
            {"completionProvider", {{"triggerCharacters", {".", "(", "|", ">", "="}}}}};
}

// ---------------------------------------------------------------- documents

void Server::refresh(Document& document) {
    if (!document.changed) return;
    update(document);
    send({{"method", "textDocument/publishDiagnostics"},
          {"params",
           {{"uri", document.uri},
            {"version", document.version},
            {"diagnostics", lsp_diagnostics(document)}}}});
}

void Server::analyse_changed() {
    for (auto& [uri, document] : documents_) refresh(document);
}

Document* Server::document_of(const Json& params) {
    const auto found = documents_.find(params.at("textDocument").at("uri").get<std::string>());
    if (found == documents_.end()) return nullptr;
    refresh(found->second);
    return &found->second;
}

Json Server::with_document(const Json& params,
                           const std::function<Json(Document&, std::uint32_t)>& function) {
    Document* document = document_of(params);
    if (document == nullptr) return nullptr;
    return function(*document, offset_of(document->text, params.at("position")));
}

void Server::change(const Json& params) {
    const Json& identity = params.at("textDocument");
    const auto found = documents_.find(identity.at("uri").get<std::string>());
    if (found == documents_.end()) return;
    Document& document = found->second;
    std::string text = document.text;
    for (const Json& part : params.at("contentChanges")) {
        const auto written = part.at("text").get<std::string>();
        if (!part.contains("range")) {
            text = written;
            continue;
        }
        const std::uint32_t begin = offset_of(text, part.at("range").at("start"));
        const std::uint32_t end = offset_of(text, part.at("range").at("end"));
        if (begin <= end) text.replace(begin, end - begin, written);
    }
    document.text = std::move(text);
    document.version = identity.value("version", std::int64_t{0});
    document.changed = true;
}

// The text of the library as a file that an editor can show; it lies beside the compiled code.
std::string Server::library_path() {
    const std::string folder = cache_directory(options_);
    if (folder.empty()) return {};
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    const std::string path = folder + "/std.net";
    const Result<std::string> there = read_file(path);
    if (there && *there == kStandardLibrary) return path;
    return write_file_atomically(path, kStandardLibrary) ? path : std::string();
}

// ---------------------------------------------------------------- methods

void Server::declare_notifications() {
    notifications_["initialized"] = [](const Json&) {};
    notifications_["exit"] = [this](const Json&) { done_ = true; };
    notifications_["textDocument/didOpen"] = [this](const Json& params) {
        const Json& item = params.at("textDocument");
        Document document;
        document.uri = item.at("uri").get<std::string>();
        document.path = path_of_uri(document.uri);
        document.text = item.at("text").get<std::string>();
        document.version = item.value("version", std::int64_t{0});
        documents_[document.uri] = std::move(document);
    };
    notifications_["textDocument/didChange"] = [this](const Json& params) { change(params); };
    notifications_["textDocument/didClose"] = [this](const Json& params) {
        const auto uri = params.at("textDocument").at("uri").get<std::string>();
        if (documents_.erase(uri) == 0) return;
        send({{"method", "textDocument/publishDiagnostics"},
              {"params", {{"uri", uri}, {"diagnostics", Json::array()}}}});
    };
    // What another file imports may have changed on the disk.
    notifications_["textDocument/didSave"] = [this](const Json&) {
        for (auto& [uri, document] : documents_) document.changed = true;
    };
}

void Server::declare_requests() {
    requests_["initialize"] = [this](const Json&) -> Result<Json> {
        initialized_ = true;
        return Json{{"capabilities", capabilities()},
                    {"serverInfo", {{"name", "netc"}, {"version", NETC_VERSION}}}};
    };
    requests_["shutdown"] = [this](const Json&) -> Result<Json> {
        shut_down_ = true;
        return Json(nullptr);
    };
    requests_["textDocument/hover"] = [this](const Json& params) -> Result<Json> {
        return with_document(params,
                             [](Document& d, std::uint32_t at) { return lsp_hover(d, at); });
    };
    requests_["textDocument/definition"] = [this](const Json& params) -> Result<Json> {
        return with_document(params, [this](Document& d, std::uint32_t at) {
            return lsp_definition(d, at, [this] { return library_path(); });
        });
    };
    requests_["textDocument/references"] = [this](const Json& params) -> Result<Json> {
        const bool declaration =
            params.value("context", Json::object()).value("includeDeclaration", true);
        return with_document(params, [declaration](Document& d, std::uint32_t at) {
            return lsp_references(d, at, declaration);
        });
    };
    requests_["textDocument/documentHighlight"] = requests_["textDocument/references"];
    requests_["textDocument/completion"] = [this](const Json& params) -> Result<Json> {
        return with_document(params,
                             [](Document& d, std::uint32_t at) { return lsp_completion(d, at); });
    };
    requests_["textDocument/inlayHint"] = [this](const Json& params) -> Result<Json> {
        Document* document = document_of(params);
        if (document == nullptr) return Json(nullptr);
        const Json& range = params.at("range");
        return lsp_inlay_hints(*document, offset_of(document->text, range.at("start")),
                               offset_of(document->text, range.at("end")));
    };
    requests_["textDocument/documentSymbol"] = [this](const Json& params) -> Result<Json> {
        Document* document = document_of(params);
        return document == nullptr ? Json(nullptr) : lsp_symbols(*document);
    };
    requests_["textDocument/formatting"] = [this](const Json& params) -> Result<Json> {
        Document* document = document_of(params);
        return document == nullptr ? Json(nullptr) : lsp_formatting(*document);
    };
    requests_["textDocument/prepareRename"] = [this](const Json& params) -> Result<Json> {
        Document* document = document_of(params);
        if (document == nullptr) return Json(nullptr);
        return lsp_prepare_rename(*document, offset_of(document->text, params.at("position")));
    };
    requests_["textDocument/rename"] = [this](const Json& params) -> Result<Json> {
        Document* document = document_of(params);
        if (document == nullptr) return Json(nullptr);
        return lsp_rename(*document, offset_of(document->text, params.at("position")),
                          params.at("newName").get<std::string>());
    };
}

// ---------------------------------------------------------------- messages

void Server::answer(const Json& id, const Request& request, const Json& params) {
    try {
        Result<Json> result = request(params);
        if (result)
            send({{"id", id}, {"result", std::move(*result)}});
        else
            send_error(id, kRequestFailed, result.error().message);
    } catch (const Json::exception&) {
        send_error(id, kInvalidParams, "the parameters are not what this method takes");
    }
}

void Server::handle(const std::string& body) {
    const Json message = Json::parse(body, nullptr, false);
    if (message.is_discarded()) {
        send_error(nullptr, kParseError, "the message is no JSON");
        return;
    }
    const bool object = message.is_object();
    const Json id = object ? message.value("id", Json()) : Json();
    if (!object || !message.contains("method") || !message["method"].is_string()) {
        // An answer to a request of ours would have no method; there are none.
        if (!object || !message.contains("result"))
            send_error(id, kInvalidRequest, "the message is no request");
        return;
    }
    const auto method = message["method"].get<std::string>();
    const Json params = message.value("params", Json::object());
    if (!message.contains("id")) {
        const auto found = notifications_.find(method);
        if (found == notifications_.end() || (!initialized_ && method != "exit")) return;
        try {
            found->second(params);
        } catch (const Json::exception&) {  // nobody waits for an answer
        }
        return;
    }
    const auto found = requests_.find(method);
    if (shut_down_)
        send_error(id, kInvalidRequest, "the server is shut down");
    else if (!initialized_ && method != "initialize")
        send_error(id, kNotInitialized, "`initialize` must come first");
    else if (found == requests_.end())
        send_error(id, kUnknownMethod, fmt::format("there is no method `{}`", method));
    else
        answer(id, found->second, params);
}

int Server::run() {
    std::string body;
    while (!done_ && open_) {
        switch (reader_.next(body)) {
            case MessageReader::State::message: handle(body); break;
            case MessageReader::State::malformed:
                send_error(nullptr, kParseError, "a message begins with `Content-Length: N`");
                break;
            case MessageReader::State::end: return shut_down_ ? kExitDone : kExitProgram;
        }
        if (!reader_.more()) analyse_changed();
    }
    return shut_down_ ? kExitDone : kExitProgram;
}

}  // namespace

int verb_lsp(Options options) { return Server(options).run(); }

}  // namespace netc
