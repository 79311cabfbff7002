// A page that uses residua.js, and its pictures.

import { readFileSync } from 'node:fs';

/** Opens a blank page, with residua.js as `api`. */
export async function open(/** @type {import('@playwright/test').Page} */ page, /** @type {import('./server.js').Server} */ server) {
  server.put('/blank.html', '<!doctype html><link rel="icon" href="data:,"><title>A page</title>');
  await page.goto('/blank.html');
  await page.evaluate(async () => {
    window.api = await import('/residua.js');
    /** The error thrown, as one line. */
    window.errorOf = async (work) => {
      try {
        await work();
        return 'no error';
      } catch (error) {
        return `${error.name}: ${error.message}`;
      }
    };
    window.fileOf = async (address, name) => new File([await (await fetch(address)).blob()], name);
  });
}

/** Pixels of a PNG or of a canvas of the page, as RGBA bytes. */
export async function pixels(/** @type {import('@playwright/test').Page} */ page, /** @type {string} */ source) {
  return page.evaluate(async (source) => {
    const isFile = source.startsWith('data:');
    const picture = isFile ? await createImageBitmap(await (await fetch(source)).blob()) : document.querySelector(source);
    const canvas = new OffscreenCanvas(picture.width, picture.height);
    const context = canvas.getContext('2d');
    context.drawImage(picture, 0, 0);
    return [...context.getImageData(0, 0, canvas.width, canvas.height).data];
  }, source);
}

export const dataUrl = (/** @type {string} */ file) => `data:image/png;base64,${readFileSync(file).toString('base64')}`;
export const furthest = (/** @type {number[]} */ a, /** @type {number[]} */ b) =>
  a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
