// The studio opens without any input, and its codes match the native program's.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { WEB } from './base.js';
import { differing, encode, native, ROOT, SAMPLE, SAMPLES } from './native.js';
import { publishBoth } from './published.js';
import { expect, test } from './studio.js';

test.describe.configure({ timeout: 900_000 });

/** Kernels that opening a picture uses, and some that only sampling does. */
const OPENING = ['Conv2d', 'GroupNorm', 'ResidualQuantize'];
const SAMPLING = ['DecodeAttention', 'DecodeLinear', 'NormedLinear', 'SampleToken'];

test('GPU kernels are checked when they are first used, and not again at the next visit @alone', async ({ server, studio }) => {
  const wish = `?${new URLSearchParams({ device: 'gpu', ...await publishBoth(server) })}`;
  await studio.open(wish);
  const log = await studio.log();
  for (const kernel of OPENING) await expect(studio.says(kernel).first()).toBeAttached();
  for (const kernel of SAMPLING) await expect(studio.says(kernel)).toHaveCount(0);
  const checks = await studio.says('correct').count();
  expect(checks).toBeGreaterThan(OPENING.length);
  await expect(studio.says('wrong, not used')).toHaveCount(0);
  await expect(studio.mirror).toContainText('GPU: ');
  await studio.keep('kernels');
  expect(log.filter((line) => !line.startsWith('Note: '))).toEqual([]);
  expect(log.at(-1)).toMatch(/^Note: the models run on the GPU: /);

  const first = await times(studio, checks);
  await studio.open(wish);
  await studio.log();
  await expect(studio.says('correct')).toHaveCount(checks);
  expect(await times(studio, checks)).toEqual(first);

  // Later uses add to what is stored.
  await studio.enter('Pictures', 1);
  await studio.click('Generate (Ctrl+Enter)');
  await expect(studio.says(/^sampling/)).toBeAttached({ timeout: 180_000 });
  await studio.idle();
  await studio.log();
  for (const kernel of SAMPLING) await expect(studio.says(kernel).first()).toBeAttached();
  await expect(studio.says('wrong, not used')).toHaveCount(0);
  const all = await times(studio, await studio.says('correct').count());
  expect(all.slice(0, checks)).toEqual(first);
});

/** @returns {Promise<string[]>} how long each check took, as the log panel shows it above other timings */
async function times(/** @type {import('./studio.js').Studio} */ studio, /** @type {number} */ checks) {
  return (await studio.mirror.getByText(/^[0-9.]+ ms$/).allTextContents()).slice(0, checks);
}

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
