// What a browser may take away while the studio is open: the models' device, and the whole graphics context.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { WEB } from './base.js';
import { publish, STAGE1 } from './published.js';
import { expect, test } from './studio.js';

test.describe.configure({ timeout: 900_000 });

const PICTURE = 'Reconstruction picture';

/** Runs before the worker's own script: `lose` takes the device away as a browser does, with a given message. */
const LOSABLE = `
  const { requestDevice } = GPUAdapter.prototype;
  GPUAdapter.prototype.requestDevice = async function (...wishes) {
    const device = await requestDevice.apply(this, wishes);
    const lost = new Promise((tell) => {
      self.lose = (message) => {
        device.destroy();
        tell({ reason: 'unknown', message });
      };
    });
    return Object.defineProperty(device, 'lost', { value: lost });
  };
`;

/** Takes the models' device away. */
async function lose(/** @type {import('@playwright/test').Page} */ page, /** @type {string} */ why) {
  await page.workers()[0].evaluate((why) => globalThis.lose(why), why);
}

/** Edits a code by hand, and waits for the picture. */
async function change(/** @type {import('./studio.js').Studio} */ studio, /** @type {number} */ code) {
  await studio.enter('Code', code);
  await studio.idle();
  return studio.look(PICTURE);
}

test('a lost device: the model is loaded on another, edits survive, sampling stops @slow', async ({ page, server, studio }) => {
  server.put('/worker.js', LOSABLE + await readFile(path.join(WEB, 'dist', 'worker.js'), 'utf8'));
  await studio.open('?device=gpu');
  await studio.gotIt();
  await studio.click('row 3, column 4');
  const edited = await change(studio, 17);
  const codes = await studio.codes();
  await studio.enter('Pictures', 2);
  await studio.click('Generate (Ctrl+Enter)');
  await expect(studio.find('img', 'Preview 1')).toBeAttached({ timeout: 180_000 });

  await lose(page, 'a test took it');
  const said = 'the graphics device was lost (a test took it); reloading the model; start sampling again';
  // It is reported at the worker's next turn.
  await expect(studio.says(said).first()).toBeAttached({ timeout: 180_000 });
  await expect.poll(() => page.workers().length, { timeout: 180_000 }).toBe(1);
  await studio.idle();
  expect(await studio.codes()).toEqual(codes);
  // The previews for the pinned code are requested again, and settings are kept.
  await expect(studio.find('button', /^use code \d+ \(neighbour\)$/).first()).toBeAttached();
  await expect(studio.find('spinbutton', 'Pictures')).toHaveValue('2');
  await studio.keep('lost-device');
  expect((await change(studio, 18)).equals(edited)).toBe(false);
  const log = await studio.log();
  expect(log.filter((line) => !line.startsWith('Note: '))).toEqual([`Warning: ${said}`]);
});

test('the graphics context is lost and restored', async ({ browser, page, server, studio }) => {
  await studio.open(`?device=cpu&model=${await publish(server, STAGE1)}`);
  await studio.gotIt();
  await studio.click('row 3, column 4');
  const edited = await change(studio, 17);
  const codes = await studio.codes();
  const session = await browser.newBrowserCDPSession();
  await session.send('Browser.crashGpuProcess');
  await expect(page.locator('#loading')).toBeVisible();
  await studio.keep('lost-graphics');
  await expect(page.locator('#loading')).toBeHidden({ timeout: 180_000 });
  await studio.idle();
  await studio.keep('graphics-back');
  expect(await studio.codes()).toEqual(codes);
  expect((await studio.look(PICTURE)).equals(edited)).toBe(true);
  expect((await change(studio, 18)).equals(edited)).toBe(false);
});
