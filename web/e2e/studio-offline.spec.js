// The page after its first visit: it opens offline, and finds the stored models.

import { expect, test } from './studio.js';
import { encode } from './native.js';
import { publish, STAGE1 } from './published.js';
import { stat } from 'node:fs/promises';
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
  const model = await publish(server, STAGE1);
  const asked = () => server.asked(new URL(model).pathname).length;
  await studio.open(`?device=cpu&model=${model}`);
  expect(asked()).toBeGreaterThan(0);
  const before = asked();
  await page.reload();
  await studio.seen();
  expect(asked()).toBe(before);
  await studio.click('Models');
  const { size } = await stat(path.join(STAGE1, 'model.pt'));
  await expect(studio.says(`${(size / 1e6).toFixed(1)} MB`).first()).toBeAttached({ timeout: 20_000 });
  await studio.keep('kept-models');
  await studio.click('Delete model.pt from this browser');
  await expect(studio.find('button', 'Delete model.pt from this browser')).toHaveCount(0);
});
