"""A client of the language server, as an editor is one, and the places and edits of its protocol."""
import json
import os
import pathlib
import subprocess
import tempfile


class Client:
    def __init__(self, netc):
        self.cache = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen(
            [netc, "lsp"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "NETC_CACHE_DIR": self.cache.name})
        self.next_id = 0
        self.diagnostics = {}

    def raw(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.raw(b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def receive(self):
        length = None
        while (line := self.process.stdout.readline().strip()):
            name, value = line.split(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if length is None:
            return None
        message = json.loads(self.process.stdout.read(length))
        if message.get("method") == "textDocument/publishDiagnostics":
            self.diagnostics[message["params"]["uri"]] = message["params"]["diagnostics"]
        return message

    def notify(self, method, **params):
        self.send({"method": method, "params": params})

    def ask(self, method, **params):
        self.next_id += 1
        self.send({"id": self.next_id, "method": method, "params": params})
        while (message := self.receive()) is not None:
            if message.get("id") == self.next_id:
                return message
        raise EOFError("the server ended")

    def __del__(self):
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()
        self.process.wait(10)
        self.cache.cleanup()

    def start(self):
        answer = self.ask("initialize", processId=None, rootUri=None, capabilities={})
        self.notify("initialized")
        return answer["result"]["capabilities"]

    def open(self, text, uri="file:///tmp/a.net"):
        self.text = text
        self.uri = uri
        self.notify("textDocument/didOpen",
                    textDocument={"uri": uri, "languageId": "net", "version": 1, "text": text})

    def problems(self):
        self.ask("textDocument/documentSymbol", textDocument={"uri": self.uri})
        return self.diagnostics[self.uri]

    def change(self, text):
        self.text = text
        self.notify("textDocument/didChange", textDocument={"uri": self.uri, "version": 2},
                    contentChanges=[{"text": text}])

    def at(self, method, mark, skip=0, **params):
        """Asks at the place of a piece of the text."""
        offset = self.text.index(mark) + skip
        return self.ask("textDocument/" + method, textDocument={"uri": self.uri},
                        position=position(self.text, offset), **params)

    def processor_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        self.ask("shutdown")
        self.notify("exit")
        self.process.stdin.close()
        code = self.process.wait(10)
        self.process.stdout.close()
        self.process.stderr.close()
        return code


def position(text, offset):
    line = text.count("\n", 0, offset)
    begin = text.rfind("\n", 0, offset) + 1
    return {"line": line, "character": len(text[begin:offset].encode("utf-16-le")) // 2}


def offset(text, place):
    lines = text.split("\n")
    before = sum(len(line) + 1 for line in lines[:place["line"]])
    units = lines[place["line"]].encode("utf-16-le")[:2 * place["character"]]
    return before + len(units.decode("utf-16-le"))


def apply(text, edits):
    for edit in sorted(edits, key=lambda e: offset(text, e["range"]["start"]), reverse=True):
        begin, end = (offset(text, edit["range"][side]) for side in ("start", "end"))
        text = text[:begin] + edit["newText"] + text[end:]
    return text
