// Models kept by the browser, in the private file system of this origin: fetched once, then there without a network.
//
// Fetching and unpacking need a dedicated worker, where files can be written in place; looking, verifying and
// forgetting work anywhere. A stored model is one folder; `about.json` in it says what is whole, and is written last.

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
 * @property {string} [sha256] that the download must have, in hexadecimal digits; the address may say it as a fragment
 * @property {Progress} [progress] bytes done, bytes in all (null if not known), and the step: `check` reads what is
 *   there already, `download` and `unpack` write
 * @property {AbortSignal} [signal] stops; what was downloaded stays and is continued the next time
 */

/**
 * @typedef {object} Listed
 * @property {string} place its address
 * @property {number} bytes on disk
 * @property {boolean} complete
 * @property {string | null} sha256 of the download, once it is whole
 * @property {{ path: string, bytes: number, sha256: string }[]} files paths below the model's folder
 */

/** What a download is called in its entry's folder. */
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
   * Opens the store of this origin, and clears away what closed tabs left over.
   * @param {() => Hasher} newHasher gives a running sha-256
   */
  static async open(newHasher) {
    const root = await ownRoot();
    const models = new Entries(await root.getDirectoryHandle('models', { create: true }));
    const scratch = await Scratch.open(await root.getDirectoryHandle('scratch', { create: true }));
    await models.sweep();
    return new Store(models, scratch, newHasher);
  }

  /**
   * Throws where files cannot be written in place, though the browser has a file system. Dedicated workers only.
   */
  async tryWriting() {
    try {
      await writeFile(await this.#scratch.folder(), 'trial', new Uint8Array(1));
    } catch (error) {
      throw keepsNothing(error);
    }
  }

  /**
   * Asks the browser to keep the models when disk gets short. On the main thread only, best when the user has asked
   * for the first download: some browsers put the question to the user.
   * @returns {Promise<boolean>} whether it does
   */
  static async keep() {
    /** @type {{ persisted: () => Promise<boolean>, persist?: () => Promise<boolean> }} */
    const storage = navigator.storage;
    return (await storage.persisted()) || (await storage.persist?.().catch(() => false)) || false;
  }

  /**
   * The files of the model at an address, from the network only as far as they are not here.
   * @param {string} address of a `.safetensors`, `.pt` (with a `config.yaml` beside it, if there is one), `.yaml`,
   *   `.tar`, `.tar.gz` or `.tgz` (unpacked)
   * @param {FetchOptions} [options]
   * @returns {Promise<[string, Blob][]>} virtual path, e.g. `https://host/ffhq.tar.gz/stage1/config.yaml`, and bytes
   */
  async fetch(address, options = {}) {
    const place = parsePlace(address, options.sha256);
    const stored = await this.#stored(place);
    if (stored) return stored;
    const complete = () => this.#models.alone(place.url, () => this.#complete(place, options));
    return withRoom(shown(place.url), complete);
  }

  /**
   * Unpacks an archive of this computer. Its files last as long as this tab.
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

  /** @returns {Promise<Listed[]>} everything stored, whole or not, sorted by address */
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
   * Removes a model, whole or not. To forget what is not there is no error.
   * @param {string} address
   */
  async forget(address) {
    const { url } = parsePlace(address);
    await this.#models.alone(url, () => this.#models.remove(url));
  }

  /**
   * Reads a stored model again, to see whether the disk still has what was written.
   * @param {string} address
   * @param {{ progress?: Progress, signal?: AbortSignal }} [options] progress begins anew with each file
   * @returns {Promise<string[]>} paths of the damaged files: none, if all is well
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
   * What is complete; null if anything is missing, or another version is wanted.
   * @param {Place} place
   */
  async #stored({ url, root, sha256 }) {
    const found = await this.#models.find(url);
    if (!found?.about.complete || (sha256 ?? found.about.sha256) !== found.about.sha256) return null;
    return found.entry.blobs(found.about, root);
  }

  /**
   * Fetches what is missing. Nothing else changes this entry meanwhile.
   * @param {Place} place
   * @param {FetchOptions} options
   */
  async #complete(place, options) {
    // Another tab may have done it just now; what is damaged or of another version is of no use.
    const stored = await this.#stored(place);
    if (stored) return stored;
    const found = await this.#begun(place);
    if (found.about.sha256 === null) await this.#download(place, found, options);
    if (place.kind === 'archive') await this.#unpack(place, found, options);
    else await this.#addConfig(place, found, options);
    const blobs = await found.entry.blobs(found.about, place.root);
    if (!blobs) throw new Error(`${shown(place.url)}: the browser lost what was stored just now: try again`);
    return blobs;
  }

  /**
   * The entry as far as it is good.
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
      if (!canGoOn(error)) await this.#models.remove(url);
      throw error;
    }
    about.complete = true;
    await entry.save(about);
    await entry.folder.removeEntry(DOWNLOAD);
  }

  /**
   * Adds the configuration beside the weights. Where it can't be told whether there is one, the weights may do
   * without it; the next fetch looks again.
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

/** The folder that is the store. */
async function ownRoot() {
  // Only secure pages have it, and not in every browser.
  if (!navigator.storage?.getDirectory) throw keepsNothing(new Error('it has no private file system here'));
  try {
    const root = await navigator.storage.getDirectory();
    return await root.getDirectoryHandle('residua', { create: true });
  } catch (error) {
    throw keepsNothing(error);
  }
}
