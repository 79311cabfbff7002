// A small published model: random weights, both stages, 8x8x4 codes and ten classes.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { ROOT } from './native.js';
import { entry, tar } from './tar.js';

const FIXTURES = path.join(ROOT, 'tests', 'fixtures');

/** The folder of its RQ-VAE. */
export const STAGE1 = path.join(FIXTURES, 'rqvae-shared');

/** The folder of its transformer. */
export const STAGE2 = path.join(FIXTURES, 'rqt-class');

/** Both stages as they are published: a `.tar.gz`. */
export async function archive() {
  const files = [['stage1', STAGE1], ['stage2', STAGE2]].flatMap(([stage, folder]) =>
    ['config.yaml', 'model.pt'].map((name) => /** @type {const} */ ([`m/${stage}/${name}`, path.join(folder, name)])));
  const entries = await Promise.all(files.map(async ([name, file]) => entry(name, await readFile(file))));
  return gzipSync(tar(...entries));
}
