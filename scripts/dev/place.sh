# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# Where the plug-in is built and run: on the host, if it has or can get GIMP 3, else in a Debian 13
# root; and with which environment variables. Sourced by ../../dev.

place=          # host or root, once ensure_place has been called
environment=()  # VARIABLE=VALUE..., from set_environment

# The distributions' own tools first: a conda or pyenv in the caller's PATH would bring other libraries.
host_path=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin:$PATH
root_path=/usr/sbin:/usr/bin:/sbin:/bin

# install_or_tell WHAT PACKAGE...: sees to it that the packages are installed.
install_or_tell()
{
    local what=$1 line
    local -a missing
    shift
    readarray -t missing < <(missing_packages "$@")
    [ "${#missing[@]}" -gt 0 ] || return 0
    line="apt-get install --no-install-recommends ${missing[*]}"
    [ "$(id -u)" -eq 0 ] || die "packages are missing, and installing them needs root rights: sudo $line"
    use_log packages
    run_step "installing $what" apt_install "${missing[@]}" && return 0
    if grep -q "$unreachable_pattern" "$log_file"; then
        die_with_log "the distribution's packages could not be fetched: is this machine on the network?"
    fi
    die_with_log "this failed: $line"
}

ensure_place()
{
    place=host
    if pkg-config --exists gimp-3.0 gimpui-3.0 2>/dev/null; then
        # Built with what is there; for the rest of the packages only a Debian can be asked.
        ! has_candidate libgimp-3.0-dev || install_or_tell "what else GIMP plug-ins need" "${plugin_packages[@]}"
    elif root_is_ready; then
        # Asking apt takes longer than all the rest of ./dev; it was asked when the root was made.
        place=root
        ensure_root
    elif has_candidate libgimp-3.0-dev; then
        install_or_tell "GIMP 3 and its development packages" "${plugin_packages[@]}"
    else
        place=root
        ensure_root
    fi
}

# has_candidate PACKAGE: whether the distribution has it. A fresh machine's apt knows of nothing yet.
apt_was_asked=
has_candidate()
{
    command -v apt-get >/dev/null || return 1
    if [ -z "$apt_was_asked" ] && [ -z "$(apt-get indextargets 'Created-By: Packages')" ]; then
        [ "$UID" -eq 0 ] || die "apt has no lists of packages yet: sudo apt-get update"
        use_log packages
        run_step "asking the distribution for its packages" apt-get -q update
    fi
    apt_was_asked=yes
    LC_ALL=C apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [^(]'
}

# The tests' own packages; the root has them in any case.
ensure_test_packages()
{
    if [ "$place" = host ] && has_candidate libgimp-3.0-dev; then
        install_or_tell "what the tests need" "${test_packages[@]}"
    fi
}

ensure_native_packages()
{
    # Once it has been configured, all of them were there.
    [ ! -e "$build_dir/native/build.ninja" ] || return 0
    if command -v apt-get >/dev/null; then
        install_or_tell "compiler and libraries" "${native_packages[@]}"
    fi
}

# set_environment build|caller PLACE: what a build, a test or GIMP under test sees is always
# the same; a program run for the caller sees the caller's variables, without those that would lead it to
# the host's libraries.
set_environment()
{
    local name path=$host_path
    [ "$2" = host ] || path=$root_path
    environment=("PATH=$path")
    for name in $(compgen -e); do
        case $name in
        W2W_* | TERM | COLORTERM | NO_COLOR | *_proxy | G_MESSAGES_DEBUG) ;;
        PATH | PS1 | PWD | OLDPWD | SHLVL | _ | LD_* | PYTHON* | PKG_CONFIG* | GI_TYPELIB_PATH | *FLAGS | CC | CXX | CPATH | *LIBRARY_PATH | *INCLUDE_PATH) continue ;;
        *) [ "$1" = caller ] || continue ;;
        esac
        environment+=("$name=${!name}")
    done
    if [ "$1" = build ]; then
        mkdir -p "$build_dir/home"
        environment+=("HOME=$build_dir/home" LANG=C.UTF-8 "XDG_RUNTIME_DIR=$(runtime_dir "$2")"
                      "GIMP3_DIRECTORY=$profile_dir")
    fi
}

# A short path, for the sockets in it; in the root it is gone with the last process.
runtime_dir()
{
    local dir=/run/w2w
    if [ "$1" = host ]; then
        dir=${XDG_RUNTIME_DIR:-/tmp}/w2w-dev-$UID
        [ -d "$dir" ] || mkdir -m 700 "$dir"
        [ -O "$dir" ] || die "the folder $dir belongs to somebody else."
    fi
    printf '%s' "$dir"
}

# run_in PLACE MODE DIR COMMAND...: with `environment`, in the folder DIR. MODE exec replaces ./dev;
# with init nothing that was started outlives the command or ./dev (as far as the rights allow it).
run_in()
{
    local where=$1 mode=$2 dir=$3
    local -a namespace=(setpriv --pdeathsig KILL)
    shift 3
    if [ "$where" = root ]; then
        enter_root "$mode" "$dir" "${environment[@]}" "$@"
    elif [ "$mode" = exec ]; then
        exec env -i --chdir="$dir" "${environment[@]}" "$@"
    else
        ! can_make_namespaces || namespace_command init
        "${namespace[@]}" env -i --chdir="$dir" "${environment[@]}" "$@"
    fi
}
