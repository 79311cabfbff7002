// A contextual model in the page: what it drafts and revises is the native program's. The bundled one is compared in `api.spec.js`.

import { openedCodes } from './gallery.js';
import { sample, strayed } from './native.js';
import { CONTEXTUAL, publishBoth } from './published.js';
import { expect, test } from './studio.js';

test.describe.configure({ timeout: 600_000 });

const SEED = 77;

test('pictures have the native codes', async ({ server, studio }, info) => {
  const { stacks } = await sample({ model: CONTEXTUAL, seed: SEED, class: '3', count: 2, device: 'cpu' }, info.outputPath('made'));
  await studio.open(`?${new URLSearchParams({ device: 'cpu', ...await publishBoth(server, CONTEXTUAL) })}`);
  await studio.enter('Class number', 3);
  await studio.enter('Seed', SEED);
  await studio.enter('Pictures', 2);
  await studio.click('Generate (Ctrl+Enter)');
  await expect(studio.says('2 pictures, 0 selected')).toBeAttached({ timeout: 200_000 });
  await studio.idle();
  expect(strayed(await openedCodes(studio, [`${SEED}-0`, `${SEED}-1`]), stacks)).toBe(0);
  await studio.keep('contextual');
});

test('a word that the model does not know is reported, and the tokens of a caption are counted', async ({ page, studio }) => {
  await studio.open('?device=cpu');
  await studio.click('Caption', 'textbox');
  await page.keyboard.press('Control+A');
  await page.keyboard.type('a black cat dragon');
  await expect(studio.says('Not in this model\'s vocabulary: dragon')).toBeAttached();
  await page.keyboard.press('Control+A');
  await page.keyboard.type('a black cat');
  await expect(studio.says('3 of 32 tokens')).toBeAttached();
});
