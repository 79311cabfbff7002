// In place of a store where the browser gives none, as some private windows do: files are in memory, and gone with the
// page.

export class NoStore {
  /** @returns {Promise<[string, Blob][]>} */
  async fetch(address, { progress = () => {} } = {}) {
    const response = await fetch(address, { cache: 'no-store' });
    if (!response.ok) throw new Error(`${address}: the server answered ${response.status}`);
    const blob = await response.blob();
    progress(blob.size, blob.size);
    const { origin, pathname } = new URL(address);
    return [[origin + pathname, blob]];
  }

  async unpackLocal(file) {
    throw new Error(`${file.name}: this browser keeps no files, so that archives cannot be unpacked: unpack it yourself`);
  }

  async list() {
    return [];
  }

  async forget() {}
}
