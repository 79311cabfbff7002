// The page's own files: available offline after the first visit, and always of the same version.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test, WEB } from './base.js';

test.use({ root: WEB });

/** Puts a version of a tiny page into a folder of the server. */
function publish(/** @type {import('./server.js').Server} */ server, /** @type {string} */ version, folder = '/') {
  const index = `<!doctype html><title>${version}</title><script type="module">
    import { keepShell } from './shell.js';
    window.kept = keepShell();
    window.late = () => import('./late.js');
  </script>`;
  server.put(`${folder}index.html`, index);
  server.put(folder, index);
  server.put(`${folder}late.js`, `export const version = '${version}';`);
  server.put(`${folder}shell.json`, JSON.stringify({ version, files: ['index.html', 'shell.js', 'late.js'] }));
}

/** Waits until the version is stored, and active unless another is. */
async function stored(/** @type {import('@playwright/test').Page} */ page, /** @type {string} */ version) {
  expect(await page.evaluate('kept')).toBe(true);
  await page.evaluate(async (version) => {
    const registration = await navigator.serviceWorker.getRegistration();
    const { installing, waiting, active } = registration;
    const worker = [installing, waiting, active].find((worker) => worker?.scriptURL.endsWith(`?${version}`));
    const isReady = () => worker.state === 'activated' || (worker.state === 'installed' && registration.active);
    while (!isReady()) await new Promise((changed) => worker.addEventListener('statechange', changed, { once: true }));
  }, version);
}

/** The version of the page, and of a file that it loads later. */
async function versions(/** @type {import('@playwright/test').Page} */ page) {
  return [await page.title(), await page.evaluate('late().then((late) => late.version)')];
}

test('the page opens offline after the first visit', async ({ page, server }) => {
  publish(server, 'one');
  await page.goto('/');
  await stored(page, 'one');
  await server.stop();
  for (const address of ['/', '/index.html', '/?open=ffhq', '/index.html?open=ffhq#stack']) {
    await page.goto(address);
    expect(await versions(page)).toEqual(['one', 'one']);
  }
});

test('a new version is used as a whole at the next visit', async ({ page, server }) => {
  publish(server, 'one');
  await page.goto('/');
  await stored(page, 'one');
  await page.reload();
  publish(server, 'two');
  await page.reload();
  // It finds the new one now, but still uses the old one.
  await stored(page, 'two');
  expect(await versions(page)).toEqual(['one', 'one']);
  await page.reload();
  await expect(page).toHaveTitle('two');
  expect(await versions(page)).toEqual(['two', 'two']);
  expect(await page.evaluate(() => caches.keys())).toEqual([`residua shell ${server.url}/ two`]);
});

test('a new version waits while another tab shows the old one', async ({ page, context, server }) => {
  publish(server, 'one');
  await page.goto('/');
  await stored(page, 'one');
  await page.reload();
  const other = await context.newPage();
  await other.goto('/');
  publish(server, 'two');
  await page.reload();
  await stored(page, 'two');
  await page.reload();
  expect(await versions(page)).toEqual(['one', 'one']);
  expect(await versions(other)).toEqual(['one', 'one']);
  await page.close();
  await other.reload();
  await expect(other).toHaveTitle('two');
  expect(await versions(other)).toEqual(['two', 'two']);
});

test('two pages of one origin keep their own files', async ({ page, server }) => {
  const names = ['one', 'two'];
  for (const name of names) {
    for (const file of ['shell.js', 'sw.js']) server.put(`/${name}/${file}`, readFileSync(path.join(WEB, file)));
    publish(server, name, `/${name}/`);
    await page.goto(`/${name}/`);
    await stored(page, name);
  }
  await server.stop();
  for (const name of names) {
    await page.goto(`/${name}/`);
    expect(await versions(page)).toEqual([name, name]);
  }
});

test('an incomplete version is not used', async ({ page, server }) => {
  publish(server, 'one');
  await page.goto('/');
  await stored(page, 'one');
  publish(server, 'two');
  server.put('/late.js', '', { status: 404 });
  await page.reload();
  expect(await page.evaluate('kept')).toBe(true);
  await expect.poll(() => server.asked('/late.js').at(-1)?.status).toBe(404);
  await server.stop();
  await page.reload();
  expect(await versions(page)).toEqual(['one', 'one']);
});

test('other requests go to the network', async ({ page, server }) => {
  publish(server, 'one');
  await page.goto('/');
  await stored(page, 'one');
  await page.reload();
  const url = server.put('/model.pt', 'weights');
  const read = (/** @type {RequestInit} */ options) =>
    page.evaluate(async ([url, options]) => (await fetch(url, options)).text(), /** @type {const} */ ([url, options]));
  expect(await read({ cache: 'no-store' })).toBe('weights');
  expect(await read({})).toBe('weights');
  expect(await read({ method: 'POST' })).toBe('weights');
  expect(server.asked('/model.pt').length).toBe(3);
  expect(await page.evaluate(async () => Boolean(await caches.match('/model.pt')))).toBe(false);
});
