// The page in each browser: codes match the native program's, and the page says what the browser lacks.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { WEB } from '../base.js';
import { openedCodes } from '../gallery.js';
import { CAPTION, differing, encode, native, nativeCodes, ROOT, SAMPLE, strayed } from '../native.js';
import { CONTEXTUAL, publish, publishBoth, STAGE1 } from '../published.js';
import { expect, test } from './studio.js';

/** These browsers have no GPU here. */
const ON_CPU = /^Warning: the models run on the CPU, which is slower: .*WebGPU/;
/** Debian's WebKit, unlike Safari, has no private file system. */
const KEEPS_NOTHING = /^Warning: this browser cannot store models, so each visit downloads them again \(.*\): update it/;

/** Warnings expected in each browser. */
const WARNED = /** @type {Record<string, RegExp[]>} */ ({ webkit: [ON_CPU, KEEPS_NOTHING] });

const OTHER = path.join(ROOT, 'assets', 'samples', 'green-cat.png');

/** Serves a script with extra lines at its start. */
async function stub(/** @type {import('../server.js').Server} */ server, /** @type {string} */ script, /** @type {string} */ lines) {
  server.put(`/${script}`, `${lines}\n${await readFile(path.join(WEB, 'dist', script), 'utf8')}`);
}

/** Index of a code in an 8x8x4 stack. */
function place(/** @type {number} */ row, /** @type {number} */ col, /** @type {number} */ depth) {
  return (row * 8 + col) * 4 + depth - 1;
}

test('opens, says what the browser lacks, opens files and edits a code', async ({ engine, server, studio }, info) => {
  const folder = info.outputPath('native');
  await studio.open(server.url);
  await studio.keep('opened');
  expect(await studio.codes()).toEqual(nativeCodes(folder));
  const { psnr } = native('reconstruct', SAMPLE, '--out', info.outputPath('reconstructed'));
  await studio.has(new RegExp(`PSNR ${psnr.toFixed(2)} dB`));
  const expected = WARNED[engine] ?? [ON_CPU];
  const wrong = await studio.wrong();
  expect(wrong.length).toBe(expected.length);
  for (const line of expected) expect(wrong).toContainEqual(expect.stringMatching(line));
  await studio.keep('log');

  await studio.drop(OTHER);
  await studio.has('green-cat.png');
  await expect.poll(() => studio.codes(), { timeout: 300_000 }).toEqual(nativeCodes(folder, 'characters-128', OTHER));
  await studio.choose(SAMPLE);
  await expect.poll(() => studio.codes(), { timeout: 300_000 }).toEqual(nativeCodes(folder));
  await studio.idle();

  const opened = await studio.codes();
  await studio.click('Got it');
  await studio.hasNot('Got it', 'button');
  await studio.click('row 3, column 4');
  await studio.click(`depth 2: code ${opened[place(3, 4, 2)]}`);
  await studio.has(`Replace code ${opened[place(3, 4, 2)]} at depth 2`);
  await studio.enter('Code', 17);
  await expect.poll(async () => differing(await studio.codes(), opened)).toEqual([place(3, 4, 2)]);
  expect((await studio.codes())[place(3, 4, 2)]).toBe(17);
  await studio.idle();
  await studio.keep('edited');
  await studio.driver.press('Control', 'z');
  await expect.poll(() => studio.codes()).toEqual(opened);
  await studio.driver.press('Control', 'Shift', 'z');
  await expect.poll(async () => (await studio.codes())[place(3, 4, 2)]).toBe(17);
});

// The example, below, samples with the bundled model.
test('samples as the native program does', async ({ server, studio }, info) => {
  const { stacks } = native('sample', '--model', CONTEXTUAL, '--class', '3', '--seed', '77', '-o', info.outputPath('made'));
  await studio.open(`${server.url}/?${new URLSearchParams({ device: 'cpu', ...await publishBoth(server, CONTEXTUAL) })}`);
  await studio.enter('Class number', 3);
  await studio.enter('Seed', 77);
  await studio.enter('Pictures', 1);
  await studio.click('Generate (Ctrl+Enter)');
  await studio.has('1 picture, 0 selected');
  await studio.idle();
  expect(strayed(await openedCodes(studio, ['77-0']), stacks)).toBe(0);
  await studio.keep('sampled');
});

test('the engine runs in another page', async ({ driver, server, studio }, info) => {
  const folder = info.outputPath('native');
  await driver.goto(`${server.url}/example.html?device=cpu`);
  const status = () => driver.evaluate(() => document.getElementById('said')?.textContent);
  await expect.poll(status, { timeout: 300_000 }).toMatch(/^Done|expected|needs|failed|cannot/);
  await studio.keep('example');
  expect(await status()).toMatch(/^Done on cpu: .*: 8 x 8 x 4 codes$/);
  const { codes, made } = await driver.evaluate(() => /** @type {any} */ (globalThis).result);
  expect(codes).toEqual(nativeCodes(folder));
  const sampled = native('sample', '--prompt', CAPTION, '-n', '2', '--seed', '7', '-o', folder);
  expect(strayed(made, sampled.stacks)).toBeLessThan(2);
});

test('stores models and opens offline, if the browser can', async ({ engine, server, studio }, info) => {
  const model = await publish(server, STAGE1);
  const wish = `${server.url}/?device=cpu&model=${model}`;
  const asked = () => server.asked(new URL(model).pathname).length;
  const expected = nativeCodes(info.outputPath('native'), STAGE1);
  await studio.open(wish);
  expect(await studio.codes()).toEqual(expected);
  const before = asked();
  expect(before).toBeGreaterThan(0);
  await studio.driver.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  if (engine === 'webkit') {
    await studio.open(wish);
    expect(asked()).toBeGreaterThan(before);
    return;
  }
  await studio.click('Models');
  await studio.has('Delete model.pt from this browser', 'button');
  await studio.keep('kept');
  await server.stop();
  await studio.open(wish);
  expect(await studio.codes()).toEqual(expected);
  await studio.keep('offline');
});

/** Each: what is missing, lines that make it so before the page's own script, and what is shown instead of the studio. */
const NEEDED = /** @type {const} */ ([
  ['WebGL', 'HTMLCanvasElement.prototype.getContext = () => null;', /^This browser does not provide WebGL 2, .*: turn hardware acceleration on, or update the browser\.$/],
  ['SIMD', 'WebAssembly.validate = () => false;', /^This browser does not support WebAssembly with SIMD, .*: update it/],
  ['WebAssembly', 'delete globalThis.WebAssembly;', /^This browser does not support WebAssembly .*: update it/],
]);

for (const [what, lines, said] of NEEDED) {
  test(`without ${what} the page says what to do`, async ({ driver, server, studio }) => {
    await stub(server, 'page.js', lines);
    await driver.goto(server.url);
    await expect.poll(() => studio.said()).toMatch(said);
    await studio.keep(`without-${what.toLowerCase()}`);
  });
}

test('when files cannot be written, models still load, and the page says so', async ({ server, studio }, info) => {
  await stub(server, 'worker.js', `if (globalThis.FileSystemFileHandle) FileSystemFileHandle.prototype.createSyncAccessHandle = async () => {
    throw new DOMException('Backend does not support this operation', 'NotSupportedError');
  };`);
  await studio.open(`${server.url}/?device=cpu`);
  expect(await studio.codes()).toEqual(await encode('assets/samples/red-cat.png', 'cpu', info.outputPath('codes.npy')));
  expect(await studio.wrong()).toEqual([expect.stringMatching(KEEPS_NOTHING)]);
});
