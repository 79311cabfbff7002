// The user's own models: by address or dropped, in each published format, complete or interrupted.

import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { nativeCodes, ROOT } from './native.js';
import { archive, STAGE1 } from './published.js';
import { expect, test } from './studio.js';

test.describe.configure({ timeout: 600_000 });

const EMOJI = path.join(ROOT, 'assets', 'emoji-64');

/** Drops the sample picture, and compares its codes with the native program's. */
async function sameCodes(/** @type {import('./studio.js').Studio} */ studio, /** @type {string} */ folder, /** @type {string} */ model) {
  await studio.drop(path.join(ROOT, 'assets', 'samples', 'red-cat.png'));
  await studio.idle();
  await expect.poll(() => studio.codes()).toEqual(nativeCodes(folder, model));
}

/** Samples one picture with the loaded model. */
async function make(/** @type {import('./studio.js').Studio} */ studio) {
  await studio.enter('Pictures', 1);
  await studio.click('Generate (Ctrl+Enter)');
  await expect(studio.says('1 picture, 0 selected')).toBeAttached({ timeout: 180_000 });
  await studio.idle();
}

test('a transformer and its RQ-VAE are loaded from two addresses', async ({ server, studio }, info) => {
  const urls = await Promise.all(['stage1', 'stage2'].map(async (stage) =>
    server.put(`/models/${stage}/${stage}.safetensors`, await readFile(path.join(EMOJI, `${stage}.safetensors`)))));
  const [rqvae, model] = urls.map(encodeURIComponent);
  await studio.open(`?device=cpu&model=${model}&rqvae=${rqvae}`);
  await sameCodes(studio, info.outputPath('native'), 'emoji-64');
  await make(studio);
  await studio.keep('model-two-addresses');
});

test('a published archive is loaded from an address', async ({ server, studio }, info) => {
  const url = server.put('/models/m.tar.gz', await archive());
  await studio.open(`?device=cpu&model=${encodeURIComponent(url)}`);
  await sameCodes(studio, info.outputPath('native'), STAGE1);
  await make(studio);
  await studio.keep('model-archive');
});

test('a dropped published archive is loaded', async ({ studio }, info) => {
  const file = info.outputPath('m.tar.gz');
  await writeFile(file, await archive());
  await studio.open('?device=cpu');
  await studio.drop(file);
  await expect(studio.find('spinbutton', 'Class number')).toBeAttached({ timeout: 20_000 });
  await sameCodes(studio, info.outputPath('native'), STAGE1);
  await make(studio);
});

test('a published .pt is loaded with its configuration, and without it, the error says what is missing', async ({ studio }, info) => {
  await studio.open('?device=cpu');
  const before = await studio.codes();
  await studio.drop(path.join(STAGE1, 'model.pt'));
  await expect(studio.find('button', 'Dismiss')).toBeAttached();
  await studio.keep('model-no-configuration');
  expect((await studio.log())[0]).toMatch(/^Error: .*config\.yaml/);
  expect(await studio.codes()).toEqual(before);

  await studio.drop(path.join(STAGE1, 'model.pt'), path.join(STAGE1, 'config.yaml'));
  await sameCodes(studio, info.outputPath('native'), STAGE1);
  await studio.keep('model-pt');
});

test('an interrupted download is reported, and resumes where it stopped', async ({ server, studio }, info) => {
  const bytes = await readFile(path.join(EMOJI, 'stage1.safetensors'));
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const url = server.put('/models/other.safetensors', bytes, { holdAt: 3_000_000, cutAt: 3_000_000 });
  const wish = `?device=cpu&model=${encodeURIComponent(`${url}#sha256=${sha256}`)}`;
  const opened = studio.open(wish);
  // A browser discards data that arrives together with the end of a connection.
  await expect.poll(() => studio.progress()).toBe(Math.floor(100 * 3_000_000 / bytes.length));
  server.release('/models/other.safetensors');
  await opened;
  const whole = (bytes.length / 1e6).toFixed(2);
  await expect(studio.says(new RegExp(`the download stopped after 3 MB of ${whole} MB: try again to resume it$`)).first()).toBeAttached();
  await studio.keep('model-interrupted');
  await studio.open(wish);
  expect(server.asked('/models/other.safetensors').map(({ headers }) => headers.range)).toEqual([undefined, 'bytes=3000000-']);
  await sameCodes(studio, info.outputPath('native'), 'emoji-64');
});

test('a model with the wrong hash is refused', async ({ server, studio }) => {
  const url = server.put('/models/other.safetensors', await readFile(path.join(EMOJI, 'stage1.safetensors')));
  await studio.visit(`?device=cpu&model=${encodeURIComponent(`${url}#sha256=${'0'.repeat(64)}`)}`);
  await studio.keep('model-other-hash');
  expect((await studio.log()).filter((line) => line.startsWith('Error: '))).toEqual([expect.stringMatching(/0{64}/)]);
  // The default model is used instead.
  await expect(studio.mirror).toContainText('characters-128 is loaded');
});
