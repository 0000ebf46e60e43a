import { ArrowUp, RotateCcw, Settings2, Square } from 'lucide-react';
import { type KeyboardEvent, useEffect, useRef, useState } from 'react';
import { ApiError, adviceOn, type MarketModel } from '../../../api.ts';
import { Button, ButtonLink, IconButton } from '../../../parts/button.tsx';
import { cx } from '../../../parts/class-names.ts';
import { CopyButton } from '../../../parts/copy.tsx';
import { TextArea, TextField } from '../../../parts/form.tsx';
import { duration, NOTHING, rate, usdExact, whole } from '../../../parts/format.ts';
import { ask, type Measured, type Message } from './stream.ts';

interface Turn extends Message {
  readonly id: number;
  readonly measured?: Measured;
  readonly state?: 'asking' | 'done' | 'stopped' | 'failed';
  readonly trouble?: string;
  /** The balance is what was missing. */
  readonly short?: boolean;
}

const SUGGESTIONS = ['Explain how a swan stays dry', 'Write a haiku about the sea', 'Count from one to ten'];

/** A conversation with one model. Enter sends, Shift and Enter breaks the line, Escape stops. */
export function Chat({ model, secret }: { model: MarketModel; secret: string | undefined }) {
  const [turns, setTurns] = useState<readonly Turn[]>([]);
  const [draft, setDraft] = useState('');
  const [system, setSystem] = useState('');
  const [temperature, setTemperature] = useState('0.7');
  const [maxTokens, setMaxTokens] = useState(secret === undefined ? '100' : '512');
  const [tools, setTools] = useState(false);
  const [stop, setStop] = useState<AbortController>();
  const bottom = useRef<HTMLDivElement>(null);
  const running = stop !== undefined;

  // The end stays in sight while an answer grows.
  useEffect(() => {
    if (turns.length > 0) bottom.current?.scrollIntoView({ block: 'nearest' });
  }, [turns]);
  useEffect(() => () => stop?.abort(), [stop]);

  const say = async (words: string): Promise<void> => {
    if (words.trim() === '' || running) return;
    const asked: Turn = { id: turns.length, role: 'user', content: words.trim() };
    const answer: Turn = { id: turns.length + 1, role: 'assistant', content: '', state: 'asking' };
    const before = turns.filter((turn) => turn.state !== 'failed');
    setTurns([...turns, asked, answer]);
    setDraft('');
    const change = (with_: Partial<Turn>): void =>
      setTurns((all) => all.map((turn) => (turn.id === answer.id ? { ...turn, ...with_ } : turn)));
    const controller = new AbortController();
    setStop(controller);
    try {
      await ask({
        model,
        secret,
        messages: [
          ...(system.trim() === '' ? [] : [{ role: 'system', content: system.trim() } as const]),
          ...[...before, asked].map(({ role, content }) => ({ role, content })),
        ],
        temperature: Number(temperature) || 0,
        maxTokens: Math.max(1, Math.floor(Number(maxTokens)) || 1),
        signal: controller.signal,
        onText: (content, measured) => change({ content, measured }),
      });
      change({ state: 'done' });
    } catch (error) {
      if (controller.signal.aborted) change({ state: 'stopped' });
      else {
        const message = error instanceof Error ? error.message : 'It did not work.';
        const short = error instanceof ApiError && error.status === 402;
        change({ state: 'failed', trouble: `${message} ${adviceOn(error)}`, short });
      }
    } finally {
      setStop(undefined);
    }
  };
  const press = (event: KeyboardEvent): void => {
    if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault();
      void say(draft);
    } else if (event.key === 'Escape') stop?.abort();
  };

  return (
    <section
      aria-label="Conversation"
      className="flex h-[calc(100vh-15rem)] min-h-128 flex-col overflow-hidden rounded-xl border border-line bg-surface shadow-low"
    >
      <div
        className="flex-1 overflow-y-auto p-5"
        aria-live="polite"
        aria-busy={running}
        tabIndex={0}
        role="log"
      >
        {turns.length === 0 ? (
          <div className="flex h-full flex-col items-center justify-center text-center">
            <p className="text-xl font-semibold">{model.name}</p>
            <p className="mt-1 max-w-sm text-soft">
              {model.available
                ? 'Ask something. Time to the first token, speed and cost stand under each answer.'
                : 'Nobody serves this model right now. Choose another one, or come back later.'}
            </p>
            <div className="mt-6 flex flex-wrap justify-center gap-2">
              {SUGGESTIONS.map((words) => (
                <Button key={words} size="sm" disabled={!model.available} onClick={() => void say(words)}>
                  {words}
                </Button>
              ))}
            </div>
          </div>
        ) : (
          <div className="mx-auto max-w-3xl space-y-6">
            {turns.map((turn) => (
              <Bubble key={turn.id} turn={turn} />
            ))}
            <div ref={bottom} />
          </div>
        )}
      </div>
      <div className="border-t border-line p-3">
        {tools && (
          <div className="mb-3 grid gap-3 rounded-lg bg-sunken p-3 sm:grid-cols-[minmax(0,1fr)_7rem_7rem]">
            <TextArea label="System prompt" rows={2} value={system} onChange={setSystem} placeholder="None" />
            <TextField
              label="Temperature"
              type="number"
              min={0}
              max={2}
              step={0.1}
              value={temperature}
              onChange={setTemperature}
            />
            <TextField
              label="Longest answer"
              type="number"
              min={1}
              value={maxTokens}
              onChange={setMaxTokens}
            />
          </div>
        )}
        <form
          className="flex items-end gap-2"
          onSubmit={(event) => {
            event.preventDefault();
            void say(draft);
          }}
        >
          <IconButton
            icon={Settings2}
            label="Settings of the request"
            aria-expanded={tools}
            onClick={() => setTools(!tools)}
            className="mb-0.5"
          />
          <div className="min-w-0 flex-1">
            <TextArea
              label="Message"
              hideLabel
              rows={1}
              placeholder="Ask something"
              value={draft}
              onChange={setDraft}
              onKeyDown={press}
              className="field-sizing-content max-h-40 resize-none"
            />
          </div>
          {turns.length > 0 && !running && (
            <IconButton icon={RotateCcw} label="Begin anew" onClick={() => setTurns([])} className="mb-0.5" />
          )}
          {running ? (
            <Button kind="plain" icon={Square} onClick={() => stop?.abort()}>
              Stop
            </Button>
          ) : (
            <Button type="submit" kind="primary" icon={ArrowUp} disabled={draft.trim() === ''}>
              Send
            </Button>
          )}
        </form>
      </div>
    </section>
  );
}

function Bubble({ turn }: { turn: Turn }) {
  if (turn.role === 'user') {
    return (
      <div className="ml-auto w-fit max-w-[85%] rounded-2xl rounded-br-md bg-accent-wash px-4 py-2.5 whitespace-pre-wrap">
        {turn.content}
      </div>
    );
  }
  const { measured, state } = turn;
  return (
    <div className="group">
      <div className="text-lg leading-7 whitespace-pre-wrap">
        {turn.content}
        {state === 'asking' && (
          <span
            className="ml-0.5 inline-block h-4 w-2 animate-pulse rounded-sm bg-accent align-[-2px]"
            aria-hidden="true"
          />
        )}
      </div>
      {turn.trouble !== undefined && (
        <div role="alert" className="rounded-lg bg-bad-wash px-3 py-2 text-bad">
          {turn.trouble}
          {turn.short === true && (
            <p className="mt-2">
              <ButtonLink to="/account/billing" search={{ tab: 'add' }} size="sm">
                Add money
              </ButtonLink>
            </p>
          )}
        </div>
      )}
      {state !== 'failed' && (
        <dl className="figures mt-2 flex min-h-8 flex-wrap items-center gap-x-4 gap-y-1 text-sm text-soft">
          <Figure name="First token" value={duration(measured?.ttftMs)} />
          <Figure name="Speed" value={rate(measured?.tokensPerSecond)} />
          <Figure name="Tokens" value={tokensOf(measured)} />
          <Figure name="Cost" value={measured?.cost == null ? NOTHING : usdExact(measured.cost)} />
          <Figure name="Total" value={duration(measured?.totalMs)} />
          {state === 'stopped' && <span className="text-warn">Stopped: you pay for what came.</span>}
          {state === 'done' && (
            <span
              className={cx(
                'ml-auto opacity-0 transition-opacity group-hover:opacity-100 focus-within:opacity-100',
              )}
            >
              <CopyButton text={turn.content} label="Copy the answer" />
            </span>
          )}
        </dl>
      )}
    </div>
  );
}

function Figure({ name, value }: { name: string; value: string }) {
  return (
    <div className="flex gap-1.5">
      <dt className="text-faint">{name}</dt>
      <dd className="font-medium text-ink">{value}</dd>
    </div>
  );
}

function tokensOf(measured: Measured | undefined): string {
  if (!measured) return NOTHING;
  const output = whole(measured.outputTokens);
  return measured.inputTokens === null ? output : `${whole(measured.inputTokens)} in, ${output} out`;
}
