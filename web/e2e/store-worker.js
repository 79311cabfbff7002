// The store in a dedicated worker. Returns files as path, size and hash.

import { Store } from '../store.js';
import { Sha256 } from './sha256.js';

const opening = Store.open(() => new Sha256());
let stop = new AbortController();

/** Stops as the page's worker does. */
function halt() {
  stop.abort(new Error('stopped'));
}

/** @param {[string, Blob][]} files */
async function describe(files) {
  const described = files.map(async ([path, blob]) => {
    const hasher = new Sha256();
    hasher.update(new Uint8Array(await blob.arrayBuffer()));
    return [path, blob.size, hasher.finish()];
  });
  return Promise.all(described);
}

onmessage = async ({ data: { id, method, args } }) => {
  const progress = (/** @type {unknown[]} */ ...progress) => postMessage({ id, progress });
  const options = () => ({ progress, signal: (stop = new AbortController()).signal });
  const store = await opening;
  /** @type {Record<string, (...args: any[]) => unknown>} */
  const methods = {
    fetch: async (place, more) => describe(await store.fetch(place, { ...options(), ...more })),
    /** Stops at the first progress of a step. */
    fetchUntil: (place, step) => {
      const stopAt = (/** @type {unknown[]} */ ...told) => { if (told[2] === step) halt(); };
      return store.fetch(place, { ...options(), progress: stopAt });
    },
    unpackLocal: async (file) => describe(await store.unpackLocal(file, options())),
    stop: halt,
    list: () => store.list(),
    forget: (place) => store.forget(place),
    verify: (place) => store.verify(place),
  };
  try {
    postMessage({ id, result: await methods[method](...args) });
  } catch (error) {
    postMessage({ id, error: `${error.name}: ${error.message}` });
  }
};
