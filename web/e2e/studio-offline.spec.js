// The page after its first visit: it opens offline, and finds the stored models.

import { expect, test } from './studio.js';
import { encode, ROOT } from './native.js';
import { readFile } from 'node:fs/promises';
import path from 'node:path';

/** Waits until the browser has stored all of the page's files. */
async function kept(/** @type {import('@playwright/test').Page} */ page) {
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
}

test('the page and its model open offline', async ({ studio, page, context, server }, info) => {
  test.setTimeout(600_000);
  const native = await encode('assets/samples/red-cat.png', 'cpu', info.outputPath('codes.npy'));
  await studio.open('?device=cpu');
  expect(await studio.codes()).toEqual(native);
  await kept(page);
  await context.setOffline(true);
  await server.stop();
  await page.reload();
  await expect(page.locator('#loading')).toBeHidden({ timeout: 180_000 });
  await studio.seen();
  expect(await studio.codes()).toEqual(native);
  await studio.keep('offline');
});

test('a model from an address is stored, listed with its size, and deleted', async ({ studio, page, server }) => {
  test.setTimeout(600_000);
  const bytes = await readFile(path.join(ROOT, 'assets', 'emoji-64', 'stage1.safetensors'));
  server.put('/models/other.safetensors', bytes);
  await studio.open(`?device=cpu&model=${encodeURIComponent(`${server.url}/models/other.safetensors`)}`);
  expect(server.asked('/models/other.safetensors').length).toBeGreaterThan(0);
  const before = server.asked('/models/other.safetensors').length;
  await page.reload();
  await studio.seen();
  expect(server.asked('/models/other.safetensors').length).toBe(before);
  await studio.click('Models');
  await expect(studio.says(`${(bytes.length / 1e6).toFixed(1)} MB`).first()).toBeAttached({ timeout: 20_000 });
  await studio.keep('kept-models');
  await studio.click('Delete other.safetensors from this browser');
  await expect(studio.find('button', 'Delete other.safetensors from this browser')).toHaveCount(0);
});
