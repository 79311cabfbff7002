// What a visitor has to load before the studio is there. A build by `build.sh --quick` is too large.

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test, WEB } from './base.js';

/** Gzipped wasm and JavaScript, in bytes. */
const BUDGET = 4.5e6;

test('the programs and scripts are small', () => {
  const dist = path.join(WEB, 'dist');
  const names = /** @type {string[]} */ (readdirSync(dist, { recursive: true }));
  const sizes = names
    .filter((name) => /\.(wasm|js)$/.test(name))
    .map((name) => /** @type {[string, number]} */ ([name, gzipSync(readFileSync(path.join(dist, name)), { level: 9 }).length]));
  expect(sizes.length).toBeGreaterThan(10);
  const total = sizes.reduce((sum, [, size]) => sum + size, 0);
  console.log(`${total} bytes of wasm and JavaScript, gzipped`);
  expect(total, sizes.map(([name, size]) => `${name}: ${size}`).join('\n')).toBeLessThanOrEqual(BUDGET);
});
