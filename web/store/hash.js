// Hashes stored files piece by piece.

import { eachPiece } from './stream.js';

/**
 * An incremental SHA-256.
 * @typedef {object} Hasher
 * @property {(bytes: Uint8Array<ArrayBuffer>) => void} update
 * @property {() => string} finish returns 64 lower-case hexadecimal digits
 */

/** @typedef {'download' | 'check' | 'unpack'} Step */
/** @typedef {(done: number, total: number | null, step: Step) => void} Progress */

/**
 * @param {Blob} blob
 * @param {Hasher} hasher
 * @param {{ progress?: Progress, signal?: AbortSignal }} options
 */
export async function hashBlob(blob, hasher, { progress, signal }) {
  let done = 0;
  await eachPiece(blob.stream(), (piece) => {
    signal?.throwIfAborted();
    hasher.update(piece);
    progress?.((done += piece.length), blob.size, 'check');
  });
}
