// Drives the store's test page.

/**
 * @param {import('@playwright/test').Page} page
 */
export async function openStore(page) {
  await page.goto('/e2e/store-page.html');
  await page.waitForFunction('window.call');
  /** @type {(method: string, ...args: unknown[]) => Promise<{ result?: any, error?: string }>} */
  const call = (...args) => page.evaluate((args) => window.call(...args), args);
  return {
    call,
    /** The result of a call; throws if the store does. @type {(method: string, ...args: unknown[]) => Promise<any>} */
    get: async (...args) => {
      const { result, error } = await call(...args);
      if (error !== undefined) throw new Error(error);
      return result;
    },
    /** The error of a call, as one line. @type {(method: string, ...args: unknown[]) => Promise<string>} */
    error: async (...args) => (await call(...args)).error ?? 'no error',
    /** @returns {Promise<[number, number | null, string][]>} */
    progress: () => page.evaluate(() => window.progress),
    /** Drops a local file on the page. @type {(name: string, bytes: Buffer) => Promise<any>} */
    drop: (name, bytes) =>
      page.evaluate(
        async ([name, base64]) => {
          const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
          return window.call('unpackLocal', new File([bytes], name));
        },
        [name, bytes.toString('base64')],
      ),
  };
}
