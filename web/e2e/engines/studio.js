// The studio in any browser: widgets are found by role and name in the mirror, and used with real mouse and keyboard input.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test as base } from '../base.js';
import { DRIVERS } from './drivers.js';

export { expect } from '../base.js';

/** Folder for screenshots. */
const OUT = path.join(import.meta.dirname, '..', 'out');

/** Long enough for models on two busy cores. By default, polls look only once a second. */
const PATIENCE = { timeout: 300_000, intervals: [200] };

/**
 * An element of the mirror.
 * @typedef {object} Widget
 * @property {string} name
 * @property {string | null} value of a field
 * @property {boolean} enabled
 * @property {number} x of its centre
 * @property {number} y
 */

/**
 * Runs in the page: the elements of a role (`text`: any) and a name.
 * @param {string} role
 * @param {{ text?: string, pattern?: string }} wanted
 * @returns {Widget[]}
 */
function widgets(role, { text, pattern }) {
  /** @type {Record<string, string>} */
  const fields = { range: 'slider', number: 'spinbutton', text: 'textbox', search: 'searchbox' };
  const isNamed = (/** @type {string} */ name) => (pattern === undefined ? name === text : new RegExp(pattern).test(name));
  return [.../** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll('#mirror *'))]
    .filter((element) => role === 'text' || (element.getAttribute('role') ?? fields[element.type]) === role)
    .map((element) => {
      const { left, top, width, height } = element.getBoundingClientRect();
      const own = element.firstChild instanceof Text ? element.firstChild.data : '';
      const name = role === 'text' ? own : element.getAttribute('aria-label') ?? own;
      const enabled = element.getAttribute('aria-disabled') !== 'true';
      return { name, value: element.value ?? null, enabled, x: left + width / 2, y: top + height / 2 };
    })
    .filter(({ name }) => isNamed(name));
}

export class Studio {
  /**
   * @param {import('./drivers.js').Driver} driver
   * @param {string} engine
   */
  constructor(driver, engine) {
    this.driver = driver;
    this.engine = engine;
  }

  /**
   * Opens the page and waits until the first picture is shown.
   * @param {string} address
   */
  async open(address) {
    await this.driver.goto(address);
    await this.seen();
  }

  /** Waits until a picture is open and decoded, and no job is running. */
  async seen() {
    // A page that could not start has said why: there is no need to wait for it.
    await expect.poll(() => this.codes().then((codes) => codes?.length ?? this.said()), PATIENCE).not.toBe('Loading the studio…');
    expect(await this.said()).toBeNull();
    await this.has('Reconstruction picture', 'img');
    await this.idle();
  }

  /** The message that covers the studio; null if there is none. */
  said() {
    return this.driver.evaluate(() => {
      const loading = /** @type {HTMLElement} */ (document.getElementById('loading'));
      return loading.hidden ? null : document.getElementById('said')?.textContent;
    });
  }

  /** Waits until no job is running. */
  async idle() {
    await this.has('Ready');
  }

  /** @returns {Promise<number[] | null>} the open stack's codes */
  codes() {
    return this.driver.evaluate(() => {
      const codes = /** @type {any} */ (globalThis).residua?.codes?.();
      return codes ? [...codes] : null;
    });
  }

  /**
   * @param {string | RegExp} name
   * @param {string} [role]
   * @returns {Promise<Widget[]>}
   */
  find(name, role = 'text') {
    return this.driver.evaluate(widgets, role, name instanceof RegExp ? { pattern: name.source } : { text: name });
  }

  /**
   * Waits until it exists.
   * @param {string | RegExp} name
   * @param {string} [role]
   * @returns {Promise<Widget>}
   */
  async has(name, role = 'text') {
    await expect.poll(() => this.find(name, role).then((found) => found.length), { message: `${role} ${name}`, ...PATIENCE }).toBeGreaterThan(0);
    return (await this.find(name, role))[0];
  }

  /**
   * Waits until it is gone.
   * @param {string | RegExp} name
   * @param {string} [role]
   */
  async hasNot(name, role = 'text') {
    await expect.poll(() => this.find(name, role).then((found) => found.length), { message: `no ${role} ${name}`, ...PATIENCE }).toBe(0);
  }

  /**
   * Clicks the centre of a widget with the mouse, once it is enabled.
   * @param {string | RegExp} name
   * @param {string} [role]
   */
  async click(name, role = 'button') {
    const isEnabled = () => this.find(name, role).then(([found]) => found?.enabled ?? false);
    await expect.poll(isEnabled, { message: `${role} ${name}, enabled`, ...PATIENCE }).toBe(true);
    const { x, y } = await this.has(name, role);
    await this.driver.click(x, y);
  }

  /**
   * Types a number into a field.
   * @param {string} name
   * @param {number} value
   */
  async enter(name, value) {
    await this.click(name, 'spinbutton');
    await this.driver.press('Control', 'a');
    for (const digit of String(value)) await this.driver.press(digit);
    await this.driver.press('Enter');
    await expect.poll(() => this.has(name, 'spinbutton').then((found) => found.value), PATIENCE).toBe(String(value));
  }

  /**
   * Drops a file on the window from a script: no driver can do it as the system does.
   * @param {string} file
   */
  async drop(file) {
    await this.driver.evaluate((/** @type {string} */ name, /** @type {string} */ base64) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], name));
      const event = new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true });
      document.getElementById('studio')?.dispatchEvent(event);
    }, path.basename(file), (await readFile(file)).toString('base64'));
  }

  /**
   * Chooses a file from the menu. The browser's dialog does not open: the driver gives the file to the page's input.
   * @param {string} file
   */
  async choose(file) {
    await this.driver.evaluate(() => {
      HTMLInputElement.prototype.click = function () {
        this.id = 'chooser';
        document.body.append(this);
      };
    });
    await this.click('File');
    await this.click('Open picture or codes… (Ctrl+O)');
    await expect.poll(() => this.driver.evaluate(() => Boolean(document.getElementById('chooser'))), PATIENCE).toBe(true);
    await this.driver.upload('#chooser', file);
  }

  /** @returns {Promise<string[]>} the log's warnings and errors, latest first */
  async wrong() {
    await this.click('Log and device');
    await this.has('Copy all', 'button');
    return (await this.find(/^(Warning|Error): /)).map(({ name }) => name);
  }

  /** Saves a screenshot of the window. */
  async keep(/** @type {string} */ name) {
    await mkdir(OUT, { recursive: true });
    await writeFile(path.join(OUT, `${this.engine}-${name}.png`), await this.driver.screenshot());
  }
}

/**
 * `engine`: the browser's name. `studio`: its window, with no page open yet. All tests share one window.
 * @type {import('@playwright/test').TestType<any, any>}
 */
export const test = base.extend({
  engine: ['', { option: true, scope: 'worker' }],
  driver: [async (/** @type {{ engine: string }} */ { engine }, /** @type {Function} */ use) => {
    const driver = await DRIVERS[engine]();
    console.log(`${engine} is ${driver.version}`);
    await use(driver);
    await driver.close();
  }, { scope: 'worker' }],
  studio: async (/** @type {any} */ { driver, engine }, /** @type {Function} */ use, /** @type {import('@playwright/test').TestInfo} */ info) => {
    const studio = new Studio(driver, engine);
    await use(studio);
    if (info.status !== info.expectedStatus) await studio.keep(`failed-${info.title.replaceAll(/\W+/g, '-')}`);
  },
});
