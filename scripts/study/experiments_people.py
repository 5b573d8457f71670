# SPDX-License-Identifier: GPL-3.0-or-later
"""Studies of the space itself: sampled people, directions, how many people a dataset needs."""
import math
import random

from chance import area_under_curve, mean
from looking import person_of_dataset, write_sheet
from programs import table
from spaces import dot, fit_directions, principal_components


def nearest_row(space, standardised, coefficients, leave_out=None):
    own = space.standardise(coefficients)
    ranked = ((math.dist(own, other), row) for row, other in enumerate(standardised) if row != leave_out)
    return min(ranked)


def people(workshop, space, quick):
    n = 6 if quick else 24
    folder = workshop.path("identities/sampled")
    reports = workshop.keep(f"sampled-{n}", lambda: workshop.w2w("sample", "-n", n, "--seed", 1, "--no-picture", "-o", folder))
    from spaces import read_identity

    standardised = [space.standardise(person) for person in space.people]
    sampled, rows, pictures = [], [], [[], []]
    for result in reports["results"][:n]:
        c = read_identity(result["identity"])
        gap, row = nearest_row(space, standardised, c)
        sampled.append(gap)
        name = f"sampled-{result['seed']}"
        if len(pictures[0]) < 6:
            pictures[0].append(workshop.render(name, "--identity", result["identity"], "--seed", 1))
            pictures[1].append(workshop.render(f"row-{row}-1", "--identity", person_of_dataset(workshop, space, row), "--seed", 1))
    checked = range(0, len(space.people), len(space.people) // (20 if quick else 200))
    dataset = [nearest_row(space, standardised, space.people[row], row)[0] for row in checked]
    write_sheet(workshop, "people", pictures)
    rows = [
        (f"{n} sampled people", f"{mean(sampled):.2f}", f"{min(sampled):.2f} to {max(sampled):.2f}"),
        (f"{len(dataset)} people of the dataset (themselves left out)", f"{mean(dataset):.2f}", f"{min(dataset):.2f} to {max(dataset):.2f}"),
    ]
    return table(("distance to the nearest of the dataset", "mean", "range"), rows) + (
        "\nIn standard deviations, over all components. Sampled people are no copies where they lie as far from the dataset as its people "
        "do from each other.\n\n![Sampled people; below, the nearest of the dataset](people.png)\n"
    )


def shuffled_people(space):
    order = list(range(len(space.people)))
    random.Random(0).shuffle(order)
    return order


def centred(space, rows):
    return [[c - m for c, m in zip(space.people[row], space.mean)] for row in rows]


def judge_directions(space, found, rows):
    """By attribute, the area under the curve of the scores of these people."""
    vectors = centred(space, rows)
    areas = {}
    for name, direction in found.items():
        labels = [space.labels[name][row] for row in rows]
        if min(labels) < max(labels):
            areas[name] = area_under_curve([dot(direction, v) for v in vectors], labels)
    return areas


def directions(workshop, space, quick):
    order = shuffled_people(space)
    half = len(order) // 2
    train, test = order[:half], order[half:]

    def make():
        labels = {name: [space.labels[name][row] for row in train] for name in space.names}
        return judge_directions(space, fit_directions(centred(space, train), labels), test)

    areas = workshop.keep("directions", make, any_program=True)
    ranked = sorted(areas.items(), key=lambda pair: -pair[1])
    rows = [(", ".join(f"{name} {area:.2f}" for name, area in ranked[i : i + 5]),) for i in range(0, len(ranked), 5)]
    return table((f"area under the curve, {len(test)} people; mean {mean(areas.values()):.3f}",), rows)


def dataset(workshop, space, quick):
    """Subspace and directions from the coefficients of a part of the people; judged on people who are in no part."""
    order = shuffled_people(space)
    held_back, pool = order[: 200 if quick else 400], order[400:]
    sizes = [20, 50, 150, 400, len(pool)] if quick else [20, 50, 100, 200, 400, 800, len(pool)]
    n_kept = 50  # components, where there are so many

    def make(rows):
        labels = {name: [space.labels[name][row] for row in rows] for name in space.names}
        people_there = [space.people[row] for row in rows]
        middle = [mean(column) for column in zip(*people_there)]
        parts = principal_components(people_there, middle)[: min(n_kept, len(rows) - 1)]
        lost = total = 0.0
        for row in held_back:
            v = [c - m for c, m in zip(space.people[row], middle)]
            whole = dot(v, v)
            lost += whole - sum(dot(v, axis) ** 2 for _, axis in parts)
            total += whole
        # Few people in many components: least squares needs a ridge to be solvable at all.
        areas = judge_directions(space, fit_directions(centred(space, rows), labels, 0.1), held_back)
        return {"explained": 1 - lost / total, "area": mean(areas.values()), "components": len(parts)}

    rows = []
    for size in sizes:
        found = workshop.keep(f"dataset-{size}-{len(held_back)}", lambda size=size: make(pool[:size]), any_program=True)
        rows.append((size, found["components"], f"{found['explained']:.1%}", f"{found['area']:.3f}"))
    return table(("people", "components", "of others' variance explained", "directions: area under the curve"), rows) + (
        f"\nJudged on {len(held_back)} other people, by their coefficients in the whole space.\n"
    )
