// The models' worker is replaced when it is lost.

import { expect, test, WEB } from './base.js';

test.use({ root: WEB });

/** Serves a worker, and a page that starts it. What the page hears of the worker is in `heard`. */
async function start(
  /** @type {import('@playwright/test').Page} */ page,
  /** @type {import('./server.js').Server} */ server,
  /** @type {string} */ worker,
) {
  server.put('/worker.js', worker);
  server.put('/blank.html', '<!doctype html><link rel="icon" href="data:,"><title>A page</title>');
  await page.goto('/blank.html');
  await page.evaluate(async () => {
    const { Models } = await import('/models.js');
    window.heard = [];
    window.models = new Models('auto', (data) => window.heard.push(data));
  });
}

test('a worker that is lost again and again is replaced, at last after a minute', async ({ page, server }) => {
  await page.clock.install();
  await start(page, server, 'onmessage = ({ data }) => postMessage(data);');
  await page.evaluate(() => window.models.give([['a.npy', new Blob(['a'])]]));
  /** What the worker got. */
  const got = () => page.evaluate(() => window.heard.map(({ kind, device }) => device ?? kind));
  await expect.poll(got).toEqual(['auto', 'files']);
  const lose = () => page.evaluate(() => {
    window.heard = [];
    return window.models.replace('it failed');
  });
  const slower = 'it failed; the models continue on the CPU, which is slower';
  for (const [said, device] of [...Array(3).fill(['it failed', 'auto']), ...Array(3).fill([slower, 'cpu'])]) {
    expect(await lose()).toBe(said);
    await expect.poll(got).toEqual([device, 'files']);
  }

  expect(await lose()).toContain('it failed, 7 times within a minute; the models start again in a minute');
  await expect.poll(() => page.workers().length).toBe(0);
  await page.evaluate(() => {
    const bytes = new Uint8Array([7]);
    window.models.post({ kind: 'order', bytes }, [bytes.buffer]);
  });
  await page.clock.fastForward(60_000);
  // What was sent in between is not lost.
  await expect.poll(got).toEqual(['cpu', 'files', 'order']);
  expect(await lose()).toBe('it failed');
  await expect.poll(got).toEqual(['auto', 'files']);
});

test('a worker that cannot run has failed', async ({ page, server }) => {
  await start(page, server, "import './missing.js';");
  await expect.poll(() => page.evaluate(() => window.heard)).toMatchObject([{ kind: 'failed' }]);
});
