// Pictures in the studio's gallery.

import { expect } from '@playwright/test';

/**
 * The codes of pictures in the gallery, each opened in the editor in turn.
 * @param {{ click(name: string, role?: any): Promise<void>, codes(): Promise<number[]> }} studio of any browser
 * @param {string[]} names
 * @returns {Promise<number[][]>}
 */
export async function openedCodes(studio, names) {
  const found = [];
  for (const name of names) {
    const before = await studio.codes();
    await studio.click(name, 'option');
    await studio.click('Open in the editor');
    await expect.poll(() => studio.codes()).not.toEqual(before);
    found.push(await studio.codes());
    await studio.click(name, 'option');
  }
  return found;
}
