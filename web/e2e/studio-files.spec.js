// Files dropped on the window: codes are opened unchanged, and broken files are reported.

import { copyFile, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { carried, differing, encode, nativeCodes, ROOT, sample, SAMPLES } from './native.js';
import { archive, CLASSES, publish, publishBoth, STAGE1, STAGE2 } from './published.js';
import { expect, test } from './studio.js';

test.describe.configure({ timeout: 900_000 });

/** Settings for the native pictures. */
const WISH = /** @type {const} */ ({ model: STAGE2, seed: 77, class: '3', count: 2, device: 'cpu' });

const GREEN_CAT = path.join(ROOT, 'assets', 'samples', 'green-cat.png');

test('a picture from the native program is opened with its codes and recipe', async ({ server, studio }, info) => {
  const { files, stacks } = await sample(WISH, info.outputPath('made'));
  await studio.open(`?model=${server.put('/models/m.tar.gz', await archive(CLASSES))}`);
  for (const [index, file] of files.entries()) {
    await studio.drop(path.resolve(ROOT, file));
    await expect.poll(() => studio.codes()).toEqual(stacks[index].codes);
    expect(carried(await readFile(path.resolve(ROOT, file)))).toEqual(stacks[index].codes);
  }
  await expect(studio.find('spinbutton', 'Seed')).toHaveValue('77');
  await expect(studio.find('checkbox', 'Lock')).toHaveAttribute('aria-checked', 'true');
  await expect(studio.says(`Class: ${CLASSES[3]}`)).toBeAttached();
  await studio.seen();
  await studio.keep('dropped');
});

test('the font of a joining script is fetched when its first letter appears', async ({ page, server, studio }, info) => {
  /** @type {string[]} */
  const fetched = [];
  page.on('requestfinished', (request) => fetched.push(path.basename(new URL(request.url()).pathname)));
  await studio.open(`?device=cpu&model=${await publish(server, STAGE1)}`);
  expect(fetched.filter((name) => name.startsWith('Noto'))).toEqual([]);
  const named = info.outputPath('قطة سوداء.png');
  await copyFile(path.join(ROOT, SAMPLES[0]), named);
  await studio.drop(named);
  await expect(studio.says(path.basename(named)).first()).toBeAttached();
  await expect.poll(() => fetched.filter((name) => name.startsWith('Noto'))).toEqual(['NotoSansArabic_400Regular.ttf']);
  await studio.seen();
  await studio.keep('arabic');
});

const [FIRST_SAMPLE, ...OTHER_SAMPLES] = SAMPLES;
for (const [title, [first, ...others]] of /** @type {const} */ ([
  ['a sample, opened on a GPU, has the native codes @alone', [FIRST_SAMPLE]],
  ['the other samples, opened and dropped on a GPU, have the native codes @slow', OTHER_SAMPLES],
])) {
  test(title, async ({ studio }, info) => {
    await studio.open(`?device=gpu&image=${first}`);
    for (const sample of [first, ...others]) {
      if (sample !== first) await studio.drop(path.join(ROOT, sample));
      await expect(studio.says(path.basename(sample)).first()).toBeAttached({ timeout: 180_000 });
      const expected = await encode(path.join(ROOT, sample), 'gpu', info.outputPath('codes.npy'));
      const differ = differing(await studio.codes(), expected);
      console.log(`gpu ${sample}: ${differ.length} of ${expected.length} codes differ`);
      expect(differ).toEqual([]);
    }
    await studio.seen();
    await studio.keep('samples-gpu');
  });
}

test('codes are opened from an address, as an array or in a picture', async ({ server, studio }, info) => {
  const expected = nativeCodes(info.outputPath('native'), STAGE1, GREEN_CAT);
  const { files, stacks } = await sample({ ...WISH, count: 1 }, info.outputPath('made'));
  const given = /** @type {const} */ ([
    ['codes.npy', info.outputPath('native', 'codes.npy'), expected],
    ['made.png', path.resolve(ROOT, files[0]), stacks[0].codes],
  ]);
  const models = await publishBoth(server, STAGE2);
  for (const [name, file, codes] of given) {
    const url = server.put(`/given/${name}`, await readFile(file));
    await studio.open(`?${new URLSearchParams({ device: 'cpu', ...models, codes: url })}`);
    await expect(studio.says(name).first()).toBeAttached();
    expect(await studio.codes()).toEqual(codes);
  }
  await studio.keep('codes-from-address');
});

test('files without entries, dropped by a script, are opened', async ({ page, server, studio }, info) => {
  await studio.open(`?model=${await publish(server, STAGE1)}`);
  const bytes = [...await readFile(GREEN_CAT)];
  await page.evaluate((bytes) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(bytes)], 'green-cat.png', { type: 'image/png' }));
    const event = new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true });
    if (transfer.items[0].webkitGetAsEntry()) throw new Error('expected a file without an entry, found one with');
    document.getElementById('studio')?.dispatchEvent(event);
  }, bytes);
  await expect(studio.says('green-cat.png')).toBeAttached({ timeout: 30_000 });
  expect(await studio.codes()).toEqual(nativeCodes(info.outputPath('native'), STAGE1, GREEN_CAT));
});

/** Each: a file's name, what the error says, and a cell to edit afterwards. */
const BROKEN = /** @type {const} */ ([
  ['broken.png', 'broken.png', 'row 3, column 4'],
  ['broken.safetensors', 'safetensors', 'row 4, column 5'],
]);

test('a broken file is reported in one line, and the studio stays usable', async ({ server, studio }, info) => {
  await studio.open(`?model=${await publish(server, STAGE1)}`);
  for (const [index, [name, said, cell]] of BROKEN.entries()) {
    const file = info.outputPath(name);
    await writeFile(file, 'this is no such file\n'.repeat(20));
    const before = await studio.codes();
    await studio.drop(file);
    await expect(studio.find('button', 'Dismiss')).toBeAttached({ timeout: 30_000 });
    await studio.keep(`refused-${name}`);
    await studio.idle();
    const wrong = (await studio.log()).filter((line) => !line.startsWith('Note: '));
    console.log(wrong.join('\n'));
    expect(wrong.length).toBe(index + 1);
    expect(wrong[0]).toContain(said);
    expect(await studio.codes()).toEqual(before);

    await studio.click('Dismiss');
    await expect(studio.find('button', 'Dismiss')).toHaveCount(0);
    await studio.click(cell);
    await studio.click(/^use code \d+ \(neighbour\)$/);
    await expect.poll(async () => differing(await studio.codes(), before).length).toBe(1);
  }
});
