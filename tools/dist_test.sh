#!/usr/bin/env bash
# Evaluate a checkpoint on several GPUs of one machine.
#
#     bash tools/dist_test.sh CONFIG CHECKPOINT NUM_GPUS [arguments of tools/test.py]
set -euo pipefail

if [ $# -lt 3 ]; then
    echo 'usage: bash tools/dist_test.sh CONFIG CHECKPOINT NUM_GPUS [arguments of tools/test.py]' >&2
    exit 2
fi

torchrun --nproc_per_node="$3" --master_port="${MASTER_PORT:-29500}" \
    "$(dirname "$0")/test.py" "$1" "$2" --launcher pytorch "${@:4}"
