// Sampled pictures match the native program's; the page stays responsive meanwhile, and sampling can be stopped. On a GPU, kernels are
// checked first.

import { readFile } from 'node:fs/promises';
import { openedCodes } from './gallery.js';
import { carried, decode, differing, native, sample, strayed } from './native.js';
import { archive, CLASSES, publishBoth, STAGE1, STAGE2 } from './published.js';
import { expect, test } from './studio.js';

/** @typedef {import('./studio.js').Studio} Studio */

test.describe.configure({ timeout: 900_000 });

const SEED = 77;
const GENERATE = 'Generate (Ctrl+Enter)';

/** The longest task allowed in the page, in milliseconds of CPU time: wall time would include other programs. */
const LONGEST = 50;

/** Kernels that opening a picture uses, and some that only sampling does. */
const OPENING = ['Conv2d', 'GroupNorm', 'ResidualQuantize'];
const SAMPLING = ['DecodeAttention', 'DecodeLinear', 'NormedLinear', 'SampleToken'];

test('sampled pictures have the native codes: cpu @alone', async ({ browser, page, server, studio }, info) => {
  await studio.open(`?device=cpu&model=${server.put('/models/m.tar.gz', await archive(CLASSES))}`);
  await hasNativeSamples({ browser, page, studio }, { device: 'cpu', count: 2, name: CLASSES[3] }, info);
});

// One test, because a software GPU takes most of a minute to compile the kernels of sampling.
test('GPU kernels are checked when they are first used, and not again at the next visit; sampled pictures have the native codes: gpu @alone', async ({ browser, page, server, studio }, info) => {
  const wish = `?device=gpu&model=${server.put('/models/m.tar.gz', await archive())}`;
  await studio.open(wish);
  const log = await studio.log();
  for (const kernel of OPENING) await expect(studio.says(kernel).first()).toBeAttached();
  for (const kernel of SAMPLING) await expect(studio.says(kernel)).toHaveCount(0);
  const checks = await studio.says('correct').count();
  expect(checks).toBeGreaterThan(OPENING.length);
  await expect(studio.says('wrong, not used')).toHaveCount(0);
  await expect(studio.mirror).toContainText('GPU: ');
  await studio.keep('kernels');
  expect(log.filter((line) => !line.startsWith('Note: '))).toEqual([]);
  expect(log.at(-1)).toMatch(/^Note: the models run on the GPU: /);

  const first = await times(studio, checks);
  await studio.open(wish);
  await studio.log();
  await expect(studio.says('correct')).toHaveCount(checks);
  expect(await times(studio, checks)).toEqual(first);

  // Later uses add to what is stored.
  await studio.click('Gallery');
  await hasNativeSamples({ browser, page, studio }, { device: 'gpu', count: 1 }, info);
  await studio.log();
  for (const kernel of SAMPLING) await expect(studio.says(kernel).first()).toBeAttached();
  await expect(studio.says('wrong, not used')).toHaveCount(0);
  const all = await times(studio, await studio.says('correct').count());
  expect(all.slice(0, checks)).toEqual(first);
});

// The likeliest codes: a draw that rounding changes would change all that follow.
test('a caption gives the native codes', async ({ page, studio }, info) => {
  const wish = ['--model', 'characters-128-ar', '--prompt', 'a black cat', '--temperature', '0', '-n', '1'];
  const { stacks } = native('sample', ...wish, '--out', info.outputPath('made'));
  await studio.open('?device=cpu&model=characters-128-ar');
  await studio.click('Caption', 'textbox');
  await page.keyboard.press('Control+A');
  await page.keyboard.type('a black cat');
  await studio.enter('Temperature at all depths', 0);
  await studio.enter('Seed', SEED);
  await studio.enter('Pictures', 1);
  await studio.click(GENERATE);
  await expect(studio.says('1 picture, 0 selected')).toBeAttached({ timeout: 200_000 });
  await studio.idle();
  const [made] = await openedCodes(studio, [`${SEED}-0`]);
  expect(differing(made, stacks[0].codes)).toEqual([]);
});

for (const device of /** @type {const} */ (['cpu', 'gpu'])) {
  test(`sampling shows progress and can be stopped: ${device}${device === 'gpu' ? ' @slow' : ''}`, async ({ page, server, studio }) => {
    // On a CPU, the small model would be done too soon; on a software GPU, the bundled one would take minutes.
    const isSmall = device === 'gpu';
    const models = isSmall ? await publishBoth(server) : { model: 'characters-128-ar' };
    await studio.open(`?${new URLSearchParams({ device, ...models })}`);
    await studio.enter('Pictures', isSmall ? 40 : 16);
    await studio.click(GENERATE);
    await expect(studio.says(/^sampling/)).toBeAttached({ timeout: 180_000 });
    await expect(studio.find('button', 'Stop sampling')).toBeAttached();
    const told = studio.find('img', 'Preview 1');
    await expect(told).toBeAttached({ timeout: 180_000 });
    await studio.keep(`sampling-${device}`);
    await page.keyboard.press('Escape');
    await studio.idle();
    await expect(studio.find('button', 'Stop sampling')).toHaveCount(0);
    const lines = await studio.log();
    expect(lines[0]).toBe('Note: sampling was stopped');
    await studio.keep(`stopped-${device}`);
  });
}

/**
 * Samples class 3 of STAGE2, which is open, and compares the pictures with the native program's. Meanwhile the page responds.
 * @param {{ browser: import('@playwright/test').Browser, page: import('@playwright/test').Page, studio: Studio }} fixtures
 * @param {{ device: 'cpu' | 'gpu', count: number, name?: string }} wish the class has a name if the model's file names classes
 * @param {import('@playwright/test').TestInfo} info
 */
async function hasNativeSamples({ browser, page, studio }, { device, count, name }, info) {
  const native = await sample({ model: STAGE2, seed: SEED, class: '3', count, device }, info.outputPath('made'));
  await prepare(studio, name, count);
  await browser.startTracing(page, { categories: ['toplevel'] });
  const begun = performance.now();
  await studio.click(GENERATE);
  await expect(studio.says(new RegExp(`^${count} pictures?, 0 selected$`))).toBeAttached({ timeout: 200_000 });
  console.log(`${device}: ${count} sampled in ${((performance.now() - begun) / 1000).toFixed(1)} s`);
  const longest = await longestTask(browser);
  console.log(`${device}: longest task ${Math.round(longest)} ms of CPU time`);
  await studio.idle();
  const made = [];
  for (const index of native.stacks.keys()) {
    made.push(await save(studio, `${SEED}-${index}`, info.outputPath(`${index}.png`)));
  }
  expect(strayed(made, native.stacks)).toBe(0);
  // The native program can read the saved file.
  await decode(info.outputPath('0.png'), STAGE1, info.outputPath('again.png'));
  await studio.keep(`sampled-${device}`);
  expect(longest).toBeLessThanOrEqual(LONGEST);
}

/** @returns {Promise<string[]>} how long each check took, as the log panel shows it above other timings */
async function times(/** @type {Studio} */ studio, /** @type {number} */ checks) {
  return (await studio.mirror.getByText(/^[0-9.]+ ms$/).allTextContents()).slice(0, checks);
}

/** Chooses class 3, by its name if it has one, and sets seed and count. */
async function prepare(/** @type {Studio} */ studio, /** @type {string | undefined} */ name, /** @type {number} */ count) {
  if (name) {
    await studio.click(name);
    await expect(studio.says(`Class: ${name}`)).toBeAttached();
  } else {
    await studio.enter('Class number', 3);
  }
  await studio.enter('Seed', SEED);
  await studio.click('Lock', 'checkbox');
  await expect(studio.find('checkbox', 'Lock')).toHaveAttribute('aria-checked', 'true');
  await studio.enter('Pictures', count);
}

/**
 * Saves one of the gallery's pictures.
 * @returns {Promise<number[]>} the codes in the file
 */
async function save(/** @type {Studio} */ studio, /** @type {string} */ name, /** @type {string} */ file) {
  await studio.click(name, 'option');
  await expect(studio.find('button', 'Save PNG…')).toBeEnabled();
  const downloaded = studio.page.waitForEvent('download');
  await studio.click('Save PNG…');
  const download = await downloaded;
  expect(download.suggestedFilename()).toBe(`${name}.png`);
  await download.saveAs(file);
  await studio.click(name, 'option');
  return carried(await readFile(file));
}

/** @returns {Promise<number>} the CPU time of the page's longest task; workers have threads of their own */
async function longestTask(/** @type {import('@playwright/test').Browser} */ browser) {
  /** @type {{ traceEvents: { name: string, pid: number, tid: number, tdur?: number, args: { name?: string } }[] }} */
  const { traceEvents } = JSON.parse((await browser.stopTracing()).toString());
  const thread = (/** @type {{ pid: number, tid: number }} */ { pid, tid }) => `${pid} ${tid}`;
  const pages = new Set(traceEvents.filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain').map(thread));
  const tasks = traceEvents.filter((event) => event.name === 'ThreadControllerImpl::RunTask' && pages.has(thread(event)));
  expect(tasks.length).toBeGreaterThan(0);
  return tasks.reduce((longest, { tdur = 0 }) => Math.max(longest, tdur / 1000), 0);
}
