// Which results of GPU kernels' checks count at a later visit.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test, WEB } from './base.js';

test.use({ root: WEB });

const DAY = 24 * 60 * 60 * 1000;

/** @param {import('./server.js').Server} server @param {string} version */
function publish(server, version, folder = '/') {
  server.put(`${folder}shell.json`, JSON.stringify({ version, files: [] }));
}

test('results count for a week, for one adapter and one version of the page', async ({ page, server }) => {
  server.put('/blank.html', '<!doctype html><link rel="icon" href="data:,"><title>A page</title>');
  publish(server, 'one');
  await page.clock.install({ time: 0 });
  await page.goto('/blank.html');
  const recall = (/** @type {string} */ adapter) =>
    page.evaluate(async (adapter) => (await import('/verdicts.js')).recall(adapter), adapter);
  const remember = (/** @type {string} */ text) =>
    page.evaluate(async (text) => (await import('/verdicts.js')).remember('this', text), text);

  expect(await recall('this')).toBeUndefined();
  await remember('some');
  expect(await recall('this')).toBe('some');
  expect(await recall('another')).toBeUndefined();
  await page.clock.setSystemTime(6 * DAY);
  // What is added later does not renew what was there.
  await remember('some and more');
  expect(await recall('this')).toBe('some and more');
  await page.clock.setSystemTime(8 * DAY);
  expect(await recall('this')).toBeUndefined();

  await remember('new');
  publish(server, 'two');
  expect(await recall('this')).toBeUndefined();
  publish(server, 'one');
  expect(await recall('this')).toBe('new');
});

test('another page of the same origin keeps its own results', async ({ page, server }) => {
  server.put('/blank.html', '<!doctype html><link rel="icon" href="data:,"><title>A page</title>');
  server.put('/other/verdicts.js', readFileSync(path.join(WEB, 'verdicts.js')));
  publish(server, 'one');
  publish(server, 'two', '/other/');
  await page.goto('/blank.html');
  const recalled = await page.evaluate(async () => {
    const pages = await Promise.all(['/verdicts.js', '/other/verdicts.js'].map((file) => import(file)));
    for (const [i, { remember }] of pages.entries()) await remember('this', `of page ${i}`);
    return Promise.all(pages.map(({ recall }) => recall('this')));
  });
  expect(recalled).toEqual(['of page 0', 'of page 1']);
});
