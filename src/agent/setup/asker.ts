import type { Readable, Writable } from 'node:stream';
import { SettingsError } from '../settings.ts';

/**
 * Who answers the questions of the set-up: a person at a terminal, or nobody, in which case every question must have been
 * answered by a flag before. The journey is one and the same; it only asks.
 */
export interface Asker {
  /** `initial` is the answer where nobody is there; a `suggestion` is only for a person. */
  text(question: TextQuestion): Promise<string>;
  /** Never shown while it is typed. */
  secret(question: Question & { check?: Check }): Promise<string>;
  choose<T>(question: Question & { options: readonly Choice<T>[] }): Promise<T>;
  chooseSome<T>(
    question: Question & { options: readonly Choice<T>[]; initial: readonly T[] },
  ): Promise<readonly T[]>;
  /** What nobody there answers with `unasked`. */
  confirm(question: Question & { unasked: boolean }): Promise<boolean>;
  say(line: string): void;
  /** Says what is under way until `work` is over. */
  during<T>(line: string, work: Promise<T>): Promise<T>;
}

export interface Question {
  readonly message: string;
  /** What answers it on the command line. */
  readonly flag: string;
}
export interface TextQuestion extends Question {
  readonly initial?: string | undefined;
  readonly suggestion?: string | undefined;
  readonly check?: Check;
}
export interface Choice<T> {
  readonly value: T;
  readonly label: string;
  readonly hint?: string | undefined;
}
/** A sentence about what is wrong with an answer, or nothing. */
export type Check = (answer: string) => string | undefined;

/** The person went away in the middle of a question. Nothing was written by then. */
export class WentAway extends Error {
  override name = 'WentAway';
}

/** Nobody is there: a question without an answer ends the set-up, and names the flag that would have been one. */
export function nobody(say: (line: string) => void): Asker {
  const missing = ({ message, flag }: Question): never => {
    throw new SettingsError(`${message} Nobody is asked here: say it with ${flag}.`);
  };
  return {
    text: async (question) => question.initial ?? missing(question),
    secret: async (question) => missing(question),
    choose: async (question) => {
      const [only, ...others] = question.options;
      return only && others.length === 0 ? only.value : missing(question);
    },
    chooseSome: async ({ initial }) => initial,
    confirm: async ({ unasked }) => unasked,
    say,
    during: async (line, work) => {
      say(line);
      return await work;
    },
  };
}

/** A person, asked with @clack/prompts, which is loaded only now. */
export async function atTerminal(streams: { input: Readable; output: Writable }): Promise<Asker> {
  const clack = await import('@clack/prompts');
  const given = <T>(answer: T): Exclude<T, symbol> => {
    if (clack.isCancel(answer)) throw new WentAway('Nothing was changed.');
    return answer as Exclude<T, symbol>;
  };
  const validate = (check: Check | undefined) => (answer: string | undefined) => check?.(answer ?? '');
  return {
    text: async ({ message, initial, suggestion = initial, check }) =>
      given(
        await clack.text({
          ...streams,
          message,
          ...(suggestion !== undefined && { initialValue: suggestion }),
          validate: validate(check),
        }),
      ).trim(),
    secret: async ({ message, check }) =>
      given(await clack.password({ ...streams, message, validate: validate(check) })),
    choose: async ({ message, options }) =>
      given(await clack.select({ ...streams, message, options: options.map(asOption) })),
    chooseSome: async ({ message, options, initial }) =>
      given(
        await clack.multiselect({
          ...streams,
          message,
          options: options.map(asOption),
          initialValues: [...initial],
          required: true,
        }),
      ),
    confirm: async ({ message }) => given(await clack.confirm({ ...streams, message })),
    say: (line) => clack.log.info(line, streams),
    during: async (line, work) => {
      const spinner = clack.spinner(streams);
      spinner.start(line);
      try {
        return await work;
      } finally {
        spinner.stop(line);
      }
    },
  };
}

function asOption<T>({ value, label, hint }: Choice<T>): never {
  // The library's type asks for a hint of a certain kind only where T is a text; ours are objects.
  return { value, label, ...(hint !== undefined && { hint }) } as never;
}
