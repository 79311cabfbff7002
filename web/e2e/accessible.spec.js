// The elements over a canvas: found by role and name, in the right place, and transparent to the mouse.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from '@playwright/test';

const WEB = path.resolve(import.meta.dirname, '..');
const ORIGIN = 'http://mirror.test';
/** @type {Record<string, string>} */
const TYPES = { '.html': 'text/html', '.js': 'text/javascript' };

/** The canvas's position in the page. */
const CANVAS = { x: 30, y: 20 };

const CLICKABLE = ['click', 'focus'];
const SETTABLE = ['focus', 'increment', 'decrement', 'set_value'];
const FORM = {
  upsert: [
    { id: '1', role: 'dialog', name: 'Recipe', bounds: [100, 50, 200, 200], children: ['2', '3', '4', '5', '6', '7', '8'] },
    { id: '2', role: 'button', name: 'Encode', bounds: [110, 60, 80, 20], actions: CLICKABLE },
    { id: '3', role: 'button', name: 'Decode', bounds: [200, 60, 80, 20], disabled: true },
    { id: '4', role: 'checkbox', name: 'Preview', bounds: [110, 90, 80, 20], actions: CLICKABLE, checked: 'true' },
    { id: '5', role: 'slider', name: 'Temperature', bounds: [110, 120, 80, 20], actions: SETTABLE, valuenow: 0.5, min: 0, max: 2 },
    { id: '6', role: 'spinbutton', name: 'Pictures', bounds: [200, 120, 40, 20], actions: SETTABLE, valuenow: 4, min: 1, max: 9 },
    { id: '7', role: 'textbox', name: 'Caption', bounds: [110, 150, 160, 20], actions: [...CLICKABLE, 'set_value'], value: 'a fox' },
    { id: '8', role: 'combobox', name: 'Model', bounds: [110, 180, 160, 20], actions: CLICKABLE, value: 'small' },
    { id: '9', role: 'text', name: 'Ready', bounds: [0, 280, 60, 20] },
    { id: '18446744073709551615', role: 'status', name: '', bounds: [60, 280, 60, 20] },
  ],
  remove: [],
  top: ['1', '9', '18446744073709551615'],
  focus: null,
};

/**
 * @param {import('@playwright/test').Page} page
 * @param {Partial<typeof FORM> | object} change
 */
const update = (page, change) =>
  page.evaluate((json) => window.mirror.update(json), JSON.stringify({ upsert: [], remove: [], focus: null, ...change }));

/** @param {string} id */
const told = (id) => FORM.upsert.find((element) => element.id === id);

test.beforeEach(async ({ page }) => {
  await page.route(`${ORIGIN}/**`, async (route) => {
    const file = path.join(WEB, new URL(route.request().url()).pathname);
    await route.fulfill({ contentType: TYPES[path.extname(file)], body: await readFile(file) });
  });
  await page.goto(`${ORIGIN}/e2e/accessible-page.html`);
  await update(page, FORM);
});

test('elements are found by role and name, in the right place', async ({ page }) => {
  for (const { role, name, bounds: [x, y, width, height] } of FORM.upsert.filter(({ name }) => name)) {
    const element = role === 'text' ? page.getByText(name) : page.getByRole(role, { name, exact: true });
    await expect(element).toHaveCount(1);
    expect(await element.boundingBox()).toEqual({ x: CANVAS.x + x, y: CANVAS.y + y, width, height });
  }
});

test('the page is read in order, with states', async ({ page }) => {
  await expect(page.locator('main')).toMatchAriaSnapshot(`
    - main:
      - application:
        - dialog "Recipe":
          - button "Encode"
          - button "Decode" [disabled]
          - checkbox "Preview" [checked]
          - slider "Temperature": "0.5"
          - spinbutton "Pictures": "4"
          - textbox "Caption": a fox
          - combobox "Model": small
        - text: Ready
        - status
  `);
});

test('a click goes through to the canvas', async ({ page }) => {
  const box = await page.getByRole('button', { name: 'Encode' }).boundingBox();
  await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
  await page.getByRole('checkbox', { name: 'Preview' }).click({ force: true });
  expect(await page.evaluate(() => window.clicks)).toEqual([[150, 70], [150, 100]]);
  expect(await page.evaluate(() => window.actions)).toEqual([]);
});

test('assistive technology triggers actions', async ({ page }) => {
  await page.getByRole('button', { name: 'Encode' }).dispatchEvent('click');
  await page.getByRole('button', { name: 'Decode' }).dispatchEvent('click');
  await page.getByText('Ready').dispatchEvent('click');
  await page.getByRole('slider').fill('1.25');
  await page.getByRole('spinbutton').fill('7');
  await page.getByRole('textbox').fill('a bear');
  const actions = await page.evaluate(() => window.actions);
  expect(actions.filter(({ kind }) => kind === 'click' || kind === 'set_value')).toEqual([
    { id: '2', kind: 'click' },
    { id: '5', kind: 'set_value', value: 1.25 },
    { id: '6', kind: 'set_value', value: 7 },
    { id: '7', kind: 'set_value', value: 'a bear' },
  ]);
});

test('focus passes to the widget, and keyboard focus returns to the canvas', async ({ page }) => {
  await page.getByRole('button', { name: 'Encode' }).evaluate((element) => element.focus());
  expect(await page.evaluate(() => window.actions)).toEqual([{ id: '2', kind: 'show' }, { id: '2', kind: 'focus' }]);
  await expect(page.locator('canvas')).toBeFocused();
  await update(page, { focus: '2' });
  const active = await page.locator('canvas').getAttribute('aria-activedescendant');
  await expect(page.locator(`[id="${active}"]`)).toHaveAccessibleName('Encode');
  await update(page, { focus: null });
  await expect(page.locator('canvas')).not.toHaveAttribute('aria-activedescendant');
});

test('a field takes input, and the canvas gets the keys that leave it', async ({ page }) => {
  const field = page.getByRole('textbox');
  await field.focus();
  await page.keyboard.press('End');
  await page.keyboard.type('es');
  await expect(field).toBeFocused();
  const asked = await page.evaluate(() => window.actions.at(-1));
  expect(asked).toEqual({ id: '7', kind: 'set_value', value: 'a foxes' });
  await page.keyboard.press('Enter');
  await expect(page.locator('canvas')).toBeFocused();
  expect(await page.evaluate(() => window.keys)).toEqual(['Enter']);
});

test('input survives unrelated updates, and a rejected value is reset', async ({ page }) => {
  const field = page.getByRole('spinbutton');
  await field.focus();
  await field.press('5');
  const written = await field.inputValue();
  expect(written).not.toBe('4');
  await update(page, { upsert: [{ ...told('6'), bounds: [210, 120, 40, 20] }] });
  await expect(field).toHaveValue(written);
  await field.press('Escape');
  await expect(field).toHaveValue('4');
  await update(page, { upsert: [{ ...told('6'), valuenow: 9 }] });
  await expect(field).toHaveValue('9');
});

test('only changed elements are touched', async ({ page }) => {
  await page.evaluate(() => {
    window.touched = [];
    const note = (records) => records.forEach(({ target }) => window.touched.push(target.ariaLabel ?? target.tagName));
    new MutationObserver(note).observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
  });
  await update(page, { upsert: [{ ...told('4'), checked: 'false' }] });
  await expect(page.getByRole('checkbox', { checked: false })).toHaveCount(1);
  expect(new Set(await page.evaluate(() => window.touched))).toEqual(new Set(['Preview']));
});

test('elements move with their parent, appear, disappear, and change kind and order', async ({ page }) => {
  const moved = FORM.upsert.slice(0, 2).map((element) => ({ ...element, bounds: element.bounds.with(0, element.bounds[0] + 50) }));
  const children = ['8', '2', '10', '4', '5', '6', '7'];
  const added = { id: '10', role: 'option', name: 'large', bounds: [110, 210, 80, 20], selected: 'true' };
  const changed = { ...told('4'), role: 'switch' };
  await update(page, { upsert: [{ ...moved[0], children }, moved[1], changed, added], remove: ['3'] });
  await expect(page.getByRole('dialog')).toMatchAriaSnapshot(`
    - dialog "Recipe":
      - combobox "Model": small
      - button "Encode"
      - option "large" [selected]
      - switch "Preview" [checked]
      - slider "Temperature": "0.5"
      - spinbutton "Pictures": "4"
      - textbox "Caption": a fox
  `);
  const left = async (role) => (await page.getByRole(role).boundingBox()).x - CANVAS.x;
  expect([await left('dialog'), await left('button'), await left('slider')]).toEqual([150, 160, 110]);
  await expect(page.getByRole('button', { name: 'Decode' })).toHaveCount(0);
});

test('status messages are text that is read aloud', async ({ page }) => {
  await update(page, { upsert: [{ ...FORM.upsert.at(-1), name: 'Encoded' }] });
  await expect(page.getByRole('status')).toHaveText('Encoded');
});
