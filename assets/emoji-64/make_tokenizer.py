#!/usr/bin/env python3
"""Makes the vocabulary of emoji-64's captions: make_tokenizer.py FOLDER, the output of prepare.py.

Needs Hugging Face's `tokenizers` (made with 0.23.3). Learns a byte pair encoding from captions.tsv, split into symbols like
`bpe16k_huggingface`. Writes assets/tokenizers/bpe-emoji-alphabet.txt.gz and bpe-emoji-merges.txt.gz, and some captions with
their ids for a test, tests/fixtures/tokenizers/emoji.json.
"""

import gzip
import json
import pathlib
import sys

from tokenizers import CharBPETokenizer

SIZE = 1024
OUT = pathlib.Path(__file__).parent.parent / "tokenizers"
FIXTURE = OUT.parent.parent / "tests/fixtures/tokenizers/emoji.json"
OTHERS = ["", "A Red CAT, flying!", "日本 zebra", "crème brûlée", "[PAD] face [UNK]"]


def write(name, lines):
    text = "".join(f"{line}\n" for line in lines)
    (OUT / name).write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def main(folder):
    captions = [line.split("\t")[1] for line in (folder / "captions.tsv").read_text().splitlines()]
    tokenizer = CharBPETokenizer(lowercase=True, unk_token="[UNK]")
    tokenizer.train_from_iterator(
        captions, vocab_size=SIZE, min_frequency=2, special_tokens=["[PAD]", "[UNK]"], show_progress=False
    )
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in model["merges"]]
    write("bpe-emoji-alphabet.txt.gz", tokens[: len(tokens) - len(merges)])
    write("bpe-emoji-merges.txt.gz", merges)
    shown = [[caption, tokenizer.encode(caption).ids] for caption in captions[::60] + OTHERS]
    FIXTURE.write_text(json.dumps(shown, ensure_ascii=False, indent=0) + "\n")
    longest = max(len(tokenizer.encode(caption).ids) for caption in captions)
    print(f"{len(tokens)} tokens, {len(merges)} of them from merges; the longest caption has {longest}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]))
