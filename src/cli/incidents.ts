import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { impactOf } from '#reliability/impact.ts';
import { type Incident, IncidentBook, type TimelineStep } from '#reliability/incident-book.ts';
import { draftPostMortem, postMortemDue } from '#reliability/post-mortem.ts';
import type { Severity } from '#reliability/triggers.ts';
import { theModel } from './price.ts';
import { Refusal, WrongUsage } from './refusal.ts';
import { moment, table } from './report.ts';
import { inSession, type Session } from './session.ts';

const DAY_MS = 86_400_000;
const LISTED_MAX = 200;
const WORDS_MAX = 20_000;

/** `cygnet incidents` */
export function incidents(command: Command): void {
  command
    .command('list')
    .description('list incidents: open ones, and those of the last days')
    .option('--days <number>', 'how far back', '30')
    .action(({ days }: { days: string }, self: Command) => {
      const back = wholeOf(days, '--days');
      return inSession(self, async ({ database, clock }) => {
        const book = new IncidentBook(database);
        const all = await book.since(clock.wallMs() - back * DAY_MS, LISTED_MAX);
        const steps = await book.steps(all.map(({ id }) => id));
        return {
          value: all.map((each) => ({
            ...valueOf(each),
            postMortemDueMs: postMortemDue(each, steps) ?? null,
          })),
          lines: table(
            ['incident', 'where', 'severity', 'opened (UTC)', 'state', 'because'],
            all.map((each) => [
              each.id,
              placeOf(each),
              each.severity,
              moment(each.openedMs),
              stateOf(each, steps, clock.wallMs()),
              each.because,
            ]),
          ),
        };
      });
    });
  command
    .command('show')
    .description('show an incident with its timeline')
    .argument('<incident>', 'its id')
    .action((id: string, _options: unknown, self: Command) =>
      inSession(self, async (session) => {
        const { book, incident } = await found(session, id);
        const steps = await book.steps([id]);
        return {
          value: { ...valueOf(incident), steps },
          lines: [
            `${incident.id}: ${incident.severity}, ${placeOf(incident)}, ${stateOf(incident, steps, session.clock.wallMs())}`,
            ...steps.map(
              (step) =>
                `${moment(step.atMs)}  ${step.kind}${step.internal ? ' (internal)' : ''}, ${step.actor}: ${step.words}`,
            ),
          ],
        };
      }),
    );
  command
    .command('open')
    .description('open an incident by hand; it ends by hand')
    .argument('<because>', 'what is wrong, for everybody to read')
    .option('--model <model>', 'its id or short name; without it, the whole market')
    .option('--region <region>', 'where', '')
    .option('--severity <severity>', 'minor, major or critical', 'major')
    .action(
      (because: string, options: { model?: string; region: string; severity: string }, self: Command) => {
        const severity = severityOf(options.severity);
        const words = wordsOf(because);
        return inSession(self, async (session) => {
          const { database, clock, makeId } = session;
          const modelId = options.model === undefined ? '' : (await theModel(session, options.model)).id;
          const id = makeId('inc');
          const begun = await new IncidentBook(database).begin({
            id,
            modelId,
            region: options.region,
            severity,
            triggers: [],
            because: words,
            atMs: clock.wallMs(),
            actor: OPERATOR,
          });
          if (!begun) throw new Refusal('There is an open incident of that already: add a note to it.');
          return { value: { id }, lines: [`${id} is open.`] };
        });
      },
    );
  command
    .command('note')
    .description('add words to a timeline; everybody reads them on the status page')
    .argument('<incident>', 'its id')
    .argument('<words>', 'what is known, or done')
    .option('--internal', 'for operators alone')
    .action((id: string, text: string, { internal = false }: { internal?: boolean }, self: Command) => {
      const words = wordsOf(text);
      return inSession(self, async (session) => {
        const { book } = await found(session, id);
        await book.note(id, { atMs: session.clock.wallMs(), actor: OPERATOR, words, internal });
        return { value: { id, words, internal }, lines: ['Noted.'] };
      });
    });
  command
    .command('silence')
    .description('do nothing about an incident, and tell nobody, for a while')
    .argument('<incident>', 'its id')
    .option('--minutes <number>', 'for how long', '60')
    .option('--because <words>', 'why', 'Known.')
    .action((id: string, options: { minutes: string; because: string }, self: Command) => {
      const minutes = wholeOf(options.minutes, '--minutes');
      const words = wordsOf(options.because);
      return inSession(self, async (session) => {
        const { book } = await found(session, id);
        const atMs = session.clock.wallMs();
        const untilMs = atMs + minutes * 60_000;
        if (!(await book.silence(id, { untilMs, atMs, actor: OPERATOR, words }))) throw over(id);
        return { value: { id, untilMs }, lines: [`${id} is silent until ${moment(untilMs)} (UTC).`] };
      });
    });
  command
    .command('resolve')
    .description('end an incident')
    .argument('<incident>', 'its id')
    .argument('<words>', 'what ended it, for everybody to read')
    .action((id: string, text: string, _options: unknown, self: Command) => {
      const words = wordsOf(text);
      return inSession(self, async (session) => {
        const { book } = await found(session, id);
        const atMs = session.clock.wallMs();
        if (!(await book.resolve(id, { atMs, actor: OPERATOR, words }))) throw over(id);
        return {
          value: { id },
          lines: [`${id} is over. Its post-mortem is due in 48 hours: cygnet incidents post-mortem ${id}`],
        };
      });
    });
  command
    .command('post-mortem')
    .description('draft the post-mortem from the timeline and the figures, as Markdown')
    .argument('<incident>', 'its id')
    .option('--publish <file>', 'publish this text instead, on the status page')
    .action((id: string, { publish }: { publish?: string }, self: Command) => {
      const text = publish === undefined ? undefined : wordsOf(read(publish));
      return inSession(self, async (session) => {
        const { book, incident } = await found(session, id);
        const nowMs = session.clock.wallMs();
        if (text !== undefined) {
          if (!(await book.publish(id, { atMs: nowMs, actor: OPERATOR, words: text })))
            throw new Refusal(`${id} is not over.`);
          return { value: { id, published: true }, lines: ['Published.'] };
        }
        const impact = await impactOf(session.database, incident, nowMs);
        const draft = draftPostMortem({ incident, steps: await book.steps([id]), impact });
        return { value: { id, impact, draft }, lines: draft.trimEnd().split('\n') };
      });
    });
}

const OPERATOR = 'operator';

async function found(session: Session, id: string): Promise<{ book: IncidentBook; incident: Incident }> {
  const book = new IncidentBook(session.database);
  const incident = await book.find(id);
  if (!incident) throw new Refusal(`There is no incident ${JSON.stringify(id.slice(0, 80))}.`);
  return { book, incident };
}

function over(id: string): Refusal {
  return new Refusal(`${id} is over already.`);
}

function placeOf({ modelId, region }: Incident): string {
  return [modelId === '' ? 'the whole market' : modelId, region].filter(Boolean).join(', ');
}

function stateOf(incident: Incident, steps: readonly TimelineStep[], nowMs: number): string {
  const { resolvedMs, silencedUntilMs } = incident;
  if (resolvedMs === null)
    return silencedUntilMs !== null && silencedUntilMs > nowMs ? 'open, silenced' : 'open';
  const due = postMortemDue(incident, steps);
  if (due === undefined) return `over ${moment(resolvedMs)}, post-mortem published`;
  return `over ${moment(resolvedMs)}, post-mortem ${due < nowMs ? 'overdue' : 'due'} ${moment(due)}`;
}

function valueOf(incident: Incident): Record<string, unknown> {
  return { ...incident };
}

function severityOf(text: string): Severity {
  if (text === 'minor' || text === 'major' || text === 'critical') return text;
  throw new WrongUsage('--severity is minor, major or critical.');
}

function wordsOf(text: string): string {
  const words = text.trim();
  if (words === '' || words.length > WORDS_MAX || words.includes('\0'))
    throw new WrongUsage(`Words are needed, at most ${WORDS_MAX} characters.`);
  return words;
}

function wholeOf(text: string, name: string): number {
  const number = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (number < 1) throw new WrongUsage(`${name} is a whole number, 1 or more.`);
  return number;
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    throw new Refusal(`${file} cannot be read.`);
  }
}
