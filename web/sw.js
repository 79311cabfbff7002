// The service worker: stores the page's own files, so that it opens offline after the first visit.
//
// It is registered as `sw.js?VERSION` (see shell.js), so each build of the page has its own worker and cache, and a page
// gets all its files from the same one: never old JavaScript with new wasm. A new worker takes over at the next visit or
// reload, once no other tab shows the page.

/// <reference lib="webworker" />
const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));

/** Begins the names of this page's caches: all pages of an origin share one list of caches. */
const PREFIX = `residua shell ${worker.registration.scope} `;
const VERSION = decodeURIComponent(new URL(worker.location.href).search.slice(1));
const INDEX = 'index.html';
const ACTIVATE = 'activate';

/** @typedef {{ version: string, files: string[] }} Shell written by the build; paths are relative to shell.json */

worker.addEventListener('install', (event) => event.waitUntil(precache()));
worker.addEventListener('activate', (event) => event.waitUntil(removeOthers()));
worker.addEventListener('message', ({ data }) => {
  if (data === ACTIVATE) worker.skipWaiting();
});
worker.addEventListener('fetch', (event) => {
  const { method, url, cache } = event.request;
  // Models are downloaded with `no-store`: they have their own store.
  if (method !== 'GET' || new URL(url).origin !== worker.location.origin || cache === 'no-store') return;
  event.respondWith(answer(event.request));
});

/** Stores all files of this version, or none. */
async function precache() {
  const { files } = await readShell();
  const responses = await Promise.all(files.map(fetchFile));
  // Check again: files of two versions would not work together.
  await readShell();
  const cache = await caches.open(PREFIX + VERSION);
  await Promise.all(files.map((file, i) => cache.put(addressOf(file), responses[i])));
}

/** @returns {Promise<Shell>} */
async function readShell() {
  const shell = await (await fetchFile('shell.json')).json();
  if (shell.version === VERSION) return shell;
  throw new Error(`expected version ${VERSION} of the page, found ${shell.version}: reload it`);
}

/** @param {string} file */
async function fetchFile(file) {
  const response = await fetch(addressOf(file), { cache: 'no-cache' });
  if (!response.ok) throw new Error(`${file}: expected a file of the page, the server answered ${response.status}`);
  // A browser refuses to open a page that is marked as redirected.
  return response.redirected ? new Response(response.body, response) : response;
}

/** @param {string} file */
function addressOf(file) {
  return new URL(file, worker.registration.scope).href;
}

async function removeOthers() {
  const names = await caches.keys();
  const others = names.filter((name) => name.startsWith(PREFIX) && name !== PREFIX + VERSION);
  await Promise.all(others.map((name) => caches.delete(name)));
}

/** @param {Request} request */
async function answer(request) {
  if (request.mode === 'navigate' && (await isReplaceable())) return reloaded();
  const cache = await caches.open(PREFIX + VERSION);
  return (await cache.match(keyOf(request))) ?? fetch(request);
}

/** The cache key of a request. The page itself is one file, whatever its query. */
function keyOf(/** @type {Request} */ request) {
  const { origin, pathname } = new URL(request.url);
  const address = origin + pathname;
  const isIndex = address === worker.registration.scope || address === addressOf(INDEX);
  return isIndex ? addressOf(INDEX) : request;
}

/** Whether a newer version is waiting, and no page but the one being left or reloaded still uses this one. */
async function isReplaceable() {
  return Boolean(worker.registration.waiting) && (await worker.clients.matchAll()).length < 2;
}

/** Lets the newer version take over, then makes the browser reload, so that the newer version answers. */
function reloaded() {
  worker.registration.waiting?.postMessage(ACTIVATE);
  return new Response('', { headers: { Refresh: '0', 'Content-Type': 'text/html' } });
}
