# SPDX-License-Identifier: GPL-3.0-or-later
"""The studies of weights2weights' paper (arXiv 2406.09413) on the embedded world, each with a table and most with a contact sheet."""
import experiments_edits
import experiments_inversion
import experiments_people
from spaces import Space

# By name: what it asks, and a function of (workshop, space, quick) that gives Markdown and writes <name>.png.
STUDIES = {
    "people": ("Sampled people, and their nearest neighbours in the dataset", experiments_people.people),
    "directions": ("Directions found from half of the people, judged on the others", experiments_people.directions),
    "dataset": ("Number of people in the dataset", experiments_people.dataset),
    "edits": ("Edits along directions, against prompting for the same", experiments_edits.edits),
    "composed": ("Composed edits over prompts and seeds", experiments_edits.composed),
    "injection": ("T of delayed injection", experiments_edits.injection),
    "merging": ("Identity and identity, identity and style", experiments_edits.merging),
    "dreambooth": ("Inversion against DreamBooth, from one and from several pictures", experiments_inversion.dreambooth),
    "components": ("Number of components", experiments_inversion.components),
    "domains": ("Out-of-domain pictures", experiments_inversion.domains),
}


def run(workshop, options):
    unknown = [name for name in options.only if name not in STUDIES]
    if unknown:
        raise SystemExit(f"study: there is no experiment {unknown[0]}; there are {', '.join(STUDIES)}.")
    space = Space(workshop.ask("space"))
    text = "# The paper's studies on the embedded world\n\n"
    text += "Small sizes (`--quick`).\n" if options.quick else ""
    for name, (title, study) in STUDIES.items():
        if options.only and name not in options.only:
            continue
        workshop.say(f"== {name}")
        text += f"\n## {title}\n\n{study(workshop, space, options.quick)}"
        with open(workshop.path("experiments.md"), "w", encoding="utf-8") as file:
            file.write(text)
    print(text)
