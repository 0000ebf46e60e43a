import path from 'node:path';
import { parentPort } from 'node:worker_threads';
import { packageRoot } from '#kit/package-root.ts';
import { answerCounter, type RecountWork } from './recount-answer.ts';
import type { ExactCount } from './verdict.ts';

/** The thread that counts for `recount.ts`: one answer in, one count out. An answer that cannot be counted is undefined. */
const count = answerCounter(path.join(packageRoot(), 'data', 'tokenizers'));
const port = parentPort;

port?.on('message', (work: RecountWork) => {
  let exact: ExactCount | undefined;
  try {
    exact = count(work);
  } catch {
    // The text may be the cause and must not travel in an error: the thread that asked only learns that it failed.
  }
  port.postMessage(exact);
});
