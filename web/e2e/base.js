// The base of every test: a separate server, and so a fresh origin with empty storage.

import path from 'node:path';
import { test as base } from '@playwright/test';
import { Server } from './server.js';

export { expect } from '@playwright/test';

/** The folder of the page's sources. */
export const WEB = path.resolve(import.meta.dirname, '..');

/**
 * `root`: the folder to serve, by default the built page. `server`: serves it at `baseURL`. `elsewhere`: a server of
 * another origin, without files.
 * @type {import('@playwright/test').TestType<
 *   import('@playwright/test').PlaywrightTestArgs & import('@playwright/test').PlaywrightTestOptions &
 *   { root: string, server: Server, elsewhere: Server },
 *   import('@playwright/test').PlaywrightWorkerArgs & import('@playwright/test').PlaywrightWorkerOptions>}
 */
export const test = base.extend({
  root: [path.join(WEB, 'dist'), { option: true }],
  server: async ({ root }, use) => {
    const server = await Server.start(root);
    await use(server);
    await server.stop();
  },
  elsewhere: async ({}, use) => {
    const server = await Server.start(path.join(WEB, 'e2e', 'out', 'none'));
    await use(server);
    await server.stop();
  },
  baseURL: async ({ server }, use) => use(server.url),
});
