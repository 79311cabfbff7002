// One interface to three browsers: Chromium and Firefox over WebDriver BiDi, WebKit over classic WebDriver.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import puppeteer from 'puppeteer-core';
import { Builder, Capabilities, Key } from 'selenium-webdriver';

/** Large enough for all panels. */
export const SIZE = { width: 1600, height: 1200 };

/** How long WebKit's driver may take to start listening, in milliseconds. */
const PATIENCE = 30_000;

/**
 * A browser with one page open.
 * @typedef {object} Driver
 * @property {string} version e.g. `firefox/153.0`
 * @property {(url: string) => Promise<void>} goto
 * @property {(work: Function, ...values: any[]) => Promise<any>} evaluate runs `work` in the page with these values, and
 *   waits for it
 * @property {(x: number, y: number) => Promise<void>} click
 * @property {(...keys: string[]) => Promise<void>} press presses the last key while the others are held
 * @property {(selector: string, file: string) => Promise<void>} upload gives a local file to an input
 * @property {() => Promise<Uint8Array>} screenshot a PNG
 * @property {() => Promise<void>} close
 */

/** @type {Record<string, () => Promise<Driver>>} */
export const DRIVERS = {
  chromium: () => byBidi({
    browser: 'chrome',
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    // Containers run as root, where the sandbox does not start.
    args: ['--no-sandbox', '--use-angle=swiftshader', '--enable-unsafe-swiftshader'],
  }),
  firefox: () => byBidi({
    browser: 'firefox',
    executablePath: process.env.FIREFOX ?? '/usr/bin/firefox-esr',
    // Firefox refuses software rendering by default.
    extraPrefsFirefox: { 'webgl.force-enabled': true },
  }),
  webkit: byWebDriver,
};

/**
 * @param {import('puppeteer-core').LaunchOptions} options
 * @returns {Promise<Driver>}
 */
async function byBidi(options) {
  needs(options.executablePath);
  // Without a window Firefox has no WebGL.
  const browser = await puppeteer.launch({ headless: false, protocol: 'webDriverBiDi', ...options });
  const page = await browser.newPage();
  await page.setViewport(SIZE);
  return {
    version: await browser.version(),
    goto: async (url) => void await page.goto(url),
    evaluate: (work, ...values) => page.evaluate(/** @type {any} */ (work), ...values),
    click: (x, y) => page.mouse.click(x, y),
    press: async (...keys) => {
      const last = /** @type {import('puppeteer-core').KeyInput} */ (keys.pop());
      for (const key of keys) await page.keyboard.down(/** @type {any} */ (key));
      await page.keyboard.press(last);
      for (const key of keys) await page.keyboard.up(/** @type {any} */ (key));
    },
    upload: async (selector, file) => {
      const input = /** @type {import('puppeteer-core').ElementHandle<HTMLInputElement> | null} */ (await page.$(selector));
      if (!input) throw new Error(`expected an input at ${selector}, found none`);
      await input.uploadFile(file);
    },
    screenshot: () => page.screenshot(),
    close: () => browser.close(),
  };
}

/** @returns {Promise<Driver>} */
async function byWebDriver() {
  const program = process.env.WEBKIT_DRIVER ?? '/usr/bin/WebKitWebDriver';
  needs(program);
  const port = await freePort();
  const env = { XDG_RUNTIME_DIR: tmpdir(), ...process.env };
  const server = spawn(program, [`--port=${port}`], { env, stdio: 'ignore' });
  try {
    await listening(port);
    const driver = await new Builder()
      .usingServer(`http://127.0.0.1:${port}`)
      .withCapabilities(new Capabilities({ browserName: 'MiniBrowser' }))
      .build();
    const [name, version] = await driver.getCapabilities().then((all) => [all.getBrowserName(), all.getBrowserVersion()]);
    await driver.manage().setTimeouts({ script: 600_000, pageLoad: 600_000 });
    await driver.manage().window().setRect({ x: 0, y: 0, ...SIZE });
    const code = (/** @type {string} */ key) => Key[key.toUpperCase().replace(/^ARROW/, 'ARROW_')] ?? key.toLowerCase();
    return {
      version: `${name}/${version}`,
      goto: (url) => driver.get(url),
      evaluate: (work, ...values) => driver.executeScript(`return (${work}).apply(null, arguments)`, ...values),
      click: (x, y) => driver.actions().move({ x: Math.round(x), y: Math.round(y) }).click().perform(),
      press: async (...keys) => {
        const actions = driver.actions();
        for (const key of keys) actions.keyDown(code(key));
        for (const key of keys.reverse()) actions.keyUp(code(key));
        await actions.perform();
      },
      upload: async (selector, file) => driver.findElement({ css: selector }).sendKeys(file),
      screenshot: async () => Buffer.from(await driver.takeScreenshot(), 'base64'),
      close: async () => {
        await driver.quit();
        server.kill();
      },
    };
  } catch (error) {
    server.kill();
    throw error;
  }
}

/** @param {string | undefined} program */
function needs(program) {
  if (program && existsSync(program)) return;
  throw new Error(`expected a browser at ${program}, found none: tests/run installs it on Debian; elsewhere set CHROMIUM, FIREFOX or WEBKIT_DRIVER`);
}

/** A free port. */
async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {net.AddressInfo} */ (server.address());
  server.close();
  await once(server, 'close');
  return port;
}

/**
 * Waits until something listens on the port.
 * @param {number} port
 */
async function listening(port) {
  const until = Date.now() + PATIENCE;
  for (;;) {
    const socket = net.connect(port, '127.0.0.1');
    const connected = await once(socket, 'connect').then(() => true, () => false);
    socket.destroy();
    if (connected) return;
    if (Date.now() > until) throw new Error(`expected WebKit's driver to listen on port ${port}, found nothing after ${PATIENCE} ms`);
    await new Promise((again) => setTimeout(again, 50));
  }
}
