// A model with large tensors, derived from the bundled one.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { ROOT } from './native.js';

/** Width of the model; its largest layers are this by four times this. */
const WIDTH = 1024;
const HEADS = 16;

/** @typedef {{ dtype: 'F16' | 'F32', shape: number[], data_offsets: [number, number] }} Tensor */

/** A transformer like emoji-64's, but wider and all zeros, and the size of its largest tensor in bytes. */
export async function wide() {
  const small = await readFile(path.join(ROOT, 'assets', 'emoji-64', 'stage2.safetensors'));
  const { __metadata__: metadata, ...tensors } = JSON.parse(small.toString('utf8', 8, 8 + Number(small.readBigUInt64LE())));
  const config = JSON.parse(metadata.config);
  const { embed_dim: width } = config.arch;
  const widths = new Map([[width, WIDTH], [4 * width, 4 * WIDTH]]);
  config.arch.embed_dim = WIDTH;
  for (const stack of [config.arch.body, config.arch.head]) stack.block.n_head = HEADS;
  let [end, largest] = [0, 0];
  for (const tensor of /** @type {Tensor[]} */ (Object.values(tensors))) {
    tensor.shape = tensor.shape.map((size) => widths.get(size) ?? size);
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
