// Two pictures are morphed: the animation is a download.

import { readFile } from 'node:fs/promises';
import { publishBoth } from './published.js';
import { expect, test } from './studio.js';

test.describe.configure({ timeout: 600_000 });

test('a morph with the chosen number of frames is saved', async ({ page, server, studio }, info) => {
  await studio.open(`?${new URLSearchParams(await publishBoth(server))}`);
  await studio.enter('Pictures', 2);
  await studio.click('Generate (Ctrl+Enter)');
  await expect(studio.says('2 pictures, 0 selected')).toBeAttached({ timeout: 200_000 });
  await studio.idle();
  for (const name of ['0-0', '0-1']) await studio.click(name, 'option');
  await expect(studio.find('button', 'Morph…')).toBeEnabled();
  await studio.click('Morph…');
  await studio.click('Row by row', 'radio');
  await expect(studio.find('radio', 'Row by row')).toHaveAttribute('aria-checked', 'true');
  await studio.enter('Frames', 3);
  await studio.keep('morph');
  const downloaded = page.waitForEvent('download');
  await studio.click('Save the morph…');
  const download = await downloaded;
  expect(download.suggestedFilename()).toBe('morph.png');
  await download.saveAs(info.outputPath('morph.png'));
  const png = await readFile(info.outputPath('morph.png'));
  // The chunk that announces an animation says how many frames it has.
  const at = png.indexOf('acTL');
  expect(at).toBeGreaterThan(0);
  expect(png.readUInt32BE(at + 4)).toBe(3);
});
