# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2034
# Which distribution packages ./dev needs, for each of the places it builds in. Sourced by ../../dev.
# What is new in these lists is put into the root by the next ./dev.

# The engine and the command line: what a server needs, with no GIMP in it.
native_packages=(
    meson ninja-build pkg-config gcc libc6-dev python3
    libglib2.0-dev libjson-glib-dev libpng-dev
)

# The plug-in besides: GIMP itself and its headers.
plugin_packages=(
    "${native_packages[@]}"
    gimp libgimp-3.0-dev libgtk-3-dev gettext
)

# What `./dev test` and `./dev demo` need on top of the plug-in's own: clang as the second compiler,
# Python inside GIMP, and a display that nobody sees with a hand that types on it.
test_packages=(
    clang libclang-rt-dev
    python3-gi gir1.2-gimp-3.0 gir1.2-gtk-3.0
    dbus xvfb xauth xdotool openbox
)
