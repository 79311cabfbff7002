// The studio opens without any input, and its codes match the native program's.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { WEB } from './base.js';
import { differing, encode, native, ROOT, SAMPLE, SAMPLES } from './native.js';
import { expect, test } from './studio.js';

test.describe.configure({ timeout: 900_000 });

test('the sample opens without a click, and progress is shown until then', async ({ page, server, studio }, info) => {
  const program = await readFile(path.join(WEB, 'dist', 'residua_studio_bg.wasm'));
  server.put('/residua_studio_bg.wasm', program, { holdAt: program.length / 2 | 0 });
  const opened = studio.open();
  await expect.poll(() => page.locator('#bar').evaluate((/** @type {HTMLProgressElement} */ bar) => bar.value)).toBeCloseTo(0.5, 2);
  await expect(page.locator('#loading')).toBeVisible();
  await studio.keep('loading');
  server.release('/residua_studio_bg.wasm');
  await opened;
  await expect(page.locator('#loading')).toBeHidden();
  const { psnr } = native('reconstruct', SAMPLE, '--out', info.outputPath('native'));
  await expect(studio.says(new RegExp(`PSNR ${psnr.toFixed(2)} dB`))).toBeAttached();
  const expected = await encode('assets/samples/red-cat.png', 'cpu', info.outputPath('codes.npy'));
  expect(differing(await studio.codes(), expected)).toEqual([]);
  await studio.keep('opened');
});

test('a picture is open and can be edited before the transformer has arrived', async ({ server, studio }) => {
  const file = '/assets/characters-128/contextual.safetensors';
  const weights = await readFile(path.join(WEB, 'dist', file));
  server.put(file, weights, { holdAt: weights.length / 2 | 0 });
  await studio.visit();
  await expect(studio.find('img', 'Reconstruction picture')).toBeAttached();
  await expect(studio.says('The RQ-Transformer is being loaded.').first()).toBeAttached();
  const opened = await studio.codes();
  await studio.click('row 3, column 4');
  await studio.click(/^use code \d+ \(neighbour\)$/);
  await expect.poll(async () => differing(await studio.codes(), opened).length).toBe(1);
  const edited = await studio.codes();
  await studio.keep('transformer-to-come');
  server.release(file);
  await studio.idle();
  await expect(studio.find('button', 'Generate (Ctrl+Enter)')).toBeEnabled();
  expect(await studio.codes()).toEqual(edited);
});

test('all samples have the native codes', async ({ studio }, info) => {
  const [first, ...others] = SAMPLES;
  const hasNativeCodes = async (/** @type {string} */ sample) => {
    await expect(studio.says(path.basename(sample)).first()).toBeAttached();
    const expected = await encode(path.join(ROOT, sample), 'cpu', info.outputPath('codes.npy'));
    await expect.poll(async () => differing(await studio.codes(), expected)).toEqual([]);
  };
  await studio.open(`?device=cpu&image=${first}`);
  await hasNativeCodes(first);
  for (const sample of others) {
    await studio.drop(path.join(ROOT, sample));
    await hasNativeCodes(sample);
  }
  await studio.keep('samples-cpu');
});
