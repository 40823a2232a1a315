#!/bin/sh
# A job in shards: N processes work on a run at once, each on every N-th sample, then their shards are merged.
#
#   scripts/examples/cluster_job.sh [CONFIG] [N] [FOLDER]
#
# It starts them on this host, so that it runs as it stands; on a cluster each line of the loop is a task of its own, and
# scripts/cluster has that for Slurm, Kubernetes, Ray, msrun and cron. A shard that was killed resumes when it is started
# again, as here, at most three times. EXPLAINRUN names the command where it is not on the path; what else is run, such as
# --limit 8, may stand in OPTIONS.
set -eu

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
config=${1:-$here/../../configs/quickstart.yaml}
shards=${2:-2}
folder=${3:-runs/in-shards}
explainrun=${EXPLAINRUN:-explainrun}

# shard I: work on a shard until it is finished; 2 is bad input, which no other try mends.
shard() {
    for _ in 1 2 3; do
        code=0
        # shellcheck disable=SC2086 # several options
        "$explainrun" run "$config" --summary-dir "$folder/{shard}" --shard "$1/$shards" ${OPTIONS:-} || code=$?
        case $code in 0 | 2) return "$code" ;; esac
    done
    return "$code"
}

started=
number=1
while [ "$number" -le "$shards" ]; do
    shard "$number" &
    started="$started $!"
    number=$((number + 1))
done
failed=0
for process in $started; do
    wait "$process" || failed=$?
done
"$explainrun" inspect "$folder" || true # who is done, and what is lacking
[ "$failed" -eq 0 ] || exit "$failed"
exec "$explainrun" merge "$folder"
