#!/usr/bin/env bash
# Bring a checkout to the point where `.venv/bin/hmexp` runs: system packages, virtual environment, Python
# packages, the compiled core. `make setup` calls it; it does only what is missing or out of date.
#
#   tools/bootstrap.sh           do it
#   tools/bootstrap.sh --check   only say what would be done; 1 if anything would
#
# PYTHON=python3.12 chooses the interpreter. Without it an existing .venv keeps its own.
#
# Three stages, each with a stamp in .venv/.stamps that is written only after the stage succeeded. A stamp
# holds a fingerprint of what the stage was made from (contents, not times: a checkout that only touches
# files rebuilds nothing):
#   venv      this path and this interpreter  -> a new .venv
#   packages  pyproject.toml                  -> pip install of what it asks for, and the checkout itself
#   core      setup.py and the C core         -> compiled in place
# While pip runs, .venv/.stamps/unfinished exists: a .venv found with it was killed in the middle, cannot be
# trusted and is made anew.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$(pwd -P)
venv=.venv
stamps=$venv/.stamps
vpython=$root/$venv/bin/python

# What the user's shell may carry and would lead pip, or the build, elsewhere.
unset PYTHONHOME PYTHONPATH PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT PIP_DRY_RUN VIRTUAL_ENV CONDA_PREFIX
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore

say() { printf 'hmexp setup: %s\n' "$*" >&2; }
die() {
    printf 'hmexp setup: error: %s\n' "$1" >&2
    shift
    [ $# -eq 0 ] || printf '  -> %s\n' "$@" >&2
    exit 1
}

# --- fingerprints -------------------------------------------------------------------------------------------

identify() { # the interpreter $1: its real home and version (without the patch level: that breaks no .venv)
    "$1" -c 'import sys; print(sys.base_prefix, sys.implementation.cache_tag)' 2>/dev/null
}

core_sources() {
    printf '%s\n' setup.py
    # _core.c is what cffi generates.
    find hmexp/native -type f \( -name '*.[ch]' -o -name 'build_core.py' \) ! -name '_core.c' 2>/dev/null | LC_ALL=C sort
}

fingerprint_venv() {
    local interpreter
    # The system's Python may have moved on under the .venv (3.11 -> 3.13): ask it, do not believe the stamp.
    interpreter=$(identify "$vpython") || return 1
    if [ -n "${PYTHON:-}" ]; then
        interpreter=$(identify "$PYTHON") || interpreter=unusable
    fi
    printf '%s\n%s\n' "$root" "$interpreter"
}
fingerprint_packages() { sha256sum pyproject.toml; }
fingerprint_core() {
    core_sources | while IFS= read -r file; do
        if [ -f "$file" ]; then sha256sum "$file"; fi
    done
}

is_current() { # stage $1: its stamp says what is true now
    [ -f "$stamps/$1" ] && [ "$(cat "$stamps/$1")" = "$("fingerprint_$1")" ]
}
core_is_built() {
    local built
    for built in hmexp/native/_core*.so; do
        [ -f "$built" ] && return 0
    done
    return 1
}
stale_stages() { # prints the stages to be done
    if [ -e "$stamps/unfinished" ] || ! is_current venv; then
        echo venv packages core
    elif ! is_current packages; then
        echo packages core
    elif ! is_current core || ! core_is_built; then
        echo core
    fi
}
stamp() { # stage $1 succeeded; by rename, so that a stamp is never half there
    "fingerprint_$1" >"$stamps/.$1.new"
    mv -f "$stamps/.$1.new" "$stamps/$1"
}

# --- what the system must have ------------------------------------------------------------------------------

make_venv() {
    rm -rf -- "$venv"
    mkdir -p "$stamps"
    : >"$stamps/unfinished"
    "$python" -m venv "$venv" >"$work/venv.log" 2>&1 && "$vpython" -m pip --version >>"$work/venv.log" 2>&1
}
compiles() { # a shared object that includes $1, by the compiler and with the flags that $python builds with
    local flags
    flags=$("$python" -c 'import sysconfig as s; p = s.get_paths(); print(s.get_config_var("CC") or "cc"); print(p["include"]); print(p["platinclude"])') || return 1
    local lines
    mapfile -t lines <<<"$flags"
    local -a compiler
    read -r -a compiler <<<"${CC:-${lines[0]}}"
    printf '#include <%s>\nint hmexp_probe(void) { return 0; }\n' "$1" >"$work/probe.c"
    "${compiler[@]}" -I"${lines[1]}" -I"${lines[2]}" -shared -fPIC -pthread -o "$work/probe.so" "$work/probe.c" >"$work/probe.log" 2>&1
}
loads_libnuma() { # as py-libnuma does it
    "$python" -c 'import ctypes, ctypes.util, sys; name = ctypes.util.find_library("numa"); sys.exit(name is None or not ctypes.CDLL(name))' 2>/dev/null
}
is_debians_python() { case $("$python" -c 'import sys; print(sys.base_prefix)') in /usr) return 0 ;; *) return 1 ;; esac; }

debians_name() { "$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])'; }

venv_made='' # so that asking again after an installation does not make it twice
# Fills `wanted` (what is missing, in words) and `packages` (Debian's names for it).
find_missing() { # stages $*
    wanted=() packages=()
    case " $* " in *' venv '*)
        if [ -z "$venv_made" ] && make_venv; then venv_made=yes; fi
        if [ -z "$venv_made" ]; then
            if is_debians_python; then
                wanted+=("the venv module of $python") packages+=("$(debians_name)-venv")
            else
                tail -n 5 "$work/venv.log" >&2
                die "$python cannot make a virtual environment (see above)" \
                    "reinstall that Python with its venv and ensurepip modules, or run make PYTHON=/usr/bin/python3"
            fi
        fi
        ;;
    esac
    if ! compiles stdio.h; then
        wanted+=("a C compiler") packages+=(gcc libc6-dev)
    fi
    if ! compiles Python.h; then
        if is_debians_python; then
            wanted+=("the C headers of $python") packages+=("$(debians_name)-dev")
        elif [ ${#packages[@]} -eq 0 ]; then
            tail -n 5 "$work/probe.log" >&2
            die "Python.h of $python is missing" "install that Python's C headers, or run make PYTHON=/usr/bin/python3"
        fi
    fi
    if ! loads_libnuma; then
        wanted+=("the library libnuma.so.1") packages+=(libnuma1)
    fi
}

join() { local IFS=','; printf '%s' "$*" | sed 's/,/, /g'; }

install_missing() {
    local what
    what=$(join "${wanted[@]}")
    if ! command -v apt-get >/dev/null 2>&1; then
        die "not installed: $what; this is not a Debian-like system, so hmexp does not install it" \
            "install it with your package manager, then run make again" \
            "Debian calls it: ${packages[*]} (Fedora: gcc python3-devel numactl-libs; Arch: gcc numactl; SUSE: gcc python3-devel libnuma1)"
    fi
    local -a as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null 2>&1; then
            die "not installed: $what; installing it needs root, and there is no sudo" \
                "as root: apt-get install ${packages[*]}"
        fi
        as_root=(sudo)
        # Nobody can type a password where there is no terminal.
        if ! [ -t 0 ] || ! [ -t 2 ]; then as_root=(sudo -n); fi
    fi
    # env: sudo drops the environment.
    local -a apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300)
    say "not installed: $what; installing Debian's ${packages[*]}"
    "${apt[@]}" update -q >"$work/apt.log" 2>&1 ||
        say "apt-get update had errors; trying with the lists at hand"
    if ! "${apt[@]}" install -y -q --no-install-recommends "${packages[@]}" >>"$work/apt.log" 2>&1; then
        tail -n 20 "$work/apt.log" >&2
        die "apt-get could not install ${packages[*]} (its last lines are above)" \
            "fix what it reports, or install them as root, then run make again"
    fi
}

provide_system() { # stages $*
    find_missing "$@"
    [ ${#packages[@]} -eq 0 ] && return
    install_missing
    find_missing "$@"
    [ ${#packages[@]} -eq 0 ] ||
        die "still missing after installing: $(join "${wanted[@]}")" "check whether another Python comes first in PATH: PYTHON is $python"
}

choose_python() { # stages $*
    python=${PYTHON:-}
    if [ -z "$python" ]; then
        case " $* " in *' venv '*) python=python3 ;; *) python=$vpython ;; esac
    fi
    command -v -- "$python" >/dev/null 2>&1 ||
        die "$python is not installed" "install Python 3.11 or newer (Debian 12 and newer: apt-get install python3), or run make PYTHON=/path/to/python3"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        die "$python is $("$python" --version 2>&1); hmexp needs 3.11 or newer" "run make PYTHON=/path/to/a/newer/python3"
}

# --- the stages ---------------------------------------------------------------------------------------------

pip() { "$vpython" -m pip "$@"; }

list_requirements() {
    "$vpython" - <<'END'
import pathlib, tomllib

described = tomllib.loads(pathlib.Path("pyproject.toml").read_text(encoding="utf-8"))
project = described["project"]
wanted = described["build-system"]["requires"] + project["dependencies"] + project["optional-dependencies"]["test"]
print(*dict.fromkeys(wanted), sep="\n")
END
}

install_packages() {
    say "installing Python packages into $venv (about a minute the first time)"
    rm -f -- "$stamps/packages" "$stamps/core"
    : >"$stamps/unfinished"
    local -a requirements
    mapfile -t requirements < <(list_requirements)
    [ ${#requirements[@]} -gt 0 ] || die "no requirements could be read from pyproject.toml"
    # The build tools are among them, so that the package itself is built by what is in .venv, not by a second
    # set that pip would fetch for the purpose.
    if pip install -qq "${requirements[@]}" &&
        pip install -qq --no-deps --no-build-isolation --editable .; then
        rm -f -- "$stamps/unfinished"
        stamp packages
    else
        # pip failed and took back what it had begun: the .venv is whole, only not complete.
        rm -f -- "$stamps/unfinished"
        die "pip could not install hmexp and its packages (its message is above)" "fix the cause and run make again; nothing counts as installed"
    fi
}

build_core() {
    say "building the C core"
    rm -f -- "$stamps/core"
    "$vpython" setup.py --quiet build_ext --inplace --force ||
        die "the C core could not be built (the compiler's message is above)" "fix it and run make again"
}

check_core() {
    "$vpython" -c 'import hmexp.native._core' ||
        die "the C core was built but cannot be loaded (see above)" "make clean, then run make again"
    stamp core
}

# --- main ---------------------------------------------------------------------------------------------------

if [ "${1:-}" = --check ]; then
    read -r -a stages < <(stale_stages) || true
    [ ${#stages[@]} -eq 0 ] && exit 0
    say "to be done: $(join "${stages[@]}")"
    exit 1
fi

mkdir -p .make 2>/dev/null && [ -w .make ] || die "cannot write in $root" "clone the repository into a folder that you own"
# pip answers Ctrl-C by an ordinary failure, but does not take back what it had begun: stop before any stage
# is taken for one that ended.
trap 'exit 130' INT
trap 'exit 143' TERM HUP
exec 9>.make/lock
if command -v flock >/dev/null 2>&1 && ! flock -n 9; then
    say "another make is running in this checkout; waiting for it"
    flock 9
fi

read -r -a stages < <(stale_stages) || true
[ ${#stages[@]} -eq 0 ] && exit 0

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
choose_python "${stages[@]}"
provide_system "${stages[@]}"
case " ${stages[*]} " in *' venv '*)
    rm -f -- "$stamps/unfinished"
    stamp venv
    ;;
esac
case " ${stages[*]} " in *' packages '*)
    install_packages # builds the core too: the editable install compiles it in place
    ;;
*)
    build_core
    ;;
esac
check_core
say "ready: $("$vpython" --version), $venv"
