// What residua.js computes is what the native program computes.

import path from 'node:path';
import { dataUrl, furthest, open, pixels } from './api.js';
import { expect, test } from './base.js';
import { CAPTION, native, nativeCodes, SAMPLE, strayed } from './native.js';
import { CONTEXTUAL, publish, publishBoth, STAGE1, STAGE2 } from './published.js';

// The bundled model samples slowly on a busy machine.
test.setTimeout(600_000);

/** A JSON value, with room for the rounding of its numbers. */
const about = (/** @type {any} */ value) =>
  JSON.parse(JSON.stringify(value), (_, part) => (typeof part === 'number' ? expect.closeTo(part, 4) : part));

test.beforeEach(({ page, server }) => open(page, server));

test('a reconstruction is the native one', async ({ page, server }, info) => {
  const folder = info.outputPath('native');
  const expected = native('reconstruct', SAMPLE, '--model', STAGE1, '--out', folder);
  const { codes, measures, told } = await page.evaluate(async (rqvae) => {
    const residua = await window.api.Residua.load(rqvae, { device: 'cpu' });
    const told = [];
    const onProgress = (done, total) => told.push([done, total]);
    const made = await residua.reconstruct(await (await fetch('/assets/samples/red-cat.png')).blob(), { onProgress });
    // As on the native strip: pictures of 32x32 pixels, 4 pixels apart on white.
    const pictures = [made.original, ...made.partials.slice(0, -1), made.picture];
    const canvas = document.createElement('canvas');
    Object.assign(canvas, { width: 36 * pictures.length - 4, height: 32 });
    const context = canvas.getContext('2d');
    context.fillStyle = 'white';
    context.fillRect(0, 0, canvas.width, canvas.height);
    pictures.forEach((picture, i) => context.putImageData(picture, 36 * i, 0));
    document.body.append(canvas);
    const measures = [made.psnr, made.ssim, made.bitsPerPixel, made.latentNorm, made.residualNorms];
    return { codes: [...made.codes], measures, told };
  }, await publish(server, STAGE1));
  expect(codes).toEqual(nativeCodes(folder, STAGE1));
  const { psnr, ssim, bits_per_pixel, latent_norm, residual_norms, strip } = expected;
  expect(measures).toEqual(about([psnr, ssim, bits_per_pixel, latent_norm, residual_norms]));
  expect(told).toEqual([1, 2, 3, 4, 5].map((done) => [done, 5]));
  const [drawn, stored] = [await pixels(page, 'canvas'), await pixels(page, dataUrl(strip))];
  expect(drawn.length).toBe(stored.length);
  expect(furthest(drawn, stored)).toBeLessThanOrEqual(1);
});

for (const transformer of [STAGE2, CONTEXTUAL]) {
  test(`${path.basename(transformer)}: samples, completions and explanations are the native ones`, async ({ page, server }, info) => {
    const folder = info.outputPath('native');
    const codes = nativeCodes(folder, STAGE1);
    const [schedule, options] = transformer === CONTEXTUAL ?
      [{ draft: 4, revise: { rounds: 1, parts: 3 } }, ['--draft', '4', '--revise', '1x3']] : [{}, []];
    const found = await page.evaluate(async ({ model, rqvae, codes, schedule }) => {
      const residua = await window.api.Residua.load(model, { device: 'cpu', rqvae });
      const stack = { codes, shape: residua.shape };
      const wish = { class: 2, seed: 7, count: 2, temperature: 0.9, topK: [1, 5, 64, 5], topP: 0.95, ...schedule };
      const codesOf = (made) => made.map(({ codes }) => [...codes]);
      return {
        sampled: codesOf(await residua.sample(wish)),
        completed: codesOf(await residua.complete(stack, (row) => row < 4, wish)),
        columns: codesOf(await residua.complete(stack, (_, column) => column < 3, { class: 2 })),
        explanation: await residua.explain(stack, [4, 5, 1], { class: '2', count: 3 }),
      };
    }, { ...await publishBoth(server, transformer), codes, schedule });

    const model = ['--model', transformer, '--class', '2'];
    const wish = [...model, '--seed', '7', '-n', '2', '--temperature', '0.9', '--top-k', '1,5,64,5', '--top-p', '0.95', ...options];
    const sampled = native('sample', ...wish, '--out', path.join(folder, 'sampled'));
    expect(strayed(found.sampled, sampled.stacks)).toBe(0);
    const file = path.join(folder, 'codes.npy');
    const completed = native('complete', file, '--rows', '4', ...wish, '--out', path.join(folder, 'completed'));
    expect(strayed(found.completed, completed.stacks)).toBe(0);
    for (const made of found.completed) expect(made.slice(0, 128)).toEqual(codes.slice(0, 128));
    const firstColumns = (/** @type {number[]} */ codes) => codes.filter((_, i) => Math.floor(i / 4) % 8 < 3);
    expect(firstColumns(found.columns[0])).toEqual(firstColumns(codes));
    expect(found.columns[0]).not.toEqual(codes);
    const { explanation } = native('explain', file, '--row', '4', '--col', '5', '--depth', '1', '--count', '3', ...model);
    expect(found.explanation).toEqual(about(explanation));
  });
}

test('an edit to the likeliest code is decoded, and is then the likeliest', async ({ page, server }) => {
  const { codes, edited, code, rank, same } = await page.evaluate(async ({ model, rqvae }) => {
    const residua = await window.api.Residua.load(model, { device: 'cpu', rqvae });
    const [made] = await residua.sample({ class: 3, first: 2 });
    const place = [4, 5, 1];
    const { suggestions: [{ code }] } = await residua.explain(made, place, { class: 3 });
    const edited = await residua.edit(made, [{ place, code: 0 }, { place, code }]);
    const { rank } = await residua.explain(edited, place, { class: 3 });
    const decoded = await residua.decode(edited);
    const same = decoded.data.every((value, i) => value === edited.picture.data[i]);
    return { codes: [...made.codes], edited: [...edited.codes], code, rank, same };
  }, await publishBoth(server, STAGE2));
  expect(edited).toEqual(codes.with((4 * 8 + 5) * 4 + 1, code));
  expect(rank).toBe(0);
  expect(same).toBe(true);
});

test('the bundled autoregressive model samples the native codes', async ({ page }, info) => {
  const wish = { prompt: CAPTION, seed: 7, count: 2 };
  const { stacks } = native('sample', '--model', 'characters-128-ar', '--prompt', wish.prompt, '--seed', '7', '-n', '2',
    '--out', info.outputPath('native'));
  const made = await page.evaluate(async (wish) => {
    const residua = await window.api.Residua.load('characters-128-ar', { device: 'cpu' });
    return (await residua.sample(wish)).map(({ codes }) => [...codes]);
  }, wish);
  expect(strayed(made, stacks)).toBeLessThan(2);
});
