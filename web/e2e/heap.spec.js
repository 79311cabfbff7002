// Weights go to the GPU tensor by tensor: the program never holds a whole model in memory.

import { expect, test } from './base.js';
import { RQVAE, wide } from './wide.js';

test.setTimeout(240_000);

const MB = 1 << 20;
/** Memory allowed besides the largest tensor, in bytes. */
const BESIDES = 64 * MB;

test('a model much larger than the heap is loaded @alone', async ({ page, server }) => {
  const { bytes, largest } = await wide();
  const url = server.put('/models/wide.safetensors', bytes);
  server.put('/blank.html', '<!doctype html><link rel="icon" href="data:,"><title>A page</title>');
  await page.goto('/blank.html');
  const { canSample, device, memory } = await page.evaluate(async ([url, rqvae]) => {
    const { Residua } = await import('/residua.js');
    const residua = await Residua.load(url, { device: 'gpu', rqvae });
    return { canSample: residua.canSample, device: residua.device, memory: await residua.memory() };
  }, [url, RQVAE]);
  console.log(`${(bytes.length / MB).toFixed(0)} MB loaded, largest tensor ${largest / MB} MB, heap ${(memory / MB).toFixed(0)} MB`);
  expect(canSample).toBe(true);
  expect(device).toMatch(/^gpu/);
  expect(bytes.length).toBeGreaterThan(2 * (largest + BESIDES));
  expect(memory).toBeLessThan(largest + BESIDES);
});
