# Sourced by the scripts beside it. Sets $root, and by `environment FOLDER REQUIREMENT...` makes or renews a virtual
# environment in $root/FOLDER and sets $bin to its programs. Where $below is set, to the site-packages of another, it sees
# what is installed there too.

root=$(CDPATH= cd -- "$(dirname -- "$(readlink -f -- "$0")")/.." && pwd)

fits() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' >/dev/null 2>&1
}

find_python() {
    if [ -n "${EXPLAINRUN_PYTHON:-}" ]; then
        python=$EXPLAINRUN_PYTHON
        fits "$python" && return 0
        echo "EXPLAINRUN_PYTHON=$python is not a Python 3.10, 3.11 or 3.12 with the modules venv and ensurepip." >&2
        return 2
    fi
    looked=""
    for candidate in python3.12 python3.11 python3.10 python3 python \
        "${PYENV_ROOT:-${HOME:-}/.pyenv}"/versions/3.1[012]*/bin/python /usr/local/bin/python3.1[012] /opt/*/bin/python3.1[012]; do
        looked="$looked $candidate"
        if fits "$candidate"; then
            python=$candidate
            return 0
        fi
    done
    echo "Explainrun needs Python 3.10, 3.11 or 3.12 with the modules venv and ensurepip (Debian: python3-venv)." >&2
    echo "Looked at:$looked" >&2
    echo "Name one with EXPLAINRUN_PYTHON=/path/to/python." >&2
    return 2
}

environment() {
    folder=$root/$1
    shift
    bin=$folder/bin
    wanted=$(cat "$root/setup.cfg" "$root/pyproject.toml" "$root"/tests/*/requirements.txt | cksum; echo "$root $*")
    if [ -x "$bin/python" ] && fits "$bin/python" && [ "$(cat "$folder/made-for" 2>/dev/null)" = "$wanted" ]; then
        return 0
    fi
    find_python || exit 2
    echo "Setting up $folder with $("$python" --version)" >&2
    rm -rf "$folder"
    "$python" -m venv "$folder"
    if [ -n "${below:-}" ]; then
        echo "import site; site.addsitedir('$below')" > "$("$bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/below.pth"
    fi
    # Byte code is made of what is imported, when it is: of everything it would take 40 seconds.
    (cd "$root" && "$bin/python" -m pip install --quiet --disable-pip-version-check --no-compile "$@") >&2
    echo "$wanted" > "$folder/made-for"
}
