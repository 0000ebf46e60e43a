import type { IncomingMessage } from 'node:http';
import { Busboy, type BusboyInstance } from '@fastify/busboy';
import { Fault } from '#kit/fault.ts';
import { noRoom, type Room } from './bodies-in-hand.ts';
import type { Reply } from './reply.ts';
import type { SoundForm } from './transcription-request.ts';

/**
 * Reads a form with one file (`multipart/form-data`). The file's bytes go from the socket into the one buffer that is later
 * sent to the agent; nothing else keeps them.
 */

const FIELDS_MAX = 64;
const FIELD_BYTES_MAX = 16_384;
const NAME_BYTES_MAX = 128;
const FILENAME_CHARS_MAX = 128;
const FIRST_BYTES = 65_536;

/**
 * `done` is called once: with the form, or with the fault that ends the request. The room is for the file; the fields
 * have bounds of their own.
 */
export function readForm(
  request: IncomingMessage,
  reply: Reply,
  room: Room,
  done: (form: SoundForm | Fault) => void,
): void {
  const { bytesMax, fits } = room;
  const stated = Number(request.headers['content-length'] ?? Number.NaN);
  const most = bytesMax + FIELDS_MAX * (FIELD_BYTES_MAX + 1_024);
  let over = false;
  const finish = (form: SoundForm | Fault): void => {
    if (over) return;
    over = true;
    reply.onGone = undefined;
    request.unpipe();
    done(form);
  };
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') return finish(new Fault('encoding-unsupported'));
  if (stated > most) return finish(new Fault('body-too-large'));
  let form: BusboyInstance;
  try {
    form = new Busboy({
      headers: { ...request.headers, 'content-type': request.headers['content-type'] ?? '' },
      limits: {
        files: 1,
        fields: FIELDS_MAX,
        fieldNameSize: NAME_BYTES_MAX,
        fieldSize: FIELD_BYTES_MAX,
        parts: FIELDS_MAX + 1,
        fileSize: bytesMax,
      },
    });
  } catch {
    return finish(invalid('Send a form (multipart/form-data) with the fields file and model.'));
  }
  const fields: Record<string, string | string[]> = Object.create(null);
  const file = new Gathered(Number.isFinite(stated) ? Math.min(stated, bytesMax) : FIRST_BYTES);
  let filename = 'recording';
  let contentType = 'application/octet-stream';
  form.on('file', (name, stream, givenName, _encoding, mime) => {
    if (name !== 'file') {
      stream.on('error', () => undefined);
      stream.resume();
      finish(invalid('The form may hold one file, in the field file.'));
      return;
    }
    filename = plainName(givenName);
    contentType = mime;
    stream.on('data', (piece: Buffer) => {
      if (fits(file.length + piece.length)) file.add(piece);
      else finish(noRoom());
    });
    // A form that ends within its file says so here and on the form. Unheard, it would end the process.
    stream.on('error', () => finish(invalid('The form ends within its file.')));
    stream.on('limit', () => finish(new Fault('body-too-large')));
  });
  // The library's types promise a name; a part without one has none.
  form.on('field', (name: string | undefined, value, nameCut, valueCut) => {
    if (name === undefined) return finish(invalid('A field of the form has no name.'));
    if (nameCut || valueCut) return finish(invalid('A field of the form is too long.'));
    if (!name.endsWith('[]')) fields[name] = value;
    else fields[name] = [fields[name] ?? [], value].flat();
  });
  form.on('filesLimit', () => finish(invalid('The form may hold one file.')));
  form.on('fieldsLimit', () => finish(invalid('The form has too many fields.')));
  form.on('partsLimit', () => finish(invalid('The form has too many fields.')));
  form.on('error', () => finish(invalid('The form could not be read.')));
  form.on('finish', () => finish({ file: file.bytes, filename, contentType, fields: { ...fields } }));
  const gone = (): void => finish(new Fault('client-left'));
  reply.onGone = gone;
  request.pipe(form);
}

/** The name of a file without folders or characters that mean something to a shell, a header or a file system. */
function plainName(name: string | undefined): string {
  const last = (name ?? '').split(/[\\/]/).at(-1) ?? '';
  const plain = last.replaceAll(/[^\w.-]+/g, '_').slice(-FILENAME_CHARS_MAX);
  return plain === '' ? 'recording' : plain;
}

function invalid(outer: string): Fault {
  return new Fault('request-invalid', { outer });
}

/** One growing buffer. */
class Gathered {
  #buffer: Buffer;
  #length = 0;

  constructor(bytes: number) {
    this.#buffer = Buffer.allocUnsafe(bytes);
  }

  add(piece: Buffer): void {
    if (this.#length + piece.length > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length + piece.length));
      this.#buffer.copy(larger, 0, 0, this.#length);
      this.#buffer = larger;
    }
    this.#length += piece.copy(this.#buffer, this.#length);
  }

  get length(): number {
    return this.#length;
  }

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }
}
