#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The same people with float32 and with bfloat16 between ops, one row each, and how far apart they are:
#   scripts/compare_dtypes.sh W2W OUT.png [SEED [N]]
# W2W is the program of a build. Needs ImageMagick. Makes docs/bfloat16.png.
set -eu
w2w=$1 out=$2 seed=${3:-12} n=${4:-3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for dtype in f32 bf16; do
    "$w2w" sample -n "$n" --seed "$seed" --dtype $dtype --device cpu -o "$work/$dtype"
done
for picture in "$work"/f32/*.png; do
    name=$(basename "$picture" .png)
    # ImageMagick says "x (y)": y is the mean absolute difference as a part of 1.
    difference=$(compare -metric MAE "$picture" "$work/bf16/$name.png" null: 2>&1 | sed 's/.*(\(.*\))/\1/')
    echo "$name: mean absolute difference $(awk "BEGIN { printf \"%.2f\", $difference * 255 }") of 255"
done
montage "$work"/f32/*.png "$work"/bf16/*.png -tile "${n}x2" -geometry +6+6 -background white -depth 8 \
    -define png:compression-level=9 -strip "$out"
