import { parentPort } from 'node:worker_threads';
import { Fault } from '#kit/fault.ts';
import { type BodyLimits, type ChatRequest, readChatRequest } from './body.ts';

/** What the thread is asked and what it answers. A `Fault` does not survive the way between threads, its parts do. */
export interface BodyWork {
  readonly bytes: Uint8Array;
  readonly limits: BodyLimits;
}
export type BodyRead =
  | { readonly request: ChatRequest }
  | {
      readonly fault: {
        readonly code: string;
        readonly outer: string | undefined;
        readonly param: string | undefined;
      };
    };

const port = parentPort;

port?.on('message', ({ bytes, limits }: BodyWork) => {
  const read = readChatRequest(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), limits);
  const answer: BodyRead =
    read instanceof Fault
      ? { fault: { code: read.code, outer: read.outer, param: read.param } }
      : { request: read };
  port.postMessage(answer);
});
