#!/usr/bin/env bash
# The whole zoo several times while something else takes every processor: the verdicts must be
# the same. `repeat.sh 3` goes through it three times, `repeat.sh` ten times.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
load=()
trap 'kill "${load[@]}"' EXIT
for _ in $(seq "$(nproc)"); do
    yes > /dev/null &
    load+=("$!")
done
ZOO_ONLY="" ZOO_REPEAT="${1:-10}" cargo test --package integration-tests --test zoo -- --nocapture every_program
