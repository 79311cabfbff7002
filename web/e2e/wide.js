// A model with large tensors, derived from the bundled one.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { ROOT } from './native.js';

/** Width of the model; its largest layers are this by four times this. */
const WIDTH = 1024;
const HEADS = 16;

/** The RQ-VAE that its codes belong to, in the page. */
export const RQVAE = '/assets/characters-128/stage1.safetensors';

/** @typedef {{ dtype: 'F16' | 'F32', shape: number[], data_offsets: [number, number] }} Tensor */

/**
 * A transformer like that of characters-128, but wider, with one classifier for all depths, and all zeros. Also the size of its
 * largest tensor in bytes.
 */
export async function wide() {
  const small = await readFile(path.join(ROOT, 'assets', 'characters-128', 'contextual.safetensors'));
  const { __metadata__: metadata, ...tensors } = JSON.parse(small.toString('utf8', 8, 8 + Number(small.readBigUInt64LE())));
  const config = JSON.parse(metadata.config);
  const { embed_dim: width } = config.arch;
  const widths = new Map([[width, WIDTH], [4 * width, 4 * WIDTH]]);
  config.arch.embed_dim = WIDTH;
  for (const stack of [config.arch.body, config.arch.head]) stack.block.n_head = HEADS;
  // Those of all depths are one tensor, which is transposed in memory.
  config.arch.shared_cls_emb = true;
  const ofAllDepths = ['classifier.linear.weight', 'classifier.linear.bias'];
  let [end, largest] = [0, 0];
  for (const [name, tensor] of /** @type {[string, Tensor][]} */ (Object.entries(tensors))) {
    const shape = ofAllDepths.includes(name) ? tensor.shape.slice(1) : tensor.shape;
    tensor.shape = shape.map((size) => widths.get(size) ?? size);
    const bytes = tensor.shape.reduce((product, size) => product * size, tensor.dtype === 'F16' ? 2 : 4);
    tensor.data_offsets = [end, end + bytes];
    end += bytes;
    largest = Math.max(largest, bytes);
  }
  const header = Buffer.from(JSON.stringify({ __metadata__: { ...metadata, config: JSON.stringify(config) }, ...tensors }));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return { bytes: Buffer.concat([length, header, Buffer.alloc(end)]), largest };
}
