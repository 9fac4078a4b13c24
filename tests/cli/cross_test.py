#!/usr/bin/env python3
"""Objects for another machine compute the bits of this one's.

A network is compiled for x86-64 and for AArch64, a C program links each of them and trains, and what it prints (losses,
hashes of weights and outputs) is compared. Needs the C compilers of both and qemu's user mode; skipped without.
"""
import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile

MODEL = """net 1
model Net(x: f32[B, 1, 20, 20]) -> f32[B, 10] {
  let h = x |> conv(6, k = 5, pad = 2) |> tanh |> avg_pool(2) |> conv(16, bias = false) |> batch_norm |> relu
  return h |> max_pool(2) |> flatten |> linear(48) |> gelu |> layer_norm |> linear(10) |> softmax
}
train Net {
  loss      = mean(out * out)
  optimizer = adam(lr = 0.001)
}
"""

MAIN = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "net.h"

static void *region(size_t bytes) {
    void *place = aligned_alloc(NET_ALIGN, (bytes / NET_ALIGN + 1) * NET_ALIGN);
    return memset(place, 0, bytes);
}
static unsigned long long hash(const void *bytes, size_t count) {
    unsigned long long h = 1469598103934665603ull;
    for (size_t i = 0; i < count; ++i) h = (h ^ ((const unsigned char *)bytes)[i]) * 1099511628211ull;
    return h;
}
int main(void) {
    enum { B = 19, IN = 400, OUT = 10 };
    void *weights = region(NET_WEIGHTS_SIZE), *optimizer = region(net_optimizer_size());
    void *prepared = region(NET_PREPARED_SIZE);
    void *training = region(net_train_workspace(B)), *using = region(net_forward_workspace(B));
    float *x = region(B * IN * sizeof(float)), *out = region(B * OUT * sizeof(float));
    unsigned state = 12345;
    for (int i = 0; i < B * IN; ++i) {
        state = state * 1664525u + 1013904223u;
        x[i] = (float)(state >> 8) / 16777216.0f - 0.3f;
    }
    int status = net_init(weights, optimizer, 7);
    net_hyper hyper = {0.001f, 7, 10};
    for (int step = 0; step < 4; ++step) {
        float loss = 0;
        status |= net_train_step(weights, optimizer, x, B, &hyper, training, &loss);
        printf("%d %a %llx\n", status, loss, hash(weights, NET_WEIGHTS_SIZE));
    }
    status |= net_prepare(weights, prepared);
    status |= net_forward(prepared, x, out, B, using);
    printf("%d %a %llx\n", status, out[3], hash(out, B * OUT * sizeof(float)));
    return status;
}
"""

MACHINES = {
    "x86_64": {"cpu": "x86-64-v3", "cc": ["cc"], "run": []},
    "aarch64": {"cpu": "neoverse-n1", "cc": ["aarch64-linux-gnu-gcc", "-static"], "run": ["qemu-aarch64"]},
}


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--netc", required=True)
    netc = parser.parse_args().netc
    if " avx2 " not in pathlib.Path("/proc/cpuinfo").read_text().replace("\n", " "):
        print("SKIPPED: this machine does not run x86-64-v3")
        return 77
    for machine in MACHINES.values():
        for tool in (machine["cc"][0], *machine["run"]):
            if shutil.which(tool) is None:
                print(f"SKIPPED: there is no {tool}")
                return 77
    printed = {}
    for name, machine in MACHINES.items():
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "net.net").write_text(MODEL)
            (folder / "main.c").write_text(MAIN)
            run(netc, "compile", folder / "net.net", "--train", f"--target={name}-linux-gnu",
                f"--cpu={machine['cpu']}", "--cache=off", "-o", folder / "net.o")
            run(*machine["cc"], folder / "main.c", folder / "net.o", "-o", folder / "program")
            printed[name] = run(*machine["run"], folder / "program")
    if len(set(printed.values())) != 1 or len(printed["x86_64"].splitlines()) != 5:
        for name, text in printed.items():
            print(f"{name}:\n{text}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
