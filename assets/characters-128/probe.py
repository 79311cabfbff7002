"""Recognizes attributes in pictures of people and cats.

python probe.py CHARACTERS PROBE     learns from the pictures made by `prepare`; prints the accuracy on held-out ones

A small convolutional network with one head per attribute; each head learns only from its family. `measure.py` uses it. Needs PyTorch,
numpy and Pillow, and 4 GB of memory.
"""
import collections
import json
import pathlib
import sys

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

import captions

PIXELS = 128
EPOCHS = 3
BATCH = 64
# The word for a missing attribute.
ABSENT = 'absent'
# What nobody can see: an attribute, and the words of another one that hide it.
HIDDEN = [('cat mouth', 'cat wears', captions.SCARVES)]

CELLS = 8
# First and last row and column of the cells that are the face: where the average picture changes most with the eyes or the mouth, at
# least a quarter of what it does in the cell that changes most.
FACES = {'cat': (2, 4, 4, 7), 'person': (3, 5, 2, 5)}
# What a face tells; without eyes and mouth it is none.
FEATURES = ('eyes', 'mouth')
COLOURS = {'cat': 'cat coat', 'person': 'person skinColor'}
# Sizes in pixels of the squares that blur a face into none.
BLURS = (16, 32)


def listed(folder):
    """The attributes of all pictures that `prepare` made."""
    with open(f'{folder}/attributes.jsonl') as lines:
        return [json.loads(line) for line in lines]


def is_held_out(row):
    """As in Residua: the FNV-1a hash of the name before its tilde is a multiple of 16."""
    value = 0xCBF29CE484222325
    for byte in pathlib.Path(row['file_name']).stem.split('~')[0].encode():
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value % 16 == 0


def said(row):
    """The words in `row` by head: `family`, and one for each attribute of a family."""
    family = row['family']
    return {'family': family} | {f'{family} {key}': word for key, word in row.items() if key not in ('family', 'file_name')}


def hidden(words):
    """The heads whose attributes cannot be seen in a picture of these words."""
    return {key for key, cover, covers in HIDDEN if words.get(cover) in covers}


def is_shown(key, words):
    """Whether a picture of these words shows the attribute of a head, or that it is missing."""
    return key.split()[0] in ('family', words['family']) and key not in hidden(words)


def pictures(paths, pixels=PIXELS):
    """The pictures as bytes (n, 3, pixels, pixels)."""
    found = torch.empty((len(paths), 3, pixels, pixels), dtype=torch.uint8)
    for i, path in enumerate(paths):
        picture = Image.open(path).convert('RGB')
        picture = picture if picture.width == pixels else picture.resize((pixels, pixels), Image.BOX)
        found[i] = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
    return found


def face(family, pixels=PIXELS):
    """Where the face of a family is: true in its cells (pixels, pixels)."""
    top, bottom, left, right = FACES[family]
    cells = torch.zeros(CELLS, CELLS, dtype=torch.bool)
    cells[top:bottom + 1, left:right + 1] = True
    return cells.repeat_interleave(pixels // CELLS, 0).repeat_interleave(pixels // CELLS, 1)


def only_faces(shown, families):
    """The pictures with all but the face in grey."""
    inside = torch.stack([face(family) for family in families])
    return torch.where(inside[:, None], shown, 127)


def blurred(shown, size):
    """The pictures without detail: one colour per square, interpolated."""
    squares = F.avg_pool2d(shown.float(), size)
    return F.interpolate(squares, size=shown.shape[-2:], mode='bilinear').to(torch.uint8)


class Probe(nn.Module):
    """Heads have a name and their words."""

    def __init__(self, heads):
        super().__init__()
        self.heads = heads
        layers = [nn.Conv2d(3, 48, 4, 4), nn.BatchNorm2d(48), nn.ReLU()]
        for width, wider in [(48, 64), (64, 96)]:
            layers += [nn.Conv2d(width, wider, 3, 2, 1), nn.BatchNorm2d(wider), nn.ReLU()]
        self.features = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.2))
        self.last = nn.Linear(96 * (PIXELS // 16) ** 2, sum(map(len, heads.values())))

    def forward(self, shown):
        """The logits by head for pictures as bytes."""
        logits = self.last(self.features(shown.float() / 127.5 - 1))
        return dict(zip(self.heads, logits.split([len(words) for words in self.heads.values()], 1)))

    def read_all(self, shown):
        """The word of every head for each picture."""
        self.eval()
        with torch.no_grad():
            found = [{key: part.argmax(1) for key, part in self(some).items()} for some in shown.split(BATCH)]
        places = {key: torch.cat([part[key] for part in found]).tolist() for key in self.heads}
        return [{key: words[places[key][i]] for key, words in self.heads.items()} for i in range(len(shown))]

    def read(self, shown):
        """The words that each picture shows: its family, and the attributes of that family."""
        found = self.read_all(shown)
        return [{key: word for key, word in words.items() if is_shown(key, words)} for words in found]

    def save(self, file):
        torch.save({'heads': self.heads, 'state': self.state_dict()}, file)


def load(file):
    """The probe that was saved in `file`."""
    saved = torch.load(file)
    probe = Probe(saved['heads'])
    probe.load_state_dict(saved['state'])
    return probe


def heads_of(rows):
    """The heads with their words."""
    words = collections.defaultdict(set)
    for row in rows:
        for key, word in said(row).items():
            words[key].add(word)
    return {key: sorted(known) + ([] if key == 'family' else [ABSENT]) for key, known in words.items()}


def shown_by(row, heads):
    """The words that a picture of `row` shows, with those for missing attributes."""
    words = said(row)
    return {key: words.get(key, ABSENT) for key in heads if is_shown(key, words)}


def targets_of(rows, heads):
    """The places of the words (n, heads); -100, which no loss counts, for what a picture does not show."""
    places = {key: {word: place for place, word in enumerate(words)} for key, words in heads.items()}
    shown = [shown_by(row, heads) for row in rows]
    return torch.tensor([[places[key][words[key]] if key in words else -100 for key in heads] for words in shown])


def faces_only(shown, targets, families, heads):
    """Turns a quarter of a batch, which is in random order, into faces, and a third of these into none."""
    faces, none = len(shown) // 4, len(shown) // 12
    shown[:none] = blurred(shown[:none], BLURS[torch.randint(len(BLURS), ()).item()])
    shown[:faces] = only_faces(shown[:faces], families[:faces])
    for place, key in enumerate(heads):
        if key.split()[-1] in FEATURES:
            part = targets[:none, place]
            targets[:none, place] = torch.where(part < 0, part, heads[key].index(ABSENT))
        elif key not in ('family', *COLOURS.values()):
            targets[:faces, place] = -100


def learn(rows, shown):
    """The probe that has learned the pictures that are not held out."""
    torch.manual_seed(0)
    heads = heads_of(rows)
    probe, targets = Probe(heads), targets_of(rows, heads)
    train = torch.tensor([i for i, row in enumerate(rows) if not is_held_out(row)])
    batches = len(train) // BATCH
    optimizer = torch.optim.AdamW(probe.parameters(), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=EPOCHS * batches)
    for epoch in range(EPOCHS):
        probe.train()
        for part in train[torch.randperm(len(train))].split(BATCH)[:batches]:
            batch, wanted = shown[part], targets[part]
            faces_only(batch, wanted, [rows[i]['family'] for i in part], heads)
            found = zip(probe(batch).values(), wanted.T)
            loss = sum(F.cross_entropy(logits, words, reduction='sum') for logits, words in found) / BATCH
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f'epoch {epoch + 1} of {EPOCHS}: loss {loss.item():.4f}', file=sys.stderr, flush=True)
    return probe


def compared(wanted, found):
    """Whether each wanted word was found, by head. What the found picture hides does not count."""
    right = collections.defaultdict(list)
    for words, seen in zip(wanted, found, strict=True):
        for key, word in words.items():
            if key not in hidden(seen):
                right[key].append(seen.get(key) == word)
    return right


def table(columns):
    """Prints the shares that are right as Markdown: a row for each attribute, a column for each title."""
    print(f"| | {' | '.join(columns)} |\n| --- |{' ---: |' * len(columns)}")
    keys = sorted({key for right in columns.values() for key in right})
    rows = {key: [right.get(key, []) for right in columns.values()] for key in keys}
    rows['all'] = [sum(right.values(), []) for right in columns.values()]
    for key, cells in rows.items():
        shares = [f'{100 * sum(cell) / len(cell):.1f} % of {len(cell):,}' if cell else '' for cell in cells]
        print(f"| {key} | {' | '.join(shares)} |")


def main(folder, file):
    rows = listed(folder)
    shown = pictures([f"{folder}/{row['file_name']}" for row in rows])
    probe = learn(rows, shown)
    probe.save(file)
    held = [i for i, row in enumerate(rows) if is_held_out(row)]
    table({'renders': compared([shown_by(rows[i], probe.heads) for i in held], probe.read(shown[held]))})


if __name__ == '__main__':
    main(*sys.argv[1:])
