"""Writes captions for the pictures in attributes.jsonl: a complete one first, then incomplete ones, as people write them.

python captions.py FOLDER
"""
import json
import random
import sys

# Captions per picture, including duplicates, which are dropped.
COUNT = 12
# They hide a cat's mouth.
SCARVES = {'a red scarf', 'a blue scarf'}


def article(words):
    return f"{'an' if words[0] in 'aeio' else 'a'} {words}"


def listed(phrases):
    """'a, b and c'"""
    return ' and '.join([', '.join(phrases[:-1])] * (len(phrases) > 1) + phrases[-1:])


def cat(shown, shuffle):
    head = article(' '.join([shown[key] for key in ('coat', 'fur') if key in shown] + ['cat']))
    phrases = shuffle([shown[key] for key in ('eyes', 'mouth', 'wears') if key in shown])
    return f'{head} with {listed(phrases)}' if phrases else head


def person(shown, shuffle):
    style = shown.get('hair', '')
    before, after = ('', style) if style.startswith('in ') else (style, '')
    hair = ' '.join(filter(None, [before, shown.get('rearHair'), shown.get('hairColor'), 'hair', after]))
    phrases = [f"{shown['skinColor']} skin"] if 'skinColor' in shown else []
    phrases += [hair] if hair != 'hair' else []
    phrases += [shown[key] for key in ('beard', 'eyebrows', 'eyes', 'mouth') if key in shown]
    phrases = shuffle(phrases)
    clothes = ' '.join(shown[key] for key in ('clothesColor', 'clothes') if key in shown)
    clothes = article(clothes) if 'clothes' in shown else clothes
    return ''.join([
        'a person', f' with {listed(phrases)}' if phrases else '', f' in {clothes}' if clothes else '',
        f", {shown['backgroundColor']} background" if 'backgroundColor' in shown else '',
    ])


FAMILIES = {'cat': cat, 'person': person}


def captioned(attributes):
    """What a complete caption mentions: the attributes that can be seen, and that there is no hair."""
    shown = {key: word for key, word in attributes.items() if key not in ('file_name', 'family')}
    if shown.get('wears') in SCARVES:
        del shown['mouth']
    if attributes['family'] == 'person':
        shown.setdefault('hairColor', 'no')
    return shown


def captions(attributes):
    """The distinct captions of one picture."""
    rng, shown = random.Random(attributes['file_name']), captioned(attributes)
    say = FAMILIES[attributes['family']]
    said = {say(shown, list): None}
    for _ in range(COUNT - 1):
        share = rng.random()
        kept = {key: word for key, word in shown.items() if rng.random() < share}
        said[say(kept, lambda phrases: rng.sample(phrases, len(phrases)))] = None
    return said


def main(folder):
    with open(f'{folder}/attributes.jsonl') as attributes, open(f'{folder}/captions.tsv', 'w') as table:
        for line in attributes:
            picture = json.loads(line)
            table.writelines(f"{picture['file_name']}\t{caption}\n" for caption in captions(picture))


if __name__ == '__main__':
    main(sys.argv[1])
