// What a browser's GPU may lack: the page says so, and the models run where they can.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { WEB } from './base.js';
import { encode } from './native.js';
import { expect, test } from './studio.js';
import { RQVAE, wide } from './wide.js';

test.describe.configure({ timeout: 600_000 });

/** Lines that change each shader as `change`, a body with `code`, says. */
const shaders = (/** @type {string} */ change) => `
  const { createShaderModule } = GPUDevice.prototype;
  const changed = (code) => { ${change} };
  GPUDevice.prototype.createShaderModule = function (wish) {
    return createShaderModule.call(this, { ...wish, code: changed(wish.code) });
  };`;

/**
 * Each: the problem, lines that cause it before the worker's own script, where the models then run, and all warnings expected,
 * latest first.
 */
const LACKING = /** @type {const} */ ([
  ['no adapter', 'GPU.prototype.requestAdapter = async () => null;', 'CPU', [/^Warning: the models run on the CPU, which is slower: .*has no WebGPU adapter: update it/]],
  [
    'an adapter that refuses',
    `GPUAdapter.prototype.requestDevice = async () => {
      throw new DOMException('a test refuses', 'OperationError');
    };`,
    'CPU',
    [/^Warning: the models run on the CPU, which is slower: .*open the graphics adapter \w+ \(.*a test refuses\): restart the browser$/],
  ],
  [
    'kernels that are wrong',
    // Group norm, and one block size of the convolution.
    shaders(`
      const small = code.includes('const CHANNEL_THREADS = 16u;') && code.includes('const ROW_THREADS = 2u;');
      return (small ? code.replace('channels.left, pixels.left', 'channels.left, pixels.right') : code).replaceAll('inverseSqrt(', 'exp(');`),
    'GPU',
    [
      /^Warning: the GPU kernel GroupNorm is off, because it gave wrong results on this GPU \(.*\): update its driver$/,
      /^Warning: the GPU kernel Conv2d is off, because it gave wrong results on this GPU \(3x3 5->7 at 9x11, Same\): update its driver$/,
      /^Warning: this GPU computes a wrong result \((Conv2d|GroupNorm), .*; (Conv2d|GroupNorm), .*\): update its driver; reloading the model$/,
      /^Warning: the GPU kernel (Conv2d|GroupNorm) gives wrong results on this GPU/,
      /^Warning: the GPU kernel (Conv2d|GroupNorm) gives wrong results on this GPU/,
    ],
  ],
  [
    'a kernel that is wrong, and so is what replaces it',
    shaders('return code.replaceAll(/\\b(inverseSqrt|sqrt)\\(/g, "exp(");'),
    'CPU',
    [
      /^Warning: this GPU computes a wrong result \(GroupNorm, .*\): update its driver; the models continue on the CPU, which is slower; reloading the model$/,
      /^Warning: the GPU kernel GroupNorm gives wrong results on this GPU/,
    ],
  ],
]);

/** Serves the worker with extra lines at its start. */
async function stub(/** @type {import('./server.js').Server} */ server, /** @type {string} */ lines) {
  server.put('/worker.js', `${lines}\n${await readFile(path.join(WEB, 'dist', 'worker.js'), 'utf8')}`);
}

for (const [what, lines, device, said] of LACKING) {
  test(`${what}: the models run on the ${device}, and the page says why @alone`, async ({ server, studio }, info) => {
    await stub(server, lines);
    await studio.open('?device=gpu');
    expect(await studio.codes()).toEqual(await encode('assets/samples/red-cat.png', 'cpu', info.outputPath('codes.npy')));
    await expect(studio.find('button', 'Dismiss')).toBeAttached();
    await studio.keep(`lacking-${what.replaceAll(' ', '-')}`);
    const log = await studio.log();
    expect(log.find((line) => line.includes('the models run on the'))).toContain(`the models run on the ${device}`);
    const wrong = log.filter((line) => !line.startsWith('Note: '));
    expect(wrong).toEqual(said.map((line) => expect.stringMatching(line)));
  });
}

test('a model with a tensor too large for the adapter is refused, and both sizes are reported @alone', async ({ server, studio }) => {
  const { bytes, largest } = await wide();
  const most = largest - 4;
  // Real devices bind at least 128 MB.
  await stub(server, `
    const { get } = Object.getOwnPropertyDescriptor(GPUDevice.prototype, 'limits');
    const less = { get: (limits, key) => (key === 'maxStorageBufferBindingSize' ? ${most} : limits[key]) };
    Object.defineProperty(GPUDevice.prototype, 'limits', { get() { return new Proxy(get.call(this), less); } });
  `);
  const model = server.put('/models/wide.safetensors', bytes);
  await studio.visit(`?${new URLSearchParams({ device: 'gpu', model, rqvae: RQVAE })}`);
  await expect(studio.find('button', 'Dismiss')).toBeAttached();
  await studio.keep('lacking-buffers');
  const mb = (/** @type {number} */ bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
  const errors = (await studio.log()).filter((line) => line.startsWith('Error: '));
  expect(errors).toEqual([expect.stringContaining(
    `takes ${mb(largest)}, but this graphics device binds at most ${mb(most)}: run the model on the CPU, or in f16 or q8`)]);
  // The default model is used instead.
  await expect(studio.mirror).toContainText('characters-128 is loaded');
});
