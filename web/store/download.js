// One address into one file, piece by piece, going on where an earlier download stopped.

import { openFile, writeAll } from './entry.js';
import { badStatus, cut, full, room, shown, unreachable, webPage } from './messages.js';
import { eachPiece } from './stream.js';

/** @typedef {import('./entry.js').About} About */
/** @typedef {import('./hash.js').Hasher} Hasher */
/** @typedef {import('./hash.js').Progress} Progress */

/** Bytes between two flushes: what a crash can lose. */
const FLUSH_EVERY = 8 << 20;
/** Bytes of a piece that is read back to be hashed. */
const PIECE = 1 << 20;

/**
 * What a download works with.
 * @typedef {object} Job
 * @property {string} url
 * @property {FileSystemDirectoryHandle} folder
 * @property {string} name of the file in the folder
 * @property {About} about `validator` and `total` are kept up to date
 * @property {() => Promise<void>} save stores `about`
 * @property {() => Hasher} newHasher
 * @property {Progress} [progress]
 * @property {AbortSignal} [signal]
 */

/**
 * Downloads what is missing of the file. What is there stays when this fails, and the next call goes on with it.
 * @param {Job} job
 * @returns {Promise<{ bytes: number, sha256: string }>} of the whole file
 */
export async function download(job) {
  const part = new Part(job, await openFile(job.folder, job.name, shown(job.url)));
  try {
    part.keep(job.about.validator === null ? 0 : part.handle.getSize());
    if (part.bytes === 0 || part.bytes !== job.about.total) await receive(part, await answer(part));
    return { bytes: part.bytes, sha256: part.hasher.finish() };
  } finally {
    part.handle.flush();
    part.handle.close();
  }
}

/** The part of the file that is there, with its hash. */
class Part {
  /**
   * @param {Job} job
   * @param {FileSystemSyncAccessHandle} handle
   */
  constructor(job, handle) {
    this.job = job;
    this.handle = handle;
    this.hasher = job.newHasher();
    this.bytes = 0;
  }

  /**
   * Keeps the first bytes of the file, and hashes them.
   * @param {number} length
   */
  keep(length) {
    const { newHasher, signal, progress } = this.job;
    this.handle.truncate(length);
    this.hasher = newHasher();
    const buffer = new Uint8Array(Math.min(PIECE, length));
    for (this.bytes = 0; this.bytes < length; ) {
      signal?.throwIfAborted();
      const read = this.handle.read(buffer, { at: this.bytes });
      this.hasher.update(buffer.subarray(0, read));
      this.bytes += read;
      progress?.(this.bytes, length, 'check');
    }
  }

  /** @param {Uint8Array<ArrayBuffer>} piece */
  async append(piece) {
    const { url, about, progress } = this.job;
    await writeAll(this.handle, piece, this.bytes, shown(url), missing(this));
    this.hasher.update(piece);
    const flushed = Math.floor(this.bytes / FLUSH_EVERY);
    this.bytes += piece.length;
    if (Math.floor(this.bytes / FLUSH_EVERY) > flushed) this.handle.flush();
    progress?.(this.bytes, about.total, 'download');
  }
}

/**
 * The server's answer to a wish for what is missing; the part is emptied if the answer is not its continuation.
 * @param {Part} part
 */
async function answer(part) {
  const { job } = part;
  let response = await request(job, part.bytes);
  if (part.bytes > 0 && !continues(response, part)) {
    part.keep(0);
    // A whole file may be what was answered: then there is no need to ask again.
    if (response.status !== 200) {
      await response.body?.cancel();
      response = await request(job, 0);
    }
  }
  if (!response.ok) throw badStatus(job.url, response);
  if (response.headers.get('content-type')?.startsWith('text/html')) throw webPage(job.url);
  return response;
}

/**
 * A wish for the bytes from `start`. It has no `If-Range`, which would make browsers ask servers of other sites for
 * permission first, and most refuse: {@link continues} compares the validators instead. `no-store` keeps gigabytes out
 * of the browser's cache, and tells the service worker that this is none of its business.
 * @param {Job} job
 * @param {number} start
 */
async function request({ url, signal }, start) {
  /** @type {Record<string, string>} */
  const headers = start > 0 ? { Range: `bytes=${start}-` } : {};
  try {
    return await fetch(url, { headers, signal, cache: 'no-store' });
  } catch (error) {
    throw error instanceof TypeError ? unreachable(url) : error;
  }
}

/**
 * Whether the answer goes on with the part: it is of the same version of the file, and begins where the part ends.
 * @param {Response} response
 * @param {Part} part
 */
function continues(response, part) {
  const { validator, total } = part.job.about;
  if (response.status !== 206 || validatorOf(response) !== validator) return false;
  return (total === null || totalOf(response, part.bytes) === total) && startOf(response) === part.bytes;

  /** @param {Response} partial */
  function startOf(partial) {
    // Servers of other sites seldom show this header; they were asked for no other start.
    const range = partial.headers.get('content-range');
    return range === null ? part.bytes : Number(/^bytes (\d+)-/.exec(range)?.[1]);
  }
}

/**
 * What tells one version of a file from another; a weak ETag doesn't.
 * @param {Response} response
 */
function validatorOf({ headers }) {
  const tag = headers.get('etag');
  return tag?.startsWith('"') ? tag : headers.get('last-modified');
}

/**
 * Bytes of the whole file, where the server tells.
 * @param {Response} response
 * @param {number} start
 */
function totalOf({ headers }, start) {
  const length = headers.get('content-length');
  return length === null || headers.has('content-encoding') ? null : start + Number(length);
}

/**
 * @param {Part} part
 * @param {Response} response
 */
async function receive(part, response) {
  const { job } = part;
  job.about.total = totalOf(response, part.bytes);
  // What was packed for the way can't be continued: the bytes that were counted here are others than the server's.
  job.about.validator = response.headers.has('content-encoding') ? null : validatorOf(response);
  // The old part is gone from the disk before the new validator is there.
  part.handle.flush();
  await job.save();
  await checkRoom(part);
  try {
    if (response.body) await eachPiece(response.body, (piece) => part.append(piece));
  } catch (error) {
    throw error instanceof TypeError ? cut(job.url, part.bytes, job.about.total) : error;
  }
  // More may come than was announced: packed for the way, by a server that doesn't show it.
  if (missing(part)) throw cut(job.url, part.bytes, job.about.total);
}

/** @param {Part} part */
function missing({ bytes, job }) {
  return job.about.total === null ? null : Math.max(job.about.total - bytes, 0);
}

/**
 * Better said before an hour of downloading than after it.
 * @param {Part} part
 */
async function checkRoom(part) {
  const needed = missing(part);
  if (needed !== null && needed > (await room())) throw await full(shown(part.job.url), needed);
}
