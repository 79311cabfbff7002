// Reads a tar as a stream. Memory use does not depend on sizes in headers, and paths outside the folder are refused.

/**
 * @typedef {object} TarEntry
 * @property {string} name as in the archive
 * @property {boolean} isFile
 * @property {string | null} refused why it cannot be unpacked, if it is neither a file nor a folder
 * @property {() => AsyncGenerator<Uint8Array<ArrayBuffer>>} body its bytes; unread ones are skipped
 */

const BLOCK = 512;
/** Limit for the names and attributes before an entry, in bytes: tar sets none, and they are read into memory. */
const MAX_ENTRY_HEADER = 1 << 20;

const LINK = 'is a link: pack the file itself, for example with `tar -h`';
const DEVICE = 'is a device: expected a file';

/** @type {Record<string, boolean | string>} by kind: whether an entry is a file, or why it cannot be unpacked */
const KINDS = {
  '0': true,
  '\0': true,
  '7': true,
  '5': false,
  g: false,
  1: LINK,
  2: LINK,
  3: DEVICE,
  4: DEVICE,
  6: DEVICE,
};

/**
 * The entries of a tar (ustar, GNU long names, pax paths and sizes). Reads the stream to its end, because a `.gz` has
 * its checksum there.
 * @param {ReadableStream<Uint8Array<ArrayBuffer>>} stream
 * @param {string} archive its name, for messages
 * @returns {AsyncGenerator<TarEntry>}
 */
export async function* readTar(stream, archive) {
  const input = new Input(stream, archive);
  try {
    for (let header; (header = await nextHeader(input)); ) {
      const entry = { name: header.name, ...checked(header, archive) };
      const body = input.pieces(header.size);
      yield { ...entry, body: () => body };
      await drain(body);
      await input.exactly(-header.size & (BLOCK - 1));
    }
    while (await input.piece(Infinity));
  } finally {
    await input.close();
  }
}

/** @param {AsyncGenerator<unknown>} pieces */
async function drain(pieces) {
  while (!(await pieces.next()).done);
}

/**
 * @typedef {object} Header
 * @property {string} name
 * @property {string} kind
 * @property {number} size
 */

/**
 * The header of the next entry, combined with the extended headers before it.
 * @param {Input} input
 * @returns {Promise<Header | null>} null at the end
 */
async function nextHeader(input) {
  /** @type {{ name?: string, size?: number }} */
  const said = {};
  for (let allowed = MAX_ENTRY_HEADER; ; ) {
    const block = await input.blockOrEnd();
    if (!block || block.every((byte) => byte === 0)) return null;
    const header = parseHeader(block, input);
    const read = EXTENSIONS[header.kind];
    if (!read) return { ...header, ...said };
    allowed -= header.size + 2 * BLOCK;
    if (allowed < 0) throw input.damaged(`an entry's header is larger than ${MAX_ENTRY_HEADER} bytes`);
    const bytes = await input.exactly(header.size);
    await input.exactly(-header.size & (BLOCK - 1));
    Object.assign(said, read(bytes, input));
  }
}

/** @type {Record<string, (bytes: Uint8Array, input: Input) => { name?: string, size?: number }>} */
const EXTENSIONS = {
  L: (bytes) => ({ name: text(bytes) }),
  K: () => ({}),
  x: parsePax,
};

/**
 * @param {Uint8Array} block
 * @param {Input} input
 * @returns {Header}
 */
function parseHeader(block, input) {
  const sum = block.reduce((sum, byte, at) => sum + (at >= 148 && at < 156 ? 32 : byte), 0);
  if (number(block.subarray(148, 156), input) !== sum) throw input.damaged("a header's checksum is wrong");
  const name = text(block.subarray(0, 100));
  // Only true ustar has a prefix there; GNU's format has timestamps.
  const prefix = text(block.subarray(257, 263)) === 'ustar' ? text(block.subarray(345, 500)) : '';
  return {
    name: prefix && block[262] === 0 ? `${prefix}/${name}` : name,
    kind: String.fromCharCode(block[156]),
    size: number(block.subarray(124, 136), input),
  };
}

/** @param {Uint8Array} bytes ends at the first zero, if any */
function text(bytes) {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/**
 * Parses octal digits, or GNU's binary format for larger numbers.
 * @param {Uint8Array} field
 * @param {Input} input
 */
function number(field, input) {
  const digits = text(field).trim();
  const value =
    field[0] & 0x80
      ? field.reduce((value, byte, at) => value * 256 + (at === 0 ? byte & 0x7f : byte), 0)
      : /^[0-7]*$/.test(digits)
        ? parseInt(digits || '0', 8)
        : NaN;
  if (!Number.isSafeInteger(value)) throw input.damaged('a header has no number where one is expected');
  return value;
}

/**
 * Parses records such as `17 path=model.pt\n`, each of which starts with its own length in bytes.
 * @param {Uint8Array} bytes
 * @param {Input} input
 */
function parsePax(bytes, input) {
  /** @type {{ name?: string, size?: number }} */
  const said = {};
  for (let at = 0; at < bytes.length; ) {
    const length = parseInt(text(bytes.subarray(at, at + 20)), 10);
    const [, key, value] = /^\d+ ([^=]*)=([^]*)\n$/.exec(text(bytes.subarray(at, at + length))) ?? [];
    if (!(length > 0 && at + length <= bytes.length) || key === undefined) throw input.damaged('an extended header is malformed');
    if (key === 'path') said.name = value;
    if (key === 'size') said.size = /^\d{1,15}$/.test(value) ? Number(value) : NaN;
    at += length;
  }
  if (Number.isNaN(said.size)) throw input.damaged('an extended header has no number where one is expected');
  return said;
}

/**
 * Whether the entry is a file that can be unpacked; throws if its path leads outside the folder.
 * @param {Header} header
 * @param {string} archive
 */
function checked({ name, kind }, archive) {
  if (name.startsWith('/') || name.split('/').includes('..')) {
    throw wrong(archive, name, 'leads outside the folder: do not trust this archive');
  }
  const isFile = KINDS[kind] ?? 'is of an unknown kind: expected a file';
  return { isFile: isFile === true && !name.endsWith('/'), refused: typeof isFile === 'string' ? isFile : null };
}

/** @param {string} archive @param {string} name @param {string} what */
export function wrong(archive, name, what) {
  return new Error(`${archive}: entry ${JSON.stringify(name)} ${what}`);
}

/** Reads a stream in pieces of chosen lengths. */
class Input {
  /** @type {Uint8Array<ArrayBuffer>} read from the stream but not yet used */
  #rest = new Uint8Array(0);
  #reader;
  #archive;

  /**
   * @param {ReadableStream<Uint8Array<ArrayBuffer>>} stream
   * @param {string} archive
   */
  constructor(stream, archive) {
    this.#reader = stream.getReader();
    this.#archive = archive;
  }

  /** @param {string} why */
  damaged(why) {
    return new Error(`${this.#archive}: not a complete .tar or .tar.gz (${why}): download it again`);
  }

  /**
   * Some of the next bytes, at most `limit`.
   * @param {number} limit
   * @returns {Promise<Uint8Array<ArrayBuffer> | null>} null at the end
   */
  async piece(limit) {
    while (this.#rest.length === 0) {
      const { done, value } = await this.#read();
      if (done) return null;
      this.#rest = value;
    }
    const piece = this.#rest.subarray(0, limit);
    this.#rest = this.#rest.subarray(piece.length);
    return piece;
  }

  async #read() {
    try {
      return await this.#reader.read();
    } catch (error) {
      throw this.damaged(/** @type {Error} */ (error).message.replace(/\.$/, ''));
    }
  }

  /** @param {number} length */
  async *pieces(length) {
    for (let left = length; left > 0; ) {
      const piece = await this.piece(left);
      if (!piece) throw this.damaged('it ends too early');
      left -= piece.length;
      yield piece;
    }
  }

  /** @param {number} length */
  async exactly(length) {
    const bytes = new Uint8Array(length);
    let at = 0;
    for await (const piece of this.pieces(length)) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return bytes;
  }

  /** The next block, or null at the end of the input. */
  async blockOrEnd() {
    const first = await this.piece(BLOCK);
    if (!first) return null;
    const block = new Uint8Array(BLOCK);
    block.set(first);
    block.set(await this.exactly(BLOCK - first.length), first.length);
    return block;
  }

  /** Cancels the stream if it has not ended. */
  async close() {
    await this.#reader.cancel().catch(() => {});
  }
}
