// Reads a stream piece by piece, in a way that works in every browser.

/**
 * Calls `use` with each piece of a stream. (`for await` would do the same, but Safari and older Chromes cannot iterate a stream.)
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
 * The whole body of a response.
 * @param {Response} response
 * @param {(done: number, total: number | null) => void} [progress] gets the bytes received, and the total if known
 */
export async function wholeBody({ headers, body }, progress = () => {}) {
  const length = headers.get('content-length');
  // A compressed transfer is longer once unpacked.
  const total = length === null || headers.has('content-encoding') ? null : Number(length);
  /** @type {Uint8Array<ArrayBuffer>[]} */
  const pieces = [];
  let done = 0;
  if (body) {
    await eachPiece(body, (piece) => {
      pieces.push(piece);
      progress((done += piece.length), total);
    });
  }
  return new Blob(pieces, { type: headers.get('content-type') ?? '' });
}
