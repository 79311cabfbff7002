// Downloads an address into a file, piece by piece, and resumes an earlier download.

import { openFile, writeAll } from './entry.js';
import { badStatus, cut, full, room, shown, unreachable, webPage } from './messages.js';
import { eachPiece } from './stream.js';

/** @typedef {import('./entry.js').About} About */
/** @typedef {import('./hash.js').Hasher} Hasher */
/** @typedef {import('./hash.js').Progress} Progress */

/** Bytes between two flushes: the most that a crash can lose. */
const FLUSH_EVERY = 8 << 20;
/** Bytes to read back at a time for hashing. */
const PIECE = 1 << 20;

/**
 * A download.
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
 * Downloads the missing part of the file. On failure the received part stays, and the next call resumes from it.
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

/** The received part of the file, with its hash. */
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
   * Keeps only the first `length` bytes of the file, and hashes them.
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
 * Requests the missing part. If the response does not continue the received part, that is discarded.
 * @param {Part} part
 */
async function answer(part) {
  const { job } = part;
  let response = await request(job, part.bytes);
  if (part.bytes > 0 && !continues(response, part)) {
    part.keep(0);
    // If the response has the whole file, there is no need to ask again.
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
 * Requests the bytes from `start`. It sends no `If-Range`, which would need a CORS preflight that most servers refuse:
 * {@link continues} compares the validators instead. `no-store` keeps gigabytes out of the browser's cache, and tells
 * the service worker to ignore the request.
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
 * Whether the response continues the part: the same version of the file, starting where the part ends.
 * @param {Response} response
 * @param {Part} part
 */
function continues(response, part) {
  const { validator, total } = part.job.about;
  if (response.status !== 206 || validatorOf(response) !== validator) return false;
  return (total === null || totalOf(response, part.bytes) === total) && startOf(response) === part.bytes;

  /** @param {Response} partial */
  function startOf(partial) {
    // Other sites rarely expose this header; assume the start that was requested.
    const range = partial.headers.get('content-range');
    return range === null ? part.bytes : Number(/^bytes (\d+)-/.exec(range)?.[1]);
  }
}

/**
 * Identifies a version of the file. A weak ETag does not.
 * @param {Response} response
 */
function validatorOf({ headers }) {
  const tag = headers.get('etag');
  return tag?.startsWith('"') ? tag : headers.get('last-modified');
}

/**
 * Size of the whole file in bytes, if the server reports it.
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
  // A compressed transfer cannot be resumed: byte positions here differ from the server's.
  job.about.validator = response.headers.has('content-encoding') ? null : validatorOf(response);
  // The old part must be gone from disk before the new validator is saved.
  part.handle.flush();
  await job.save();
  await checkRoom(part);
  try {
    if (response.body) await eachPiece(response.body, (piece) => part.append(piece));
  } catch (error) {
    throw error instanceof TypeError ? cut(job.url, part.bytes, job.about.total) : error;
  }
  // More may arrive than announced: some servers compress the transfer without exposing that header.
  if (missing(part)) throw cut(job.url, part.bytes, job.about.total);
}

/** @param {Part} part */
function missing({ bytes, job }) {
  return job.about.total === null ? null : Math.max(job.about.total - bytes, 0);
}

/**
 * Reports a lack of space before downloading for an hour, not after.
 * @param {Part} part
 */
async function checkRoom(part) {
  const needed = missing(part);
  if (needed !== null && needed > (await room())) throw await full(shown(part.job.url), needed);
}
