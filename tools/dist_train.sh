#!/usr/bin/env bash
# Train on several GPUs of one machine, or of several (start it on each, with NNODES, NODE_RANK and MASTER_ADDR set).
#
#     bash tools/dist_train.sh CONFIG NUM_GPUS [arguments of tools/train.py]
#
# The batch size in the config is that of one GPU: divide it by the number of GPUs to train as on one.
set -euo pipefail

if [ $# -lt 2 ]; then
    echo 'usage: bash tools/dist_train.sh CONFIG NUM_GPUS [arguments of tools/train.py]' >&2
    exit 2
fi
config=$1
gpus=$2

torchrun \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --nproc_per_node="$gpus" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${MASTER_PORT:-29500}" \
    "$(dirname "$0")/train.py" "$config" --launcher pytorch "${@:3}"
