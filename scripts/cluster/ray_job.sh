#!/bin/bash
# A job of a Ray cluster that is there: the head hands out shards, and merges them. Edit the settings below and start
# this file wherever the cluster's dashboard can be reached. Started again it resumes where it was; stopped with SIGTERM
# or Ctrl+C it stops the job. docs/cluster.md says what each failure looks like.
set -u

ADDRESS=http://127.0.0.1:8265 # of the dashboard
CONFIG=$HOME/config.yaml      # whole paths, on a file system that all nodes share
OUT=$HOME/runs/mine
SHARDS=8
ATTEMPTS=3      # of the whole job; within each, a shard is tried three times
VENV=$HOME/venv # where ray[default] is installed; the cluster's nodes need explainrun[ray] as well

export PATH="$VENV/bin:$PATH"

# shellcheck disable=SC2329  # the trap calls it
stop() {
    trap '' TERM INT HUP
    ray job stop --address "$ADDRESS" "$job" >&2
    echo "stopped; start it again to resume" >&2
    exit 3
}
trap stop TERM INT HUP

began=$(date +%Y-%m-%dT%H-%M-%S)
for ((count = 1; count <= ATTEMPTS; count++)); do
    job=explainrun-$began-attempt-$count
    ray job submit --address "$ADDRESS" --submission-id "$job" -- \
        explainrun run "$CONFIG" --summary-dir "$OUT" --engine ray --shards "$SHARDS" &
    wait $!
    # submit ends with 1 whatever the job ended with, and with 0 if it was stopped.
    status=$(ray job status --address "$ADDRESS" "$job" 2>&1)
    case $status in
    *"Job '$job' succeeded"*) exit 0 ;;
    *"Job '$job' was stopped"*) exit 3 ;;
    *"failed with exit code 2"[,.]*) exit 2 ;; # bad input: trying again would not help
    esac
    echo "$job did not succeed: $status" >&2
done
exit 3
