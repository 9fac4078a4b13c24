"""What a person waits for while writing: a keystroke in an editor, the formatter, elaboration of a large graph."""
import json
import os
import subprocess
import tempfile
import time

from processes import Failed, run

KEYSTROKE_MS, FORMAT_S = 50, 1.0
NODES = (100, 1_000, 10_000, 100_000)


def program(lines):
    """A file of about so many lines: layers of a few statements, and a model with a train section."""
    text = ["net 1", ""]
    count = 0
    while len(text) < lines - 14:
        count += 1
        text += [f"## Layer number {count}.", f"layer block_{count}(out: int)(x: real[B, I]) -> real[B, out] {{",
                 "  let a = x |> linear(out) |> relu  # a comment", "  let b = x |> linear(out) |> tanh",
                 "  return a * 0.5 + b", "}", ""]
    text += ["model Net(x: f32[B, 16]) -> f32[B, 4] =",
             "  x |> " + " |> ".join(f"block_{i + 1}(16)" for i in range(min(count, 40))) + " |> linear(4)",
             "train Net {", "  target y: i32[B]", "  loss = cross_entropy(out, y)", "  metric acc = accuracy(out, y)",
             "  optimizer = adam(1e-3)", "}"]
    return "\n".join(text) + "\n"


class Server:
    def __init__(self, netc):
        self.process = subprocess.Popen([str(netc), "lsp"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL)

    def send(self, message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def receive(self):
        length = 0
        while (line := self.process.stdout.readline().strip()):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        if not length:
            raise Failed("the language server ended")
        return json.loads(self.process.stdout.read(length))

    def until(self, fits):
        while not fits(message := self.receive()):
            pass
        return message


def keystrokes(netc, lines=300, count=60):
    """Milliseconds from a change to its diagnostics, and to the completion asked for right after it: the slowest."""
    server = Server(netc)
    server.send({"id": 1, "method": "initialize", "params": {"capabilities": {}, "processId": None, "rootUri": None}})
    server.until(lambda m: m.get("id") == 1)
    server.send({"method": "initialized", "params": {}})
    text, uri = program(lines), "file:///bench.net"
    server.send({"method": "textDocument/didOpen",
                 "params": {"textDocument": {"uri": uri, "languageId": "net", "version": 1, "text": text}}})
    shown = lambda m: m.get("method") == "textDocument/publishDiagnostics"  # noqa: E731
    server.until(shown)
    at = text.rindex(" |> linear(4)")
    line = text[:at].count("\n")
    column = at - text[:at].rindex("\n") - 1
    typed = " |> dropout(0.1)"
    diagnostics, completion = [], []
    for index in range(count):
        so_far = typed[:index % (len(typed) + 1)]
        start = time.perf_counter()
        server.send({"method": "textDocument/didChange",
                     "params": {"textDocument": {"uri": uri, "version": index + 2},
                                "contentChanges": [{"text": text[:at] + so_far + text[at:]}]}})
        server.until(shown)
        diagnostics.append(time.perf_counter() - start)
        start = time.perf_counter()
        server.send({"id": index + 2, "method": "textDocument/completion",
                     "params": {"textDocument": {"uri": uri},
                                "position": {"line": line, "character": column + len(so_far)}}})
        server.until(lambda m, wanted=index + 2: m.get("id") == wanted)
        completion.append(time.perf_counter() - start)
    server.process.kill()
    server.process.wait()
    return max(diagnostics) * 1e3, max(completion) * 1e3


def formatting(netc, lines=10_000):
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/long.net"
        with open(path, "w", encoding="utf-8") as file:
            file.write(program(lines).replace("  let", "    let"))
        return run([netc, "fmt", path])["wall"]


def elaboration(netc):
    """Seconds of `netc check` for graphs of so many nodes; an empty program's time is taken off."""
    with tempfile.TemporaryDirectory() as folder:
        def check(count):
            path = f"{folder}/{count}.net"
            with open(path, "w", encoding="utf-8") as file:
                file.write("net 1\nmodel M(x: f32[B, 4]) -> f32[B, 4] {\n  var y = x\n"
                           f"  for i in 0..{count} {{ y = sin(y) }}\n  return y\n}}\n")
            return min(run([netc, "check", path])["wall"] for _ in range(3))
        base = check(1)
        return [(count, max(check(count) - base, 0.0)) for count in NODES]


def tool_lines(netc):
    lines = ["| what | budget | measured |", "|---|---:|---:|"]
    try:
        shown, offered = keystrokes(netc)
        lines.append(f"| a keystroke in a file of 300 lines: to its diagnostics, the slowest of 60 | {KEYSTROKE_MS} ms | {shown:.1f} ms |")
        lines.append(f"| to the completion asked for after it, the slowest of 60 | {KEYSTROKE_MS} ms | {offered:.1f} ms |")
        lines.append(f"| `netc fmt` of 10,000 lines | {FORMAT_S:g} s | {min(formatting(netc) for _ in range(3)):.2f} s |")
        for count, seconds in elaboration(netc):
            lines.append(f"| elaboration of {count:,} nodes, a node | linear | {seconds / count * 1e6:.2f} us |")
    except (Failed, OSError) as error:
        lines.append(f"| {' '.join(str(error).split())} | | |")
    return lines


if __name__ == "__main__":
    import sys
    print("\n".join(tool_lines(sys.argv[1] if len(sys.argv) > 1 else
                               os.path.join(os.path.dirname(__file__), "../build/release/bin/netc"))))
