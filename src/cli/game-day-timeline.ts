import type { Clock } from '#kit/clock.ts';
import { pause } from '#kit/clock.ts';
import { Fault } from '#kit/fault.ts';

/** What happened on a game day, in the order in which it did, each with the day's time. */
export type Kind = 'staged' | 'alert' | 'posture' | 'incident' | 'consumers' | 'recovery';

export interface Happening {
  readonly atMs: number;
  readonly kind: Kind;
  readonly words: string;
}

/** A line of the market's log that matters to whoever watches. */
export interface Heard {
  readonly atMs: number;
  readonly msg: string;
  readonly incident?: string;
  readonly model?: string;
  readonly region?: string;
  readonly provider?: string;
  readonly because?: string;
  readonly tier?: string;
  readonly rule?: string;
}

/** The sentences of the log that are listened to (`reliability/incident-watch.ts`, `reliability/probes.ts`). */
export const OPENED = 'An incident was opened.';
export const CHANGED = 'An incident changed.';
export const OVER = 'An incident is over.';
export const BURNS = 'An error budget burns.';
export const PROBE_FAILED = 'A probe failed.';
const LISTENED_TO = [OPENED, CHANGED, OVER, BURNS, PROBE_FAILED];

const LOOK_MS = 10;

export class Timeline {
  readonly happenings: Happening[] = [];
  readonly heard: Heard[] = [];
  readonly #clock: Clock;
  readonly #say: (sentence: string) => void;

  constructor(parts: { clock: Clock; say: (sentence: string) => void }) {
    this.#clock = parts.clock;
    this.#say = parts.say;
  }

  get nowMs(): number {
    return this.#clock.wallMs();
  }

  note(kind: Kind, words: string): number {
    const atMs = this.nowMs;
    this.happenings.push({ atMs, kind, words });
    this.#say(`${time(atMs)}  ${kind.padEnd(9)}  ${words}`);
    return atMs;
  }

  /** Where the market's log goes: what matters is noted as an alert or a step of an incident. */
  readonly log = {
    write: (line: string): void => {
      if (!LISTENED_TO.some((sentence) => line.includes(sentence))) return;
      const about = JSON.parse(line) as Heard;
      this.heard.push({ ...about, atMs: this.nowMs });
      const { msg, incident, region, because, tier, rule, provider } = about;
      const where = region ? ` (${region})` : '';
      if (msg === OPENED) this.note('incident', `${incident} is open${where}: ${because}`);
      else if (msg === CHANGED) this.note('incident', `${incident} changed${where}: ${because}`);
      else if (msg === OVER) this.note('incident', `${incident} is over${where}.`);
      else if (msg === BURNS) this.note('alert', `The error budget of ${tier} burns (rule: ${rule}).`);
      else this.note('alert', `A probe ${provider ? `of ${provider}` : 'at the door'} failed: ${because}.`);
    },
  };

  /** The first line with this sentence, of this case, that was heard from `sinceMs` on. Waits for it. */
  async hear(msg: string, sinceMs: number, fits: (line: Heard) => boolean = () => true): Promise<Heard> {
    const find = (): Heard | undefined =>
      this.heard.find((line) => line.msg === msg && line.atMs >= sinceMs && fits(line));
    return await this.until(`the log to say "${msg}"`, find);
  }

  /** What `find` finds, once it finds something; a fault when it does not in `withinMs` of real time. */
  async until<T>(what: string, find: () => T | undefined, withinMs = 60_000): Promise<T> {
    const untilMs = this.#clock.nowMs() + withinMs;
    for (;;) {
      const found = find();
      if (found !== undefined) return found;
      if (this.#clock.nowMs() > untilMs)
        throw new Fault('internal', { inner: `Waited in vain for ${what}.` });
      // oxlint-disable-next-line no-await-in-loop -- looks until it is there.
      await pause(this.#clock, LOOK_MS);
    }
  }
}

/** The time of day, to the second. */
function time(ms: number): string {
  return new Date(ms).toISOString().slice(11, 19);
}
