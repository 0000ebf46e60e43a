import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Scale } from 'lucide-react';
import { useState } from 'react';
import type { AppealAnswer } from '#wire/console.ts';
import { Badge, type Tone } from '../../parts/badge.tsx';
import { Button } from '../../parts/button.tsx';
import { Dialog } from '../../parts/dialog.tsx';
import { Problem, TextArea, useForm } from '../../parts/form.tsx';
import { Card } from '../../parts/page.tsx';
import { Loaded, Skeleton } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { toast } from '../../parts/toast.tsx';
import { act, provider } from './api.ts';

const APPEALS: Readonly<Record<AppealAnswer['state'], { tone: Tone; words: string }>> = {
  asked: { tone: 'accent', words: 'Appeal asked' },
  granted: { tone: 'good', words: 'Appeal granted' },
  rejected: { tone: 'bad', words: 'Appeal rejected' },
};

/** Appeals against what was found: a failed benchmark, a slash, or a charge. The operator decides, and what follows is undone. */
export function AppealButton({ about, found }: { about: string; found: readonly string[] }) {
  const queries = useQueryClient();
  const [open, setOpen] = useState(false);
  const [reason, setReason] = useState('');
  const form = useForm(async () => {
    await act.appeal(about, reason);
    toast.done('The operator has your appeal.');
    await Promise.all(
      [provider.appeals(), provider.benchmarks(), provider.charges(), provider.why()].map(({ queryKey }) =>
        queries.invalidateQueries({ queryKey }),
      ),
    );
    setOpen(false);
  });
  return (
    <>
      <Button size="sm" icon={Scale} onClick={() => setOpen(true)}>
        Appeal
      </Button>
      <Dialog open={open} onClose={() => setOpen(false)} title="Appeal">
        <ul className="mb-4 list-disc space-y-1 pl-5 text-soft">
          {found.map((each) => (
            <li key={each}>{each}</li>
          ))}
        </ul>
        <form onSubmit={form.onSubmit} className="space-y-4">
          <TextArea
            label="Why it was not your fault"
            hint="What the operator can check: times, logs, what was changed. It decides, and what was taken comes back if it agrees."
            rows={5}
            required
            maxLength={1_000}
            value={reason}
            onChange={setReason}
            error={form.errorOf('reason')}
          />
          <Problem>{form.problem}</Problem>
          <div className="flex justify-end gap-2">
            <Button onClick={() => setOpen(false)}>Cancel</Button>
            <Button type="submit" kind="primary" busy={form.busy}>
              Send the appeal
            </Button>
          </div>
        </form>
      </Dialog>
    </>
  );
}

/** Findings of one kind that may be appealed against, and what became of appeals. Nothing where there is neither. */
export function Findings({
  kind,
  title,
  hint,
}: {
  kind: 'benchmark' | 'slash';
  title: string;
  hint: string;
}) {
  const query = useQuery(provider.appeals());
  return (
    <Loaded query={query} skeleton={<Skeleton className="h-24" />}>
      {({ appeals, may_appeal: open }) => {
        const mine = appeals.filter((each) => each.kind === kind);
        // Failed runs have their button in the list of runs.
        const may = kind === 'slash' ? open.filter((each) => each.kind === kind) : [];
        if (mine.length === 0 && may.length === 0) return null;
        return (
          <Card title={title} hint={hint}>
            <ul className="divide-y divide-line">
              {may.map((each) => (
                <li key={each.about} className="flex flex-wrap items-center justify-between gap-3 py-3">
                  <div className="min-w-0">
                    <p className="font-medium">{each.found.join(' ')}</p>
                    <p className="text-sm text-soft">
                      <Time at={each.at} />
                    </p>
                  </div>
                  <AppealButton about={each.about} found={each.found} />
                </li>
              ))}
              {mine.map((each) => (
                <li key={each.about} className="py-3">
                  <div className="flex flex-wrap items-center justify-between gap-3">
                    <p className="min-w-0 flex-1 wrap-anywhere">“{each.reason}”</p>
                    <Badge tone={APPEALS[each.state].tone}>{APPEALS[each.state].words}</Badge>
                  </div>
                  <p className="text-sm text-soft">
                    Asked <Time at={each.asked_at} />
                    {each.decided_because !== null &&
                      each.decided_because !== '' &&
                      `. ${each.decided_because}`}
                  </p>
                </li>
              ))}
            </ul>
          </Card>
        );
      }}
    </Loaded>
  );
}
