import { parentPort } from 'node:worker_threads';
import variant from '@jitl/quickjs-wasmfile-release-sync';
import { newQuickJSWASMModuleFromVariant, type QuickJSSyncVariant } from 'quickjs-emscripten-core';

/**
 * The closed place where strangers' code runs: a JavaScript engine compiled to WebAssembly (QuickJS), in a thread of its
 * own. The engine is given nothing but the language: no file, no network, no clock of ours, no `require`, no timers. Its
 * memory, its stack and the steps it may take are bounded, and each answer gets an engine that nobody used before.
 */

export interface CodeWork {
  readonly source: string;
  /** The function to call. */
  readonly name: string;
  /** Lists of arguments. */
  readonly calls: readonly (readonly unknown[])[];
}

/** What each call came to, as JSON; null where it threw or ran too long. Undefined when there is no such function. */
export type CodeOutcome = readonly (string | null)[] | undefined;

const MEMORY_BYTES_MAX = 8_388_608;
const STACK_BYTES_MAX = 262_144;
/** The engine asks every few thousand steps whether to go on; so often it hears yes. About half a second. */
const GO_ON_MAX = 2_000;
const RESULT_CHARS_MAX = 10_000;

/** Its types describe the CommonJS build, where the variant is one level deeper. */
const build = variant as unknown as QuickJSSyncVariant;

/** Made anew for every answer: one whose limits were met may be in no state to be used again. */
async function run({ source, name, calls }: CodeWork): Promise<CodeOutcome> {
  const runtime = (await newQuickJSWASMModuleFromVariant(build)).newRuntime();
  try {
    runtime.setMemoryLimit(MEMORY_BYTES_MAX);
    runtime.setMaxStackSize(STACK_BYTES_MAX);
    let left = GO_ON_MAX;
    runtime.setInterruptHandler(() => --left < 0);
    const context = runtime.newContext();
    try {
      const evaluate = (code: string): string | null => {
        const result = context.evalCode(code, 'answer.js', { type: 'global', strict: false });
        if (result.error) {
          result.error.dispose();
          return null;
        }
        const text = context.getString(result.value);
        result.value.dispose();
        return text.slice(0, RESULT_CHARS_MAX);
      };
      // Before a stranger's code could put another in its place.
      evaluate('globalThis.__write = JSON.stringify');
      // Functions are there even where a later line of the answer throws.
      evaluate(source);
      if (evaluate(`typeof ${name}`) !== 'function') return undefined;
      return calls.map((args) => evaluate(`String(__write(${name}(...${JSON.stringify(args)})))`));
    } finally {
      context.dispose();
    }
  } finally {
    runtime.dispose();
  }
}

const port = parentPort;
port?.on('message', (work: CodeWork) => {
  run(work).then(
    (outcome) => port.postMessage(outcome),
    // An engine that its own memory limit broke: the answer has no outcome.
    () => port.postMessage(undefined),
  );
});
