import type { Randomness } from './random.ts';

/** A form with a recording, in pieces that are sent one after the other: the recording itself is not copied. */
export interface Form {
  readonly contentType: string;
  readonly bytes: number;
  readonly pieces: readonly Buffer[];
}

/** Writes `fields` (texts, numbers, or lists of them) and the file as `multipart/form-data`. */
export function multipart(
  fields: Readonly<Record<string, unknown>>,
  file: { name: string; bytes: Buffer },
  boundary: string,
): Form {
  let head = '';
  for (const [name, value] of Object.entries(fields)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (typeof each !== 'string' && typeof each !== 'number' && typeof each !== 'boolean') continue;
      head += `--${boundary}\r\ncontent-disposition: form-data; name="${plain(name)}"\r\n\r\n${each}\r\n`;
    }
  }
  head += `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="${plain(file.name)}"\r\n`;
  head += 'content-type: application/octet-stream\r\n\r\n';
  const pieces = [Buffer.from(head), file.bytes, Buffer.from(`\r\n--${boundary}--\r\n`)];
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    bytes: pieces.reduce((sum, piece) => sum + piece.length, 0),
    pieces,
  };
}

/** A boundary that occurs in no recording but by a chance of 2⁻¹²⁸. */
export function newBoundary(randomness: Randomness): string {
  return `cygnet-${Buffer.from(randomness.bytes(16)).toString('hex')}`;
}

/** A name that cannot end its quotes or its line. */
function plain(name: string): string {
  return name.replaceAll(/[^\w.[\]-]/g, '_').slice(0, 128);
}
