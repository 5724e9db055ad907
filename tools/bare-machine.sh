#!/usr/bin/env bash
# Prove what the README promises of a bare machine: make a minimal Debian in a temporary folder (debootstrap;
# python3, make and git on top, nothing else), clone this checkout into it and run make there in a chroot.
#
#   sudo tools/bare-machine.sh [options] [make arguments]     default: sweep
#     --suite NAME      Debian's release (default bookworm)
#     --base FILE       keep the bare system in this tar, and start from it if it is there already
#     --working-tree    take the files as they are, not only what is committed
#     --user            run make as an ordinary user with sudo (installed for it), not as root
#     --keep            leave the folder afterwards, and say where it is
#
#   sudo tools/bare-machine.sh setup
#   sudo tools/bare-machine.sh --working-tree --base /var/tmp/bare.tar sweep SWEEP="-p size 64MiB"
#
# Needs root, debootstrap (apt-get install debootstrap) and some 4 GB. Where packages come from is read from
# this machine's own configuration of apt and pip. Mounts are made in a mount namespace of their own and vanish
# with it, so that removing the folder can never reach /dev or /sys. The exit status is make's.
set -euo pipefail

die() { printf 'bare-machine: error: %s\n' "$*" >&2; exit 2; }
say() { printf 'bare-machine: %s\n' "$*" >&2; }

# --- inside the namespace: called again by the script itself ------------------------------------------------
if [ "${1:-}" = --inside ]; then
    root=$2
    shift 2
    mount -t proc proc "$root/proc"
    mount --rbind /sys "$root/sys"
    mount --rbind /dev "$root/dev"
    exec chroot "$root" "$@"
fi

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
suite=bookworm base='' source=commit user=root keep=''
while [ $# -gt 0 ]; do
    case $1 in
    --suite) suite=${2:?} && shift 2 ;;
    --base) base=${2:?} && shift 2 ;;
    --working-tree) source=tree && shift ;;
    --user) user=tester && shift ;;
    --keep) keep=yes && shift ;;
    -h | --help) sed -n '2,/^set /{s/^# \{0,1\}//;/^set /!p}' "$0" && exit 0 ;;
    *) break ;;
    esac
done
[ $# -gt 0 ] || set -- sweep
[ "$(id -u)" -eq 0 ] || die "needs root (debootstrap, chroot, mounts)"
for tool in debootstrap unshare chroot git tar; do
    command -v "$tool" >/dev/null || die "$tool is missing; apt-get install debootstrap util-linux coreutils git tar"
done

folder=$(mktemp -d "${TMPDIR:-/tmp}/hmexp-bare.XXXXXX")
root=$folder/root
# shellcheck disable=SC2329  # called by the trap
clean_up() {
    if [ -n "$keep" ]; then say "left: $root"; else rm -rf --one-file-system -- "$folder"; fi
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# --- the bare system ----------------------------------------------------------------------------------------
# shellcheck disable=SC2016  # apt expands those
list_archives() { # of this machine, Debian's own: "address suite components"
    apt-get indextargets --format '$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)' 'Created-By: Packages' |
        awk -F'|' -v own="$(own_codename)" -v suite="$suite" '
            $1 == "Debian" && index($3, own) == 1 {
                release = suite substr($3, length(own) + 1); key = $2 " " release
                if (!(key in parts)) order[++n] = key
                if (index(" " parts[key] " ", " " $4 " ") == 0) parts[key] = parts[key] " " $4
            }
            END { for (i = 1; i <= n; i++) print order[i] parts[order[i]] }'
}
own_codename() { sed -n 's/^VERSION_CODENAME=//p' /etc/os-release; }

mkdir "$root"
if [ -n "$base" ] && [ -f "$base" ]; then
    say "unpacking $base"
    tar -C "$root" -xpf "$base" --numeric-owner
else
    archives=$(list_archives)
    main=$(awk -v suite="$suite" '$2 == suite { print $1; exit }' <<<"$archives")
    [ -n "$main" ] || die "apt on this machine has no Debian archive with $suite"
    say "making a minimal $suite in $root"
    debootstrap --variant=minbase --include=python3-minimal,python3,make,git "$suite" "$root" "$main" >"$folder/debootstrap.log" 2>&1 ||
        { tail -n 20 "$folder/debootstrap.log" >&2; die "debootstrap failed"; }
    awk '{ print "deb", $0 }' <<<"$archives" >"$root/etc/apt/sources.list"
    # How this machine reaches its archives (proxies, certificates, dates of snapshots).
    apt-config dump | grep -E '^Acquire::(https?|Check-|Retries)' >"$root/etc/apt/apt.conf.d/99bare-machine" || true
    if [ -n "$base" ]; then
        tar -C "$root" -cpf "$base.new" --numeric-owner . && mv -f "$base.new" "$base"
    fi
fi
for absent in gcc cc pip3 x86_64-linux-gnu-gcc; do
    [ ! -e "$root/usr/bin/$absent" ] || die "the bare system is not bare: it has $absent"
done

# --- how it reaches the network -----------------------------------------------------------------------------
for file in /etc/resolv.conf /etc/hosts; do
    [ ! -f "$file" ] || cp -L --remove-destination "$file" "$root$file"
done
declare -a environment=(HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 "TERM=${TERM:-dumb}")
pass() { # NAME VALUE; a value that is a file of certificates comes along
    local value=$2
    if [ -f "$value" ]; then
        # Not to where it was: the package ca-certificates, once installed there, would write its own over it.
        value=/etc/bare-machine/$1
        install -D -m 644 "$2" "$root$value"
    fi
    environment+=("$1=$value")
}
for name in PIP_CERT PIP_PROXY PIP_INDEX_URL PIP_TRUSTED_HOST PIP_DEFAULT_TIMEOUT SSL_CERT_FILE \
    http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
    [ -z "${!name:-}" ] || pass "$name" "${!name}"
done
if [ -z "${PIP_INDEX_URL:-}" ] && address=$(python3 -m pip config get global.index-url 2>/dev/null); then
    pass PIP_INDEX_URL "$address"
fi

# --- the checkout, on a path with a space -------------------------------------------------------------------
home=/root
if [ "$user" != root ]; then
    chroot "$root" useradd --create-home "$user"
    home=/home/$user
fi
place="$home/bare checkout"
if [ "$source" = commit ]; then
    git clone --quiet --no-hardlinks -- "$checkout" "$root$place"
else
    mkdir "$root$place"
    (cd "$checkout" && git ls-files --cached --others --exclude-standard -z |
        while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
        tar -cf - --null --no-recursion -T -) | tar -C "$root$place" -xf - --no-same-owner
fi

# --- make ---------------------------------------------------------------------------------------------------
inside=(env -i "${environment[@]}")
if [ "$user" != root ]; then
    unshare --mount --pid --fork --kill-child bash "$0" --inside "$root" "${inside[@]}" sh -c \
        'apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends sudo && rm -rf /var/lib/apt/lists/*' \
        >"$folder/sudo.log" 2>&1 || { tail "$folder/sudo.log" >&2; die "sudo could not be installed"; }
    printf '%s ALL=(ALL) NOPASSWD: ALL\n' "$user" >"$root/etc/sudoers.d/$user"
    chroot "$root" chown -R "$user:" "$home"
    inside=(setpriv --reuid="$user" --regid="$user" --init-groups env -i "${environment[@]}" "HOME=$home" "USER=$user")
fi
say "make $* in a bare $suite, as $user"
started=$SECONDS status=0
unshare --mount --pid --fork --kill-child bash "$0" --inside "$root" "${inside[@]}" \
    make -C "$place" "$@" </dev/null || status=$?
say "make $* ended with $status after $((SECONDS - started)) s"
if [ -d "$root$place/results" ]; then (cd "$root$place" && find results -type f | sort | sed 's/^/  /') >&2; fi
exit "$status"
