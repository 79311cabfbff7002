"""Recognizes attributes in pictures, to measure how well samples match their captions.

python probe.py learn CHARACTERS PROBE         trains on the pictures from `prepare`; prints the accuracy on held-out ones
python probe.py read PROBE SAMPLES CAPTIONED   reads the samples in a folder; CAPTIONED has a line of JSON for each, with the
                                               attributes in its caption; prints how many of them are recognized

Needs PyTorch, numpy and Pillow. A small convolutional network with one head per attribute; each head learns only from its family.
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

PIXELS = 64
EPOCHS = 4
BATCH = 128
# The class of a missing attribute.
ABSENT = 'absent'


def read(path):
    picture = Image.open(path).convert('RGB').resize((PIXELS, PIXELS), Image.BOX)
    return torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)


def is_held_out(name):
    """As in Residua: the FNV-1a hash of the name before its tilde is a multiple of 16."""
    value = 0xCBF29CE484222325
    for byte in pathlib.Path(name).stem.split('~')[0].encode():
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value % 16 == 0


class Probe(nn.Module):
    def __init__(self, heads):
        super().__init__()
        self.heads = heads
        widths = [3, 32, 64, 96]
        layers = [layer for a, b in zip(widths, widths[1:]) for layer in (nn.Conv2d(a, b, 3, 2, 1), nn.BatchNorm2d(b), nn.ReLU())]
        self.features = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.2))
        self.read = nn.ModuleDict({key: nn.Linear(96 * (PIXELS // 8) ** 2, len(words)) for key, words in heads.items()})

    def forward(self, pictures):
        seen = self.features(pictures.float() / 127.5 - 1)
        return {key: head(seen) for key, head in self.read.items()}


def said(attributes):
    """The word for each head: `family`, and the attributes of that family."""
    family = attributes['family']
    return {'family': family} | {f'{family}_{key}': word for key, word in attributes.items() if key not in ('family', 'file_name')}


def learn(folder, file):
    rows = [json.loads(line) for line in open(f'{folder}/attributes.jsonl')]
    words = collections.defaultdict(set)
    for row in rows:
        for key, word in said(row).items():
            words[key].add(word)
    heads = {key: sorted(known) + ([] if key == 'family' else [ABSENT]) for key, known in words.items()}
    place = {key: {word: i for i, word in enumerate(known)} for key, known in heads.items()}

    def target(row, key):
        own = key == 'family' or key.startswith(row['family'] + '_')
        return place[key][said(row).get(key, ABSENT)] if own else -100

    pictures = torch.stack([read(f"{folder}/{row['file_name']}") for row in rows])
    targets = {key: torch.tensor([target(row, key) for row in rows]) for key in heads}
    held = torch.tensor([is_held_out(row['file_name']) for row in rows])
    torch.manual_seed(0)
    probe, train = Probe(heads), torch.nonzero(~held)[:, 0]
    optimizer = torch.optim.AdamW(probe.parameters(), lr=1e-3)
    steps = EPOCHS * (len(train) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for epoch in range(EPOCHS):
        probe.train()
        for part in train[torch.randperm(len(train))].split(BATCH)[:len(train) // BATCH]:
            logits = probe(pictures[part])
            loss = sum(F.cross_entropy(logits[key], targets[key][part], ignore_index=-100).nan_to_num() for key in heads)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f'epoch {epoch + 1}: loss {loss.item():.4f}', flush=True)
    torch.save({'heads': heads, 'state': probe.state_dict()}, file)
    probe.eval()
    rest = torch.nonzero(held)[:, 0]
    with torch.no_grad():
        found = [probe(pictures[part]) for part in rest.split(BATCH)]
    report({key: (torch.cat([part[key].argmax(1) for part in found]) == targets[key][rest])[targets[key][rest] >= 0] for key in heads})


def read_back(file, folder, captioned):
    saved = torch.load(file)
    probe = Probe(saved['heads']).eval()
    probe.load_state_dict(saved['state'])
    rows = [json.loads(line) for line in open(captioned)]
    files = sorted(path for path in pathlib.Path(folder).glob('*.png') if path.stem.isdigit())
    right = collections.defaultdict(list)
    with torch.no_grad():
        for row, path in zip(rows, files, strict=True):
            logits = probe(read(path)[None])
            for key, word in said(row).items():
                right[key].append(saved['heads'][key][logits[key].argmax().item()] == word)
    report({key: torch.tensor(values) for key, values in right.items()})


def report(right):
    for key, values in sorted(right.items()):
        print(f'{key:<24} {values.float().mean().item():7.2%} of {len(values)}')
    every = torch.cat(list(right.values()))
    print(f"{'all':<24} {every.float().mean().item():7.2%} of {len(every)}")


{'learn': learn, 'read': read_back}[sys.argv[1]](*sys.argv[2:])
