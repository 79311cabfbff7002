// Runs the tests in the system's Chromium, with WebGPU on its software rasterizer: `npm ci`, then `npx playwright test`.

import { defineConfig } from '@playwright/test';

/** WebGPU without a GPU. Without the last two flags, the first frame drawn to a canvas loses the device. */
const SOFTWARE_WEBGPU = [
  '--enable-unsafe-webgpu',
  '--enable-features=Vulkan',
  '--use-vulkan=swiftshader',
  '--use-webgpu-adapter=swiftshader',
  '--use-angle=swiftshader',
];

export default defineConfig({
  testDir: '.',
  // These have their own configuration.
  testIgnore: 'engines/**',
  outputDir: 'out',
  snapshotPathTemplate: 'snapshots/{testFilePath}/{arg}{ext}',
  // Tests that use a GPU or measure time are called `@alone`: the software GPU takes all cores. `npm test` runs all others
  // side by side.
  workers: 1,
  fullyParallel: true,
  // A software rasterizer on a busy machine.
  timeout: 120_000,
  expect: { timeout: 60_000 },
  // Where frames take seconds, input may come too early. Playwright reports a test that passes the second time as flaky.
  retries: 1,
  forbidOnly: Boolean(process.env.CI),
  reporter: 'list',
  use: {
    screenshot: 'only-on-failure',
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      // Containers run as root, where the sandbox does not start.
      args: ['--no-sandbox', ...SOFTWARE_WEBGPU],
    },
  },
});
