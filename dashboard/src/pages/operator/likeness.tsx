import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { ScanSearch, UsersRound } from 'lucide-react';
import { useMemo } from 'react';
import type { LikenessAnswer, LikenessFinding } from '#wire/operator.ts';
import { Badge, StateDot } from '../../parts/badge.tsx';
import { Id } from '../../parts/copy.tsx';
import { type Column, DataTable } from '../../parts/data-table.tsx';
import { duration, percent, whole } from '../../parts/format.ts';
import { Card, PageHead } from '../../parts/page.tsx';
import { Empty, Failure } from '../../parts/states.tsx';
import { Time } from '../../parts/time.tsx';
import { operator } from './api.ts';
import { findingState, MODES } from './likeness-words.ts';
import { ProviderLink, TextLink, useMore } from './pieces.tsx';

type Names = ReadonlyMap<string, string>;
type Node = LikenessAnswer['nodes'][number] & { readonly finding: LikenessFinding | undefined };

/** Whose answers differ from those of the others that serve the same model: what was found, and how every node did. */
export default function Likeness() {
  const query = useQuery(operator.likeness());
  const providers = useQuery(operator.providers()).data?.providers;
  const navigate = useNavigate();
  const found = query.data;
  const names: Names = useMemo(() => new Map(providers?.map(({ id, name }) => [id, name])), [providers]);
  const findingColumns = useMemo(() => findingColumnsFor(names), [names]);
  const nodeColumns = useMemo(() => nodeColumnsFor(names), [names]);
  const nodes = useMemo(() => found && nodesOf(found), [found]);
  const [findings, moreFindings] = useMore(found?.findings, 25);
  const [shown, moreNodes] = useMore(nodes, 50);
  const failed = query.isError && !found && (
    <Failure error={query.error} retry={() => void query.refetch()} />
  );
  const mode = found && MODES[found.mode];
  return (
    <>
      <PageHead title="Likeness" actions={mode && <Badge tone={mode.tone}>{mode.words}</Badge>}>
        Nodes that serve the same model are asked the same, unannounced. Whoever answers otherwise, again and
        again, is found. It tells who differs, never who is right. {mode?.means}
      </PageHead>
      <Card
        title="Found to be unlike"
        hint="Read the evidence before you act: two wrong ones outvote one that is right"
        flush
        className="mb-6 overflow-hidden"
      >
        {failed || (
          <DataTable
            caption="Found to be unlike"
            columns={findingColumns}
            rows={findings}
            rowKey={(row) => row.id}
            onOpen={(row) => void navigate({ to: `/operator/likeness/${row.id}` })}
            skeletonRows={3}
            empty={
              <Empty icon={ScanSearch} title="Nobody answers unlike others">
                A node that is unlike in every check is found by the thirteenth, about two days after it
                began.
              </Empty>
            }
          />
        )}
        {moreFindings}
      </Card>
      <Card
        title="How nodes did"
        hint="On each model, in the checks of 90 days"
        flush
        className="overflow-hidden"
      >
        {failed || (
          <DataTable
            caption="How nodes did"
            columns={nodeColumns}
            rows={shown}
            rowKey={(row) => `${row.node_id} ${row.model_id}`}
            skeletonRows={6}
            empty={
              <Empty icon={UsersRound} title="No answers were compared yet">
                {found?.mode === 'off'
                  ? 'This market compares nothing.'
                  : 'A model is compared once three providers serve it, about every four hours.'}
              </Empty>
            }
          />
        )}
        {moreNodes}
      </Card>
    </>
  );
}

/** Each node on each model, with the finding that stands against it; who stands out comes first. */
function nodesOf({ nodes, findings }: LikenessAnswer): Node[] {
  const standing = new Map(
    findings.filter(({ ended }) => ended === null).map((each) => [`${each.node_id} ${each.model_id}`, each]),
  );
  return nodes
    .map((each) => ({ ...each, finding: standing.get(`${each.node_id} ${each.model_id}`) }))
    .toSorted(
      (a, b) => Number(b.finding !== undefined) - Number(a.finding !== undefined) || share(b) - share(a),
    );
}

/** How often a node was unlike, of the checks that say something. */
function share({ alike, unlike }: Pick<Node, 'alike' | 'unlike'>): number {
  return unlike / Math.max(1, alike + unlike);
}

function placeColumns<Row extends { provider_id: string; node_id: string; model_id: string }>(
  names: Names,
): Column<Row>[] {
  return [
    {
      name: 'Model',
      sort: (row) => row.model_id,
      show: (row) => <span className="block max-w-56 truncate font-mono text-sm">{row.model_id}</span>,
    },
    {
      name: 'Provider',
      sort: (row) => names.get(row.provider_id) ?? row.provider_id,
      show: (row) => <ProviderLink id={row.provider_id} name={names.get(row.provider_id) ?? null} />,
    },
    { name: 'Node', wide: true, show: (row) => <Id value={row.node_id} keep={12} /> },
  ];
}

function findingColumnsFor(names: Names): Column<LikenessFinding>[] {
  return [
    {
      name: 'Found',
      sort: (row) => row.found_at,
      show: (row) => (
        <TextLink to={`/operator/likeness/${row.id}`}>
          <Time at={row.found_at} />
        </TextLink>
      ),
    },
    ...placeColumns<LikenessFinding>(names),
    {
      name: 'Unlike',
      number: true,
      sort: (row) => row.unlike / Math.max(1, row.checks),
      show: (row) => `${row.unlike} of ${row.checks}`,
    },
    {
      name: 'State',
      sort: (row) => Number(row.ended === null),
      show: (row) => {
        const { tone, words } = findingState(row);
        return <StateDot tone={tone}>{words}</StateDot>;
      },
    },
  ];
}

function nodeColumnsFor(names: Names): Column<Node>[] {
  return [
    ...placeColumns<Node>(names),
    {
      name: 'State',
      sort: (row) => Number(row.finding !== undefined),
      show: ({ finding, alike, unlike }) =>
        finding ? (
          <TextLink to={`/operator/likeness/${finding.id}`}>
            <StateDot tone="bad">Unlike</StateDot>
          </TextLink>
        ) : alike + unlike === 0 ? (
          <StateDot tone="neutral">Nothing to tell</StateDot>
        ) : (
          <StateDot tone="good">Like others</StateDot>
        ),
    },
    { name: 'Alike', number: true, wide: true, sort: (row) => row.alike, show: (row) => whole(row.alike) },
    {
      name: 'Unlike',
      number: true,
      sort: (row) => share(row),
      show: (row) => `${whole(row.unlike)}, ${percent(share(row))}`,
    },
    {
      name: 'Unclear',
      number: true,
      wide: true,
      sort: (row) => row.unclear,
      show: (row) => whole(row.unclear),
    },
    {
      name: 'First token',
      number: true,
      wide: true,
      sort: (row) => row.ttft_ms,
      show: (row) => duration(row.ttft_ms),
    },
    {
      name: 'Last compared',
      wide: true,
      sort: (row) => row.last_at,
      show: (row) => <Time at={row.last_at} as="ago" />,
    },
  ];
}
