import { parentPort } from 'node:worker_threads';
import { Fault } from '#kit/fault.ts';
import type { BodyLimits } from './body.ts';
import type { Ask } from './endpoint.ts';
import { READERS, type ReaderName } from './readers.ts';

/** What the thread is asked and what it answers. A `Fault` does not survive the way between threads, its parts do. */
export interface BodyWork {
  readonly reader: ReaderName;
  readonly bytes: Uint8Array;
  readonly limits: BodyLimits;
}
export type BodyRead =
  | { readonly request: Ask }
  | {
      readonly fault: {
        readonly code: string;
        readonly outer: string | undefined;
        readonly param: string | undefined;
      };
    };

const port = parentPort;

port?.on('message', ({ reader, bytes, limits }: BodyWork) => {
  const read = READERS[reader](Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), limits);
  const answer: BodyRead =
    read instanceof Fault
      ? { fault: { code: read.code, outer: read.outer, param: read.param } }
      : { request: read };
  port.postMessage(answer);
});
