import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { finished } from 'node:stream/promises';
import { readForm } from '#gateway/form.ts';
import type { Reply } from '#gateway/reply.ts';
import type { SoundForm } from '#gateway/transcription-request.ts';
import type { Fault } from '#kit/fault.ts';

/**
 * What the gateway reads from a form that arrives in pieces of this size. Waits until the body was read to its end and
 * everything that it sets off is over; throws unless there was exactly one answer.
 */
export async function readPieces(
  body: Buffer,
  about: { type: string; pieceBytes: number; fileBytesMax: number },
): Promise<SoundForm | Fault> {
  const request = Object.assign(new PassThrough(), { headers: { 'content-type': about.type } });
  const answers: (SoundForm | Fault)[] = [];
  readForm(
    request as unknown as IncomingMessage,
    {} as Reply,
    { bytesMax: about.fileBytesMax, fits: () => true },
    (form) => {
      answers.push(form);
      request.resume();
    },
  );
  for (let at = 0; at < body.length; at += about.pieceBytes)
    request.write(body.subarray(at, at + about.pieceBytes));
  request.end();
  await finished(request, { writable: false });
  for (let turn = 0; turn < 20 && answers.length === 0; turn++)
    await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(answers.length, 1, `${answers.length} answers to one form`);
  return answers[0] as SoundForm | Fault;
}
