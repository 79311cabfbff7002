// The download size of the studio, as gzipped by the build. A build with `build.sh --quick` is too large.

import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { expect, test, WEB } from './base.js';

/** Gzipped wasm and JavaScript, in bytes. */
const BUDGET = 4.7e6;

test('the programs and scripts are small', () => {
  const dist = path.join(WEB, 'dist');
  const names = /** @type {string[]} */ (readdirSync(dist, { recursive: true }));
  const sizes = names
    .filter((name) => /\.(wasm|js)\.gz$/.test(name))
    .map((name) => /** @type {[string, number]} */ ([name, statSync(path.join(dist, name)).size]));
  expect(sizes.length).toBeGreaterThan(10);
  const total = sizes.reduce((sum, [, size]) => sum + size, 0);
  console.log(`${total} bytes of wasm and JavaScript, gzipped`);
  expect(total, sizes.map(([name, size]) => `${name}: ${size}`).join('\n')).toBeLessThanOrEqual(BUDGET);
});
