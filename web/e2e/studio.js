// The studio in a real browser: widgets are found by role and name in the mirror, and used by the real mouse and keyboard.

import path from 'node:path';
import { expect, test as base } from './base.js';

export { expect } from './base.js';

/** Pictures of the tests. */
const OUT = path.join(import.meta.dirname, 'out');

/** Where all of the code stack's panel and a long log can be seen. */
const SIZE = { width: 1600, height: 1200 };

/** A software rasterizer on a busy machine. */
const PATIENCE = { timeout: 300_000 };

/** @typedef {import('@playwright/test').Page} Page */
/** @typedef {Parameters<Page['getByRole']>[0]} Role */

export class Studio {
  /** @type {string[]} what the page has thrown */
  faults = [];

  /** @param {Page} page */
  constructor(page) {
    this.page = page;
    this.mirror = page.locator('#mirror');
    page.on('pageerror', (error) => this.faults.push(error.message));
  }

  /**
   * Opens the page and waits until the first picture is there.
   * @param {string} [wishes] the address's search part
   */
  async open(wishes = '') {
    await this.page.setViewportSize(SIZE);
    await this.page.goto(`/${wishes}`);
    await expect(this.page.locator('#loading')).toBeHidden(PATIENCE);
    await this.seen();
  }

  /** Waits until a picture is open and decoded, and nothing is under way. */
  async seen() {
    await expect.poll(() => this.codes(), PATIENCE).not.toBeNull();
    await expect(this.find('img', 'Reconstruction picture')).toBeAttached(PATIENCE);
    await this.idle();
  }

  /** @returns {Promise<number>} percent done of what is under way; 0 if nothing is */
  async progress() {
    const bars = await this.mirror.getByRole('progressbar').all();
    const shown = await bars[0]?.getAttribute('aria-valuenow', { timeout: 1000 }).catch(() => null);
    return Number(shown);
  }

  /** Waits until nothing is under way. */
  async idle() {
    await expect(this.says('Ready')).toBeAttached(PATIENCE);
  }

  /** @returns {Promise<number[] | null>} the open stack's codes */
  codes() {
    return this.page.evaluate(() => {
      const codes = globalThis.residua?.codes();
      return codes ? [...codes] : null;
    });
  }

  /**
   * @param {Role} role
   * @param {string | RegExp} name
   */
  find(role, name) {
    return this.mirror.getByRole(role, { name, exact: true });
  }

  /** @param {string | RegExp} text */
  says(text) {
    return this.mirror.getByText(text, { exact: true });
  }

  /**
   * Clicks the middle of a widget with the mouse.
   * @param {string | RegExp} name
   * @param {Role} [role]
   */
  async click(name, role = 'button') {
    const { x, y, width, height } = await this.box(name, role);
    await this.page.mouse.click(x + width / 2, y + height / 2);
  }

  /**
   * Where a widget is.
   * @param {string | RegExp} name
   * @param {Role} [role]
   */
  async box(name, role = 'button') {
    const found = this.find(role, name).first();
    await expect(found).toBeAttached(PATIENCE);
    const box = await found.boundingBox();
    if (!box) throw new Error(`expected a place for ${name}, found none`);
    return box;
  }

  /**
   * Types a number into a field.
   * @param {string} name
   * @param {number} value
   */
  async enter(name, value) {
    await this.click(name, 'spinbutton');
    await this.page.keyboard.press('Control+A');
    await this.page.keyboard.type(String(value));
    await this.page.keyboard.press('Enter');
    await expect(this.find('spinbutton', name)).toHaveValue(String(value), PATIENCE);
  }

  /**
   * Drops files on the window, as the system does.
   * @param {string[]} files paths
   */
  async drop(...files) {
    const session = await this.page.context().newCDPSession(this.page);
    const data = { items: [], files, dragOperationsMask: 1 };
    for (const type of /** @type {const} */ (['dragEnter', 'dragOver', 'drop'])) {
      await session.send('Input.dispatchDragEvent', { type, x: 800, y: 600, data });
    }
    await session.detach();
  }

  /** @returns {Promise<string[]>} the log's lines, the latest first */
  async log() {
    await this.click('Log and device');
    await expect(this.find('button', 'Copy all')).toBeAttached(PATIENCE);
    return this.mirror.getByText(/^(Note|Warning|Error): /).allTextContents();
  }

  /**
   * What lies at a widget's place, as a PNG, once it stays the same.
   * @param {string} name
   * @param {Role} [role]
   */
  async look(name, role = 'img') {
    let [before, now] = [Buffer.alloc(0), Buffer.alloc(0)];
    await expect.poll(async () => {
      [before, now] = [now, await this.page.screenshot({ clip: await this.box(name, role) })];
      return before.equals(now);
    }, PATIENCE).toBe(true);
    return now;
  }

  /** Keeps a picture of the window. */
  async keep(/** @type {string} */ name) {
    await this.page.screenshot({ path: path.join(OUT, `${name}.png`) });
  }
}

/**
 * `studio`: a page that is still to be opened; that nothing was thrown is checked at the end.
 * @type {import('@playwright/test').TestType<any, any>}
 */
export const test = base.extend({
  studio: async ({ page }, use) => {
    const studio = new Studio(page);
    await use(studio);
    expect(studio.faults).toEqual([]);
  },
});
