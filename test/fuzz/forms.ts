import assert from 'node:assert/strict';
import { readTranscriptionRequest } from '#gateway/transcription-request.ts';
import { Fault } from '#kit/fault.ts';
import { readPieces } from '#support/form-reader.ts';
import { ERRORS, type ErrorCode } from '#wire/errors.ts';
import { Chance } from '../sim/chance.ts';
import type { Tally } from './bodies.ts';
import { broken } from './senseless.ts';

const BOUNDARIES = ['cut', 'x'.repeat(70), '--', 'a b', ''] as const;
const HEADERS = [
  'Content-Disposition: form-data; name="file"; filename="a.wav"',
  'Content-Disposition: form-data; name="model"',
  'Content-Disposition: form-data; name="model"',
  'Content-Disposition: form-data; name="language"',
  'Content-Disposition: form-data; name="timestamp_granularities[]"',
  'Content-Disposition: form-data; name="__proto__"',
  'Content-Disposition: form-data; name=',
  'Content-Disposition: form-data',
  'Content-Disposition: attachment; name="model"',
  'Content-Disposition: form-data; name="file"; filename="../../\r\n\0.wav"',
  "Content-Disposition: form-data; name*=utf-8''%zz; filename*=x'y'%41",
  'content-disposition:;;=;"',
  'Content-Type: audio/wav',
  'Content-Type: text/plain; charset=utf-7',
  'Content-Type:',
  'Content-Transfer-Encoding: base64',
  'nonsense',
  `A: ${'a'.repeat(2_000)}`,
  ' folded',
] as const;
const CONTENTS = [
  '',
  'whisper',
  'RIFF\x24\0\0\0WAVEfmt \x10\0\0\0',
  '\r\n--cut',
  '--cut--',
  '\0\xff\xfe',
  'x'.repeat(3_000),
] as const;
const FILE_BYTES_MAX = 2_048;

/** Forms with a recording, senseless in their parts, heads, boundaries and pieces. Oracle as for other bodies. */
export async function fuzzForms(seed: number, cases: number): Promise<Tally> {
  const chance = new Chance(seed).stream('forms');
  const outcomes = new Map<string, number>();
  let slowestMs = 0;
  for (let i = 1; i <= cases; i++) {
    const boundary = chance.yes(0.9) ? 'cut' : chance.one(BOUNDARIES);
    let text = '';
    for (let part = chance.whole(0, 4); part > 0; part--) {
      text += `--${boundary}\r\n`;
      if (chance.yes(0.6)) text += `${chance.one(HEADERS.slice(0, 4))}\r\n`;
      else for (let header = chance.whole(1, 3); header > 0; header--) text += `${chance.one(HEADERS)}\r\n`;
      text += `\r\n${chance.one(CONTENTS)}\r\n`;
    }
    if (chance.yes(0.8)) text += `--${boundary}--\r\n`;
    const whole = Buffer.from(text, 'latin1');
    const body = chance.yes(0.25) ? broken(chance, whole) : whole;
    const type = chance.yes(0.95)
      ? `multipart/form-data; boundary=${chance.yes(0.5) ? boundary : `"${boundary}"`}`
      : chance.one([
          '',
          'multipart/form-data',
          'application/x-www-form-urlencoded',
          'multipart/form-data; boundary="',
        ]);
    const startedMs = performance.now();
    try {
      const pieceBytes = chance.one([1, 3, 64, 100_000]);
      const form = await readPieces(body, { type, pieceBytes, fileBytesMax: FILE_BYTES_MAX });
      const read = form instanceof Fault ? form : readTranscriptionRequest(form);
      let outcome = 'read';
      if (read instanceof Fault) {
        outcome = read.code;
        const row = ERRORS[read.code as ErrorCode];
        assert(row.status >= 400 && row.status < 500, `${read.code} is not the caller's`);
      } else assert(Number.isInteger(read.length.secondsMax) && read.length.secondsMax >= 0);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    } catch (error) {
      throw new Error(
        `seed ${seed}, case ${i}, form of ${type}: ${JSON.stringify(body.toString('latin1'))}`,
        {
          cause: error,
        },
      );
    }
    slowestMs = Math.max(slowestMs, performance.now() - startedMs);
  }
  return { cases, outcomes, slowestMs };
}
