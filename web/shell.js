// Has the page keep its own files, so that it opens without a network the next time.

/**
 * Call once, after the page has started. Where there are no service workers, or no network to look for a newer version,
 * nothing changes.
 * @returns {Promise<boolean>} whether the page is, or is going to be, kept
 */
export async function keepShell() {
  if (!('serviceWorker' in navigator)) return false;
  try {
    const response = await fetch('shell.json', { cache: 'no-store' });
    if (!response.ok) return false;
    const { version } = await response.json();
    // The version in the address makes it another worker, though the script is the same.
    await navigator.serviceWorker.register(`sw.js?${encodeURIComponent(version)}`, { updateViaCache: 'none' });
    return true;
  } catch {
    return false;
  }
}
