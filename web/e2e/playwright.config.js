// Runs the tests in the system's Chromium, with WebGPU on its software rasterizer: `npm ci`, then `npx playwright test`.

import { defineConfig } from '@playwright/test';

/** WebGPU where there is no GPU; without the last two, the first frame drawn to a canvas loses the device. */
const SOFTWARE_WEBGPU = [
  '--enable-unsafe-webgpu',
  '--enable-features=Vulkan',
  '--use-vulkan=swiftshader',
  '--use-webgpu-adapter=swiftshader',
  '--use-angle=swiftshader',
];

export default defineConfig({
  testDir: '.',
  // They have a configuration of their own.
  testIgnore: 'engines/**',
  outputDir: 'out',
  snapshotPathTemplate: 'snapshots/{testFilePath}/{arg}{ext}',
  workers: 1,
  forbidOnly: Boolean(process.env.CI),
  reporter: 'list',
  use: {
    screenshot: 'only-on-failure',
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      // The sandbox doesn't start as root, as which containers run.
      args: ['--no-sandbox', ...SOFTWARE_WEBGPU],
    },
  },
});
