#!/bin/bash
# A Slurm array, one shard per task, then the merge. Edit the settings below, then start this file on a login node:
#
#   scripts/cluster/slurm_array.sh            submits all shards, and the merge for when all are fine
#   scripts/cluster/slurm_array.sh 5,9        only these shards, then the merge
#   scripts/cluster/slurm_array.sh 1-100%10   at most ten at a time
#
# Start it again whenever something failed: finished shards end at once, the others resume after their last commit.
# docs/cluster.md says what each failure looks like.
set -u

CONFIG=config.yaml
OUT=runs/mine # on a file system that all nodes share; shards are written to $OUT/shard-I-of-N
LOGS=logs/mine
SHARDS=8
VENV=$HOME/venv # where explainrun is installed
SHARD_OPTIONS=(--time=04:00:00 --cpus-per-task=4 --mem=8G) # such as --partition=NAME, --gres=gpu:1
MERGE_OPTIONS=(--time=01:00:00 --cpus-per-task=1 --mem=4G)
GRACE=300       # seconds before the time limit at which a shard is sent a signal to stop; a commit must fit in
MAX_RESTARTS=20 # of a shard; those after the time limit and preemption count too

export PATH="$VENV/bin:$PATH"

submit() {
    local array
    mkdir -p "$LOGS" || exit
    array=$(sbatch --parsable --job-name=explainrun --array="$1" --requeue --signal="TERM@$GRACE" --open-mode=append \
        --output="$LOGS/%A_%a.log" "${SHARD_OPTIONS[@]}" "$0" shard) || exit
    array=${array%%;*} # the cluster's name may follow
    echo "shards: job $array, logs in $LOGS"
    sbatch --job-name=explainrun-merge --dependency="afterok:$array" --kill-on-invalid-dep=yes --requeue \
        --open-mode=append --output="$LOGS/%j_merge.log" "${MERGE_OPTIONS[@]}" "$0" merge
}

shard() {
    local number=$SLURM_ARRAY_TASK_ID restarts=${SLURM_RESTART_COUNT:-0} code=0
    export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1} # srun does not take it over from sbatch
    # --shard auto would not do: of "5,9" or "5-8" nothing says how many shards there are in all.
    srun --cpu-bind=cores explainrun run "$CONFIG" --summary-dir "$OUT/{shard}" --shard "$number/$SHARDS" || code=$?
    if [ "$code" -eq 0 ]; then
        return
    elif [ "$code" -eq 2 ]; then
        echo "shard $number/$SHARDS: bad input, trying again would not help" >&2
    elif [ "$restarts" -ge "$MAX_RESTARTS" ]; then
        echo "shard $number/$SHARDS: exit code $code after $restarts restarts, giving up" >&2
    else
        echo "shard $number/$SHARDS: exit code $code, to be restarted ($restarts restarts so far)" >&2
        # By this name: the job number of an array's last task is the whole array's too.
        scontrol requeue "${SLURM_ARRAY_JOB_ID}_$number" && sleep 60 # within which Slurm ends this task
    fi
    exit "$code"
}

merge() {
    exec srun explainrun merge "$OUT" "$OUT"/shard-*-of-"$SHARDS"
}

case ${1:-} in
shard | merge) "$1" ;;
*) submit "${1:-1-$SHARDS}" ;;
esac
