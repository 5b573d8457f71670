#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Becomes a command in the Debian 13 root. ./dev starts it in a mount namespace of its own (see
# scripts/dev/root.sh), so whatever is mounted here is gone with the last process in it.
#
# enter_root.sh ROOT [--bare] [--bind PATH TARGET]... -- COMMAND...
#
# Every folder of the host's top level that no distribution owns (home, work, mnt, tmp, ...) is seen at
# the same path inside, so that paths mean the same on both sides. What lies below the others is seen
# where --bind asks for it. With --bare nothing else of the host is seen.
set -u

root=$1 bare=
shift
binds=()
while [ "$1" != -- ]; do
    case $1 in
    --bind) binds+=("$2" "$3"); shift 2 ;;
    --bare) bare=yes ;;
    esac
    shift
done
shift

fail()
{
    printf 'dev: %s\n' "$*" >&2
    exit 125
}

# bind SOURCE TARGET: recursive, as there may be other file systems below the source.
bind()
{
    if [ -d "$1" ]; then
        mkdir -p "$root$2"
    else
        [ -e "$root$2" ] || : >"$root$2"
    fi
    mount --rbind "$1" "$root$2" || fail "cannot show $1 inside the Debian 13 root."
}

# The root becomes a mount of its own: where homes are mounted nodev or noexec it would be, too.
if ! mount --bind "$root" "$root" || ! mount -o remount,bind,dev,exec,suid "$root"; then
    fail "cannot mount the Debian 13 root."
fi

# The folder that holds the root itself comes first: later it would show the other mounts again.
if [ -z "$bare" ]; then
    top=${root#/}
    top=/${top%%/*}
    top_is_done=
    for folder in "$top" /*; do
        case $folder in
        /bin | /boot | /dev | /etc | /lib* | /lost+found | /proc | /run | /sbin | /sys | /usr | /var)
            continue ;;
        esac
        if [ -L "$folder" ]; then
            [ -L "$root$folder" ] || ln -s "$(readlink "$folder")" "$root$folder" 2>/dev/null
        elif [ -d "$folder" ] && { [ "$folder" != "$top" ] || [ -z "$top_is_done" ]; }; then
            bind "$folder" "$folder"
            [ "$folder" != "$top" ] || top_is_done=yes
        fi
    done
fi
mount -t proc proc "$root/proc" || fail "cannot mount /proc inside the Debian 13 root."
mount -t sysfs -o ro sysfs "$root/sys" 2>/dev/null || bind /sys /sys
bind /dev /dev
mount -t tmpfs -o mode=755 tmpfs "$root/run" || fail "cannot mount /run inside the Debian 13 root."
mkdir -m 1777 "$root/run/lock"
# The environment of builds and tests names it: a session of its own, for sockets.
mkdir -m 700 "$root/run/w2w"
for file in /etc/resolv.conf /etc/hosts; do
    [ ! -e "$file" ] || bind "$file" "$file"
done
if [ -z "$bare" ]; then
    [ ! -d /run/user ] || bind /run/user /run/user
fi
for ((i = 0; i < ${#binds[@]}; i += 2)); do
    bind "${binds[i]}" "${binds[i + 1]}"
done

exec chroot "$root" "$@"
