// Hashing of what is stored already, in pieces.

/**
 * A running sha-256.
 * @typedef {object} Hasher
 * @property {(bytes: Uint8Array<ArrayBuffer>) => void} update
 * @property {() => string} finish gives 64 lower-case hexadecimal digits
 */

/** @typedef {'download' | 'check' | 'unpack'} Step */
/** @typedef {(done: number, total: number | null, step: Step) => void} Progress */

/**
 * Calls `use` with each piece of a stream. (Not every browser can `for await` one.)
 * @param {ReadableStream<Uint8Array<ArrayBuffer>>} stream
 * @param {(piece: Uint8Array<ArrayBuffer>) => void | Promise<void>} use
 */
export async function eachPiece(stream, use) {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      await use(value);
    }
  } catch (error) {
    await reader.cancel().catch(() => {});
    throw error;
  }
}

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
