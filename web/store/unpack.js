// Unpacks an archive into the flat folder of one model: only configurations and weights.

import { openFile, writeAll } from './entry.js';
import { readTar, wrong } from './tar.js';

/** @typedef {import('./entry.js').StoredFile} StoredFile */
/** @typedef {import('./hash.js').Hasher} Hasher */
/** @typedef {import('./hash.js').Progress} Progress */

// Names that begin with a dot do not belong to a model: macOS adds `._model.pt` to `model.pt`.
const WEIGHTS = /(^|\/)[^./][^/]*\.((pt|pth|ckpt)(\.tar)?|bin|safetensors)$/i;
const KEPT = /(^|\/)((config|model)\.ya?ml|config\.json|hparams\.yaml|(?!\.)[^/]*(project\.yaml|\.(safetensors|bin)\.index\.json)|classes\.txt)$/;

/**
 * @typedef {object} Job
 * @property {FileSystemDirectoryHandle} folder
 * @property {string} name of the archive, for messages
 * @property {() => Hasher} newHasher
 * @property {Progress} [progress]
 * @property {AbortSignal} [signal]
 */

/**
 * Unpacks a `.tar` or `.tar.gz` (recognized by its content). If all unpacked files share a top folder, the paths omit
 * it. On failure, all files are removed again.
 * @param {Blob} archive
 * @param {Job} job
 * @returns {Promise<StoredFile[]>} sorted by path
 */
export async function unpack(archive, job) {
  /** @type {StoredFile[]} */
  const files = [];
  try {
    for await (const { name, isFile, refused, body } of readTar(await decompressed(archive, job), job.name)) {
      // Whatever else is in the archive may be anything.
      if (!(WEIGHTS.test(name) || KEPT.test(name))) continue;
      if (refused) throw wrong(job.name, name, refused);
      if (!isFile) continue;
      const path = name.split('/').filter((part) => part && part !== '.').join('/');
      // As everywhere in tar, the last of several entries of a name is the file: `tar -r` adds them.
      const known = files.find((file) => file.path === path);
      const file = known ?? { path, stored: `unpacked-${files.length}`, bytes: 0, sha256: '' };
      if (!known) files.push(file);
      Object.assign(file, await copy(body(), file.stored, job));
    }
    if (!files.some(({ path }) => WEIGHTS.test(path))) throw nothing(job.name);
  } catch (error) {
    for (const { stored } of files) await job.folder.removeEntry(stored).catch(() => {});
    // A stream that was stopped only looks damaged.
    job.signal?.throwIfAborted();
    throw error;
  }
  return withoutTopFolder(files).sort((a, b) => (a.path < b.path ? -1 : 1));
}

/**
 * The tar's bytes, with progress.
 * @param {Blob} archive
 * @param {Job} job
 * @returns {Promise<ReadableStream<Uint8Array<ArrayBuffer>>>}
 */
async function decompressed(archive, { progress, signal }) {
  const magic = new Uint8Array(await archive.slice(0, 2).arrayBuffer());
  let done = 0;
  /** @type {TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>} */
  const counted = new TransformStream({
    transform(piece, controller) {
      progress?.((done += piece.length), archive.size, 'unpack');
      signal?.throwIfAborted();
      controller.enqueue(piece);
    },
  });
  const stream = archive.stream().pipeThrough(counted);
  return magic[0] === 0x1f && magic[1] === 0x8b ? stream.pipeThrough(new DecompressionStream('gzip')) : stream;
}

/**
 * @param {AsyncGenerator<Uint8Array<ArrayBuffer>>} pieces
 * @param {string} stored
 * @param {Job} job
 */
async function copy(pieces, stored, { folder, name, newHasher }) {
  const handle = await openFile(folder, stored, name);
  const hasher = newHasher();
  let bytes = 0;
  try {
    // An attempt that was killed may have left data.
    handle.truncate(0);
    for await (const piece of pieces) {
      await writeAll(handle, piece, bytes, name, null);
      hasher.update(piece);
      bytes += piece.length;
    }
    handle.flush();
  } finally {
    handle.close();
  }
  return { bytes, sha256: hasher.finish() };
}

/**
 * @param {StoredFile[]} files
 * @returns {StoredFile[]}
 */
function withoutTopFolder(files) {
  const [top, ...others] = new Set(files.map(({ path }) => path.slice(0, path.indexOf('/') + 1)));
  const shared = others.length === 0 ? top.length : 0;
  return files.map((file) => ({ ...file, path: file.path.slice(shared) }));
}

/** @param {string} archive */
function nothing(archive) {
  return new Error(`${archive}: expected config.yaml and a .pt or .safetensors, found none: choose another archive`);
}
