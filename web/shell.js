// Stores the page's own files, so that it opens offline the next time.

/**
 * Call once, after the page has started. Does nothing without service workers, or without a network to check for a newer
 * version.
 * @returns {Promise<boolean>} whether the page is, or will be, stored
 */
export async function keepShell() {
  if (!('serviceWorker' in navigator)) return false;
  try {
    const response = await fetch('shell.json', { cache: 'no-store' });
    if (!response.ok) return false;
    const { version } = await response.json();
    // The version in the URL makes it a different worker, although the script is the same.
    await navigator.serviceWorker.register(`sw.js?${encodeURIComponent(version)}`, { updateViaCache: 'none' });
    return true;
  } catch {
    return false;
  }
}
