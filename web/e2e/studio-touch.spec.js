// A phone: a narrow window, a touch screen, and input that comes from an on-screen keyboard or an input method.

import { publish, STAGE1 } from './published.js';
import { expect, test } from './studio.js';

test.describe.configure({ timeout: 600_000 });
test.use({ hasTouch: true });

const PHONE = { width: 390, height: 844 };
const PICTURE = 'Reconstruction picture';

/** Taps the centre of a widget. */
async function tap(
  /** @type {import('./studio.js').Studio} */ studio,
  /** @type {string} */ name,
  /** @type {import('./studio.js').Role} */ role = 'button',
) {
  const [{ x, y, width, height }] = await studio.boxes([name], role);
  await studio.page.touchscreen.tap(x + width / 2, y + height / 2);
}

/** Moves two fingers around a point, from one distance to it to another. */
async function pinch(
  /** @type {import('./studio.js').Studio} */ studio,
  /** @type {{ x: number, y: number }} */ { x, y },
  /** @type {number[]} */ distances,
) {
  const session = await studio.page.context().newCDPSession(studio.page);
  const at = (/** @type {number} */ distance) => [{ x: x - distance, y, id: 0 }, { x: x + distance, y, id: 1 }];
  const [first, ...others] = distances;
  await session.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: at(first) });
  await studio.frame();
  for (const distance of others) {
    await session.send('Input.dispatchTouchEvent', { type: 'touchMove', touchPoints: at(distance) });
    await studio.frame();
  }
  await session.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
}

test('on a phone, a tap pins a cell and two fingers zoom the picture', async ({ server, studio }) => {
  await studio.open(`?device=cpu&model=${await publish(server, STAGE1)}`, PHONE);
  const { x, width } = await studio.box(PICTURE, 'img');
  expect(x).toBeGreaterThanOrEqual(0);
  expect(x + width).toBeLessThanOrEqual(PHONE.width);
  await tap(studio, 'Got it');
  await expect(studio.find('button', 'Got it')).toHaveCount(0);
  await tap(studio, 'row 3, column 4');
  const code = (await studio.codes())?.[(3 * 8 + 4) * 4];
  await expect(studio.find('button', `depth 1: code ${code}`)).toBeAttached();
  await studio.keep('phone');

  const picture = await studio.box(PICTURE, 'img');
  const middle = { x: picture.x + picture.width / 2, y: picture.y + picture.height / 2 };
  // The picture's own box ends at the edge of its panel.
  const cell = async () => (await studio.box('row 4, column 4')).width;
  const before = await cell();
  await pinch(studio, middle, [20, 30, 40, 50, 60]);
  await expect.poll(cell).toBeGreaterThan(1.5 * before);
  await studio.keep('phone-zoomed');
});

test('on a phone, a caption is typed with an on-screen keyboard and an input method', async ({ page, studio }) => {
  await studio.open('?device=cpu', PHONE);
  await tap(studio, 'Got it');
  // The window below it moves up.
  await expect(studio.find('button', 'Got it')).toHaveCount(0);
  await tap(studio, 'Generate');
  await tap(studio, 'Caption', 'textbox');
  // The keyboard opens for a focused field.
  await expect.poll(() => page.evaluate(() => document.activeElement?.tagName)).toBe('INPUT');
  // In place of the example. As such a keyboard does: text without keys.
  await page.keyboard.press('Control+A');
  await page.keyboard.insertText('a ');
  await expect(studio.find('textbox', 'Caption')).toHaveValue('a ');

  const session = await page.context().newCDPSession(page);
  for (const text of ['ね', 'ねこ']) {
    await session.send('Input.imeSetComposition', { text, selectionStart: text.length, selectionEnd: text.length });
    await expect(studio.find('textbox', 'Caption')).toHaveValue(`a ${text}`);
  }
  await page.keyboard.insertText('猫');
  await expect(studio.find('textbox', 'Caption')).toHaveValue('a 猫');
  await studio.keep('phone-caption');
});
