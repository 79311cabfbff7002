// Writes tar archives byte by byte, including malicious ones.

/**
 * @param {string} name
 * @param {Buffer | string} [data]
 * @param {{ type?: string, size?: number, prefix?: string }} [header] `size` may be wrong
 */
export function entry(name, data = '', { type = '0', size, prefix = '' } = {}) {
  const bytes = Buffer.from(data);
  const header = Buffer.alloc(512);
  header.write(name, 0, 100);
  header.write('0000644\0', 100);
  header.write(`${(size ?? bytes.length).toString(8).padStart(11, '0')}\0`, 124);
  header.write('        ', 148);
  header.write(type, 156);
  header.write('ustar\x0000', 257);
  header.write(prefix, 345, 155);
  const sum = header.reduce((sum, byte) => sum + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([header, bytes, Buffer.alloc(-bytes.length & 511)]);
}

/** @param {Buffer[]} entries */
export function tar(...entries) {
  return Buffer.concat([...entries, Buffer.alloc(1024)]);
}

/**
 * An attribute of the next entry.
 * @param {string} key
 * @param {string | number} value
 */
export function pax(key, value) {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length;
  while (`${length}${rest}`.length !== length) length += 1;
  return entry('PaxHeader', `${length}${rest}`, { type: 'x' });
}

/** @param {string} name of the next entry, written as GNU tar does for names of more than 100 bytes */
export function longName(name) {
  return entry('././@LongLink', `${name}\0`, { type: 'L' });
}
