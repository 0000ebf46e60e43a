import { Tabs } from '@base-ui/react/tabs';
import type { ReactNode } from 'react';
import { CopyButton } from './copy.tsx';

export interface Sample {
  readonly name: string;
  readonly code: string;
}

/** Code in one or several languages, a tab for each, with a button that copies what is shown. */
export function CodeBlock({ samples, label }: { samples: readonly Sample[]; label: string }) {
  const [first] = samples;
  if (!first) return null;
  return (
    <Tabs.Root
      defaultValue={first.name}
      className="min-w-0 overflow-hidden rounded-xl border border-line bg-code text-left"
    >
      <Tabs.List aria-label={label} className="flex items-center gap-1 border-b border-line px-2">
        {samples.map(({ name }) => (
          <Tabs.Tab
            key={name}
            value={name}
            className="-mb-px h-10 border-b-2 border-transparent px-2.5 text-sm font-medium text-soft hover:text-ink data-active:border-accent data-active:text-ink"
          >
            {name}
          </Tabs.Tab>
        ))}
      </Tabs.List>
      {samples.map(({ name, code }) => (
        <Tabs.Panel key={name} value={name} className="relative">
          <div className="absolute top-2 right-2 rounded-lg bg-code">
            <CopyButton text={code} label={`Copy the ${name} sample`} />
          </div>
          <pre className="overflow-x-auto p-4 pr-12 font-mono text-sm leading-6">
            <code>{coloured(code)}</code>
          </pre>
        </Tabs.Panel>
      ))}
    </Tabs.Root>
  );
}

const PIECES =
  /(#[^\n]*|\/\/[^\n]*)|("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|\b(import|from|const|await|for|of|in|new|print|if|async|as)\b/g;

/** Comments, texts and the few words that samples use, coloured; everything else as it is. */
function coloured(code: string): ReactNode[] {
  const out: ReactNode[] = [];
  let at = 0;
  for (const match of code.matchAll(PIECES)) {
    const [text, comment, literal] = match;
    // The `//` of an address is no comment.
    if (comment !== undefined && code[match.index - 1] === ':') continue;
    out.push(code.slice(at, match.index));
    const look = comment !== undefined ? 'text-faint' : literal !== undefined ? 'text-good' : 'text-accent';
    out.push(
      <span key={match.index} className={look}>
        {text}
      </span>,
    );
    at = match.index + text.length;
  }
  out.push(code.slice(at));
  return out;
}
