#!/usr/bin/env bash
# A C program that trains LeNet-5 on an NVIDIA GPU, step by step: compile, link, run. Where there is no GPU all but the
# last step is done, and that one says what is missing; the status is 0 all the same.
#
# usage: demo.sh FOLDER_WITH_PROGRAMS WORK_FOLDER      (netc and demo_samples; everything made goes to the second)
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
bin=$1 work=$2

# step TITLE COMMAND...: shows the command before it runs; ends everything if it fails.
step() {
    local title=$1 status=0
    shift
    printf '\n== %s\n   %s\n' "$title" "$*"
    "$@" || status=$?
    if [ "$status" != 0 ]; then
        printf 'demo: "%s" failed with status %s\n' "$title" "$status" >&2
        exit "$status"
    fi
}

mkdir -p "$work"
step "Compile the network for a GPU" \
    "$bin/netc" compile examples/lenet5.net --target=nvptx64 -o "$work/lenet5.o"
step "Build a C program around it" \
    "${CC:-cc}" -std=c99 -O2 -Wall -Wextra -pedantic -I "$work" \
    examples/embed_gpu/main.c "$work/lenet5.o" -ldl -o "$work/digits_gpu"
step "Draw digits" "$bin/demo_samples" 2000 "$work/samples.bin"
step "Train and test on the GPU" "$work/digits_gpu" "$work/samples.bin"
