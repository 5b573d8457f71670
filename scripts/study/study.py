#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Studies of inversion on the embedded world: ./dev study quality|recipes|experiments [--help].

Every result is kept in the output folder; a study that was interrupted goes on where it stopped.
"""
import argparse
import os
import sys

import experiments
import quality
import recipes
from programs import Failure, Workshop


def parse():
    top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--build", default=os.environ.get("W2W_BUILD", os.path.join(top, "build-dev", "native")), help="where the programs were built")
    shared.add_argument("--data", default=os.path.join(top, "data"), help="the embedded world")
    shared.add_argument("-o", "--output", default=os.path.join(top, "build-dev", "study"), help="folder for results, which are kept there")
    shared.add_argument("--threads", type=int, default=0, help="threads of the programs; 0: all processors")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    studies = parser.add_subparsers(dest="study", required=True)
    one = studies.add_parser("quality", parents=[shared], help="each preset against DreamBooth, the mean person and chance: one table")
    one.add_argument("--people", type=int, default=16, help="how many faces (16)")
    one.add_argument("--seeds", type=int, default=4, help="pictures rendered of each (4)")
    one.add_argument("--all", action="store_true", help="all faces")
    one.set_defaults(run=quality.run)
    one = studies.add_parser("recipes", parents=[shared], help="what each part of the recipe “fast” is worth")
    one.add_argument("--people", type=int, default=8, help="how many faces (8)")
    one.set_defaults(run=recipes.run)
    one = studies.add_parser("experiments", parents=[shared], help="the paper's studies: tables and contact sheets")
    one.add_argument("--quick", action="store_true", help="small sizes: minutes instead of an hour")
    one.add_argument("only", nargs="*", metavar="STUDY", help=f"of {', '.join(experiments.STUDIES)}; all where none is named")
    one.set_defaults(run=experiments.run)
    return parser.parse_args()


def main():
    options = parse()
    try:
        workshop = Workshop(options.build, options.data, os.path.abspath(options.output), options.threads)
        try:
            options.run(workshop, options)
        finally:
            workshop.close()
    except Failure as failure:
        sys.exit(f"study: {failure}")


if __name__ == "__main__":
    main()
