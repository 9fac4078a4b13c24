#!/usr/bin/env bash
# What `./dev demo` shows, step by step: train, compile, link, run.
#
# usage: demo.sh FOLDER_WITH_PROGRAMS WORK_FOLDER      (netc and demo_samples; everything made goes to the second)
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
bin=$1 work=$2
source=examples/lenet5.net

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
rm -rf "$work/run"
begin=$SECONDS
step "Train LeNet-5 on digits that netc draws" \
    "$bin/netc" train "$source" --run "$work/run"
trained=$((SECONDS - begin))
step "Draw the learning curve" "$bin/netc" plot "$work/run" -o "$work/curve.svg"
step "Compile the trained network" \
    "$bin/netc" compile "$source" --weights "$work/run" --emit=obj,header,weights -o "$work/lenet5.o"
step "Build a C program around it" \
    "${CC:-cc}" -std=c99 -O2 -Wall -Wextra -pedantic -I "$work" \
    examples/embed/main.c "$work/lenet5.o" -o "$work/digits"
"$bin/demo_samples" 1000 "$work/samples.bin" || exit 1
step "Run it on digits that the network has never seen" \
    "$work/digits" "$work/lenet5.weights" "$work/samples.bin"

cat <<TEXT

Training took $trained s, everything $((SECONDS - begin)) s. Look at
  $source              the network, as text
  $work/lenet5.h       what a C program sees of it
  $work/curve.svg      how it learned
  $work/run            weights, log, and all that \`netc train --resume\` needs
TEXT
