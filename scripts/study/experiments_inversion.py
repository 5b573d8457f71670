# SPDX-License-Identifier: GPL-3.0-or-later
"""Studies of inversion: against DreamBooth, in how many components, of pictures in another manner."""
import shutil

from chance import mean
from looking import write_sheet
from pictures import invert_colours, pencil, posterise, read_png, write_png
from programs import table
from quality import DREAMBOOTH, Gallery, Item
from spaces import read_identity, write_identity


def shown(workshop, space, name, coefficients, seed=1):
    path = workshop.path(f"identities/{name}.safetensors")
    write_identity(path, coefficients, space.fingerprint)
    return workshop.render(f"{name}-{seed}", "--identity", path, "--seed", seed)


def share_right(space, coefficients, truth):
    judged = space.judge(coefficients)
    return mean(judged[name] == truth[name] for name in space.names)


def invert(workshop, name, pictures, recipe):
    return workshop.keep(name, lambda: workshop.ask("invert", picture=pictures[0], more=pictures[1:], recipe=recipe, seed=0))


def train(workshop, name, pictures):
    def make():
        for i, picture in enumerate(pictures):
            shutil.copy(picture, workshop.path(f"dreambooth/{name}/{i}.png"))
        path = workshop.path(f"identities/{name}.safetensors")
        result = workshop.w2w("dreambooth", workshop.path(f"dreambooth/{name}/"), *DREAMBOOTH, "--no-picture", "-o", path)["results"][0]
        return {"path": path, "coefficients": read_identity(result["identity"])}

    return workshop.keep(name, make)


def dreambooth(workshop, space, quick):
    """One and several pictures; judged on a picture of the person that neither saw."""
    people = workshop.faces["people"][: 4 if quick else 12]
    gallery, rows, sheet_rows = Gallery(workshop), [], [[workshop.face(p["pictures"][0]) for p in people]]
    for count in (1, 3):
        values = {"inversion (fast)": [], "DreamBooth": []}
        lines = {how: [] for how in values}
        for person in people:
            pictures = [workshop.face(p) for p in person["pictures"]]
            item = Item(workshop, person, person["pictures"][0], person["pictures"][count:])
            for how in values:
                name = f"{person['name']}-{'invert' if how != 'DreamBooth' else 'train'}-{count}"
                if how == "DreamBooth":
                    found = train(workshop, name, pictures[:count])
                    what, who = {"lora": found["path"]}, ("--lora", found["path"])
                else:
                    # The same effort by image: several pictures want more steps.
                    found = invert(workshop, name, pictures[:count], f"preset=fast steps={32 if count == 1 else 64}")
                    path = workshop.path(f"identities/{name}.safetensors")
                    write_identity(path, found["coefficients"], space.fingerprint)
                    what, who = {"coefficients": found["coefficients"]}, ("--identity", path)
                seen = workshop.keep(f"{name}-held", lambda w=what, p=pictures: [workshop.ask("held", picture=q, **w)["held"] for q in (p[0], p[5])])
                paths = [workshop.render(f"{name}-{seed}", *who, "--seed", seed) for seed in (1, 2)]
                values[how].append((*seen, share_right(space, found["coefficients"], person["attributes"]), gallery.find(item, paths)["found"]))
                lines[how].append(paths[0])
        for how, found in values.items():
            a, b, right, nearest = (mean(column) for column in zip(*found))
            rows.append((f"{how}, {count} picture{'s' if count > 1 else ''}", f"{1000 * a:.2f}", f"{1000 * b:.2f}", f"{right:.1%}", f"{nearest:.0%}"))
            sheet_rows.append(lines[how])
    write_sheet(workshop, "dreambooth", sheet_rows)
    return table(("", "held loss × 1000", "of another picture", "attributes right", "own person nearest"), rows) + (
        f"\n{len(people)} people. Attributes of a LoRA are those of the identity that it projects to.\n\n"
        "![The pictures; inversion and DreamBooth of one, then of three](dreambooth.png)\n"
    )


def components(workshop, space, quick):
    people = workshop.faces["people"][: 4 if quick else 12]
    rows, sheet_rows = [], [[workshop.face(p["pictures"][0]) for p in people]]
    for count in (8, 32, 64, 128):
        values, line = [], []
        for person in people:
            pictures = [workshop.face(person["pictures"][i]) for i in (0, 5)]
            name = f"{person['name']}-components-{count}"
            found = invert(workshop, name, pictures[:1], f"preset=fast components={count}")
            c = found["coefficients"]
            seen = workshop.keep(f"{name}-held", lambda c=c, p=pictures: [workshop.ask("held", picture=q, coefficients=c)["held"] for q in p])
            whole = c + [0.0] * (len(space.mean) - len(c))
            values.append((*seen, share_right(space, whole, person["attributes"])))
            line.append(shown(workshop, space, name, c))
        a, b, right = (mean(column) for column in zip(*values))
        rows.append((count, f"{1000 * a:.2f}", f"{1000 * b:.2f}", f"{right:.1%}"))
        sheet_rows.append(line)
    write_sheet(workshop, "components", sheet_rows)
    return table(("components", "held loss × 1000", "of another picture", "attributes right"), rows) + (
        f"\n{len(people)} people, recipe fast.\n\n![The pictures; below, found in 8, 32, 64 and 128 components](components.png)\n"
    )


MANNERS = (("as it is", lambda picture: picture), ("posterised", posterise), ("pencil", pencil), ("colours inverted", invert_colours))


def domains(workshop, space, quick):
    people = workshop.faces["people"][: 3 if quick else 12]
    presets = ("paper", "paper-ood", "fast")
    rows, sheet_rows = [], []
    for manner, change in MANNERS:
        values = {preset: [] for preset in presets}
        for i, person in enumerate(people):
            name = f"{person['name']}-{manner.replace(' ', '-')}"
            path = workshop.path(f"pictures/{name}.png")
            write_png(path, change(read_png(workshop.face(person["pictures"][0]))))
            line = [path]
            for preset in presets:
                found = invert(workshop, f"{name}-{preset}", [path], f"preset={preset}")
                c = found["coefficients"]
                seen = workshop.keep(f"{name}-{preset}-held", lambda c=c, p=path: workshop.ask("held", picture=p, coefficients=c)["held"])
                whole = c + [0.0] * (len(space.mean) - len(c))
                values[preset].append((seen, share_right(space, whole, person["attributes"]), space.distance(whole, space.mean)))
                if i == 0:
                    line.append(shown(workshop, space, f"{name}-{preset}", c))
            if i == 0:
                sheet_rows.append(line)
        for preset in presets:
            loss, right, far = (mean(column) for column in zip(*values[preset]))
            rows.append((manner, preset, f"{1000 * loss:.2f}", f"{right:.1%}", f"{far:.1f}"))
    write_sheet(workshop, "domains", sheet_rows)
    return table(("manner", "preset", "held loss × 1000", "attributes right", "from the population"), rows) + (
        f"\n{len(people)} people.\n\n![The picture as it was inverted, then by paper, paper-ood, fast](domains.png)\n"
    )
