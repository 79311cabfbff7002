// Cells that are painted over are resampled, on a desktop and on a phone.

import { differing } from './native.js';
import { CONTEXTUAL, publishBoth } from './published.js';
import { expect, test } from './studio.js';

/** @typedef {import('./studio.js').Studio} Studio */

test.describe.configure({ timeout: 600_000 });

const PHONE = { width: 390, height: 844 };

/** The cells whose codes differ, of an 8x8x4 stack. */
function cells(/** @type {number[]} */ some, /** @type {number[]} */ others) {
  return [...new Set(differing(some, others).map((place) => Math.floor(place / 4)))];
}

/**
 * Drags from the middle of one cell to that of another.
 * @param {Studio} studio
 * @param {string} from
 * @param {string} to
 */
async function paint(studio, from, to) {
  const [first, last] = await studio.boxes([from, to]);
  const { mouse } = studio.page;
  await mouse.move(first.x + first.width / 2, first.y + first.height / 2);
  await mouse.down();
  await studio.frame();
  await mouse.move(last.x + last.width / 2, last.y + last.height / 2, { steps: 8 });
  await studio.frame();
  await mouse.up();
}

/** Chooses the tool Revise, which then shows its settings. */
async function choose(/** @type {import('./studio.js').Studio} */ studio) {
  await studio.click('Revise');
  await expect(studio.find('button', 'Paint cells')).toBeAttached();
}

test('painted cells are resampled, again, and back', async ({ server, studio }) => {
  await studio.open(`?${new URLSearchParams(await publishBoth(server, CONTEXTUAL))}`);
  const opened = await studio.codes();
  await choose(studio);
  await paint(studio, 'row 2, column 1', 'row 2, column 4');
  const painted = [17, 18, 19, 20];
  await expect.poll(async () => differing(await studio.codes(), opened).length).toBeGreaterThan(0);
  await studio.idle();
  const first = await studio.codes();
  expect(painted).toEqual(expect.arrayContaining(cells(first, opened)));
  await studio.keep('revised');

  await studio.click('Again');
  await expect.poll(async () => differing(await studio.codes(), first).length).toBeGreaterThan(0);
  await studio.idle();
  expect(painted).toEqual(expect.arrayContaining(cells(await studio.codes(), opened)));
  await studio.click('Undo');
  await expect.poll(() => studio.codes()).toEqual(first);
  await studio.click('Undo');
  await expect.poll(() => studio.codes()).toEqual(opened);
  await expect(studio.find('button', 'Got it')).toHaveCount(0);

  await studio.click('Surprise');
  await expect(studio.says(/^Surprise of a cell: 0$/)).toBeAttached({ timeout: 300_000 });
  await studio.idle();
  await studio.click('Revise worst');
  await expect.poll(async () => cells(await studio.codes(), opened).length).toBe(1);
  await studio.keep('surprise');
});

test('the worst cell is revised by a click, and is no longer the worst', async ({ server, studio }) => {
  // Its transformer computes the surprise of all cells in one pass; a contextual one needs a pass for each cell.
  await studio.open(`?${new URLSearchParams(await publishBoth(server))}`);
  // The first steps disappear after the first edit, which moves what is below them.
  await studio.gotIt();
  const opened = await studio.codes();
  // The likeliest codes, so that this does not depend on luck.
  await studio.enter('Temperature at all depths', 0);
  await studio.click('Surprise');
  await choose(studio);
  const said = await studio.says(/^Worst: row/).textContent();
  const [, row, column] = /^Worst: row (\d), column (\d), [\d.]+ bits$/.exec(said ?? '') ?? [];
  await studio.idle();
  await studio.keep('surprise-before');
  await studio.click(`row ${row}, column ${column}`);
  await expect.poll(async () => cells(await studio.codes(), opened)).toEqual([8 * Number(row) + Number(column)]);
  await studio.idle();
  await expect(studio.says(/^Worst: row/)).toBeAttached();
  await expect(studio.says(new RegExp(`^Worst: row ${row}, column ${column}, `))).toHaveCount(0);
  await studio.keep('surprise-after');
});

test('the cells under a chosen mask are revised, and a weak revision keeps the first codes of each cell', async ({ page, studio }) => {
  // White over row 2, columns 1 to 4.
  const mask = await page.evaluate(async () => {
    const canvas = new OffscreenCanvas(64, 64);
    const context = canvas.getContext('2d');
    if (!context) throw new Error('expected a canvas to draw on, found none');
    for (const [color, ...area] of /** @type {const} */ ([['black', 0, 0, 64, 64], ['white', 8, 16, 32, 8]])) {
      context.fillStyle = color;
      context.fillRect(...area);
    }
    return [...new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer())];
  });
  await studio.open();
  const opened = await studio.codes();
  await choose(studio);
  const chooser = page.waitForEvent('filechooser');
  await studio.click('Load mask…');
  await (await chooser).setFiles({ name: 'mask.png', mimeType: 'image/png', buffer: Buffer.from(mask) });
  await expect.poll(async () => differing(await studio.codes(), opened).length).toBeGreaterThan(0);
  await studio.idle();
  expect([17, 18, 19, 20]).toEqual(expect.arrayContaining(cells(await studio.codes(), opened)));
  await studio.keep('mask');

  await studio.click('Undo');
  await expect.poll(() => studio.codes()).toEqual(opened);
  await studio.find('slider', 'Strength').fill('1');
  await expect(studio.find('slider', 'Strength')).toHaveValue('1');
  await paint(studio, 'row 2, column 1', 'row 2, column 4');
  await expect.poll(async () => differing(await studio.codes(), opened).length).toBeGreaterThan(0);
  await studio.idle();
  expect(differing(await studio.codes(), opened).filter((place) => place % 4 !== 3)).toEqual([]);
});

test.describe('on a phone', () => {
  test.use({ hasTouch: true, isMobile: true });

  test('the picture is above its codes, and a tap pins a cell', async ({ page, studio }) => {
    await studio.open('', PHONE);
    await studio.gotIt();
    const picture = await studio.box('Reconstruction picture', 'img');
    expect(picture.width).toBeGreaterThan(230);
    for (const name of ['Open picture…', 'Save picture…', 'Revise', 'Undo', 'Surprise', 'show depth 4']) {
      const { x, width } = await studio.box(name);
      expect(x, name).toBeGreaterThanOrEqual(0);
      expect(x + width, name).toBeLessThanOrEqual(PHONE.width);
    }
    const [cell] = await studio.boxes(['row 3, column 4']);
    await page.touchscreen.tap(cell.x + cell.width / 2, cell.y + cell.height / 2);
    const code = (await studio.codes())?.[(3 * 8 + 4) * 4];
    const below = await studio.box(`depth 1: code ${code}`);
    expect(below.y).toBeGreaterThan(picture.y + picture.height);
    expect(below.y + below.height).toBeLessThanOrEqual(PHONE.height);
    await studio.keep('phone');
  });
});
