import { Fault } from '#kit/fault.ts';
import { transcriptionFieldsSchema } from '#wire/openai/audio.ts';
import { PRIVATE_FIELDS } from './body.ts';
import type { Ask } from './endpoint.ts';
import { checkBySchema } from './read-json.ts';
import { type SoundLength, soundLength } from './sound-length.ts';

/** A form with a recording, read. */
export interface TranscriptionRequest extends Ask {
  readonly format: 'json' | 'text' | 'verbose_json';
  readonly length: SoundLength;
  /** What an agent is told beside the recording. */
  readonly told: Readonly<Record<string, unknown>>;
}

/** A form: its recording, and its other fields as texts; a name that ends in `[]` may come several times. */
export interface SoundForm {
  readonly file: Buffer;
  readonly filename: string;
  readonly contentType: string;
  readonly fields: Readonly<Record<string, string | readonly string[]>>;
}

/** Everything but the recording must fit into one frame to an agent. */
const TOLD_BYTES_MAX = 8_192;

export function readTranscriptionRequest(form: SoundForm): TranscriptionRequest | Fault {
  if (form.file.length === 0) {
    return new Fault('request-invalid', { param: 'file', outer: "'file' is missing or empty." });
  }
  const fields = checkBySchema(form.fields, transcriptionFieldsSchema);
  if (fields instanceof Fault) return fields;
  const { model, response_format: format = 'json', stream: _stream, ...rest } = fields;
  for (const name of PRIVATE_FIELDS) delete rest[name];
  const told = {
    model,
    ...rest,
    filename: form.filename,
    // A text is unwrapped here: agents answer in JSON whatever is asked.
    response_format: format === 'text' ? 'json' : format,
  };
  if (Buffer.byteLength(JSON.stringify(told)) > TOLD_BYTES_MAX) {
    return new Fault('request-invalid', { outer: 'The fields beside the file are too long.' });
  }
  return {
    model,
    stream: false,
    includeUsage: false,
    maxTokens: undefined,
    n: 1,
    promptBytes: 0,
    format,
    length: soundLength(form.file),
    told,
  };
}
