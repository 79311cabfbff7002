// The `config.yaml` in the same folder as published weights.

import { writeFile } from './entry.js';
import { hashBlob } from './hash.js';
import { eachPiece } from './stream.js';

/** @typedef {import('./entry.js').StoredFile} StoredFile */

export const NAME = 'config.yaml';
/** A configuration is a page of text; a larger file is something else. */
const MAX_BYTES = 1 << 20;

/**
 * Fetches the configuration into `folder`.
 * @param {string} weights address of the weights
 * @param {FileSystemDirectoryHandle} folder
 * @param {() => import('./hash.js').Hasher} newHasher
 * @param {AbortSignal} [signal]
 * @returns {Promise<StoredFile[] | null>} the configuration; empty if the server has none; null if that is unclear
 */
export async function fetchConfig(weights, folder, newHasher, signal) {
  const bytes = await readConfig(weights, signal);
  if (!(bytes instanceof Blob)) return bytes;
  const hasher = newHasher();
  await hashBlob(bytes, hasher, { signal });
  await writeFile(folder, NAME, new Uint8Array(await bytes.arrayBuffer()));
  return [{ path: NAME, stored: NAME, bytes: bytes.size, sha256: hasher.finish() }];
}

/**
 * @param {string} weights address of the weights
 * @param {AbortSignal} [signal]
 * @returns {Promise<Blob | [] | null>} the configuration; empty if the server has none; null if that is unclear
 */
export async function readConfig(weights, signal) {
  try {
    const response = await fetch(new URL(NAME, weights), { signal, cache: 'no-store' });
    // For a missing file, some servers answer 403, and some send an error page.
    const isPage = response.headers.get('content-type')?.startsWith('text/html');
    if (isPage || (response.status >= 400 && response.status < 500)) return [];
    return response.ok ? await upTo(MAX_BYTES, response) : null;
  } catch (error) {
    // A missing file on another site may look like a network failure.
    if (error instanceof TypeError) return null;
    throw error;
  }
}

/**
 * @param {number} limit
 * @param {Response} response
 */
async function upTo(limit, { body, url }) {
  /** @type {Uint8Array<ArrayBuffer>[]} */
  const pieces = [];
  let size = 0;
  if (!body) return null;
  await eachPiece(body, (piece) => {
    size += piece.length;
    if (size > limit) throw new Error(`${url}: expected a configuration of at most ${limit} bytes, found more`);
    pieces.push(piece);
  });
  return new Blob(pieces);
}
