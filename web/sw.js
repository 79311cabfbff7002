// The service worker: keeps the page's own files, so that it opens without a network after the first visit.
//
// It is registered as `sw.js?VERSION` (see shell.js), so each build of the page has a worker and a cache of its own,
// and a page gets all its files from one of them: never old JavaScript with new wasm. A worker that waits for the old
// one to go takes over at the next visit or reload, as soon as no other tab shows the page.

/// <reference lib="webworker" />
const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));

const PREFIX = 'residua shell ';
const VERSION = decodeURIComponent(new URL(worker.location.href).search.slice(1));
const INDEX = 'index.html';
const ACTIVATE = 'activate';

/** @typedef {{ version: string, files: string[] }} Shell written by the build; files are relative to it */

worker.addEventListener('install', (event) => event.waitUntil(precache()));
worker.addEventListener('activate', (event) => event.waitUntil(removeOthers()));
worker.addEventListener('message', ({ data }) => {
  if (data === ACTIVATE) worker.skipWaiting();
});
worker.addEventListener('fetch', (event) => {
  const { method, url, cache } = event.request;
  // `no-store` is how models are downloaded: those have a store of their own.
  if (method !== 'GET' || new URL(url).origin !== worker.location.origin || cache === 'no-store') return;
  event.respondWith(answer(event.request));
});

/** Stores all files of this version or none. */
async function precache() {
  const { files } = await readShell();
  const responses = await Promise.all(files.map(fetchFile));
  // Files that changed between the first and the last of them would not fit each other.
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

/** What a request is stored as: the page itself, whatever its search part, is one file. */
function keyOf(/** @type {Request} */ request) {
  const { origin, pathname } = new URL(request.url);
  const address = origin + pathname;
  const isIndex = address === worker.registration.scope || address === addressOf(INDEX);
  return isIndex ? addressOf(INDEX) : request;
}

/** Whether a newer version waits, and only the page that is being left or reloaded still uses this one. */
async function isReplaceable() {
  return Boolean(worker.registration.waiting) && (await worker.clients.matchAll()).length < 2;
}

/** Lets the newer version take over, then has the browser ask again: it answers that. */
function reloaded() {
  worker.registration.waiting?.postMessage(ACTIVATE);
  return new Response('', { headers: { Refresh: '0', 'Content-Type': 'text/html' } });
}
