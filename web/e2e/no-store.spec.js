// When the browser cannot store files, models are downloaded with their configurations, and checked.

import { createHash } from 'node:crypto';
import { expect, test, WEB } from './base.js';

test.use({ root: WEB });

const WEIGHTS = Buffer.from('weights');
const CONFIG = 'dataset: none\n';
const SHA256 = createHash('sha256').update(WEIGHTS).digest('hex');

/** The files at an address, as paths and texts, and the progress reported; or the error. */
async function fetched(/** @type {import('@playwright/test').Page} */ page, /** @type {string} */ address) {
  await page.goto('/e2e/store-page.html');
  return page.evaluate(async (address) => {
    const [{ NoStore }, { Sha256 }] = await Promise.all(['/store/none.js', '/e2e/sha256.js'].map((file) => import(file)));
    /** @type {[number, number | null][]} */
    const progress = [];
    try {
      const files = await new NoStore(() => new Sha256()).fetch(address, { progress: (...told) => progress.push(told) });
      const texts = await Promise.all(files.map(async ([path, blob]) => [path, await blob.text()]));
      return { texts, progress };
    } catch (error) {
      return { error: error.message };
    }
  }, address);
}

test('a published .pt comes with its configuration, checked', async ({ page, server }) => {
  const url = server.put('/models/model.pt', WEIGHTS);
  server.put('/models/config.yaml', CONFIG);
  const texts = [[url, 'weights'], [`${server.url}/models/config.yaml`, CONFIG]];
  expect(await fetched(page, `${url}#sha256=${SHA256}`)).toEqual({ texts, progress: [[7, 7]] });
});

test('weights with the wrong hash are refused', async ({ page, server }) => {
  const url = server.put('/models/model.safetensors', WEIGHTS);
  const { error } = await fetched(page, `${url}#sha256=${'0'.repeat(64)}`);
  expect(error).toContain(`expected sha256 ${'0'.repeat(64)}, found ${SHA256}`);
});

test('a missing file is reported', async ({ page, server }) => {
  const { error } = await fetched(page, `${server.url}/models/model.safetensors`);
  expect(error).toMatch(/expected a file, the server answered 404 .*: check the address$/);
});

test('an archive is refused, with advice', async ({ page, server }) => {
  const url = server.put('/models/model.tar.gz', WEIGHTS);
  const { error } = await fetched(page, url);
  expect(error).toBe(`${url}: this browser cannot store files, so archives cannot be unpacked here: unpack it yourself and drop the files here`);
  expect(server.asked('/models/model.tar.gz')).toEqual([]);
});
