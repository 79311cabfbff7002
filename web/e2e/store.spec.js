// Models in the browser's own file system: downloads, interruptions, and what is stored.

import { createHash } from 'node:crypto';
import { expect, test, WEB } from './base.js';
import { openStore } from './open-store.js';

test.use({ root: WEB });

const MODEL = '/models/model.safetensors';
/** Bytes that arrive before a download is interrupted. */
const PART = 2_000_000;

/** Pseudorandom bytes. */
function noise(/** @type {number} */ length, seed = 1) {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = seed;
  for (let i = 0; i < words.length; i++) words[i] = state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Buffer.from(words.buffer, 0, length);
}

const sha256 = (/** @type {Buffer | string} */ bytes) => createHash('sha256').update(bytes).digest('hex');

/** Interrupts a download in the middle; returns its address. */
async function interrupt(page, store, server, bytes, answer = {}) {
  const url = server.put(MODEL, bytes, { holdAt: PART, cutAt: PART, ...answer });
  const error = store.error('fetch', url);
  // A browser discards data that arrives together with the end of a connection.
  await page.waitForFunction((part) => window.progress.at(-1)?.[0] === part, PART);
  server.release(MODEL);
  expect(await error).toContain('model.safetensors: the download stopped after 2 MB of 5 MB: try again');
  return url;
}

test('a model is downloaded once, with progress', async ({ page, server }) => {
  const bytes = noise(5_000_000);
  const store = await openStore(page);
  const url = server.put(MODEL, bytes);
  const files = await store.get('fetch', `${url}?download=1`);
  expect(files).toEqual([[url, bytes.length, sha256(bytes)]]);

  const progress = await store.progress();
  expect(progress.length).toBeGreaterThan(2);
  expect(progress.every(([done, total, step], i) => done > (progress[i - 1]?.[0] ?? 0) && total === 5e6 && step === 'download')).toBe(true);
  expect(progress.at(-1)?.[0]).toBe(bytes.length);

  await page.reload();
  const again = await openStore(page);
  await again.get('list');
  server.requests.length = 0;
  await server.stop();
  expect(await again.get('fetch', `${url}?download=1`)).toEqual(files);
  expect(server.requests).toEqual([]);
});

test('an interrupted download is resumed', async ({ page, server }) => {
  const bytes = noise(5_000_000);
  const store = await openStore(page);
  const url = await interrupt(page, store, server, bytes);
  const [part] = await store.get('list');
  expect(part).toMatchObject({ place: url, complete: false, sha256: null, files: [] });
  expect(part.bytes).toBe(PART);

  await page.reload();
  const again = await openStore(page);
  expect(await again.get('fetch', url)).toEqual([[url, bytes.length, sha256(bytes)]]);
  const [first, second] = server.asked(MODEL);
  expect([first.headers.range, first.status]).toEqual([undefined, 200]);
  expect([second.headers.range, second.status]).toEqual([`bytes=${PART}-`, 206]);
  const steps = new Set((await again.progress()).map(([, , step]) => step));
  expect([...steps]).toEqual(['check', 'download']);
});

test('a download that the user stops is resumed', async ({ page, server }) => {
  const bytes = noise(5_000_000);
  const store = await openStore(page);
  const url = server.put(MODEL, bytes, { holdAt: 3_000_000 });
  const stopped = store.error('fetch', url);
  await page.waitForFunction('progress.at(-1)?.[0] === 3_000_000');
  await store.get('stop');
  expect(await stopped).toBe('Error: stopped');
  expect(await store.get('fetch', url)).toEqual([[url, bytes.length, sha256(bytes)]]);
  expect(server.asked(MODEL)[1].headers.range).toBe('bytes=3000000-');
});

test('a download that a reload interrupts is resumed', async ({ page, server }) => {
  const bytes = noise(5_000_000);
  const store = await openStore(page);
  const url = server.put(MODEL, bytes, { holdAt: PART });
  store.call('fetch', url).catch(() => 'the page went away');
  await page.waitForFunction((part) => window.progress.at(-1)?.[0] === part, PART);
  await page.reload();
  const again = await openStore(page);
  expect(await again.get('fetch', url)).toEqual([[url, bytes.length, sha256(bytes)]]);
  expect(server.asked(MODEL)[1].headers.range).toBe(`bytes=${PART}-`);
});

test('a download is not resumed with another version of the file', async ({ page, server }) => {
  const store = await openStore(page);
  const url = await interrupt(page, store, server, noise(5_000_000));
  const other = noise(4_000_000, 2);
  server.put(MODEL, other);
  expect(await store.get('fetch', url)).toEqual([[url, other.length, sha256(other)]]);
  expect(server.asked(MODEL).map(({ status }) => status)).toEqual([200, 206, 200]);
});

test('a download is not resumed past the end of a shorter version', async ({ page, server }) => {
  const store = await openStore(page);
  const url = await interrupt(page, store, server, noise(5_000_000));
  const other = noise(1000, 2);
  server.put(MODEL, other);
  expect(await store.get('fetch', url)).toEqual([[url, other.length, sha256(other)]]);
  expect(server.asked(MODEL).map(({ status }) => status)).toEqual([200, 416, 200]);
});

for (const [what, answer] of /** @type {[string, object][]} */ ([
  ['has no validator', { etag: null }],
  ['has a weak validator', { etag: 'W/"1"' }],
])) {
  test(`a download starts over if the server ${what}`, async ({ page, server }) => {
    const bytes = noise(5_000_000);
    const store = await openStore(page);
    const url = await interrupt(page, store, server, bytes, answer);
    expect(await store.get('fetch', url)).toEqual([[url, bytes.length, sha256(bytes)]]);
    expect(server.asked(MODEL).map(({ headers }) => headers.range)).toEqual([undefined, undefined]);
  });
}

test('a download starts over if the server sends the whole file', async ({ page, server }) => {
  const bytes = noise(5_000_000);
  const store = await openStore(page);
  const url = await interrupt(page, store, server, bytes, { ranges: false });
  expect(await store.get('fetch', url)).toEqual([[url, bytes.length, sha256(bytes)]]);
  expect(server.asked(MODEL).map(({ status }) => status)).toEqual([200, 200]);
});

test('a download from another site needs no preflight, and is resumed by Last-Modified', async ({ page, server, elsewhere }) => {
  const bytes = noise(5_000_000);
  const store = await openStore(page);
  const headers = { 'Access-Control-Allow-Origin': '*', 'Last-Modified': 'Wed, 21 Oct 2015 07:28:00 GMT' };
  const url = await interrupt(page, store, elsewhere, bytes, { headers });
  expect(await store.get('fetch', url)).toEqual([[url, bytes.length, sha256(bytes)]]);
  expect(elsewhere.asked(MODEL).map(({ method, status }) => [method, status])).toEqual([['GET', 200], ['GET', 206]]);
  expect(server.asked(MODEL)).toEqual([]);
});

test('a file with a wrong hash is deleted, and both hashes are reported', async ({ page, server }) => {
  const bytes = noise(100_000);
  const store = await openStore(page);
  const url = server.put(MODEL, bytes);
  const wrong = sha256('other');
  for (const args of [[`${url}#sha256=${wrong}`], [url, { sha256: wrong }]]) {
    const error = await store.error('fetch', ...args);
    expect(error).toContain(`expected sha256 ${wrong}, found ${sha256(bytes)}: the download was deleted`);
    expect(await store.get('list')).toEqual([]);
  }
  const right = sha256(bytes).toUpperCase();
  expect(await store.get('fetch', `${url}#sha256=${right}`)).toEqual([[url, bytes.length, sha256(bytes)]]);
  // A request for another version replaces the stored one.
  const other = noise(50_000, 2);
  server.put(MODEL, other);
  expect(await store.get('fetch', `${url}#sha256=${sha256(other)}`)).toEqual([[url, other.length, sha256(other)]]);
});

test('a published .pt comes with its configuration', async ({ page, server }) => {
  const store = await openStore(page);
  const url = server.put('/ffhq/model.PT', 'weights');
  const config = server.put('/ffhq/config.yaml', 'arch:');
  const files = await store.get('fetch', url);
  expect(files).toEqual([[url, 7, sha256('weights')], [config, 5, sha256('arch:')]]);
  const [{ bytes, complete, files: stored }] = await store.get('list');
  expect([bytes, complete, stored.map(({ path }) => path)]).toEqual([12, true, ['model.PT', 'config.yaml']]);
});

test('a .pt without configuration is complete; if the server fails, the configuration is requested again', async ({ page, server }) => {
  const store = await openStore(page);
  const url = server.put('/own/model.pt', 'weights');
  const weights = [url, 7, sha256('weights')];
  server.put('/own/config.yaml', '', { status: 503 });
  expect(await store.get('fetch', url)).toEqual([weights]);
  server.put('/own/config.yaml', 'not here', { status: 404 });
  for (const _ of [1, 2]) expect(await store.get('fetch', url)).toEqual([weights]);
  expect(server.asked('/own/model.pt').length).toBe(1);
  expect(server.asked('/own/config.yaml').length).toBe(2);
});

test('stored models are listed in page and worker, verified and deleted', async ({ page, server }) => {
  const store = await openStore(page);
  const [a, b] = [server.put('/a.safetensors', noise(3000)), server.put('/b.yaml', 'arch:')];
  await store.get('fetch', b);
  await store.get('fetch', a);
  const one = { path: 'a.safetensors', bytes: 3000, sha256: sha256(noise(3000)) };
  const list = await store.get('list');
  expect(list.map(({ place, bytes }) => [place, bytes])).toEqual([[a, 3000], [b, 5]]);
  expect(list[0]).toEqual({ place: a, bytes: 3000, complete: true, sha256: one.sha256, files: [one] });
  expect(await page.evaluate(() => window.here.list())).toEqual(list);

  expect(await store.get('verify', a)).toEqual([]);
  await page.evaluate(damageFirstFile, 3000);
  expect(await store.get('verify', a)).toEqual(['a.safetensors']);

  await page.evaluate((a) => window.here.forget(a), a);
  await store.get('forget', a);
  expect((await store.get('list')).map(({ place }) => place)).toEqual([b]);
  expect(await store.error('verify', a)).toContain('expected a stored model, found none');
  await store.get('fetch', a);
  expect(server.asked('/a.safetensors').length).toBe(2);
});

/** Overwrites part of the stored file with this length. Runs in the page. */
async function damageFirstFile(/** @type {number} */ length) {
  const root = await navigator.storage.getDirectory();
  const models = await (await root.getDirectoryHandle('residua')).getDirectoryHandle('models');
  for await (const folder of models.values()) {
    for await (const file of folder.values()) {
      if ((await file.getFile()).size !== length) continue;
      const writable = await file.createWritable({ keepExistingData: true });
      await writable.write('damage');
      await writable.close();
    }
  }
}

test('two tabs do not download the same model at once', async ({ page, context, server }) => {
  const bytes = noise(1_000_000);
  const store = await openStore(page);
  const url = server.put(MODEL, bytes, { holdAt: 500_000 });
  const first = store.get('fetch', url);
  await page.waitForFunction('progress.length > 0');
  const other = await openStore(await context.newPage());
  const busy = 'model.safetensors: this model is being downloaded in another tab';
  expect(await other.error('fetch', url)).toContain(busy);
  expect(await other.error('forget', url)).toContain(busy);
  expect((await other.get('list'))[0]).toMatchObject({ place: url, complete: false });
  server.release(MODEL);
  expect(await first).toEqual([[url, bytes.length, sha256(bytes)]]);
  expect(await other.get('fetch', url)).toEqual([[url, bytes.length, sha256(bytes)]]);
  expect(server.asked(MODEL).length).toBe(1);
});

test('a failed download says why, in one line', async ({ page, server, elsewhere, context }) => {
  const store = await openStore(page);
  const page404 = { headers: { 'Content-Type': 'text/html' } };
  for (const [place, expected] of [
    [server.put('/m/a.pt', '', { status: 404 }), '/m/a.pt: expected a file, the server answered 404 Not Found: check the address'],
    [server.put('/m/b.pt', '', { status: 403 }), 'it requires permission'],
    [server.put('/m/c.pt', '', { status: 500 }), '500 Internal Server Error: try again later'],
    [server.put('/m/d.pt', '<h1>', page404), 'expected a model, found a web page'],
    [elsewhere.put('/e.pt', 'no CORS'), '/e.pt: the network failed, or the server does not let other sites read its files (CORS)'],
    ['/m/model.zip', 'expected the address of a .safetensors, .pt, .tar, .tar.gz, .tgz or .yaml file'],
    ['file:///m/model.pt', 'expected an http or https address, found "file:///m/model.pt"'],
    ['/m/model.pt#sha256=12', 'expected a sha256 of 64 hexadecimal digits, found "12"'],
  ]) {
    const error = await store.error('fetch', place);
    expect(error).toContain(expected);
    expect(error).not.toContain('\n');
  }
  await context.setOffline(true);
  expect(await store.error('fetch', '/m/f.pt')).toContain('the browser is offline');
});

test('a model that does not fit is refused, and the error says how much space it needs', async ({ page, server }) => {
  const store = await openStore(page);
  const url = server.put(MODEL, noise(5_000_000));
  // Reported before anything is downloaded.
  const huge = server.put('/huge.safetensors', 'x', { headers: { 'Content-Length': `${2e13}` }, holdAt: 0 });
  expect(await store.error('fetch', huge)).toMatch(/needs 20 TB more, and this site may store [\d.]+ [GT]B: /);
  const browser = await page.context().newCDPSession(page);
  await browser.send('Storage.overrideQuotaForOrigin', { origin: server.url, quotaSize: 2_000_000 });
  expect(await store.error('fetch', url)).toMatch(
    /QuotaExceededError: .*model.safetensors: needs [\d.]+ MB more, and this browser has no space for it: /,
  );
  // Not even a new folder's description fits.
  const other = server.put('/other.safetensors', 'x');
  expect(await store.error('fetch', other)).toMatch(/other.safetensors: needs more space, and this browser has no space for it/);
  await browser.send('Storage.overrideQuotaForOrigin', { origin: server.url });
  expect((await store.get('fetch', url))[0][1]).toBe(5_000_000);
});
