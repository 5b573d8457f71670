# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# The builds of ./dev, each in a folder of its own below build-dev/, kept and brought up to date.
# Sourced by ../../dev.
#
#   native    engine, command line, worker: the host's own packages, no GIMP
#   plugin    all of it, where GIMP 3 is
#   clang     as plugin, with the other compiler
#   sanitize  as native, with address and undefined-behaviour sanitizers

jobs=$(nproc)

# describe_build NAME: sets the caller's `builder` and `options`.
describe_build()
{
    builder=$place
    options=("--prefix=$build_dir/install" "-Dplugindir=$profile_dir/plug-ins")
    case $1 in
    native) builder=host options=(-Dplugin=disabled) ;;
    plugin) options+=(-Dplugin=enabled) ;;
    clang) options+=(-Dplugin=enabled) ;;
    sanitize) options=(-Dplugin=disabled '-Db_sanitize=address,undefined' -Dbuildtype=debugoptimized) ;;
    esac
    # A compiler from the future may have warnings that are no reason not to build.
    case $(. /etc/os-release && printf '%s' "$ID${VERSION_ID:-}") in
    debian12 | debian13) options+=(-Dwerror=true) ;;
    esac
}

# What a build folder was configured for; another one has to be configured anew.
build_key()
{
    printf '%s\n' "$source_dir" "$builder" "${options[@]}"
    [ "$builder" = host ] || cat "$root_dir/etc/w2w-base"
}

# build_is_current NAME TARGET
build_is_current()
{
    local builder
    local -a options
    describe_build "$1"
    [ -e "$build_dir/$1/build.ninja" ] &&
        [ "$(build_key)" = "$(cat "$build_dir/$1.key" 2>/dev/null)" ] || return 1
    set_environment build "$builder"
    case $(run_in "$builder" init "$source_dir" ninja -C "$build_dir/$1" -n "$2" 2>/dev/null) in
    *"no work to do"*) return 0 ;;
    *) return 1 ;;
    esac
}

# build NAME [TARGET...]: returns nonzero when it fails, with the reason in the log.
build()
{
    local name=$1 builder
    local -a options compiler=()
    shift
    describe_build "$name"
    [ "$name" != clang ] || compiler=(CC=clang CXX=clang++)
    set_environment build "$builder"
    use_log "build-$name"
    if [ ! -e "$build_dir/$name/build.ninja" ] || [ "$(build_key)" != "$(cat "$build_dir/$name.key" 2>/dev/null)" ]; then
        remove_tree "$build_dir/$name"
        run_step "configuring ($name)" run_in "$builder" init "$source_dir" env "${compiler[@]}" \
            meson setup "${options[@]}" "$build_dir/$name" || return 1
        build_key >"$build_dir/$name.key"
    fi
    run_step "building ($name)" run_in "$builder" init "$source_dir" ninja -C "$build_dir/$name" -j "$jobs" "$@"
}

# What the compilers said, for those who build_failed.
show_build_errors()
{
    grep -E -A 4 '(error|ERROR|undefined reference)( |:)|^FAILED:' "$log_file" | head -n 40 | sed 's/^/    /' >&2
}

build_or_die()
{
    build "$@" && return 0
    show_build_errors
    die_with_log "the $1 build failed."
}

# Into the private profile and the private prefix, where GIMP under test finds it.
install_plugin()
{
    local -a install=(run_in "$place" init "$source_dir" meson install -C "$build_dir/plugin" --no-rebuild --only-changed)
    set_environment build "$place"
    make_profile "$profile_dir" minimal &&
        run_step "installing the plug-in" "${install[@]}"
}
