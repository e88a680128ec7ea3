# Sourced by the scripts beside it: the repository's root, timed steps, and set-up.
# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is used by the scripts that source this

called_from=$PWD
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Cargo reads a relative target folder from where it runs; the caller meant their own folder.
case ${CARGO_TARGET_DIR:-} in
'' | /*) ;;
*) export CARGO_TARGET_DIR=$called_from/$CARGO_TARGET_DIR ;;
esac
target=${CARGO_TARGET_DIR:-$root/target}
export PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
cd "$root" || exit

say() { printf '%s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}

# step NAME COMMAND...: runs it, and says how long it took or that it failed.
step() {
    local name=$1 from=$SECONDS status=0
    shift
    say "== $name"
    "$@" || status=$?
    if ((status)); then
        say "== $name: FAILED (status $status) after $((SECONDS - from)) s"
        exit "$status"
    fi
    say "== $name: ok, $((SECONDS - from)) s"
}

# Sets `vulkan` to yes or no; anything else that is missing ends the script. Arguments go to scripts/setup.
set_up() {
    local status=0
    scripts/setup "$@" || status=$?
    case $status in
    0) vulkan=yes ;;
    3) vulkan=no ;;
    *) exit "$status" ;;
    esac
}

# Prints the path of a Chromium, the one that CHROMIUM names first.
chromium() {
    if [[ -n ${CHROMIUM:-} ]]; then
        type -P "$CHROMIUM"
        return
    fi
    local name
    for name in chromium chromium-browser google-chrome google-chrome-stable \
        '/Applications/Chromium.app/Contents/MacOS/Chromium' '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'; do
        type -P "$name" && return
    done
    return 1
}

# Prints a script's own first lines, which say how to use it.
usage() { sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "scripts/${0##*/}"; }

# Prints a path of the caller's, who may be in another folder.
absolute() { [[ $1 == /* ]] && printf '%s' "$1" || printf '%s' "$called_from/$1"; }

# Sets `starling` to the program to try: the one that STARLING_BIN names, else target/debug/starling, built now.
the_program() {
    if [[ -n ${STARLING_BIN:-} ]]; then
        starling=$(absolute "$STARLING_BIN")
    else
        starling=$target/debug/starling
        step 'build' cargo build --locked --quiet -p starling
    fi
}

# Peers that are started from now on lend whatever this machine does: that is not what is tried.
lend_always() {
    export STARLING_LEND_BATTERY=lend STARLING_LEND_FULL_SCREEN=lend STARLING_LEND_TEMPERATURE_C=0 STARLING_LEND_MEMORY_PCT=100
}
