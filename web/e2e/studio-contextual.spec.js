// A contextual model in the page: what it drafts and revises is the native program's.

import { differing, native, strays } from './native.js';
import { expect, test } from './studio.js';

test.describe.configure({ timeout: 900_000 });

/** Other than the one that the studio begins with. */
const CAPTION = 'a black cat';
const SEED = 77;

test('a picture has the native codes', async ({ page, studio }, info) => {
  const wish = ['--prompt', CAPTION, '--seed', String(SEED), '-n', '1', '--out', info.outputPath('made')];
  const { stacks: [expected] } = native('sample', ...wish);
  await studio.open('?device=cpu');
  await studio.click('Caption', 'textbox');
  await page.keyboard.press('Control+A');
  await page.keyboard.type(`${CAPTION} dragon`);
  await expect(studio.says('Not in this model\'s vocabulary: dragon')).toBeAttached();
  await page.keyboard.press('Control+A');
  await page.keyboard.type(CAPTION);
  await expect(studio.says('3 of 32 tokens')).toBeAttached();
  await studio.enter('Seed', SEED);
  await studio.enter('Pictures', 1);
  // One after each step of the model would take most of the time.
  await studio.click('Show previews', 'checkbox');
  await studio.click('Generate (Ctrl+Enter)');
  await expect(studio.says('1 picture, 0 selected')).toBeAttached({ timeout: 400_000 });
  await studio.idle();
  await studio.click(`${SEED}-0`, 'option');
  await studio.click('Open in the editor');
  await studio.seen();
  const differ = differing(await studio.codes(), expected.codes);
  console.log(`${differ.length} of ${expected.codes.length} codes differ, first ${differ[0] ?? 'none'}`);
  expect(differ.length).toBeLessThanOrEqual(strays(256));
  await studio.keep('contextual');
});
