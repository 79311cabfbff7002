// A place for files that last as long as the tab they belong to.

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
   * Removes what closed tabs left, and nothing that open ones use: those hold the lock of their name.
   * @param {FileSystemDirectoryHandle} all with one folder a tab
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
      // Never given back: it ends with the tab.
      navigator.locks.request(lockOf(name), () => new Promise(() => held(undefined))).catch(failed);
    });
    return this.#all.getDirectoryHandle(name, { create: true });
  }
}

/** @param {string} name */
function lockOf(name) {
  return `residua scratch ${name}`;
}
