// The engine in other pages: the example, and what residua.js accepts and rejects.

import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { dataUrl, furthest, open, pixels } from './api.js';
import { expect, test, WEB } from './base.js';
import { CAPTION, native, nativeCodes, ROOT, strayed } from './native.js';
import { publish, publishBoth, STAGE1, STAGE2 } from './published.js';

// A software GPU compiles each shader slowly.
test.setTimeout(600_000);

/** Weights of the default model, in the page. */
const [RQVAE, TRANSFORMER] = ['stage1', 'contextual'].map((name) => `/assets/characters-128/${name}.safetensors`);

for (const device of ['cpu', 'gpu']) {
  test(`the example runs on the ${device}${device === 'gpu' ? ' @slow' : ''}`, async ({ page }, info) => {
    await page.goto(`/example.html?device=${device}`);
    await expect(page.getByRole('status')).toContainText(/^Done|expected|needs|failed|cannot/, { timeout: 500_000 });
    await expect(page.getByRole('status')).toHaveText(new RegExp(`^Done on ${device}: .*: 8 x 8 x 4 codes$`));
    await page.screenshot({ path: `out/${info.title.replaceAll(' ', '-')}.png` });

    const { codes, made } = await page.evaluate('result');
    const folder = info.outputPath('native');
    expect(codes).toEqual(nativeCodes(folder));
    expect(made.map((stack) => stack.length)).toEqual([256, 256]);
    expect(made[0]).not.toEqual(made[1]);
    const sampled = native('sample', '--prompt', CAPTION, '-n', '2', '--seed', '7', '-o', folder);
    // On a software GPU, more codes may differ.
    if (device === 'cpu') expect(strayed(made, sampled.stacks)).toBeLessThan(2);

    native('decode', path.join(folder, 'codes.npy'), '--out', path.join(folder, 'decoded.png'));
    const decoded = await pixels(page, dataUrl(path.join(folder, 'decoded.png')));
    const before = await pixels(page, 'canvas[title="Reconstruction"]');
    const after = await pixels(page, 'canvas[title="One code changed"]');
    expect(before.length).toBe(128 * 128 * 4);
    expect(furthest(before, decoded)).toBeLessThanOrEqual(1);
    expect(furthest(before, after)).toBeGreaterThan(20);
    // The code is in the top left corner, but attention and group norm spread traces of it everywhere.
    const last = (128 * 128 - 1) * 4;
    expect(furthest(after.slice(last), before.slice(last))).toBeLessThanOrEqual(4);
  });
}

test.describe('residua.js', () => {
  test.beforeEach(({ page, server }) => open(page, server));

  test('a signal stops sampling at its next step, and the engine stays usable', async ({ page, server }) => {
    const { error, steps, total, again, inOneStep } = await page.evaluate(async ({ model, rqvae }) => {
      const residua = await window.api.Residua.load(model, { device: 'cpu', rqvae });
      const stop = new AbortController();
      const told = [];
      const onProgress = (done, total) => {
        told.push([done, total]);
        if (told.length === 3) stop.abort(new Error('the person left'));
      };
      const wish = { class: '2', count: 500, onProgress, signal: stop.signal };
      const error = await window.errorOf(() => residua.sample(wish));
      const [one] = await residua.sample({ class: '2' });
      const leave = new AbortController();
      const asked = window.errorOf(() => residua.explain(one, [0, 0, 0], { class: '2', signal: leave.signal }));
      leave.abort(new Error('never mind'));
      return { error, steps: told.length, total: told[0][1], again: one.codes.length, inOneStep: await asked };
    }, await publishBoth(server, STAGE2));
    expect(error).toBe('Error: the person left');
    // Only the steps already running when the signal was given are still reported.
    expect(steps).toBeLessThan(total / 4);
    expect(again).toBe(256);
    expect(inOneStep).toBe('Error: never mind');
  });

  /** Lines before the worker's own script: unless it is on the CPU, it is lost at a call of `at`. */
  const LOST = (/** @type {string} */ at, /** @type {boolean} */ again) => `
    let device;
    addEventListener('message', (event) => {
      const { method, values } = event.data;
      if (method === 'open') [device] = values;
      if (method !== '${at}' || device === 'cpu') return;
      event.stopImmediatePropagation();
      postMessage({ kind: 'lost', why: 'a test lost the worker', again: ${again} });
    });
  `;
  /**
   * Each: the device asked for, the call at which its worker is lost, whether the GPU may be opened again, the workers used, and
   * the error.
   */
  const LOSSES = /** @type {const} */ ([
    ['auto', 'encode', false, 2, 'no error'],
    ['auto', 'encode', true, 5, 'no error'],
    ['auto', 'load', true, 5, 'no error'],
    ['gpu', 'open', false, 1, 'Error: a test lost the worker; or load the model on the CPU'],
  ]);
  for (const [device, at, again, workers, said] of LOSSES) {
    test(`a worker lost at ${at}, with the device ${device}${again ? ', again and again' : ''}`, async ({ page, server }, info) => {
      server.put('/worker.js', LOST(at, again) + readFileSync(path.join(WEB, 'dist', 'worker.js'), 'utf8'));
      let started = 0;
      page.on('worker', () => { started += 1; });
      const { found, error } = await page.evaluate(async ([device, rqvae]) => {
        const file = await window.fileOf(rqvae, 'stage1.safetensors');
        const picture = await (await fetch('/assets/samples/red-cat.png')).blob();
        let found;
        const error = await window.errorOf(async () => {
          const residua = await window.api.Residua.load(file, { device });
          const [one, other] = await Promise.all([residua.encode(picture), residua.encode(picture)]);
          found = { codes: [...one.codes], other: [...other.codes], device: residua.device };
        });
        return { found, error };
      }, [device, RQVAE]);
      expect(error).toBe(said);
      expect(started).toBe(workers);
      if (!found) return;
      expect(found.device).toBe('cpu: the CPU was requested');
      expect(found.codes).toEqual(nativeCodes(info.outputPath('native')));
      expect(found.other).toEqual(found.codes);
    });
  }

  test('with an aborted signal nothing starts', async ({ page, server }) => {
    const error = await page.evaluate(() =>
      window.errorOf(() => window.api.Residua.load('characters-128', { device: 'cpu', signal: AbortSignal.abort(new Error('never mind')) })));
    expect(error).toBe('Error: never mind');
    expect(server.asked(RQVAE)).toEqual([]);
  });

  test('a signal stops a download, and the next load resumes it', async ({ page, server }) => {
    const url = await publish(server, STAGE2, { holdAt: 500_000 });
    const error = await page.evaluate(async (url) => {
      const stop = new AbortController();
      const onProgress = (done) => done >= 500_000 && stop.abort(new Error('too long'));
      return window.errorOf(() => window.api.Residua.load(url, { device: 'cpu', signal: stop.signal, onProgress }));
    }, url);
    expect(error).toBe('Error: too long');
    const canSample = await page.evaluate(async ([url, rqvae]) =>
      (await window.api.Residua.load(url, { device: 'cpu', rqvae })).canSample, [url, await publish(server, STAGE1)]);
    expect(canSample).toBe(true);
    expect(server.asked(new URL(url).pathname).map(({ headers }) => headers.range)).toEqual([undefined, 'bytes=500000-']);
  });

  test('wrong arguments are rejected in one clear line', async ({ page, server }) => {
    const errors = await page.evaluate(async ({ model, rqvae }) => {
      const { Residua } = window.api;
      const residua = await Residua.load(model, { device: 'cpu', rqvae });
      const { codes, shape } = await residua.encode(await (await fetch('/assets/samples/red-cat.png')).blob());
      const tries = {
        'no such model': () => Residua.load('characters-129'),
        'a number as model': () => Residua.load(/** @type {any} */ (5)),
        'no files': () => Residua.load([]),
        'a device': () => Residua.load('characters-128', { device: 'tpu' }),
        'a precision': () => Residua.load('characters-128', { device: 'cpu', precision: 'q4' }),
        'a page as model': () => Residua.load('/blank.html', { device: 'cpu' }),
        'not found': () => Residua.load('/none.safetensors', { device: 'cpu' }),
        'not a picture': () => residua.encode(new Blob(['text'])),
        'nothing as picture': () => residua.encode(undefined),
        'too few codes': () => residua.decode({ codes: codes.slice(1), shape }),
        'no codes': () => residua.decode({ shape }),
        'a shape of two': () => residua.decode({ codes, shape: [8, 8] }),
        'another shape': () => residua.decode({ codes: codes.slice(0, 64), shape: [4, 4, 4] }),
        'a code too large': () => residua.decode({ codes: [...codes.slice(1), 1024], shape }),
        'a code that would wrap': () => residua.decode({ codes: [...codes.slice(1), 65_536], shape }),
        'no class': () => residua.sample(),
        'an unknown class': () => residua.sample({ class: 'Dragons' }),
        'a prompt': () => residua.sample({ prompt: 'a dragon' }),
        'both': () => residua.sample({ class: '1', prompt: 'a dragon' }),
        'a misspelt option': () => residua.sample({ class: '1', top_k: 5 }),
        'a temperature': () => residua.sample({ class: '1', temperature: -1 }),
        'a count': () => residua.sample({ class: '1', count: -1 }),
        'a class of another model': () => residua.sample({ class: 10 }),
        'too few temperatures': () => residua.sample({ class: '1', temperature: [1, 1] }),
        'no function': () => residua.complete({ codes, shape }, /** @type {any} */ (5), { class: '1' }),
        'a small stack': () => residua.complete({ codes: [0], shape: [1, 1, 1] }, () => true, { class: '1' }),
        'a place of two': () => residua.explain({ codes, shape }, [4, 4], { class: '1' }),
        'a place outside': () => residua.explain({ codes, shape }, [0, 0, 4], { class: '1' }),
        'a misspelt question': () => residua.explain({ codes, shape }, [0, 0, 0], { class: '1', topK: 5 }),
        'an edit outside': () => residua.edit({ codes, shape }, [{ place: [8, 0, 0], code: 1 }]),
        'an edit too large': () => residua.edit({ codes, shape }, [{ place: [0, 0, 0], code: 5000 }]),
        'a reconstruction of nothing': () => residua.reconstruct(new Blob([])),
      };
      const found = {};
      for (const [name, work] of Object.entries(tries)) found[name] = await window.errorOf(work);
      const under = residua.sample({ class: '1', count: 100 });
      const closed = window.errorOf(() => under);
      residua.close();
      found['closed meanwhile'] = await closed;
      found['closed before'] = await window.errorOf(() => residua.memory());
      return found;
    }, await publishBoth(server, STAGE2));
    const expected = {
      'no such model': /characters-129/,
      'a number as model': /TypeError: expected a name, an address or a File as model/,
      'no files': /expected a name, an address or a File as model/,
      'a device': /expected the device auto, cpu or gpu, found tpu/,
      'a precision': /expected the precision stored, f16 or q8, found q4/,
      'a page as model': /blank.html: expected the address of a .safetensors, .pt/,
      'not found': /none.safetensors: expected a file, the server answered 404.*check the address/,
      'not a picture': /picture/,
      'nothing as picture': /expected a picture: a Blob/,
      'too few codes': /8x8x4.*found 255/,
      'no codes': /expected whole numbers from 0 to 65535 as codes, found undefined/,
      'a shape of two': /expected a shape of height, width and depth/,
      'another shape': /shape/,
      'a code too large': /1024/,
      'a code that would wrap': /expected whole numbers from 0 to 65535 as codes, found 65536/,
      'no class': /needs .*class/,
      'an unknown class': /Dragons/,
      'a prompt': /class/,
      both: /expected a class or a prompt, found both/,
      'a misspelt option': /unknown field `top_k`, expected one of .*`topK`/,
      'a temperature': /temperature/,
      'a count': /-1/,
      'a class of another model': /class 10 does not exist: expected a number from 0 to 9/,
      'too few temperatures': /temperature: expected one value, or 4 for 4 depths, found 2/,
      'no function': /keep is not a function/,
      'a small stack': /code stacks are/,
      'a place of two': /expected an array of length 3/,
      'a place outside': /outside the 8x8x4/,
      'a misspelt question': /unknown field `topK`, expected one of .*`count`/,
      'an edit outside': /outside the 8x8x4/,
      'an edit too large': /found 5000/,
      'a reconstruction of nothing': /picture/,
      'closed meanwhile': /the engine was closed/,
      'closed before': /the engine was closed/,
    };
    for (const [name, error] of Object.entries(errors)) expect(error, name).toMatch(expected[name]);
    expect(Object.keys(errors)).toEqual(Object.keys(expected));
    for (const error of Object.values(errors)) expect(error).not.toMatch(/\n|undefined is|unreachable/);
  });

  test('every kind of picture in a page is encoded to the same codes', async ({ page }, info) => {
    const found = await page.evaluate(async (rqvae) => {
      const residua = await window.api.Residua.load(rqvae, { device: 'cpu' });
      const blob = await (await fetch('/assets/samples/red-cat.png')).blob();
      const bitmap = await createImageBitmap(blob);
      const image = new Image();
      image.src = URL.createObjectURL(blob);
      await image.decode();
      const canvas = document.createElement('canvas');
      Object.assign(canvas, { width: bitmap.width, height: bitmap.height });
      const context = canvas.getContext('2d');
      context.drawImage(bitmap, 0, 0);
      const data = context.getImageData(0, 0, canvas.width, canvas.height);
      const pictures = { blob, bytes: await blob.arrayBuffer(), view: await blob.bytes?.() ?? blob, bitmap, image, canvas, data };
      const codes = {};
      for (const [name, picture] of Object.entries(pictures)) codes[name] = [...(await residua.encode(picture)).codes];
      return codes;
    }, RQVAE);
    const expected = nativeCodes(info.outputPath('native'));
    for (const [name, codes] of Object.entries(found)) expect(codes, name).toEqual(expected);
    expect(Object.keys(found).length).toBe(7);
  });

  test('models load from local files', async ({ page, server }, info) => {
    const addresses = [RQVAE, TRANSFORMER, await publish(server, STAGE1)];
    const found = await page.evaluate(async ([rqvae, transformer, weights]) => {
      const { Residua } = window.api;
      const picture = await (await fetch('/assets/samples/red-cat.png')).blob();
      const stage1 = await window.fileOf(rqvae, 'stage1.safetensors');
      const stage2 = await window.fileOf(transformer, 'stage2.safetensors');
      const config = await window.fileOf(new URL('config.yaml', weights), 'config.yaml');
      const published = [await window.fileOf(weights, 'model.pt'), config];
      const whole = await Residua.load(stage2, { device: 'cpu', rqvae: stage1 });
      const alone = await Residua.load(stage1, { device: 'cpu' });
      const pt = await Residua.load(published, { device: 'cpu' });
      const codesOf = async (residua) => [...(await residua.encode(picture)).codes];
      return {
        can: [whole.canSample, alone.canSample, pt.canSample],
        sizes: [whole.resolution, alone.resolution, pt.resolution],
        codes: [await codesOf(whole), await codesOf(alone), await codesOf(pt)],
        alone: await window.errorOf(() => Residua.load(published[0], { device: 'cpu' })),
        memory: await whole.memory(),
      };
    }, addresses);
    expect(found.can).toEqual([true, false, false]);
    expect(found.sizes).toEqual([128, 128, 32]);
    const bundled = nativeCodes(info.outputPath('native'));
    const shared = nativeCodes(info.outputPath('native'), STAGE1);
    expect(found.codes).toEqual([bundled, bundled, shared]);
    expect(found.alone).toContain('config.yaml');
    // Its weights, and the program itself.
    const [stage1, stage2] = [RQVAE, TRANSFORMER].map((file) => statSync(path.join(ROOT, file)).size);
    expect(found.memory).toBeGreaterThan(stage1 + stage2);
    expect(found.memory).toBeLessThan(400e6);
  });
});
