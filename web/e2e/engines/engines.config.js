// The same tests in browsers that Playwright does not drive: `npm run engines`, which needs xvfb-run. Chromium has its own,
// larger set of tests in the parent folder; `npm run engines -- --project chromium` runs these tests in Chromium too.

import { defineConfig } from '@playwright/test';

export default defineConfig({
  testDir: '.',
  outputDir: '../out/engines',
  workers: 1,
  forbidOnly: Boolean(process.env.CI),
  reporter: 'list',
  timeout: 900_000,
  expect: { timeout: 60_000 },
  // Models and a software rasterizer share the cores. Playwright reports a test that passes the second time as flaky.
  retries: 1,
  projects: ['firefox', 'webkit', 'chromium'].map((engine) => ({ name: engine, use: /** @type {any} */ ({ engine }) })),
});
