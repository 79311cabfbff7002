// Stores models in this origin's private file system: fetched once, then available offline.
//
// Fetching and unpacking need a dedicated worker, where files can be written in place; listing, verifying and
// deleting work anywhere. A stored model is one folder; its `about.json` says what is complete, and is written last.

import { fetchConfig } from './store/config.js';
import { download } from './store/download.js';
import { Entries } from './store/entries.js';
import { Entry, writeFile } from './store/entry.js';
import { hashBlob } from './store/hash.js';
import { canGoOn, keepsNothing, shown, withRoom, wrongHash } from './store/messages.js';
import { parsePlace } from './store/place.js';
import { Scratch } from './store/scratch.js';
import { unpack } from './store/unpack.js';

/** @typedef {import('./store/entry.js').About} About */
/** @typedef {{ entry: Entry, about: About }} Found */
/** @typedef {import('./store/hash.js').Hasher} Hasher */
/** @typedef {import('./store/hash.js').Progress} Progress */
/** @typedef {import('./store/place.js').Place} Place */

/**
 * @typedef {object} FetchOptions
 * @property {string} [sha256] expected hash of the download, in hexadecimal; the address may give it as a fragment
 * @property {Progress} [progress] gets the bytes done, the total (null if unknown), and the step: `check` reads what is
 *   already stored, `download` and `unpack` write
 * @property {AbortSignal} [signal] stops; the partial download stays and is resumed the next time
 */

/**
 * @typedef {object} Listed
 * @property {string} place its address
 * @property {number} bytes on disk
 * @property {boolean} complete
 * @property {string | null} sha256 of the download, once it is complete
 * @property {{ path: string, bytes: number, sha256: string }[]} files paths relative to the model's folder
 */

/** Name of the download in its entry's folder. */
const DOWNLOAD = 'download';

export class Store {
  /** @type {Entries} */
  #models;
  /** @type {Scratch} */
  #scratch;
  /** @type {() => Hasher} */
  #newHasher;

  /**
   * @param {Entries} models
   * @param {Scratch} scratch
   * @param {() => Hasher} newHasher
   */
  constructor(models, scratch, newHasher) {
    this.#models = models;
    this.#scratch = scratch;
    this.#newHasher = newHasher;
  }

  /**
   * Opens this origin's store, and removes what closed tabs left behind.
   * @param {() => Hasher} newHasher returns a new incremental SHA-256
   */
  static async open(newHasher) {
    const root = await ownRoot();
    const models = new Entries(await root.getDirectoryHandle('models', { create: true }));
    const scratch = await Scratch.open(await root.getDirectoryHandle('scratch', { create: true }));
    await models.sweep();
    return new Store(models, scratch, newHasher);
  }

  /**
   * Throws if the browser has a file system but cannot write files in place. Dedicated workers only.
   */
  async tryWriting() {
    try {
      await writeFile(await this.#scratch.folder(), 'trial', new Uint8Array(1));
    } catch (error) {
      throw keepsNothing(error);
    }
  }

  /**
   * Asks the browser to keep the models when disk space runs low. Main thread only. Best called on the first download,
   * because some browsers ask the user.
   * @returns {Promise<boolean>} whether it will keep them
   */
  static async keep() {
    /** @type {{ persisted: () => Promise<boolean>, persist?: () => Promise<boolean> }} */
    const storage = navigator.storage;
    return (await storage.persisted()) || (await storage.persist?.().catch(() => false)) || false;
  }

  /**
   * The files of the model at an address; downloads only what is not stored yet.
   * @param {string} address of a `.safetensors`, `.pt` (with the `config.yaml` in the same folder, if any), `.yaml`,
   *   `.tar`, `.tar.gz` or `.tgz` (unpacked)
   * @param {FetchOptions} [options]
   * @returns {Promise<[string, Blob][]>} virtual paths, e.g. `https://host/ffhq.tar.gz/stage1/config.yaml`, and contents
   */
  async fetch(address, options = {}) {
    const place = parsePlace(address, options.sha256);
    const stored = await this.#stored(place);
    if (stored) return stored;
    const complete = () => this.#models.alone(place.url, () => this.#complete(place, options));
    return withRoom(shown(place.url), complete);
  }

  /**
   * Unpacks a local archive. Its files last as long as this tab.
   * @param {File} file
   * @param {{ progress?: Progress, signal?: AbortSignal }} [options]
   * @returns {Promise<[string, Blob][]>} as from `fetch`, with paths such as `ffhq.tar.gz/stage1/config.yaml`
   */
  async unpackLocal(file, options = {}) {
    const folder = await this.#scratch.folder();
    const job = { ...options, folder, name: file.name, newHasher: this.#newHasher };
    const files = await withRoom(file.name, () => unpack(file, job));
    const blobs = files.map(async ({ path, stored }) => {
      const blob = await new Entry(folder).blob(stored);
      return /** @type {[string, Blob]} */ ([`${file.name}/${path}`, blob]);
    });
    return Promise.all(blobs);
  }

  /** @returns {Promise<Listed[]>} all stored models, complete or not, sorted by address */
  async list() {
    /** @type {Listed[]} */
    const found = [];
    for await (const { entry, about } of this.#models.all()) {
      if (!about) continue;
      const { place, complete, sha256 } = about;
      const files = about.files.map(({ path, bytes, sha256 }) => ({ path, bytes, sha256 }));
      found.push({ place, bytes: await entry.bytes(), complete, sha256, files });
    }
    return found.sort((a, b) => (a.place < b.place ? -1 : 1));
  }

  /**
   * Deletes a model, complete or not. It is no error if it is not stored.
   * @param {string} address
   */
  async forget(address) {
    const { url } = parsePlace(address);
    await this.#models.alone(url, () => this.#models.remove(url));
  }

  /**
   * Reads a stored model again and checks its hashes.
   * @param {string} address
   * @param {{ progress?: Progress, signal?: AbortSignal }} [options] progress restarts with each file
   * @returns {Promise<string[]>} paths of the damaged files, if any
   */
  async verify(address, options = {}) {
    const { url } = parsePlace(address);
    const found = await this.#models.find(url);
    if (!found) throw new Error(`${shown(url)}: expected a stored model, found none: fetch it first`);
    const damaged = [];
    for (const { path, stored, bytes, sha256 } of found.about.files) {
      const hasher = this.#newHasher();
      const blob = await found.entry.blob(stored).catch(() => new Blob());
      await hashBlob(blob, hasher, options);
      if (blob.size !== bytes || hasher.finish() !== sha256) damaged.push(path);
    }
    return damaged;
  }

  /**
   * The stored files; null if any is missing, or a different version is requested.
   * @param {Place} place
   */
  async #stored({ url, root, sha256 }) {
    const found = await this.#models.find(url);
    if (!found?.about.complete || (sha256 ?? found.about.sha256) !== found.about.sha256) return null;
    return found.entry.blobs(found.about, root);
  }

  /**
   * Fetches what is missing. The caller holds the entry's lock.
   * @param {Place} place
   * @param {FetchOptions} options
   */
  async #complete(place, options) {
    // Another tab may have just done it. Damaged files and other versions do not count.
    const stored = await this.#stored(place);
    if (stored) return stored;
    const found = await this.#begun(place);
    if (found.about.sha256 === null) await this.#download(place, found, options);
    if (place.kind === 'archive') await this.#unpack(place, found, options);
    else await this.#addConfig(place, found, options);
    const blobs = await found.entry.blobs(found.about, place.root);
    if (!blobs) throw new Error(`${shown(place.url)}: the browser lost the files that were just stored: try again`);
    return blobs;
  }

  /**
   * The entry to continue, or a new one if it is unusable.
   * @param {Place} place
   * @returns {Promise<Found>}
   */
  async #begun({ url, root, sha256 }) {
    const found = await this.#models.find(url);
    if (!found || found.about.complete) return this.#models.create(url);
    const { entry, about } = found;
    const isWanted = about.sha256 === null || (sha256 ?? about.sha256) === about.sha256;
    return isWanted && (await entry.blobs(about, root)) ? found : this.#models.create(url);
  }

  /**
   * @param {Place} place
   * @param {Found} found
   * @param {FetchOptions} options
   */
  async #download({ url, kind, name, sha256: expected }, { entry, about }, { progress, signal }) {
    const save = () => entry.save(about);
    const { folder } = entry;
    const newHasher = this.#newHasher;
    const { bytes, sha256 } = await download({ url, folder, name: DOWNLOAD, about, save, newHasher, progress, signal });
    if ((expected ?? sha256) !== sha256) {
      await this.#models.remove(url);
      throw wrongHash(url, expected ?? '', sha256);
    }
    about.sha256 = sha256;
    if (kind !== 'archive') about.files = [{ path: name, stored: DOWNLOAD, bytes, sha256 }];
    await save();
  }

  /**
   * @param {Place} place
   * @param {Found} found
   * @param {FetchOptions} options
   */
  async #unpack({ url }, { entry, about }, { progress, signal }) {
    const job = { folder: entry.folder, name: shown(url), newHasher: this.#newHasher, progress, signal };
    try {
      about.files = await unpack(await entry.blob(DOWNLOAD), job);
    } catch (error) {
      if (!canGoOn(error, signal)) await this.#models.remove(url);
      throw error;
    }
    about.complete = true;
    await entry.save(about);
    await entry.keepOnly(about.files);
  }

  /**
   * Adds the configuration published with the weights. If it is unclear whether there is one, the weights are used
   * without it, and the next fetch tries again.
   * @param {Place} place
   * @param {Found} found
   * @param {FetchOptions} options
   */
  async #addConfig({ url, kind }, { entry, about }, { signal }) {
    const hasOne = kind === 'weights with config';
    const found = hasOne ? await fetchConfig(url, entry.folder, this.#newHasher, signal) : [];
    if (!found) return;
    about.files.push(...found);
    about.complete = true;
    await entry.save(about);
  }
}

/** The store's folder. */
async function ownRoot() {
  // Only secure pages have it, and not every browser does.
  if (!navigator.storage?.getDirectory) throw keepsNothing(new Error('it has no private file system here'));
  try {
    const root = await navigator.storage.getDirectory();
    return await root.getDirectoryHandle('residua', { create: true });
  } catch (error) {
    throw keepsNothing(error);
  }
}
