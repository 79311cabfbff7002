// Cells that are painted over are resampled, on a desktop and on a phone.

import { differing } from './native.js';
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
  const [first, last] = await Promise.all([from, to].map((name) => studio.box(name)));
  const { mouse } = studio.page;
  await mouse.move(first.x + first.width / 2, first.y + first.height / 2);
  await mouse.down();
  await mouse.move(last.x + last.width / 2, last.y + last.height / 2, { steps: 8 });
  await mouse.up();
}

test('painted cells are resampled, again, and back', async ({ studio }) => {
  await studio.open();
  const opened = await studio.codes();
  await studio.click('Revise');
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
  await expect(studio.says(/^Surprise of a cell: 0$/)).toBeAttached();
  await studio.idle();
  await studio.click('Revise worst');
  await expect.poll(async () => cells(await studio.codes(), opened).length).toBe(1);
  await studio.keep('surprise');
});

test.describe('on a phone', () => {
  test.use({ hasTouch: true, isMobile: true });

  test('the picture is above its codes, and a tap pins a cell', async ({ page, studio }) => {
    await studio.open('', PHONE);
    await studio.click('Got it');
    const picture = await studio.box('Reconstruction picture', 'img');
    expect(picture.width).toBeGreaterThan(230);
    for (const name of ['Open picture…', 'Save picture…', 'Revise', 'Undo', 'Surprise', 'show depth 4']) {
      const { x, width } = await studio.box(name);
      expect(x, name).toBeGreaterThanOrEqual(0);
      expect(x + width, name).toBeLessThanOrEqual(PHONE.width);
    }
    const cell = await studio.box('row 3, column 4');
    await page.touchscreen.tap(cell.x + cell.width / 2, cell.y + cell.height / 2);
    const code = (await studio.codes())?.[(3 * 8 + 4) * 4];
    const below = await studio.box(`depth 1: code ${code}`);
    expect(below.y).toBeGreaterThan(picture.y + picture.height);
    expect(below.y + below.height).toBeLessThanOrEqual(PHONE.height);
    await studio.keep('phone');
  });
});
