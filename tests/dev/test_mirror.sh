# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# The package archive is found in every form of apt's sources. A scratch configuration of apt with
# archives in local folders: no network.

# make_archive NAME CODENAME ORIGIN: an empty one in $scratch/NAME.
make_archive()
{
    local release=$scratch/$1/dists/$2
    mkdir -p "$release/main/binary-$(dpkg --print-architecture)"
    printf 'Package: nothing\nVersion: 1\nArchitecture: all\nFilename: nothing.deb\nSize: 0\nSHA256: %064d\n' 0 \
        >"$release/main/binary-$(dpkg --print-architecture)/Packages"
    (
        cd "$release" || exit
        printf 'Origin: %s\nCodename: %s\nSuite: %s\nComponents: main\nArchitectures: %s all\nSHA256:\n' "$3" "$2" \
            "$2" "$(dpkg --print-architecture)"
        find main -type f -printf '%P %s\n' | while read -r file size; do
            printf ' %s %s main/%s\n' "$(sha256sum <"main/$file" | cut -d ' ' -f 1)" "$size" "$file"
        done
    ) >"$scratch/Release" && mv "$scratch/Release" "$release/Release"
}

# find_mirror_with FILE-NAME: with the sources from stdin.
find_mirror_with()
{
    rm -rf "$scratch/apt"
    mkdir -p "$scratch"/apt/{etc/sources.list.d,etc/apt.conf.d,lists/partial,cache/archives/partial}
    cat >"$scratch/apt/etc/sources.list.d/$1"
    cat >"$scratch/apt/apt.conf" <<END
Dir::Etc "$scratch/apt/etc";
Dir::State::Lists "$scratch/apt/lists";
Dir::Cache "$scratch/apt/cache";
APT::Sandbox::User "root";
END
    # apt's messages go to stderr.
    APT_CONFIG=$scratch/apt/apt.conf bash -c '. "$1/scripts/dev/mirror.sh" && find_mirror' - "$project"
}

prepare_archives()
{
    need_root
    need_apt
    codename=$(. /etc/os-release && printf '%s' "$VERSION_CODENAME")
    origin=$(. /etc/os-release && printf '%s' "$ID")
    make_archive main "$codename" "${origin^}"
    make_archive security "$codename-security" "${origin^}"
    make_archive third "$codename" Somebody
    touch "$scratch/key.gpg"
}

need_apt()
{
    command -v apt-get >/dev/null || skip "the distribution has no apt"
}

case_mirror_from_deb822_sources()
{
    prepare_archives
    expect 0 find_mirror_with own.sources <<END
# a comment
Types: deb
URIs: file:$scratch/third
Suites: $codename
Components: main
Trusted: yes

Types: deb
URIs: file:$scratch/security
Suites: $codename-security
Components: main
Trusted: yes

Types: deb
URIs: file:$scratch/main
Suites: $codename
Components: main
Trusted: yes
Signed-By: $scratch/key.gpg
END
    [ "$(cat "$scratch/out")" = "file:$scratch/main/|$scratch/key.gpg" ] || fail "found: $(cat "$scratch/out")"
}

case_mirror_from_one_line_sources()
{
    prepare_archives
    expect 0 find_mirror_with own.list <<END
deb [trusted=yes] file:$scratch/security $codename-security main
# deb [trusted=yes] file:$scratch/nowhere $codename main
deb [ arch=$(dpkg --print-architecture) trusted=yes signed-by=$scratch/key.gpg ] file:$scratch/main $codename main contrib
deb [trusted=yes] file:$scratch/third $codename main
END
    [ "$(cat "$scratch/out")" = "file:$scratch/main/|$scratch/key.gpg" ] || fail "found: $(cat "$scratch/out")"
}

case_no_mirror_is_an_error()
{
    prepare_archives
    expect 1 find_mirror_with own.list <<END
deb [trusted=yes] file:$scratch/security $codename-security main
END
}
