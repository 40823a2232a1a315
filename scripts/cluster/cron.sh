#!/bin/bash
# A run every night on one host: shards side by side, each on cores of its own, then the merge. Edit the settings
# below; then
#
#   crontab -e
#   15 2 * * * /path/to/scripts/cluster/cron.sh
#
# Each night has a folder, $RUNS/2026-11-21, and a log beside it. Nothing is printed, hence mailed, unless it fails.
# Started while it still runs, it ends at once. To resume a night that was cut off: cron.sh 2026-11-21.
# docs/cluster.md says what each failure looks like.
set -u

CONFIG=$HOME/config.yaml # cron starts in the home folder: name whole paths
RUNS=$HOME/runs
WORKERS=2       # as many as there are devices; on CPU as cores and memory allow
ATTEMPTS=3      # of a shard that failed
LONGEST=20h     # after which a shard is stopped, so that one that hangs does not keep all later nights from beginning
VENV=$HOME/venv # where explainrun is installed

export PATH="$VENV/bin:$PATH"
here=$(cd -- "$(dirname -- "$0")" && pwd)
night=${1:-$(date +%F)}
out=$RUNS/$night
log=$RUNS/$night.log

shard() {
    local code count
    for ((count = 1; count <= ATTEMPTS; count++)); do
        code=0
        timeout --kill-after=15m "$LONGEST" python "$here/pinned.py" "$1/$WORKERS" \
            explainrun run "$CONFIG" --summary-dir "$out/{shard}" --shard "$1/$WORKERS" || code=$?
        case $code in
        0 | 2 | 124) break ;; # fine, bad input, over time: once more would not help
        esac
    done
    return "$code"
}

all_shards() {
    local number pid worst=0 pids=()
    for ((number = 1; number <= WORKERS; number++)); do
        shard "$number" &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do
        wait "$pid" || worst=$?
    done
    return "$worst"
}

mkdir -p "$RUNS" || exit
exec 9>"$RUNS/.cron.lock" # inherited by the shards, so that it is held as long as one of them lives
flock --nonblock 9 || exit 0
code=0
{ all_shards && explainrun merge "$out" "$out"/shard-*-of-"$WORKERS"; } >>"$log" 2>&1 || code=$?
if [ "$code" -ne 0 ]; then
    echo "the run of $night failed with exit code $code; $log ends with"
    tail -n 20 "$log"
fi
exit "$code"
