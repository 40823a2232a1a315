#!/bin/bash
# Several workers on one host, one shard each, by MindSpore's msrun; then the merge. Each worker has a device and a part
# of the cores for itself. Edit the settings below and start this file. Started again it resumes where it was; stopped
# with SIGTERM or Ctrl+C it ends its workers. docs/cluster.md says what each failure looks like.
set -u

CONFIG=config.yaml
OUT=runs/mine # shards are written to $OUT/shard-I-of-N
LOGS=logs/mine
WORKERS=2       # as many as there are devices; on CPU as cores and memory allow
ATTEMPTS=3      # msrun ends all workers when one fails; the next attempt resumes after their last commits
VENV=$HOME/venv # where explainrun and MindSpore are installed

export PATH="$VENV/bin:$PATH"
here=$(cd -- "$(dirname -- "$0")" && pwd)
bad_input='Error code: 2\.' # what msrun says of a worker that ended with exit code 2

# msrun's workers are sessions of their own and outlive it, unless it ends by SIGINT, when it kills them (and exits with
# 0, which therefore says nothing here).
stop() {
    trap '' TERM INT HUP
    kill -INT "$msrun" && wait "$msrun"
    echo "stopped; start it again to resume" >&2
    exit 3
}

attempt() {
    local log=$1 code=0
    mkdir -p "$log" || exit
    msrun --worker_num="$WORKERS" --local_worker_num="$WORKERS" --log_dir="$log" --join=True \
        "$here/pinned.py" auto explainrun run "$CONFIG" --summary-dir "$OUT/{shard}" --shard auto \
        >"$log/msrun.log" 2>&1 &
    msrun=$!
    trap stop TERM INT HUP
    wait "$msrun" || code=$?
    trap - TERM INT HUP
    return "$code"
}

began=$(date +%Y-%m-%dT%H-%M-%S)
for ((count = 1; ; count++)); do
    log=$LOGS/$began-attempt-$count
    if attempt "$log"; then
        break
    fi
    echo "a worker failed; $log has its log:" >&2
    grep -h '^explainrun: ' "$log"/worker_*.log >&2 || tail -n 5 "$log/msrun.log" >&2
    if grep -q "$bad_input" "$log/msrun.log"; then
        exit 2
    elif [ "$count" -ge "$ATTEMPTS" ]; then
        exit 3
    fi
done
explainrun merge "$OUT" "$OUT"/shard-*-of-"$WORKERS"
