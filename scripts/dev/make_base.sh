#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes the base system of the Debian 13 root, in the mount namespace that scripts/dev/root.sh gives it.
# debootstrap bears neither a space in its target's name nor a target on a file system mounted
# nodev or noexec, as homes may be: so it works in a place of which only this namespace knows.
#
# make_base.sh TARGET DOWNLOADS RELEASE MIRROR DEBOOTSTRAP-OPTION...
set -u

target=$1 downloads=$2 release=$3 mirror=$4
shift 4
stage=/mnt
case $target in
/mnt/*) stage=/srv ;;
esac
mkdir -p "$target" "$downloads" &&
    mount -t tmpfs tmpfs "$stage" &&
    mkdir "$stage/target" "$stage/downloads" &&
    mount --bind "$target" "$stage/target" &&
    mount -o remount,bind,dev,exec,suid "$stage/target" &&
    mount --bind "$downloads" "$stage/downloads" &&
    exec debootstrap --cache-dir="$stage/downloads" "$@" "$release" "$stage/target" "$mirror"
