# SPDX-License-Identifier: GPL-3.0-or-later
"""Studies of edits: what they reach, what else they change, and how identities and styles add."""
from chance import mean
from looking import edited, look, name_of, person_of_dataset, pick_rows, pixel_distance, write_sheet
from pictures import invert_colours, read_png, write_png
from programs import table
from spaces import read_identity

# What is edited: direction and setting, the same asked for in words, and whom it can be done to.
EDITS = (
    ("Eyeglasses", 1.0, "sks person with glasses", {"Eyeglasses": -1}),
    ("Young", -1.0, "old sks person", {"Young": 1}),
    ("Bangs", 1.0, "sks person with bangs", {"Bangs": -1, "Bald": -1}),
    ("Bald", 1.0, "bald sks person", {"Bald": -1, "Male": 1}),
    ("Gray_Hair", 1.0, "sks person with gray hair", {"Gray_Hair": -1, "Bald": -1}),
    ("Chubby", 1.0, "chubby sks person", {"Chubby": -1}),
    ("Pale_Skin", 1.0, "sks person with pale skin", {"Pale_Skin": -1}),
    ("Wavy_Hair", 1.0, "sks person with wavy hair", {"Wavy_Hair": -1, "Bald": -1}),
    ("Mustache", 1.0, "sks person with a mustache", {"Mustache": -1, "Male": 1}),
)


def render(workshop, identity, prompt=None, seed=1, *more):
    words = ("--prompt", prompt) if prompt else ()
    name = name_of(repr((identity.replace(workshop.folder, ""), prompt, seed, *more)))
    return workshop.render(name, "--identity", identity, "--seed", seed, *words, *more)


def compare(workshop, space, attribute, setting, before, after):
    """Shift of the attribute in the picture, likeness otherwise, difference of pixels."""
    seen = [look(workshop, name_of(path.replace(workshop.folder, "")), path) for path in (before, after)]
    sign = 1 if setting > 0 else -1
    shift = sign * (space.position(attribute, seen[1]) - space.position(attribute, seen[0]))
    return {
        "reached": space.judge(seen[1])[attribute] == sign,
        "shift": shift,
        "likeness": space.likeness(*seen, without=attribute),
        "pixels": pixel_distance(before, after),
    }


def edits(workshop, space, quick):
    n_people = 2 if quick else 6
    rows, pictures = [], []
    for attribute, setting, prompt, whom in EDITS[: 6 if quick else None]:
        found = {"edit": [], "prompt": []}
        for row in pick_rows(space, n_people, **whom):
            identity = person_of_dataset(workshop, space, row)
            changed = edited(workshop, f"row-{row}-{attribute}", identity, f"{attribute}={setting:g}")
            before, after, asked = render(workshop, identity), render(workshop, changed), render(workshop, identity, prompt)
            found["edit"].append(compare(workshop, space, attribute, setting, before, after))
            found["prompt"].append(compare(workshop, space, attribute, setting, before, asked))
        pictures.append([before, after, asked])
        for how, values in found.items():
            rows.append(
                (f"{attribute} {setting:+g}" if how == "edit" else f"“{prompt}”", f"{mean(v['reached'] for v in values):.0%}")
                + tuple(f"{mean(v[key] for v in values):.2f}" for key in ("shift", "likeness"))
                + (f"{mean(v['pixels'] for v in values):.1f}",)
            )
    write_sheet(workshop, "edits", [list(column) for column in zip(*pictures)])
    return table(("edit, or prompt for it", "reached", "shift", "likeness otherwise", "pixels changed"), rows) + (
        f"\n{n_people} people of the dataset who do not have it, one seed. *Reached*, *shift* (in half ranges of the people) and *likeness* (cosine of "
        "the standardised coefficients without the attribute's direction) are of an inversion of the picture.\n\n"
        "![People; below, edited; below, prompted](edits.png)\n"
    )


def composed(workshop, space, quick):
    row = pick_rows(space, 3, Eyeglasses=-1, Young=1, Bald=-1, Bangs=-1)[1]
    identity = person_of_dataset(workshop, space, row)
    steps = ("Young=-1", "Young=-1;Eyeglasses=1", "Young=-1;Eyeglasses=1;Chubby=1;protect=Male")
    chain = [identity] + [edited(workshop, f"row-{row}-composed-{i}", identity, text) for i, text in enumerate(steps)]
    prompts = ("sks person", "a portrait of sks person, smiling", "sks person, blue background")
    scenes = [(prompt, seed) for prompt in prompts for seed in ((1,) if quick else (1, 2, 3))]
    rows = []
    sheet_rows = [[render(workshop, who, prompt, seed) for who in chain] for prompt, seed in scenes]
    for i, text in enumerate(("none", *steps)):
        seen = [look(workshop, name_of(r[i].replace(workshop.folder, "")), r[i]) for r in sheet_rows]
        rows.append((text.replace(";", ", "),) + tuple(f"{mean(space.position(a, c) for c in seen):+.2f}" for a in ("Young", "Eyeglasses", "Chubby", "Male")))
    write_sheet(workshop, "composed", sheet_rows)
    return table(("edits", "Young", "Eyeglasses", "Chubby", "Male"), rows) + (
        f"\nPositions found in the pictures (half ranges), the mean of {len(scenes)} prompts and seeds.\n\n"
        "![A row per prompt; edits are added from left to right](composed.png)\n"
    )


def injection(workshop, space, quick):
    rows, sheet_rows = [], []
    cases = [("Eyeglasses", 1.0, {"Eyeglasses": -1}), ("Young", -1.0, {"Young": 1})]
    timesteps = (1000, 800, 600, 400, 200) if quick else (1000, 900, 800, 700, 600, 500, 400, 300, 200)
    for attribute, setting, whom in cases:
        people = pick_rows(space, 2 if quick else 6, **whom)
        found = {T: [] for T in timesteps}
        for row in people:
            identity = person_of_dataset(workshop, space, row)
            changed = edited(workshop, f"row-{row}-{attribute}", identity, f"{attribute}={setting:g}")
            before, line = render(workshop, identity), []
            for T in timesteps:
                after = render(workshop, changed, None, 1, "--base-identity", identity, "--from-timestep", T)
                found[T].append(compare(workshop, space, attribute, setting, before, after))
                line.append(after)
        sheet_rows.append([before, *line])
        for T in timesteps:
            rows.append((f"{attribute} {setting:+g}", T) + tuple(f"{mean(v[key] for v in found[T]):.2f}" for key in ("shift", "likeness")) + (f"{mean(v['pixels'] for v in found[T]):.1f}",))
    write_sheet(workshop, "injection", sheet_rows)
    return table(("edit", "from T", "shift", "likeness otherwise", "pixels changed"), rows) + "\n![The person, then the edit from T on](injection.png)\n"


def merging(workshop, space, quick):
    """Two identities added, and an identity with a LoRA of a manner: here inverted colours, learned from pictures of many people."""
    n = 2 if quick else 6
    first, second = pick_rows(space, n, Male=1), pick_rows(space, n, Male=-1)
    others = pick_rows(space, 8, Young=1)
    folder = workshop.path("style/picture")
    for row in others:
        picture = read_png(render(workshop, person_of_dataset(workshop, space, row), None, 7))
        write_png(f"{folder}-{row}.png", invert_colours(picture))
    style = workshop.path("identities/style.safetensors")
    workshop.keep(
        "style",
        lambda: workshop.w2w(
            "dreambooth", workshop.path("style/"), "--lr", "2e-3", "--steps", 400 if quick else 800, "--prior-weight", 0, "--no-picture", "-o", style
        )
        and None,
    )
    halves, manners, sheet_rows = [], [], []
    for a, b in zip(first, second):
        paths = [person_of_dataset(workshop, space, row) for row in (a, b)]
        mixed = workshop.path(f"identities/mixed-{a}-{b}.safetensors")
        workshop.keep(f"mixed-{a}-{b}", lambda: workshop.w2w("mix", "--identity", paths[0], "--identity", paths[1], "--no-picture", "-o", mixed) and None)
        c = read_identity(mixed)
        halves.append((space.likeness(c, space.people[a]), space.likeness(c, space.people[b]), space.likeness(space.people[a], space.people[b])))
        plain, styled = render(workshop, paths[0]), render(workshop, paths[0], None, 1, "--lora", style)
        turned = workshop.path(f"pictures/turned-{a}.png")
        write_png(turned, invert_colours(read_png(styled)))
        seen = [look(workshop, name_of(path.replace(workshop.folder, "")), path) for path in (plain, turned)]
        manners.append((space.likeness(*seen), pixel_distance(plain, styled), pixel_distance(plain, turned)))
        sheet_rows.append([render(workshop, paths[0]), render(workshop, paths[1]), render(workshop, mixed), styled])
    write_sheet(workshop, "merging", sheet_rows)
    halves, manners = [mean(column) for column in zip(*halves)], [mean(column) for column in zip(*manners)]
    return table(
        ("", "value"),
        [
            ("two identities mixed: likeness to either", f"{halves[0]:.2f}, {halves[1]:.2f}"),
            ("likeness of the two to each other", f"{halves[2]:.2f}"),
            ("identity with a style: pixels from the plain picture", f"{manners[1]:.1f}"),
            ("the same with its colours turned back", f"{manners[2]:.1f}"),
            ("likeness to the plain picture, colours turned back", f"{manners[0]:.2f}"),
        ],
    ) + "\nThe style is a LoRA of inverted colours.\n\n![Two people, both mixed, the first with the style](merging.png)\n"
