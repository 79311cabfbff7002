"""Measures a model of people and cats by what `probe.py` reads in its pictures, and prints tables for the model card.

    python measure.py MEASURE CHARACTERS PROBE OUT [-n COUNT] [--model MODEL] [--residua PROGRAM] [--seed SEED]

reconstructions   attributes in held-out pictures and in their reconstructions: no sample can be better
attributes        captioned attributes in samples of held-out combinations, given all of them and half of them
variety           equal stacks and frequencies of attributes among samples without a caption; OUT/nearest.png shows 16 samples, each
                  with the nearest training picture on its right
context           held-out pictures with the face completed: is it a face, and does its colour match?

CHARACTERS is the folder made by `prepare`, PROBE the file made by `probe.py`, OUT a new folder for the pictures. `attributes` goes on in
an existing folder.
"""
import argparse
import json
import pathlib
import random
import shutil
import subprocess
import sys

import numpy as np
import torch
from PIL import Image

import captions
import probe

# Shares of the attributes that captions mention, by the title of the column.
SHARES = {'all given': 1, 'half given': 0.5}
# Pixels of pictures that are compared, and of the gaps in a sheet.
SMALL, GAP = 32, 4
SHEET_PAIRS, SHEET_COLUMNS = 16, 4
# Draws that tell what difference of frequencies chance makes.
DRAWS = 200


class Measuring:
    """What the measures share: the arguments, the probe and the pictures' attributes."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.folder, self.out = pathlib.Path(arguments.characters), pathlib.Path(arguments.out)
        self.rng = random.Random(arguments.seed)
        self.probe = probe.load(arguments.probe)
        rows = probe.listed(self.folder)
        self.held_out = [row for row in rows if probe.is_held_out(row)]
        self.training = [row for row in rows if not probe.is_held_out(row)]

    def run(self, command, *options):
        """Runs a command of Residua."""
        words = [self.arguments.residua, command, *map(str, options), '--model', self.arguments.model]
        result = subprocess.run(words, stdout=subprocess.DEVNULL)
        if result.returncode:
            sys.exit(f"{' '.join(words)}: failed with code {result.returncode}")

    def some(self, rows, count):
        """`count` of the rows, chosen by the seed."""
        if count > len(rows):
            sys.exit(f'-n: expected at most {len(rows)} pictures, found {count}')
        return self.rng.sample(rows, count)

    def file(self, row):
        return self.folder / row['file_name']

    def new(self, name):
        """A new folder within OUT."""
        folder = self.out / name
        if folder.exists():
            sys.exit(f'{folder} already exists: choose another folder')
        folder.mkdir(parents=True)
        return folder


def numbered(folder):
    """The numbered pictures in a folder, in order."""
    return sorted((path for path in folder.glob('*.png') if path.stem.isdigit()), key=lambda path: int(path.stem))


def reconstructions(measuring, count):
    rows, codes, made = measuring.some(measuring.held_out, count), measuring.new('codes'), measuring.new('pictures')
    for i, row in enumerate(rows):
        measuring.run('encode', measuring.file(row), '--out', codes / f'{i}.npy')
    all_codes = measuring.out / 'codes.npy'
    np.save(all_codes, np.stack([np.load(codes / f'{i}.npy') for i in range(count)]))
    measuring.run('decode', all_codes, '--out', made / 'picture.png')
    files = {'renders': [measuring.file(row) for row in rows], 'reconstructions': [made / f'picture-{i:03}.png' for i in range(count)]}
    wanted = [probe.shown_by(row, measuring.probe.heads) for row in rows]
    read = {title: measuring.probe.read(probe.pictures(paths)) for title, paths in files.items()}
    probe.table({title: probe.compared(wanted, found) for title, found in read.items()})


def caption(row, share, rng):
    """A caption that mentions a share of what can be seen, and the words to read back."""
    family, shown = row['family'], captions.captioned(row)
    kept = set(rng.sample(list(shown), round(share * len(shown))))
    shown = {key: word for key, word in shown.items() if key in kept}
    words = {f'{family} {key}': probe.ABSENT if word == 'no' else word for key, word in shown.items()}
    return captions.FAMILIES[family](shown, list), {'family': family} | words


def attributes(measuring, count):
    rows, columns = measuring.some(measuring.held_out, count), {}
    for title, share in SHARES.items():
        folder = measuring.out / title.replace(' ', '-')
        folder.mkdir(parents=True, exist_ok=True)
        asked, wanted = zip(*(caption(row, share, measuring.rng) for row in rows))
        (folder / 'captions.txt').write_text('\n'.join(asked) + '\n')
        measuring.run('sample', '--bulk', '--captions', folder / 'captions.txt', '--seed', measuring.arguments.seed, '-n', 1,
                      '--out', folder / 'samples')
        columns[title] = probe.compared(wanted, measuring.probe.read(probe.pictures(numbered(folder / 'samples'))))
    probe.table(columns)


def frequencies(words, key):
    """How often each word of a head is shown (words), and by how many pictures it could be."""
    shown = [found[key] for found in words if key in found]
    return {word: shown.count(word) for word in set(shown)}, len(shown)


def differences(measuring, read):
    """Prints the largest difference between frequencies in the data and in samples, by attribute."""
    data = [probe.shown_by(row, measuring.probe.heads) for row in measuring.training]
    draw = np.random.default_rng(measuring.arguments.seed)
    print('| | largest difference | of the word | data | samples | by chance |\n| --- | ---: | --- | ---: | ---: | ---: |')
    for key, words in measuring.probe.heads.items():
        (known, total), (found, count) = frequencies(data, key), frequencies(read, key)
        if not count:
            continue
        share = np.array([known.get(word, 0) for word in words]) / total
        sampled = np.array([found.get(word, 0) for word in words]) / count
        chance = abs(draw.multinomial(count, share, DRAWS) / count - share).max(1).mean()
        most = abs(sampled - share).argmax()
        print(f'| {key} | {100 * abs(sampled - share)[most]:.1f} points | {words[most]} | {share[most]:.1%} | {sampled[most]:.1%} of {count} '
              f'| {100 * chance:.1f} points |')


def nearest(measuring, files):
    """Saves a sheet of samples, each with the nearest training picture on its right."""
    training = [measuring.file(row) for row in measuring.training]
    distances = torch.cdist(*(probe.pictures(paths, SMALL).flatten(1).float() for paths in (files, training)))
    pairs = [(file, training[place]) for file, place in zip(files, distances.argmin(1).tolist())]
    step = probe.PIXELS + GAP
    size = (2 * step * SHEET_COLUMNS, step * -(-len(pairs) // SHEET_COLUMNS))
    sheet = Image.new('RGB', size, 'white')
    for i, pair in enumerate(pairs):
        for side, file in enumerate(pair):
            sheet.paste(Image.open(file), ((2 * (i % SHEET_COLUMNS) + side) * step, i // SHEET_COLUMNS * step))
    sheet.save(measuring.out / 'nearest.png')


def variety(measuring, count):
    folder = measuring.new('samples')
    measuring.run('sample', '-n', count, '--seed', measuring.arguments.seed, '--out', folder)
    files = numbered(folder)
    stacks = {str(json.loads(Image.open(file).text['residua:codes'])['codes']) for file in files}
    print(f'{len(stacks)} of {len(files)} stacks are different.\n')
    differences(measuring, measuring.probe.read(probe.pictures(files)))
    nearest(measuring, files[:SHEET_PAIRS])


def faces(measuring, rows, files):
    """Whether each picture has a face, a face's colour like the row's, and both; by family."""
    families = [row['family'] for row in rows]
    found = measuring.probe.read_all(probe.only_faces(probe.pictures(files), families))
    columns = {'a face': {}, 'matching skin or fur': {}, 'both': {}}
    for row, family, words in zip(rows, families, found, strict=True):
        said = probe.said(row)
        features = {f'{family} {feature}' for feature in probe.FEATURES} - probe.hidden(said)
        is_face = all(words[key] != probe.ABSENT for key in features)
        colour = probe.COLOURS[family]
        matches = words[colour] == said[colour]
        for right, is_right in zip(columns.values(), (is_face, matches, is_face and matches)):
            right.setdefault(family, []).append(is_right)
    return columns


def context(measuring, count):
    families = list(probe.FACES)
    parts = [[row for row in measuring.held_out if row['family'] == family] for family in families]
    rows = [row for part in parts for row in measuring.some(part, count // len(families))]
    made = measuring.new('pictures')
    for family in families:
        Image.fromarray(probe.face(family).numpy()).save(measuring.out / f'{family}.png')
    for seed, row in enumerate(rows, measuring.arguments.seed):
        # Each run takes the next free number.
        measuring.run('complete', measuring.file(row), '--mask', measuring.out / f"{row['family']}.png", '--seed', seed, '--out', made)
    before = faces(measuring, rows, [measuring.file(row) for row in rows])
    probe.table({'renders: both': before['both']} | faces(measuring, rows, numbered(made)))


# The measures, and how many pictures each takes unless told.
MEASURES = {reconstructions: 1000, attributes: 1000, variety: 1000, context: 100}


def main():
    by_name = {measure.__name__: measure for measure in MEASURES}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('measure', choices=by_name)
    for name in ('characters', 'probe', 'out'):
        parser.add_argument(name)
    parser.add_argument('-n', type=int, metavar='COUNT', help='pictures, at least 2 (default: ' + ', '.join(
        f'{count} for {measure.__name__}' for measure, count in MEASURES.items()) + ')')
    parser.add_argument('--model', default='characters-128')
    parser.add_argument('--residua', default='residua', metavar='PROGRAM')
    parser.add_argument('--seed', type=int, default=0)
    arguments = parser.parse_args()
    measure = by_name[arguments.measure]
    count = MEASURES[measure] if arguments.n is None else arguments.n
    if count < 2:
        parser.error(f'-n: expected at least 2, found {count}')
    if not shutil.which(arguments.residua):
        parser.error(f'--residua: {arguments.residua} was not found; give the path of the program')
    measure(Measuring(arguments), count)


if __name__ == '__main__':
    main()
