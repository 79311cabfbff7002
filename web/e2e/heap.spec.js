// Weights go to the GPU tensor by tensor: the program never holds a model.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from './base.js';
import { ROOT } from './native.js';

test.setTimeout(240_000);

const MB = 1 << 20;
/** What may be held besides the largest tensor. */
const BESIDES = 64 * MB;
/** Widths of emoji-64's transformer, and those of the model that is made of it. */
const WIDTHS = new Map([[192, 1024], [768, 4096]]);
const HEADS = 16;

/** @typedef {{ dtype: 'F16' | 'F32', shape: number[], data_offsets: [number, number] }} Tensor */

/** A transformer like emoji-64's, wider, all zeros. */
async function wide() {
  const small = await readFile(path.join(ROOT, 'assets', 'emoji-64', 'stage2.safetensors'));
  const { __metadata__: metadata, ...tensors } = JSON.parse(small.toString('utf8', 8, 8 + Number(small.readBigUInt64LE())));
  const config = JSON.parse(metadata.config);
  config.arch.embed_dim = WIDTHS.get(config.arch.embed_dim);
  for (const stack of [config.arch.body, config.arch.head]) stack.block.n_head = HEADS;
  let [end, largest] = [0, 0];
  for (const tensor of /** @type {Tensor[]} */ (Object.values(tensors))) {
    tensor.shape = tensor.shape.map((size) => WIDTHS.get(size) ?? size);
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

test('a model many times as large as the heap is loaded', async ({ page, server }) => {
  const { bytes, largest } = await wide();
  const url = server.put('/models/wide.safetensors', bytes);
  server.put('/blank.html', '<!doctype html><link rel="icon" href="data:,"><title>A page</title>');
  await page.goto('/blank.html');
  const { canSample, device, memory } = await page.evaluate(async (url) => {
    const { Residua } = await import('/residua.js');
    const residua = await Residua.load(url, { device: 'gpu', rqvae: '/assets/emoji-64/stage1.safetensors' });
    return { canSample: residua.canSample, device: residua.device, memory: await residua.memory() };
  }, url);
  console.log(`${(bytes.length / MB).toFixed(0)} MB loaded, largest tensor ${largest / MB} MB, heap ${(memory / MB).toFixed(0)} MB`);
  expect(canSample).toBe(true);
  expect(device).toMatch(/^gpu/);
  expect(bytes.length).toBeGreaterThan(2 * (largest + BESIDES));
  expect(memory).toBeLessThan(largest + BESIDES);
});
