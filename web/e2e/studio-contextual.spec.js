// A contextual model in the page: what it drafts and revises is the native program's.

import { openedCodes } from './gallery.js';
import { native, strayed } from './native.js';
import { expect, test } from './studio.js';

test.describe.configure({ timeout: 900_000 });

/** Other than the one that the studio begins with. */
const CAPTION = 'a black cat';
const SEED = 77;

test('pictures have the native codes', async ({ page, studio }, info) => {
  const wish = ['--prompt', CAPTION, '--seed', String(SEED), '-n', '2', '--out', info.outputPath('made')];
  const { stacks } = native('sample', ...wish);
  await studio.open('?device=cpu');
  await studio.click('Caption', 'textbox');
  await page.keyboard.press('Control+A');
  await page.keyboard.type(`${CAPTION} dragon`);
  await expect(studio.says('Not in this model\'s vocabulary: dragon')).toBeAttached();
  await page.keyboard.press('Control+A');
  await page.keyboard.type(CAPTION);
  await expect(studio.says('3 of 32 tokens')).toBeAttached();
  await studio.enter('Seed', SEED);
  await studio.enter('Pictures', 2);
  // One after each step of the model would take most of the time.
  await studio.click('Show previews', 'checkbox');
  await studio.click('Generate (Ctrl+Enter)');
  await expect(studio.says('2 pictures, 0 selected')).toBeAttached({ timeout: 400_000 });
  await studio.idle();
  expect(strayed(await openedCodes(studio, [`${SEED}-0`, `${SEED}-1`]), stacks)).toBeLessThan(2);
  await studio.keep('contextual');
});
