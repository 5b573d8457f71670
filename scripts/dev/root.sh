# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# The Debian 13 root that a Debian 12 machine, which has no GIMP 3, builds and runs the plug-in in.
# Sourced by ../../dev.
#
# It lies in the user's cache folder:
#   debian-13         the root; in it etc/w2w-base, written when the base system stands, says by
#                     which recipe and when it was made, and etc/w2w-root, written last, what was
#                     installed then: without these it is not finished
#   debian-13.part    a base system being made
#   debs              what was downloaded, kept until the root is finished
#   lock              shared by those who use the root, exclusive for those who change it
# Every process in it lives in a mount namespace of its own. Nothing is ever mounted in the
# machine's, so that nothing is left mounted however a ./dev ends.

root_release=trixie
root_recipe=1
# What making it needs at its peak, and what it then takes, in MB.
root_peak_size=2600

# What has to be in the root, one thing to a line.
root_wants()
{
    printf '%s\n' "${plugin_packages[@]}" "${test_packages[@]}" | sort -u
}

# A root with more in it than this checkout asks for is ready, too: several may share it.
root_is_ready()
{
    root_base_is_ready && [ -e "$root_dir/etc/w2w-root" ] &&
        ! root_wants | grep -qvxFf "$root_dir/etc/w2w-root"
}

root_base_is_ready()
{
    grep -qsx "recipe $root_recipe" "$root_dir/etc/w2w-base"
}

# enter_root MODE DIR VARIABLE=VALUE... COMMAND...: runs it in the root, in the folder DIR. MODE as for
# namespace_command.
enter_root()
{
    local mode=$1 where=$2 path
    local -a binds=() namespace
    shift 2
    for path in "$where" "$source_dir" "${W2W_GOLDEN:-}"; do
        if [ -n "$path" ] && is_hidden_in_root "$path"; then
            binds+=(--bind "$path" "$path")
        fi
    done
    namespace_command "$mode"
    set -- "${namespace[@]}" bash "$source_dir/scripts/dev/enter_root.sh" "$root_dir" "${binds[@]}" \
        -- env -i --chdir="$where" "$@"
    if [ "$mode" = exec ]; then
        exec "$@"
    fi
    "$@"
}

# Sets the caller's `namespace`: what has to stand before a command that mounts something. With MODE
# exec the command replaces ./dev; with init it and all that it starts end at the latest with ./dev.
namespace_command()
{
    namespace=(unshare --mount --propagation private)
    if [ "$1" = init ]; then
        namespace=(setpriv --pdeathsig KILL "${namespace[@]}" --pid --fork --kill-child --mount-proc
                   bash "$source_dir/scripts/dev/process_one.sh")
    fi
}

can_make_namespaces()
{
    [ "$UID" -eq 0 ] && unshare --mount --pid --fork true 2>/dev/null
}

# Whether a path of the host lies in one of the folders that the root has its own of. The folders
# themselves do not count: they are not replaced.
is_hidden_in_root()
{
    case $1/ in
    /bin/?*/ | /boot/?*/ | /etc/?*/ | /lib*/?*/ | /sbin/?*/ | /usr/?*/ | /var/?*/) return 0 ;;
    *) return 1 ;;
    esac
}

# Takes the root for use; makes it, or brings it up to date, first.
ensure_root()
{
    while :; do
        lock shared root_lock "$cache_dir/lock" "is setting up the Debian 13 root"
        ! root_is_ready || return 0
        unlock root_lock
        lock exclusive root_lock "$cache_dir/lock" "uses the Debian 13 root"
        root_is_ready || make_root
        unlock root_lock
    done
}

make_root()
{
    local mirror keyring begin=$SECONDS
    [ "$(id -u)" -eq 0 ] ||
        die "this distribution has no GIMP 3, and making a Debian 13 root to build in needs root rights: run ./dev as root."
    can_make_namespaces ||
        die "the Debian 13 root needs the right to make a mount namespace, which this container lacks: start it with CAP_SYS_ADMIN."
    [ "$(. /etc/os-release && printf '%s' "$ID${VERSION_ID:-}")" = debian12 ] ||
        die "this distribution has no GIMP 3 development packages (pkg-config finds no gimp-3.0), and only on Debian 12 can ./dev make a root that has."
    say "Setting up a Debian 13 root in $root_dir (GIMP 3 and compilers, once, some minutes)"
    use_log root
    check_root_space
    if ! command -v debootstrap >/dev/null; then
        run_step "installing debootstrap" apt_install debootstrap || root_failed "debootstrap could not be installed"
    fi
    mirror=$(find_mirror 2>>"$log_file") ||
        root_failed "no package archive of Debian 12 could be read from this machine's apt sources"
    keyring=${mirror#*|} mirror=${mirror%%|*}
    [ -n "$keyring" ] || keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -r "$keyring" ] || die "the key file $keyring of the package archive $mirror cannot be read."

    local half_made=
    if ! root_base_is_ready; then
        make_root_base
    elif [ ! -e "$root_dir/etc/w2w-root" ] && [ ! -e "$root_dir/etc/w2w-root.old" ]; then
        half_made=yes
    fi
    if ! fill_root; then
        # What was killed in the middle of it may have left more than dpkg can mend.
        if [ -z "$half_made" ] || grep -q "$unreachable_pattern\|$full_pattern\|Unable to locate" "$log_file"; then
            root_failed "the packages of the Debian 13 root could not be installed"
        fi
        say "  The half-made root cannot be completed; making it anew"
        make_root_base
        fill_root || root_failed "the packages of the Debian 13 root could not be installed"
    fi
    # The packages were unpacked without waiting for the disk; the stamp must not be there before them.
    sync -f "$root_dir"
    { root_wants; cat "$root_dir/etc/w2w-root.old" 2>/dev/null; } | sort -u >"$root_dir/etc/w2w-root" ||
        root_failed "the Debian 13 root could not be written"
    rm -f "$root_dir/etc/w2w-root.old"
    remove_tree "$cache_dir/debs"
    say "  The Debian 13 root is ready after $((SECONDS - begin)) s"
}

unreachable_pattern='Temporary failure resolving\|Could not resolve\|Could not connect\|Unable to connect\|Network is unreachable\|Failed getting release\|Couldn.t download'
full_pattern='No space left on device\|enough free space'

root_failed()
{
    [ ! -e "$root_dir/etc/w2w-root.old" ] || mv "$root_dir/etc/w2w-root.old" "$root_dir/etc/w2w-root"
    if grep -q "$full_pattern" "$log_file"; then
        die_with_log "the disk that holds $cache_dir is full; the Debian 13 root needs $root_peak_size MB there."
    elif grep -q "$unreachable_pattern" "$log_file"; then
        die_with_log "the package archive${mirror:+ $mirror} could not be reached: is this machine on the network?"
    fi
    die_with_log "$1."
}

check_root_space()
{
    local free have
    mkdir -p "$cache_dir" || die "cannot write to $cache_dir."
    free=$(df --output=avail -BM "$cache_dir" | tail -n 1 | tr -dc 0-9)
    have=$(du -smc "$root_dir" "$cache_dir/debs" 2>/dev/null | tail -n 1 | cut -f 1)
    [ "$((free + have))" -ge "$root_peak_size" ] ||
        die "the Debian 13 root needs $((root_peak_size - have)) MB in $cache_dir, but only $free MB are free there; XDG_CACHE_HOME chooses another folder."
}

make_root_base()
{
    local -a namespace proxy=()
    local part=$root_dir.part http='' https=''
    # debootstrap heeds wget's variables, not apt's settings.
    eval "$(apt-config shell http Acquire::http::Proxy https Acquire::https::Proxy)"
    [ -z "$http" ] || proxy+=("http_proxy=$http")
    [ -z "$https" ] || proxy+=("https_proxy=$https")
    remove_tree "$part"
    remove_tree "$root_dir"
    namespace_command init
    run_step "base system" "${namespace[@]}" env "${proxy[@]}" bash "$source_dir/scripts/dev/make_base.sh" \
        "$part" "$cache_dir/debs" "$root_release" "$mirror" --variant=minbase --keyring="$keyring" ||
        root_failed "the base system of the Debian 13 root could not be made"
    configure_root_apt "$part" || root_failed "the Debian 13 root could not be written"
    printf 'recipe %s\nmade %s\n' "$root_recipe" "$EPOCHREALTIME" >"$part/etc/w2w-base"
    mv "$part" "$root_dir" || root_failed "the Debian 13 root could not be put in its place"
}

# This machine's way to the archive (proxies, clock checks), and no more than is needed from there.
configure_root_apt()
{
    local to=$1 file
    mkdir -p "$to/etc/apt/keyrings" &&
        cp "$keyring" "$to/etc/apt/keyrings/w2w-archive.${keyring##*.}" &&
        printf 'deb [signed-by=/etc/apt/keyrings/w2w-archive.%s] %s %s main\n' "${keyring##*.}" "$mirror" \
            "$root_release" >"$to/etc/apt/sources.list" || return 1
    rm -f "$to"/etc/apt/sources.list.d/*
    for file in /etc/apt/apt.conf.d/99*; do
        [ ! -e "$file" ] || cp "$file" "$to/etc/apt/apt.conf.d/" || return 1
    done
    apt-config dump | grep -E '^Acquire::(https?|Check-|ForceIPv|Retries)' |
        grep -v -E 'Proxy-?Auto-?Detect' >"$to/etc/apt/apt.conf.d/90host"
    cat >"$to/etc/apt/apt.conf.d/91lean" <<'END' &&
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
APT::Keep-Downloaded-Packages "true";
Dpkg::Use-Pty "false";
END
        cat >"$to/etc/dpkg/dpkg.cfg.d/lean" <<'END' &&
force-unsafe-io
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/man/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/help/*
path-exclude=/usr/share/gtk-doc/*
END
        printf '#!/bin/sh\nexit 101\n' >"$to/usr/sbin/policy-rc.d" &&
        chmod +x "$to/usr/sbin/policy-rc.d" || return 1
    rm -f "$to/etc/resolv.conf"
    : >"$to/etc/resolv.conf"
}

in_bare_root()
{
    local -a namespace
    namespace_command init
    "${namespace[@]}" bash "$source_dir/scripts/dev/enter_root.sh" "$root_dir" --bare \
        --bind "$cache_dir/debs" /var/cache/apt/archives \
        -- env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}

# Also takes up what an earlier, killed one left.
fill_root()
{
    local -a packages
    # What is in a finished root stays in it, and stays in use when nothing more can be added.
    [ ! -e "$root_dir/etc/w2w-root" ] || mv "$root_dir/etc/w2w-root" "$root_dir/etc/w2w-root.old"
    mkdir -p "$cache_dir/debs"
    readarray -t packages < <(root_wants)
    run_step "list of packages" in_bare_root sh -c 'dpkg --configure -a --force-confold && apt-get -q update' &&
        run_step "downloading packages" in_bare_root sh -c 'apt-get -q -y -f --download-only install "$@"' - "${packages[@]}" &&
        run_step "installing packages" in_bare_root sh -c 'apt-get -q -y -f install "$@" && ldconfig' - "${packages[@]}"
}

# refuse_mounts_in DIR: ends ./dev when something is mounted in DIR or on it: removing DIR would
# remove what lies behind. (rm --one-file-system does not see a mount of the same file system.)
refuse_mounts_in()
{
    local dir mount
    dir=$(realpath -m "$1")
    while read -r _ _ _ _ mount _; do
        printf -v mount '%b' "${mount//\\/\\0}"
        case $mount/ in
        "$dir"/*) die "$mount is mounted inside $dir, which therefore is not removed: unmount it first." ;;
        esac
    done </proc/self/mountinfo
}

# remove_tree DIR
remove_tree()
{
    [ -e "$1" ] || [ -L "$1" ] || return 0
    refuse_mounts_in "$1"
    rm -rf --one-file-system "$1" 2>/dev/null
}
