import { useQuery } from '@tanstack/react-query';
import type { LogAnswer } from '#wire/dashboard.ts';
import { ButtonLink } from '../../parts/button.tsx';
import { Card } from '../../parts/page.tsx';
import { Loaded } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { operator } from './api.ts';
import { actionWords, ListSkeleton, OUTCOMES, plainly, shortId } from './pieces.tsx';

type Action = LogAnswer['actions'][number];

/** What operators did about one thing: of which it is told by its id, or by what `where` finds among calls of a kind (`what`). */
export function AboutLog({
  about,
  what,
  where = () => true,
  className,
}: {
  about?: string;
  what?: string;
  where?: (action: Action) => boolean;
  className?: string;
}) {
  const of = { ...(about !== undefined && { about }), ...(what !== undefined && { what }) };
  const query = useQuery(operator.log({ ...of, limit: what === undefined ? '10' : '100' }));
  return (
    <Card
      title="What operators did"
      {...(className !== undefined && { className })}
      actions={
        <ButtonLink to="/operator/log" search={of} size="sm" kind="quiet">
          In the log
        </ButtonLink>
      }
    >
      <Loaded query={query} skeleton={<ListSkeleton rows={1} />}>
        {(data) => {
          const actions = data.actions.filter(where).slice(0, 10);
          return actions.length === 0 ? (
            <p className="text-soft">Nothing yet. Whatever is changed here is written down.</p>
          ) : (
            <ul className="divide-y divide-line">
              {actions.map((each) => (
                <li
                  key={each.id}
                  className="flex items-baseline justify-between gap-4 py-2.5 first:pt-0 last:pb-0"
                >
                  <span className="min-w-0">
                    <span className="font-medium">{actionWords(each)}</span>{' '}
                    <span className="text-sm text-soft">
                      by {each.email ?? shortId(each.actor)}
                      {each.outcome !== 'done' &&
                        `, ${OUTCOMES[each.outcome ?? 'open']?.words.toLowerCase() ?? ''}`}
                    </span>
                    <span className="block truncate text-sm text-faint">
                      {changes(each.before, each.after)}
                    </span>
                  </span>
                  <span className="shrink-0 text-sm text-faint">
                    <Time at={each.at} as="ago" />
                  </span>
                </li>
              ))}
            </ul>
          );
        }}
      </Loaded>
    </Card>
  );
}

/** `status: active → suspended`, for each thing that is another now. */
export function changes(before: unknown, after: unknown): string {
  const [old, now] = [before, after].map((each) =>
    typeof each === 'object' && each !== null ? (each as Record<string, unknown>) : {},
  ) as [Record<string, unknown>, Record<string, unknown>];
  return [...new Set([...Object.keys(old), ...Object.keys(now)])]
    .map((name) => {
      const words = name.replaceAll('_', ' ');
      if (!(name in old)) return `${words}: ${plainly(now[name])}`;
      if (!(name in now)) return `${words}: ${plainly(old[name])}`;
      return `${words}: ${plainly(old[name])} → ${plainly(now[name])}`;
    })
    .join(', ');
}
