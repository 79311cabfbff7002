// Editing codes with mouse and keyboard, keyboard navigation, and the system's colour scheme.

import { differing } from './native.js';
import { publish, STAGE1 } from './published.js';
import { expect, test } from './studio.js';

test.describe.configure({ timeout: 600_000 });

const PICTURE = 'Reconstruction picture';

/** Index of a code in an 8x8x4 stack. */
function place(/** @type {number} */ row, /** @type {number} */ col, /** @type {number} */ depth) {
  return (row * 8 + col) * 4 + depth - 1;
}

test('arrows move the pinned cell, digits choose the depth, and a code is edited by mouse and number, and undone to the last pixel', async ({ page, server, studio }) => {
  await studio.open(`?device=cpu&model=${await publish(server, STAGE1)}`);
  // The first steps disappear after the first edit, which moves what is below them.
  await studio.gotIt();
  const opened = await studio.codes();
  await studio.click('row 3, column 4');
  await expect(studio.says('Row 3, column 4').first()).toBeAttached();
  await page.mouse.move(5, 5);
  for (const [key, text] of [['Right', 'Row 3, column 5'], ['Down', 'Row 4, column 5'], ['Left', 'Row 4, column 4'], ['Up', 'Row 3, column 4']]) {
    await page.keyboard.press(`Arrow${key}`);
    await expect(studio.says(text)).toBeAttached();
  }
  await page.keyboard.press('2');
  await expect(studio.find('button', 'show depth 2')).toHaveAttribute('aria-pressed', 'true');
  await studio.keep('keys');

  await studio.click(`depth 2: code ${opened[place(3, 4, 2)]}`);
  await expect(studio.says(`Replace code ${opened[place(3, 4, 2)]} at depth 2`)).toBeAttached();
  await studio.idle();
  // The picture is decoded from the codes down to this depth.
  const before = await studio.look(PICTURE);
  const neighbour = studio.find('button', /^use code \d+ \(neighbour\)$/).first();
  const code = Number(/\d+/.exec(await neighbour.getAttribute('aria-label') ?? ''));
  await studio.click(`use code ${code} (neighbour)`);
  await expect.poll(async () => differing(await studio.codes(), opened)).toEqual([place(3, 4, 2)]);
  expect((await studio.codes())[place(3, 4, 2)]).toBe(code);
  await studio.idle();
  await expect.poll(async () => before.equals(await studio.look(PICTURE))).toBe(false);
  await studio.keep('edited');
  await studio.click('Undo');
  await expect.poll(() => studio.codes()).toEqual(opened);
  await expect.poll(async () => before.equals(await studio.look(PICTURE))).toBe(true);

  await studio.enter('Code', 17);
  await expect.poll(async () => differing(await studio.codes(), opened)).toEqual([place(3, 4, 2)]);
  expect((await studio.codes())[place(3, 4, 2)]).toBe(17);
  await page.keyboard.press('Control+Z');
  await expect.poll(() => studio.codes()).toEqual(opened);
  await page.keyboard.press('Control+Shift+Z');
  await expect.poll(async () => (await studio.codes())[place(3, 4, 2)]).toBe(17);
});

test('the page is light or dark like the system, the Tab key moves from widget to widget, and the focus is visible', async ({ page, server, studio }) => {
  await page.emulateMedia({ colorScheme: 'dark' });
  await studio.open(`?model=${await publish(server, STAGE1)}`);
  await studio.keep('dark');
  expect(await brightness(page)).toBeLessThan(0.3);
  await page.emulateMedia({ colorScheme: 'light' });
  await expect.poll(() => brightness(page)).toBeGreaterThan(0.7);
  await studio.keep('light');
  await page.emulateMedia({ colorScheme: 'dark' });
  await expect.poll(() => brightness(page)).toBeLessThan(0.3);

  await page.mouse.click(5, 1000);
  const looks = Object.fromEntries(await Promise.all(
    ['File', 'Edit', 'View'].map(async (name) => /** @type {const} */ ([name, await studio.look(name, 'button')])),
  ));
  for (const name of ['File', 'Edit', 'View']) {
    await page.keyboard.press('Tab');
    await expect.poll(() => focused(page)).toBe(name);
    await expect.poll(async () => looks[name].equals(await studio.look(name, 'button'))).toBe(false);
    await studio.keep(`focus-${name.toLowerCase()}`);
  }
  await page.keyboard.press('Enter');
  await expect(studio.find('button', 'Reset layout')).toBeAttached();
});

/** The name of the widget with keyboard focus. */
function focused(/** @type {import('@playwright/test').Page} */ page) {
  return page.evaluate(() => {
    const id = document.getElementById('studio')?.getAttribute('aria-activedescendant');
    return id && document.getElementById(id)?.ariaLabel;
  });
}

/** Brightness of an empty part of the window, from 0 to 1. */
async function brightness(/** @type {import('@playwright/test').Page} */ page) {
  const clip = { x: 20, y: 900, width: 8, height: 8 };
  const png = (await page.screenshot({ clip })).toString('base64');
  return page.evaluate(async (png) => {
    const bitmap = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob());
    const context = new OffscreenCanvas(1, 1).getContext('2d');
    context?.drawImage(bitmap, 0, 0, 1, 1);
    return (context?.getImageData(0, 0, 1, 1).data[1] ?? NaN) / 255;
  }, png);
}
