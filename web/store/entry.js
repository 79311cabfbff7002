// One stored model: a flat folder of files, with a small file that describes them.

import { busy, full } from './messages.js';

/**
 * @typedef {object} StoredFile
 * @property {string} path relative to the model's root, e.g. `stage1/config.yaml`
 * @property {string} stored its name in the folder
 * @property {number} bytes
 * @property {string} sha256
 */

/**
 * @typedef {object} About
 * @property {string} place its address
 * @property {string | null} validator ETag or Last-Modified of the download in progress
 * @property {number | null} total size of the download in bytes, if the server reports it
 * @property {string | null} sha256 of the download, once it is complete
 * @property {StoredFile[]} files that are complete
 * @property {boolean} complete whether everything has been fetched
 */

const ABOUT = 'about.json';

/**
 * @param {string} place
 * @returns {About}
 */
export function nothingYet(place) {
  return { place, validator: null, total: null, sha256: null, files: [], complete: false };
}

export class Entry {
  /** @param {FileSystemDirectoryHandle} folder */
  constructor(folder) {
    this.folder = folder;
  }

  /** @returns {Promise<About | null>} null if it is missing, or writing it was interrupted */
  async about() {
    try {
      return JSON.parse(await (await this.blob(ABOUT)).text());
    } catch {
      return null;
    }
  }

  /** @param {About} about */
  async save(about) {
    await writeFile(this.folder, ABOUT, new TextEncoder().encode(JSON.stringify(about)));
  }

  /**
   * @param {string} name
   * @returns {Promise<File>}
   */
  async blob(name) {
    return (await this.folder.getFileHandle(name)).getFile();
  }

  /**
   * Removes all other files.
   * @param {StoredFile[]} files
   */
  async keepOnly(files) {
    const kept = new Set([ABOUT, ...files.map(({ stored }) => stored)]);
    for await (const name of this.folder.keys()) if (!kept.has(name)) await remove(this.folder, name);
  }

  /** Bytes on disk, of complete and partial files. */
  async bytes() {
    let sum = 0;
    for await (const handle of this.folder.values()) {
      if (handle.kind === 'file' && handle.name !== ABOUT) sum += (await handle.getFile()).size;
    }
    return sum;
  }

  /**
   * @param {About} about
   * @param {string} root
   * @returns {Promise<[string, Blob][] | null>} null if a file is missing or has the wrong size
   */
  async blobs(about, root) {
    /** @type {[string, Blob][]} */
    const found = [];
    for (const { path, stored, bytes } of about.files) {
      const blob = await this.blob(stored).catch(() => null);
      if (blob?.size !== bytes) return null;
      found.push([root + path, blob]);
    }
    return found;
  }
}

/**
 * An exclusive handle; the caller must close it. Dedicated workers only.
 * @param {FileSystemDirectoryHandle} folder
 * @param {string} name
 * @param {string} place for messages
 */
export async function openFile(folder, name, place) {
  const file = await folder.getFileHandle(name, { create: true });
  try {
    return await file.createSyncAccessHandle();
  } catch (error) {
    throw /** @type {Error} */ (error).name === 'NoModificationAllowedError' ? busy(place) : error;
  }
}

/**
 * Removes a file, or a folder with its contents, if it still exists.
 * @param {FileSystemDirectoryHandle} folder
 * @param {string} name
 */
export async function remove(folder, name) {
  try {
    await folder.removeEntry(name, { recursive: true });
  } catch (error) {
    if (/** @type {Error} */ (error).name !== 'NotFoundError') throw error;
  }
}

/**
 * @param {FileSystemDirectoryHandle} folder
 * @param {string} name
 * @param {Uint8Array<ArrayBuffer>} bytes
 */
export async function writeFile(folder, name, bytes) {
  const handle = await openFile(folder, name, name);
  try {
    handle.truncate(0);
    await writeAll(handle, bytes, 0, name, bytes.length);
    handle.flush();
  } finally {
    handle.close();
  }
}

/**
 * @param {FileSystemSyncAccessHandle} handle
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @param {number} at
 * @param {string} what for messages
 * @param {number | null} needed bytes still to store, for messages
 */
export async function writeAll(handle, bytes, at, what, needed) {
  try {
    if (handle.write(bytes, { at }) === bytes.length) return;
  } catch (error) {
    if (/** @type {Error} */ (error).name !== 'QuotaExceededError') throw error;
  }
  throw await full(what, needed);
}
