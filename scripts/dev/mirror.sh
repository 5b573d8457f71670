# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# Where this machine gets its packages from: apt itself is asked, so that every form of its sources
# (deb822 and one-line, signed-by, proxies) counts, and no host is named here. Sourced by ../../dev.

# apt_install PACKAGE...: installs what is missing; apt's lists are fetched when they are absent or too old.
# Returns nonzero when it could not.
apt_install()
{
    local -a apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends
                  -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 install "$@")
    "${apt[@]}" || { apt-get -q update && "${apt[@]}"; }
}

# missing_packages PACKAGE...: prints those that are not installed, one to a line.
missing_packages()
{
    local package
    for package; do
        # Packages that exist only by another's Provides count as that one (pkg-config, say).
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
            printf '%s\n' "$package"
    done
}

# Prints "URI|keyring" of the archive that this distribution's own release comes from.
# The keyring is empty where the source names none.
find_mirror()
{
    local codename origin best
    codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
    origin=$(. /etc/os-release && printf '%s' "${ID:-}")
    best=$(list_sources | awk -F '|' -v codename="$codename" -v origin="$origin" '
        $1 == "deb" && $3 == codename && $4 == "main" && $2 !~ /^cdrom:/ {
            score = (tolower($5) == origin) + 1
            if (score > best) { best = score; line = $2 "|" $6 }
        }
        END { if (best) print line }')
    [ -n "$best" ] || return 1
    printf '%s|%s\n' "${best%%|*}" "$(keyring_of_source "${best#*|}")"
}

# Sources whose lists were never fetched do not show up, hence the second attempt.
list_sources()
{
    local format='$(TARGET_OF)|$(REPO_URI)|$(CODENAME)|$(COMPONENT)|$(ORIGIN)|$(SOURCESENTRY)' lines
    lines=$(apt-get indextargets --format "$format" 'Created-By: Packages')
    if [ -z "$lines" ]; then
        apt-get -q update >&2
        lines=$(apt-get indextargets --format "$format" 'Created-By: Packages')
    fi
    printf '%s\n' "$lines"
}

# keyring_of_source FILE:NUMBER: the file that signed-by of this entry names. The number counts
# stanzas in *.sources and lines in *.list.
keyring_of_source()
{
    local file=${1%:*} number=${1##*:}
    case $file in
    *.sources)
        awk -v number="$number" 'BEGIN { RS = ""; FS = "\n" }
            NR == number { for (i = 1; i <= NF; i++)
                if (tolower($i) ~ /^signed-by:[ \t]*\//) {
                    sub(/^[^:]*:[ \t]*/, "", $i); sub(/[ \t,].*/, "", $i); print $i } }' "$file"
        ;;
    *.list)
        sed -n "${number}s/^[^]]*[[ ]signed-by=\(\/[^], ]*\).*/\1/p" "$file"
        ;;
    esac
}
