import { answerBytes, areChoices, chunkObject, isFields } from './completion.ts';
import type { Job } from './link.ts';

type Fields = Record<string, unknown>;

/** A chunk of a Swan stream, rebuilt as a server-sent event that the consumer may see. */
export interface ChunkEvent {
  readonly text: string;
  /** 1 when it carries a piece of the answer; 0 for a role or a finish alone. */
  readonly tokens: 0 | 1;
  /** UTF-8 bytes of what the model wrote. */
  readonly contentBytes: number;
  readonly finished: boolean;
}

/** What every event of a job begins with. Made once per attempt. */
export function eventHead(job: Job): string {
  const head = JSON.stringify({
    id: job.completionId,
    object: chunkObject(job),
    created: job.createdS,
    model: job.modelId,
  });
  return `data: ${head.slice(0, -1)},"choices":`;
}

/** Ours, or not the consumer's business. */
const REPLACED = new Set(['id', 'object', 'created', 'model', 'choices', 'usage', 'error', '__proto__']);

/**
 * Rebuilds a chunk from its parsed fields, so that nothing an agent writes can pass for an event of ours: own id, time
 * and model, no usage, and text only as JSON writes it (no line break can occur in it). Undefined when it is no chunk
 * with at least one choice.
 */
export function chunkEvent(head: string, chunk: Fields): ChunkEvent | undefined {
  const choices = chunk['choices'];
  if (!areChoices(choices, 1)) return undefined;
  let tokens: 0 | 1 = 0;
  let contentBytes = 0;
  let finished = false;
  for (const choice of choices) {
    const delta = choice['delta'];
    if (typeof choice['text'] === 'string' && choice['text'] !== '') {
      tokens = 1;
      contentBytes += Buffer.byteLength(choice['text']);
    }
    if (delta !== undefined && delta !== null) {
      if (!isFields(delta)) return undefined;
      if (carriesAnswer(delta)) tokens = 1;
      contentBytes += answerBytes(delta);
    }
    if (typeof choice['finish_reason'] === 'string') finished = true;
  }
  let text = head + JSON.stringify(choices);
  for (const name of Object.keys(chunk)) {
    if (!REPLACED.has(name)) text += `,${JSON.stringify(name)}:${JSON.stringify(chunk[name])}`;
  }
  return { text: `${text}}\n\n`, tokens, contentBytes, finished };
}

/** Does a delta hold a piece of the answer: text, reasoning, a refusal, audio, or a call of a tool? */
function carriesAnswer(delta: Fields): boolean {
  for (const name of Object.keys(delta)) {
    if (name === 'role') continue;
    const value = delta[name];
    if (typeof value === 'string' ? value !== '' : Array.isArray(value) ? value.length > 0 : isFields(value))
      return true;
  }
  return false;
}
