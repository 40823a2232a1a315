#!/bin/bash
# The CI gate: runs a config, compares its scores with a baseline, and fails where explanations got worse.
#
#   gate.sh CONFIG BASELINE [OPTION OF explainrun compare]...
#   gate.sh gate.yaml baseline.json --tolerance 0.01
#
# Exit codes: 0 as good as before, 1 worse, which nothing else ends with, 2 bad input or nothing to compare, 3 the run
# failed. In $REPORTS it leaves
#
#   report.md       the comparison in Markdown; on GitHub it is put into the job's summary too
#   junit.xml       the same as test results
#   baseline.json   a baseline of this run, with its differences from the old one in baseline-changes.txt: commit it in
#                   place of the old one where the change is meant
#
# The first baseline is made by hand: explainrun run CONFIG, then explainrun baseline SUMMARY_DIR -o BASELINE. So may
# later ones be, with --update; docs/gate.md has it all.
set -Eeuo pipefail
trap 'exit 2' ERR

SUMMARY_DIR=${SUMMARY_DIR:-runs/gate} # resumed if it holds an unfinished run of the same plan, else replaced
REPORTS=${REPORTS:-gate-reports}
ATTEMPTS=${ATTEMPTS:-3} # of a run that failed

if [ $# -lt 2 ]; then
    echo "usage: $0 CONFIG BASELINE [OPTION OF explainrun compare]..." >&2
    exit 2
fi
config=$1
baseline=$2
shift 2

tell() {
    echo "$1" >&2
    if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
        printf '%s\n' "$1" >>"$GITHUB_STEP_SUMMARY"
    fi
}

is_unfinished() {
    local code=0
    explainrun inspect --quick "$SUMMARY_DIR" >/dev/null 2>&1 || code=$?
    [ "$code" -eq 3 ]
}

# What a finished run in the folder scored may be of another network, other weights or other samples, so it never counts.
run_config() {
    local code=2 count overwrite=(--overwrite)
    if is_unfinished; then
        overwrite=()
    fi
    for ((count = 1; count <= ATTEMPTS; count++)); do
        code=0
        # written so, an empty list is not an error in Bash before 4.4
        explainrun run "$config" --summary-dir "$SUMMARY_DIR" ${overwrite[@]+"${overwrite[@]}"} || code=$?
        if [ "$code" -eq 2 ] && [ ${#overwrite[@]} -eq 0 ] && [ "$count" -eq 1 ]; then
            overwrite=(--overwrite) # the unfinished run is of another plan
            count=0
        elif [ "$code" -eq 3 ] && is_unfinished; then
            overwrite=()
        elif [ "$code" -ne 3 ]; then
            break # once more would not help
        fi
    done
    return "$code"
}

mkdir -p "$REPORTS"
for report in report.md junit.xml baseline.json baseline-changes.txt; do
    rm -f -- "$REPORTS/$report" # of another time, which would be taken for this one's
done

code=0
run_config || code=$?
if [ "$code" -ne 0 ]; then
    tell "The run of $config failed with exit code $code; the log says why."
    [ "$code" -eq 2 ] || code=3 # a program that does not even start ends with 1, one that is killed with 137
    exit "$code"
fi

explainrun compare "$baseline" "$SUMMARY_DIR" "$@" \
    --format table --format "markdown=$REPORTS/report.md" --format "junit=$REPORTS/junit.xml" || code=$?
if [ ! -f "$REPORTS/report.md" ]; then
    tell "$config was run, but not compared with $baseline; the log says why."
    [ "$code" -eq 0 ] || [ "$code" -eq 3 ] || code=2
elif [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
    cat "$REPORTS/report.md" >>"$GITHUB_STEP_SUMMARY"
fi
if [ -f "$baseline" ]; then
    cp -- "$baseline" "$REPORTS/baseline.json"
    explainrun baseline "$SUMMARY_DIR" -o "$REPORTS/baseline.json" --update >"$REPORTS/baseline-changes.txt" || true
else
    explainrun baseline "$SUMMARY_DIR" -o "$REPORTS/baseline.json" || true
fi
exit "$code"
