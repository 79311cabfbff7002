// A browser without WebGPU: the page says so and runs the models on the CPU.

import { expect, test } from './studio.js';
import { encode } from './native.js';

test.use({
  launchOptions: {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-features=WebGPU,WebGPUService', '--use-angle=swiftshader', '--enable-unsafe-swiftshader'],
  },
});

// The tests in Firefox and WebKit do the same without requesting a device.
test('without WebGPU the models run on the CPU, even if the GPU is requested', async ({ studio }, info) => {
  test.setTimeout(600_000);
  const native = await encode('assets/samples/red-cat.png', 'cpu', info.outputPath('codes.npy'));
  await studio.open('?device=gpu');
  expect(await studio.codes()).toEqual(native);
  // The warning is visible without a click.
  await expect(studio.find('button', 'Dismiss')).toBeAttached();
  await studio.keep('no-webgpu');
  const wrong = (await studio.log()).filter((line) => !line.startsWith('Note: '));
  expect(wrong).toEqual([expect.stringMatching(/^Warning: the models run on the CPU, which is slower: .*WebGPU/)]);
});
