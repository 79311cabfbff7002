// The studio in a real browser: widgets are found by role and name in the mirror, and used with real mouse and keyboard input.

import path from 'node:path';
import { expect, test as base } from './base.js';

export { expect } from './base.js';

/** Folder for screenshots. */
const OUT = path.join(import.meta.dirname, 'out');

/** Large enough for the whole code stack panel and a long log. */
const SIZE = { width: 1600, height: 1200 };

/** Long enough for a software rasterizer on a busy machine. */
const PATIENCE = { timeout: 300_000 };

/** For polls, which otherwise look only once a second, as other expectations do. */
const OFTEN = { ...PATIENCE, intervals: [100] };

/** @typedef {import('@playwright/test').Page} Page */
/** @typedef {Parameters<Page['getByRole']>[0]} Role */

export class Studio {
  /** @type {string[]} messages of uncaught errors in the page */
  faults = [];

  /** @param {Page} page */
  constructor(page) {
    this.page = page;
    this.mirror = page.locator('#mirror');
    page.on('pageerror', (error) => this.faults.push(error.message));
  }

  /**
   * Opens the page and waits until the first picture is shown.
   * @param {string} [wishes] the URL's query
   * @param {{ width: number, height: number }} [size] the window's size
   */
  async open(wishes = '', size = SIZE) {
    await this.visit(wishes, size);
    await this.seen();
  }

  /**
   * Opens the page and waits until a picture is encoded, which is long before it is shown on a software GPU.
   * @param {string} [wishes] the URL's query
   * @param {{ width: number, height: number }} [size] the window's size
   */
  async visit(wishes = '', size = SIZE) {
    await this.page.setViewportSize(size);
    await this.page.goto(`/${wishes}`);
    await expect.poll(() => this.page.locator('#loading').isHidden(), OFTEN).toBe(true);
    await this.encoded();
  }

  /** Waits until a picture is open. */
  async encoded() {
    await expect.poll(() => this.codes(), OFTEN).not.toBeNull();
  }

  /** Waits until a picture is open and decoded, and no job is running. */
  async seen() {
    await this.encoded();
    await expect.poll(() => this.find('img', 'Reconstruction picture').count(), OFTEN).toBe(1);
    await this.idle();
  }

  /** @returns {Promise<number>} progress of the running job in percent; 0 if there is none */
  async progress() {
    const bars = await this.mirror.getByRole('progressbar').all();
    const shown = await bars[0]?.getAttribute('aria-valuenow', { timeout: 1000 }).catch(() => null);
    return Number(shown);
  }

  /** Waits until no job is running. */
  async idle() {
    await expect.poll(() => this.says('Ready').count(), OFTEN).toBe(1);
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
   * Clicks the centre of a widget with the mouse, once it is enabled and stays where it is. Then waits for a frame, after
   * which the mirror shows what the click has changed: a widget that it removed can no longer be found.
   * @param {string | RegExp} name
   * @param {Role} [role]
   */
  async click(name, role = 'button') {
    await expect(this.find(role, name).first()).toBeEnabled(PATIENCE);
    const [{ x, y, width, height }] = await this.boxes([name], role);
    await this.page.mouse.click(x + width / 2, y + height / 2);
    await this.frame();
  }

  /** Waits for a frame of the window: people are slower than frames. */
  async frame() {
    await this.page.evaluate(() => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); }));
  }

  /** Closes the first steps, after which the window below them moves up. */
  async gotIt() {
    await this.click('Got it');
    await expect(this.find('button', 'Got it')).toHaveCount(0);
  }

  /**
   * The bounding box of a widget.
   * @param {string | RegExp} name
   * @param {Role} [role]
   */
  async box(name, role = 'button') {
    const found = this.find(role, name).first();
    await expect(found).toBeAttached(PATIENCE);
    const box = await found.boundingBox();
    if (!box) throw new Error(`expected a bounding box for ${name}, found none`);
    return box;
  }

  /**
   * The bounding boxes of widgets, once a frame leaves them where they are: the window moves while something appears in it.
   * @param {(string | RegExp)[]} names
   * @param {Role} [role]
   */
  async boxes(names, role = 'button') {
    const look = () => Promise.all(names.map((name) => this.box(name, role)));
    let now = await look();
    await expect.poll(async () => {
      const before = now;
      await this.frame();
      now = await look();
      return JSON.stringify(now) === JSON.stringify(before);
    }, OFTEN).toBe(true);
    return now;
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

  /** @returns {Promise<string[]>} the log's lines, latest first */
  async log() {
    await this.click('Log and device');
    await expect(this.find('button', 'Copy all')).toBeAttached(PATIENCE);
    return this.mirror.getByText(/^(Note|Warning|Error): /).allTextContents();
  }

  /**
   * A screenshot of a widget as PNG, taken once it no longer changes.
   * @param {string} name
   * @param {Role} [role]
   */
  async look(name, role = 'img') {
    let [before, now] = [Buffer.alloc(0), Buffer.alloc(0)];
    await expect.poll(async () => {
      [before, now] = [now, await this.page.screenshot({ clip: await this.box(name, role) })];
      return before.equals(now);
    }, OFTEN).toBe(true);
    return now;
  }

  /** Saves a screenshot of the window. */
  async keep(/** @type {string} */ name) {
    await this.page.screenshot({ path: path.join(OUT, `${name}.png`) });
  }
}

/**
 * `studio`: a page that is not open yet. At the end, checks that it threw no errors.
 * @type {import('@playwright/test').TestType<any, any>}
 */
export const test = base.extend({
  studio: async ({ page }, use) => {
    const studio = new Studio(page);
    await use(studio);
    expect(studio.faults).toEqual([]);
  },
});
