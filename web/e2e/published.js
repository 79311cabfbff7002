// Small published models with random weights, of 32x32 pixels: fast even on a software GPU.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { ROOT } from './native.js';
import { entry, tar } from './tar.js';

/** @typedef {import('./server.js').Server} Server */
/** @typedef {import('./server.js').Answer} Answer */

const FIXTURES = path.join(ROOT, 'tests', 'fixtures');

/** The folder of an RQ-VAE with 8x8x4 codes. */
export const STAGE1 = path.join(FIXTURES, 'rqvae-shared');

/** The folder of its transformer, which takes one of ten classes. A warning says that its average is of other weights. */
export const STAGE2 = path.join(FIXTURES, 'rqt-class');

/** The folder of another transformer of that RQ-VAE, which takes no class. */
const UNCONDITIONAL = path.join(FIXTURES, 'rqt-unconditional');

/** The folder of a contextual transformer of that RQ-VAE, with the same classes. */
export const CONTEXTUAL = path.join(FIXTURES, 'rqt-contextual');

/** The folder of another RQ-VAE, with 4x4x3 codes. */
export const OTHER = path.join(FIXTURES, 'rqvae-per-depth');

/** Names for the ten classes, which have none of their own. */
export const CLASSES = ['ants', 'bees', 'crabs', 'cats & dogs', 'eels', 'foxes', 'gnus', 'hens', 'ibexes', 'jays'];

/** The files of a published model. */
const FILES = ['config.yaml', 'model.pt'];

/** Both stages as they are published: a `.tar.gz`, in which a file may name the `classes`. */
export async function archive(/** @type {string[]} */ classes = []) {
  const files = [['stage1', STAGE1], ['stage2', STAGE2]].flatMap(([stage, folder]) =>
    FILES.map((name) => /** @type {const} */ ([`m/${stage}/${name}`, path.join(folder, name)])));
  const entries = await Promise.all(files.map(async ([name, file]) => entry(name, await readFile(file))));
  if (classes.length > 0) entries.push(entry('m/stage2/classes.txt', classes.join('\n')));
  return gzipSync(tar(...entries));
}

/**
 * Serves a published model: its weights, and its configuration beside them.
 * @param {Server} server
 * @param {string} folder
 * @param {Omit<Answer, 'bytes'>} [answer] how to serve the weights
 * @returns {Promise<string>} the address of the weights
 */
export async function publish(server, folder, answer) {
  const [config, weights] = await Promise.all(FILES.map((name) => readFile(path.join(folder, name))));
  const place = `/models/${path.basename(folder)}`;
  server.put(`${place}/config.yaml`, config);
  return server.put(`${place}/model.pt`, weights, answer);
}

/**
 * Serves a transformer and its RQ-VAE, each at its own address.
 * @param {Server} server
 * @param {string} [transformer] its folder
 */
export async function publishBoth(server, transformer = UNCONDITIONAL) {
  return { model: await publish(server, transformer), rqvae: await publish(server, STAGE1) };
}
