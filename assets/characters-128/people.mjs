// Renders people in DiceBear's toonHead style (CC BY 4.0, Johan Melin), and lists their attributes.
// node people.mjs FOLDER COUNT PIXELS
import crypto from 'node:crypto';
import fs from 'node:fs';
import { toonHead } from '@dicebear/collection';
import { createAvatar } from '@dicebear/core';
import { Resvg } from '@resvg/resvg-js';

const [folder, count, pixels] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];

// Descriptions of the parts; the style's own names are not descriptive.
const WORDS = {
  skinColor: { f1c3a5: 'light', dba382: 'tan', b07a5a: 'brown', '5c3829': 'dark' },
  hairColor: {
    '2c1b18': 'black', 724133: 'brown', b58143: 'light brown', e2bd6b: 'blonde',
    c93305: 'red', b9b9b9: 'grey', e58fb0: 'pink', '4f7fd6': 'blue',
  },
  clothesColor: {
    e8e9e6: 'white', 545454: 'grey', '262e33': 'black', b11f1f: 'red', '0b3286': 'blue',
    '147f3c': 'green', eab308: 'yellow', '731ac3': 'purple', ec4899: 'pink', f97316: 'orange',
  },
  backgroundColor: { ffffff: 'white', cfe8fc: 'blue', d9f2d9: 'green', fde2e4: 'pink', fff3c4: 'yellow' },
  hair: { sideComed: 'side-combed', undercut: 'undercut', spiky: 'spiky', bun: 'in a bun' },
  rearHair: { longStraight: 'long straight', longWavy: 'long wavy', shoulderHigh: 'shoulder-length', neckHigh: 'neck-length' },
  beard: {
    moustacheTwirl: 'a moustache', fullBeard: 'a full beard', chin: 'a chin beard', chinMoustache: 'a goatee',
    longBeard: 'a long beard',
  },
  eyebrows: { raised: 'one raised brow', angry: 'angry brows', happy: 'lifted brows', sad: 'worried brows', neutral: 'straight brows' },
  eyes: { happy: 'bright eyes', wide: 'wide eyes', bow: 'happy closed eyes', humble: 'closed eyes', wink: 'a wink' },
  mouth: { laugh: 'a laugh', angry: 'a scowl', agape: 'an open mouth', smile: 'a smile', sad: 'a frown' },
  clothes: { turtleNeck: 'turtleneck', openJacket: 'jacket', dress: 'dress', shirt: 'cardigan', tShirt: 't-shirt' },
};

// The picture of a person, as SVG, and its attributes.
function draw(index) {
  const avatar = createAvatar(toonHead, {
    // Consecutive seeds would give consecutive parts.
    seed: crypto.createHash('sha256').update(`person ${index}`).digest('hex'),
    ...Object.fromEntries(Object.keys(WORDS).filter((key) => key.endsWith('Color')).map((key) => [key, Object.keys(WORDS[key])])),
    rearHairProbability: 55, beardProbability: 25, hairProbability: 97,
  });
  const parts = avatar.toJson().extra;
  parts.backgroundColor = parts.primaryBackgroundColor;
  const shown = Object.fromEntries(Object.entries(WORDS).flatMap(([key, words]) => {
    const part = parts[key] === undefined ? undefined : words[String(parts[key]).replace('#', '')];
    return part === undefined ? [] : [[key, part]];
  }));
  if (!shown.hair && !shown.rearHair) delete shown.hairColor;
  return { svg: avatar.toString(), shown };
}

fs.mkdirSync(`${folder}/person`, { recursive: true });
const attributes = [];
for (let index = 0; index < count; index++) {
  const { svg, shown } = draw(index);
  // The name before the tilde decides if a picture is held out, so a pair of hair and clothes colours is held out as a whole.
  const group = `${shown.hairColor ?? 'no hair'} in ${shown.clothesColor}`.replaceAll(' ', '-');
  const name = `person/${group}~${String(index).padStart(5, '0')}.png`;
  const picture = new Resvg(svg, { fitTo: { mode: 'width', value: pixels }, background: '#fff', font: { loadSystemFonts: false } });
  fs.writeFileSync(`${folder}/${name}`, picture.render().asPng());
  attributes.push(`${JSON.stringify({ file_name: name, family: 'person', ...shown })}\n`);
}
fs.writeFileSync(`${folder}/person.jsonl`, attributes.join(''));
