// The page's worker: runs the engine's program, stores downloaded models, and answers the page. All computation, on GPU
// or CPU, happens here, so that the page itself never blocks.

import init, { Engine, Hasher, Models, assets, heap, put } from './residua_engine.js';
import { Store } from './store.js';
import { NoStore } from './store/none.js';
import { recall, remember } from './verdicts.js';

/** Requests that arrived before startup finished, in order. */
const waiting = [];
/** @type {Engine | undefined} */
let engine;
/** @type {Store | NoStore | undefined} */
let store;
/** Archives that the page has opened, by path; they must be unpacked first. */
const archives = new Map();

/** Interval for checking whether the user has stopped a download, in milliseconds. */
const WATCHED_EVERY = 250;
const ARCHIVE = /\.(tar|tgz|tar\.gz)$/i;
/** Names of PyTorch's weights, which are no archives. */
const WEIGHTS = /\.(pt|pth|ckpt)\.tar$/i;

/** Functions that the program calls; see crates/core/src/host.rs. */
const host = {
  fetch: async (place, progress) => {
    const files = await find(place, progress);
    await tell();
    return files;
  },
  breathe: () => new Promise((resume) => {
    turns.push(resume);
    turn.port2.postMessage(null);
  }),
  post: (bytes) => postMessage({ kind: 'answer', bytes }, [bytes.buffer]),
  save: (name, bytes) => postMessage({ kind: 'save', name, bytes }, [bytes.buffer]),
  lost: (why, again) => postMessage({ kind: 'lost', why, again }),
  recall,
  remember,
};

/** Yields to the event loop: a message to oneself is the fastest way. */
const turn = new MessageChannel();
const turns = [];
turn.port1.onmessage = () => turns.shift()();

/**
 * The files of a model, by its name, address or path. Stops when `progress` returns false.
 * @returns {Promise<[string, Blob][]>}
 */
async function find(place, progress) {
  const stop = new AbortController();
  const { signal } = stop;
  let last = [0, 0];
  const tell = (done, total) => {
    // The server may not report the file's size.
    last = [done, total ?? done];
    if (progress(...last) === false) stop.abort(new Error('stopped'));
  };
  // Lets the user also stop a download from a server that sends nothing.
  const watch = setInterval(() => tell(...last), WATCHED_EVERY);
  try {
    return await open(place, { progress: tell, signal });
  } finally {
    clearInterval(watch);
  }
}

async function open(place, options) {
  const bundled = place.startsWith('assets/') ? [place.slice('assets/'.length)] : assets(place);
  if (bundled.length > 0) return findAssets(bundled, options);
  if (archives.has(place)) {
    const files = await store.unpackLocal(archives.get(place), options);
    const folder = place.slice(0, place.lastIndexOf('/'));
    return files.map(([path, blob]) => [`${folder}/${path}`, blob]);
  }
  return /^https?:/i.test(place) ? store.fetch(place, options) : [];
}

/** Files that come with Residua: each version is fetched only once. */
async function findAssets(paths, { progress, signal }) {
  const response = await fetch(new URL('assets.json', import.meta.url));
  if (!response.ok) throw new Error(`assets.json: the server answered ${response.status}; rebuild the page`);
  const known = await response.json();
  const total = paths.reduce((sum, path) => sum + known[path].bytes, 0);
  const files = [];
  let before = 0;
  for (const path of paths) {
    const { sha256, bytes } = known[path];
    const place = new URL(`assets/${path}?${sha256.slice(0, 16)}`, import.meta.url).href;
    const found = await store.fetch(place, { sha256, signal, progress: (done) => progress(before + done, total) });
    files.push([`assets/${path}`, found[0][1]]);
    before += bytes;
  }
  return files;
}

/** Sends the list of stored models to the page, once `change` is done. No job depends on it: a failure is a warning. */
async function tell(change = async () => {}) {
  try {
    await change();
    postMessage({ kind: 'stored', list: await store.list() });
  } catch (error) {
    warn(error);
  }
}

/** Handlers of the page's messages, by kind. */
const actions = {
  start: async ({ device }) => {
    engine = await Engine.start(host, device);
    await tell();
  },
  order: ({ bytes }) => engine.take(bytes),
  files: ({ files }) => {
    for (const [path, file] of files) {
      if (ARCHIVE.test(path) && !WEIGHTS.test(path)) archives.set(path, file);
      else put(path, file);
    }
  },
  forget: ({ place }) => tell(() => store.forget(place)),
  call: ({ id, method, values }) => call(id, method, values),
};

/** @type {Models | undefined} */
let models;
const stopped = new Set();

/** Calls of the engine without the studio; see residua.js. */
async function call(id, method, values) {
  const progress = (done, total) => {
    postMessage({ kind: 'progress', id, done, total });
    return !stopped.has(id);
  };
  try {
    let value;
    if (method === 'open') models = await Models.open(host, ...values);
    else if (method === 'memory') value = heap();
    else value = await models[method](...values, progress);
    postMessage({ kind: 'return', id, value });
  } catch (error) {
    postMessage({ kind: 'return', id, error: said(error) });
  } finally {
    stopped.delete(id);
  }
}

/** The store. If the browser cannot store files, warns and returns one that keeps nothing. */
async function openStore() {
  const newHasher = () => new Hasher();
  try {
    const opened = await Store.open(newHasher);
    await opened.tryWriting();
    return opened;
  } catch (error) {
    warn(error);
    return new NoStore(newHasher);
  }
}

function warn(error) {
  postMessage({ kind: 'warning', line: said(error) });
}

function said(error) {
  return error instanceof Error ? error.message : String(error);
}

onmessage = ({ data }) => {
  if (data.kind === 'stop') stopped.add(data.id);
  else if (begun) act(data);
  else waiting.push(data);
};

let begun = false;
/** Actions run one after the other; the program's own work continues in parallel. */
let last = Promise.resolve();

function act(data) {
  last = last.then(() => actions[data.kind](data)).catch((error) => fail(error));
}

function fail(error) {
  postMessage({ kind: 'failed', why: said(error) });
}

self.addEventListener('unhandledrejection', (event) => fail(event.reason));

try {
  const program = init({ module_or_path: new URL('residua_engine_bg.wasm', import.meta.url) });
  await program;
  store = await openStore();
  begun = true;
  waiting.forEach(act);
} catch (error) {
  fail(error);
}
