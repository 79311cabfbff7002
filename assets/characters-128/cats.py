"""Composes David Revoy's cats (CC BY 4.0) from the parts in PyPI's robohash, and lists their attributes.

python cats.py PARTS FOLDER COUNT PIXELS
"""
import json
import os
import random
import sys

from natsort import natsorted
from PIL import Image

# Descriptions of the parts of each layer, sorted by file name; similar parts share a description.
LAYERS = {
    'coat': ['maroon', 'green', 'black', 'lilac', 'red', 'sandy', 'pink', 'brown', 'blue', 'yellow', 'golden', 'grey', 'tan', 'cream',
             'orange'],
    'fur': ['striped', 'tiger-striped', 'plain', 'swirled', 'dark-patched', 'light-patched', 'plain', 'white-bellied', 'blotched',
            'spotted'],
    'eyes': ['big round eyes', 'side-looking eyes', 'tiny eyes', 'worried eyes', 'a monocle', 'square eyes', 'closed happy eyes',
             'sleepy eyes', 'round eyes', 'square eyes', 'sly eyes', 'round eyes', 'glasses', 'tall eyes', 'narrow eyes'],
    'mouth': ['an open mouth', 'a cat smile', 'a small round mouth', 'a shouting mouth', 'an open mouth', 'an open smile', 'a cat smile',
              'an open mouth', 'a toothy grin', 'an open mouth'],
    'wears': ['a red scarf', 'a black collar with a bell', 'a red collar', 'a red headband', 'a pink bow', 'a black top hat',
              'red headphones', 'a blue scarf', 'a barrel collar', 'a grey bird', 'a jewel necklace', 'a black bandana', 'a blue bow',
              'a red hat', 'grey headphones', None],
}


def read_layers(folder, pixels):
    """The parts of each layer in drawing order, resized (premultiplied, so that edges stay clean)."""
    found = []
    for name in natsorted(os.listdir(folder)):
        place = os.path.join(folder, name)
        files = [file for file in natsorted(os.listdir(place)) if file.endswith('.png')]
        parts = [Image.open(os.path.join(place, file)).convert('RGBa') for file in files]
        found.append((name.split('#')[1], [part.resize((pixels, pixels), Image.LANCZOS).convert('RGBA') for part in parts]))
    return [parts for _, parts in sorted(found)]


def main(parts, folder, count, pixels):
    os.makedirs(f'{folder}/cat', exist_ok=True)
    layers, rng = read_layers(parts, pixels), random.Random('cat')
    with open(f'{folder}/cat.jsonl', 'w') as attributes:
        for index in range(count):
            chosen = [rng.randrange(len(layer)) for layer in layers]
            picture = Image.new('RGBA', (pixels, pixels), 'white')
            for layer, part in zip(layers, chosen):
                picture.alpha_composite(layer[part])
            words = {key: LAYERS[key][part] for key, part in zip(LAYERS, chosen)}
            shown = {key: word for key, word in words.items() if word}
            # The name before the tilde decides if a picture is held out, so a pair of coat and eyes is held out as a whole.
            name = f"cat/{shown['coat']}-cat-{shown['eyes'].replace(' ', '-')}~{index:05d}.png"
            picture.convert('RGB').save(f'{folder}/{name}')
            attributes.write(json.dumps({'file_name': name, 'family': 'cat', **shown}) + '\n')


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
