// Temporary files, which last as long as their tab.

import { remove } from './entry.js';

export class Scratch {
  /** @type {FileSystemDirectoryHandle} */
  #all;
  /** @type {Promise<FileSystemDirectoryHandle> | undefined} */
  #own;
  #folders = 0;

  /** @param {FileSystemDirectoryHandle} all */
  constructor(all) {
    this.#all = all;
  }

  /**
   * Removes the folders of closed tabs. Open tabs hold the locks of theirs.
   * @param {FileSystemDirectoryHandle} all has one folder per tab
   */
  static async open(all) {
    for await (const name of all.keys()) {
      await navigator.locks.request(lockOf(name), { ifAvailable: true }, async (lock) => {
        if (lock) await remove(all, name);
      });
    }
    return new Scratch(all);
  }

  /** A new folder. */
  async folder() {
    this.#own ??= this.#begin();
    return (await this.#own).getDirectoryHandle(`${this.#folders++}`, { create: true });
  }

  async #begin() {
    const name = crypto.randomUUID();
    await new Promise((held, failed) => {
      // Never released: the lock lasts as long as the tab.
      navigator.locks.request(lockOf(name), () => new Promise(() => held(undefined))).catch(failed);
    });
    return this.#all.getDirectoryHandle(name, { create: true });
  }
}

/** @param {string} name */
function lockOf(name) {
  return `residua scratch ${name}`;
}
