// The folder of stored models: one entry per model, changed by only one tab at a time.

import { Entry, nothingYet, remove } from './entry.js';
import { busy, shown } from './messages.js';
import { folderName } from './place.js';

/** @typedef {import('./entry.js').About} About */

/** Time that a closed or reloaded tab may take to release its lock, in milliseconds. */
const PATIENCE = 1500;

export class Entries {
  /** @type {FileSystemDirectoryHandle} */
  #folder;

  /** @param {FileSystemDirectoryHandle} folder */
  constructor(folder) {
    this.#folder = folder;
  }

  /** All entries; `about` is null if it was never completely written. */
  async *all() {
    for await (const folder of this.#folder.values()) {
      const entry = new Entry(/** @type {FileSystemDirectoryHandle} */ (folder));
      yield { entry, about: await entry.about() };
    }
  }

  /**
   * @param {string} url
   * @returns {Promise<{ entry: Entry, about: About } | null>}
   */
  async find(url) {
    const folder = await this.#folder.getDirectoryHandle(await folderName(url)).catch(() => null);
    const entry = folder && new Entry(folder);
    const about = await entry?.about();
    return entry && about ? { entry, about } : null;
  }

  /**
   * A new entry; replaces any old one.
   * @param {string} url
   */
  async create(url) {
    await this.remove(url);
    const entry = new Entry(await this.#folder.getDirectoryHandle(await folderName(url), { create: true }));
    const about = nothingYet(url);
    await entry.save(about);
    return { entry, about };
  }

  /**
   * Removes an entry; it is no error if there is none.
   * @param {string} url
   */
  async remove(url) {
    try {
      await remove(this.#folder, await folderName(url));
    } catch (error) {
      throw /** @type {Error} */ (error).name === 'NoModificationAllowedError' ? busy(shown(url)) : error;
    }
  }

  /** Removes what closed tabs left behind: entries without a readable `about`, and other files of complete ones. */
  async sweep() {
    for await (const [name, folder] of this.#folder.entries()) {
      const entry = new Entry(/** @type {FileSystemDirectoryHandle} */ (folder));
      // A tab that is writing it holds the lock.
      await navigator.locks.request(lockOf(name), { ifAvailable: true }, async (lock) => {
        if (!lock) return;
        const about = await entry.about();
        if (!about) await remove(this.#folder, name);
        else if (about.complete) await entry.keepOnly(about.files);
      });
    }
  }

  /**
   * Runs `work` with the entry locked against other changes, in this tab and others.
   * @template T
   * @param {string} url
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  async alone(url, work) {
    const signal = AbortSignal.timeout(PATIENCE);
    let began = false;
    const begin = () => {
      began = true;
      return work();
    };
    try {
      return await navigator.locks.request(lockOf(await folderName(url)), { signal }, begin);
    } catch (error) {
      throw signal.aborted && !began ? busy(shown(url)) : error;
    }
  }
}

/** @param {string} folder */
function lockOf(folder) {
  return `residua model ${folder}`;
}
