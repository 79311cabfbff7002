// The user's own models: by address or dropped, in each published format, complete or interrupted.

import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { nativeCodes, ROOT } from './native.js';
import { archive, OTHER, publish, publishBoth, STAGE1 } from './published.js';
import { expect, test } from './studio.js';

test.describe.configure({ timeout: 600_000 });

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
  await studio.open(`?${new URLSearchParams({ device: 'cpu', ...await publishBoth(server) })}`);
  await sameCodes(studio, info.outputPath('native'), STAGE1);
  await make(studio);
  await studio.keep('model-two-addresses');
});

test('a dropped published archive is loaded; then a .pt, but only with its configuration', async ({ server, studio }, info) => {
  const file = info.outputPath('m.tar.gz');
  await writeFile(file, await archive());
  await studio.open(`?device=cpu&model=${await publish(server, OTHER)}`);
  await studio.drop(file);
  await expect(studio.find('spinbutton', 'Class number')).toBeAttached({ timeout: 20_000 });
  await sameCodes(studio, info.outputPath('native'), STAGE1);
  await make(studio);
  await studio.keep('model-archive');

  const before = await studio.codes();
  await studio.drop(path.join(OTHER, 'model.pt'));
  await expect(studio.find('button', 'Dismiss')).toBeAttached();
  await studio.keep('model-no-configuration');
  await expect.poll(async () => (await studio.log())[0]).toMatch(/^Error: .*config\.yaml/);
  expect(await studio.codes()).toEqual(before);

  await studio.drop(path.join(OTHER, 'model.pt'), path.join(OTHER, 'config.yaml'));
  await sameCodes(studio, info.outputPath('native'), OTHER);
  await studio.keep('model-pt');
});

test('an interrupted download is reported, and resumes where it stopped', async ({ server, studio }, info) => {
  const bytes = await readFile(path.join(STAGE1, 'model.pt'));
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const url = await publish(server, STAGE1, { holdAt: 3_000_000, cutAt: 3_000_000 });
  const { pathname } = new URL(url);
  const wish = `?device=cpu&model=${encodeURIComponent(`${url}#sha256=${sha256}`)}`;
  const opened = studio.open(wish);
  // A browser discards data that arrives together with the end of a connection.
  await expect.poll(() => studio.progress()).toBe(Math.floor(100 * 3_000_000 / bytes.length));
  server.release(pathname);
  await opened;
  const whole = (bytes.length / 1e6).toFixed(2);
  await expect(studio.says(new RegExp(`the download stopped after 3 MB of ${whole} MB: try again to resume it$`)).first()).toBeAttached();
  await studio.keep('model-interrupted');
  await studio.open(wish);
  expect(server.asked(pathname).map(({ headers }) => headers.range)).toEqual([undefined, 'bytes=3000000-']);
  await sameCodes(studio, info.outputPath('native'), STAGE1);
});

test('a model with the wrong hash is refused', async ({ server, studio }) => {
  const url = await publish(server, STAGE1);
  await studio.visit(`?device=cpu&model=${encodeURIComponent(`${url}#sha256=${'0'.repeat(64)}`)}`);
  await studio.keep('model-other-hash');
  expect((await studio.log()).filter((line) => line.startsWith('Error: '))).toEqual([expect.stringMatching(/0{64}/)]);
  // The default model is used instead.
  await expect(studio.mirror).toContainText('characters-128 is loaded');
});
