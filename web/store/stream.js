// Reading a stream piece by piece, in a way that every browser has.

/**
 * Calls `use` with each piece of a stream. (`for await` would do the same, but Safari cannot iterate a stream.)
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
