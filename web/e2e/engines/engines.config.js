// The same tests in browsers that Playwright does not drive: `npm run engines`, which needs xvfb-run.

import { defineConfig } from '@playwright/test';

export default defineConfig({
  testDir: '.',
  outputDir: '../out/engines',
  workers: 1,
  forbidOnly: Boolean(process.env.CI),
  reporter: 'list',
  timeout: 300_000,
  // `npm run engines -- --project chromium` runs them there, too; all of Chromium's own tests are beside this folder.
  projects: ['firefox', 'webkit', ...(process.argv.includes('chromium') ? ['chromium'] : [])].map((engine) => (
    { name: engine, use: /** @type {any} */ ({ engine }) }
  )),
});
