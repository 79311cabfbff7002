// Replaces the store if the browser has no file system, as in some private windows: files stay in memory and are lost
// with the page.

import { NAME, readConfig } from './config.js';
import { hashBlob } from './hash.js';
import { badStatus, shown, wrongHash } from './messages.js';
import { parsePlace } from './place.js';
import { wholeBody } from './stream.js';

export class NoStore {
  #newHasher;

  /** @param {() => import('./hash.js').Hasher} newHasher returns a new incremental SHA-256 */
  constructor(newHasher) {
    this.#newHasher = newHasher;
  }

  /**
   * Like `Store.fetch`, but downloads each time.
   * @param {string} address
   * @param {{ sha256?: string, progress?: (done: number, total: number | null) => void, signal?: AbortSignal }} [options]
   * @returns {Promise<[string, Blob][]>}
   */
  async fetch(address, { sha256, progress, signal } = {}) {
    const { url, kind, name, root, sha256: expected } = parsePlace(address, sha256);
    if (kind === 'archive') throw keptNowhere(shown(url));
    const response = await fetch(url, { cache: 'no-store', signal });
    if (!response.ok) throw badStatus(url, response);
    const blob = await wholeBody(response, progress);
    if (expected !== null) {
      const hasher = this.#newHasher();
      await hashBlob(blob, hasher, { signal });
      const found = hasher.finish();
      if (found !== expected) throw wrongHash(url, expected, found);
    }
    const config = kind === 'weights with config' ? await readConfig(url, signal) : null;
    return config instanceof Blob ? [[root + name, blob], [root + NAME, config]] : [[root + name, blob]];
  }

  /**
   * @param {File} file
   * @returns {Promise<[string, Blob][]>}
   */
  async unpackLocal(file) {
    throw keptNowhere(file.name);
  }

  /** @returns {Promise<import('../store.js').Listed[]>} */
  async list() {
    return [];
  }

  async forget() {}
}

/** @param {string} archive */
function keptNowhere(archive) {
  return new Error(`${archive}: this browser cannot store files, so archives cannot be unpacked here: unpack it yourself and drop the files here`);
}
