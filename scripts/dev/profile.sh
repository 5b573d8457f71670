# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# GIMP's profiles for ./dev. GIMP asks each of its hundred plug-ins what it can do when it starts with a
# fresh profile: half a minute. The minimal profile has only those that tests and demo call, and
# starts in seconds. Sourced by ../../dev.

profile_dir=$build_dir/profile

# The script languages and the picture format that tests and demo use.
minimal_plugins=(script-fu python-eval file-png)

# make_profile DIR minimal|full: the plug-in's own folder is installed or linked into DIR/plug-ins.
make_profile()
{
    local dir=$1 plugin system
    mkdir -p "$dir/plug-ins" || return 1
    if [ "$2" = full ]; then
        ln -sfn "$profile_dir/plug-ins/w2w" "$dir/plug-ins/w2w"
        return
    fi
    set_environment build "$place"
    system=$(run_in "$place" init / pkg-config --variable=gimplibdir gimp-3.0)/plug-ins || return 1
    # shellcheck disable=SC2016
    printf '(plug-in-path "${gimp_dir}/plug-ins")\n' >"$dir/gimprc" || return 1
    for plugin in "${minimal_plugins[@]}"; do
        ln -sfn "$system/$plugin" "$dir/plug-ins/$plugin" || return 1
    done
}
