# SPDX-License-Identifier: GPL-3.0-or-later
"""What each part of the recipe “fast” is worth: the recipe with one part taken away or changed at a time."""
from chance import mean
from programs import table
from spaces import Space

RECIPES = (
    ("paper", "preset=paper"),
    ("paper, 200 steps", "preset=paper steps=200"),
    ("paper, 128 steps", "preset=paper steps=128"),
    ("fast", "preset=fast"),
    ("noises not in pairs", "preset=fast antithetic=0"),
    ("timesteps drawn at random", "preset=fast timesteps=0"),
    ("the same two noises again and again", "preset=fast noises=2"),
    ("learning rate constant", "preset=fast schedule=0"),
    ("learning rate falls as a cosine", "preset=fast schedule=2"),
    ("learning rate 1", "preset=fast lr=1"),
    ("learning rate 3", "preset=fast lr=3"),
    ("not preconditioned", "preset=fast precondition=0"),
    ("half preconditioned", "preset=fast precondition=0.5"),
    ("no pull towards the population", "preset=fast population=0"),
    ("pull 1e-5", "preset=fast population=1e-5"),
    ("pull 3e-5", "preset=fast population=3e-5"),
    ("posteriors sampled", "preset=fast means=0"),
    ("64 steps of 2", "preset=fast steps=64 batch=2"),
    ("16 steps of 8", "preset=fast steps=16 batch=8"),
    ("20 steps of 4", "preset=fast steps=20"),
    ("48 steps of 4", "preset=fast steps=48"),
    ("mean of the last quarter", "preset=fast averaged=0.25"),
    ("from the nearest of 32 people", "preset=fast candidates=32 tries=4 nearest=1"),
    ("from the mean of the 4 nearest of 32", "preset=fast candidates=32 tries=4 nearest=4"),
    ("beta2 0.99", "preset=fast beta2=0.99"),
)


def run(workshop, options):
    space = Space(workshop.ask("space"))
    people = workshop.faces["people"][: options.people]
    rows = []
    for name, recipe in RECIPES:
        held, right, distance, seconds = [], [], [], []
        for i, person in enumerate(people):
            picture = workshop.face(person["pictures"][0])

            def make(picture=picture, i=i, recipe=recipe):
                found = workshop.ask("invert", picture=picture, recipe=recipe, seed=i)
                found["held"] = workshop.ask("held", picture=picture, coefficients=found["coefficients"])["held"]
                return found

            found = workshop.keep(f"recipes/{recipe}/{person['name']}", make)
            judged = space.judge(found["coefficients"])
            held.append(found["held"])
            right.append(mean(judged[n] == person["attributes"][n] for n in space.names))
            distance.append(space.distance(found["coefficients"], space.mean))
            seconds.append(found["processor_seconds"])
        rows.append((name, f"{1000 * mean(held):.2f}", f"{mean(right):.1%}", f"{mean(distance):.1f}", found["images"], f"{mean(seconds):.1f}"))
    head = ("recipe", "held loss × 1000", "attributes right", "from the population", "images", "processor s")
    text = f"{len(people)} faces, one picture of each.\n\n" + table(head, rows)
    with open(workshop.path("recipes.md"), "w", encoding="utf-8") as file:
        file.write(text)
    print(text)
