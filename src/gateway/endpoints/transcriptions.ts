import { operationSet } from '#domain/operation.ts';
import { ONE_ANSWER } from '#hub/link.ts';
import { type Endpoint, json } from '../endpoint.ts';
import type { TranscriptionRequest } from '../transcription-request.ts';

const NEEDS = operationSet(['audio/transcriptions']);

/** `POST /v1/audio/transcriptions`. A recording is one piece, and as many seconds as it lasts. */
export const transcriptions: Endpoint<TranscriptionRequest> = {
  name: 'transcriptions',
  operation: 'audio/transcriptions',
  categories: new Set(['audio']),
  needs: () => NEEDS,
  ceiling: ({ length }) => ({ inputTokens: 0, outputTokens: 0, units: 1, seconds: length.secondsMax }),
  expects: () => ONE_ANSWER,
  body: (_ask, recording) => recording,
  set: ({ told }) => ({ ...told }),
  contentBytes: (answer) => Buffer.byteLength(answer['text'] as string),
  pieces: ({ length }, answer) => ({ units: 1, seconds: secondsOf(length, answer) }),
  render: ({ ask, answer, body, usage }) => {
    if (ask.format === 'text')
      return { type: 'text/plain; charset=utf-8', body: Buffer.from(`${answer['text'] as string}\n`) };
    if (ask.format === 'verbose_json') return json(body);
    const seconds = usage.seconds ?? 0;
    return json(Buffer.from(JSON.stringify({ text: answer['text'], usage: { type: 'duration', seconds } })));
  },
};

/** The provider's figure, within what the bytes allow; without one, the least that they allow. */
function secondsOf(
  length: TranscriptionRequest['length'],
  answer: Readonly<Record<string, unknown>>,
): number {
  const usage = answer['usage'] as { seconds?: unknown } | null | undefined;
  const stated = typeof answer['duration'] === 'number' ? answer['duration'] : usage?.seconds;
  const seconds = typeof stated === 'number' && stated >= 0 ? Math.ceil(stated) : length.secondsMin;
  return Math.min(Math.max(seconds, length.secondsMin), length.secondsMax);
}
