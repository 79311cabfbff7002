#!/usr/bin/env python3
"""Prepares the training data of emoji-64: prepare.py FOLDER

Downloads two npm packages, both MIT: the pictures in @lobehub/fluent-emoji-3d (Microsoft's Fluent Emoji) and the names and
categories in emoji-datasource. Writes FOLDER/<category>/<name>[~tone].webp, classes.txt with the categories in their
usual order, and captions.tsv with each picture's name. Skin tone variants share the name before the `~`, so they are
learned or held out together.
"""

import base64
import hashlib
import io
import json
import pathlib
import subprocess
import sys
import tarfile
import tempfile

PICTURES = (
    "@lobehub/fluent-emoji-3d@1.1.0",
    "Wlq2lVStTnr8BDpIJ0pEnTKO4LuDxxqTEhTvRtD1DLRF0me7ogeRQjKoehDHXuVJ2Qaecgl5wRBv60lUAG3h7g==",
)
NAMES = (
    "emoji-datasource@16.0.0",
    "/qHKqK5Nr3+8zhgO6kHmF43Fm5C8HNn0AaFRIpgw8HF3+uF0Vfc8jgLI1ZQS5ba1vBzksS8NBCjHejwLb2D/Sg==",
)
CLASSES = [
    "Smileys & Emotion",
    "People & Body",
    "Animals & Nature",
    "Food & Drink",
    "Travel & Places",
    "Activities",
    "Objects",
    "Symbols",
    "Flags",
]
TONES = {"1F3FB": "light", "1F3FC": "medium-light", "1F3FD": "medium", "1F3FE": "medium-dark", "1F3FF": "dark"}


def fetch(package, folder):
    """Downloads an npm package and checks its hash; returns the archive and its files by name."""
    name, expected = package
    packed = subprocess.run(["npm", "pack", "--silent", name], cwd=folder, check=True, capture_output=True, text=True)
    data = (pathlib.Path(folder) / packed.stdout.strip()).read_bytes()
    found = base64.b64encode(hashlib.sha512(data).digest()).decode()
    if found != expected:
        sys.exit(f"{name}: expected sha512 {expected}, found {found}")
    archive = tarfile.open(fileobj=io.BytesIO(data))
    return archive, {member.name.removeprefix("package/"): member for member in archive if member.isfile()}


def variants(emoji):
    """The code sequences of an emoji with their skin tones; the one without a tone first."""
    yield emoji["unified"], ""
    for tones, variant in emoji.get("skin_variations", {}).items():
        yield variant["unified"], "-".join(TONES[tone] for tone in tones.split("-"))


def main(folder):
    with tempfile.TemporaryDirectory() as packages:
        pictures, files = fetch(PICTURES, packages)
        names, documents = fetch(NAMES, packages)
    # Some sequences have variation selectors and some do not: compare them without.
    plain = lambda sequence: sequence.lower().replace("-fe0f", "").lstrip("0")
    known = {plain(pathlib.Path(name).stem): name for name in files if name.endswith(".webp")}
    emojis = json.load(names.extractfile(documents["emoji.json"]))
    captions = []
    for emoji in emojis:
        category = emoji["category"]
        for sequence, tones in variants(emoji) if category in CLASSES else ():
            name = known.get(plain(sequence))
            if name is None:
                continue
            path = pathlib.Path(category) / (emoji["short_name"] + (f"~{tones}" if tones else "") + ".webp")
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(pictures.extractfile(files[name]).read())
            skin = ": " + " and ".join(tone.replace("-", " ") for tone in [tones]) + " skin tone" if tones else ""
            captions.append(f"{path}\t{(emoji['name'] or emoji['short_name']).lower()}{skin}\n")
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    (folder / "captions.tsv").write_text("".join(captions))
    print(f"{len(captions)} pictures in {folder}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]))
