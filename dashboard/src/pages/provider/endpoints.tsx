import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Network } from 'lucide-react';
import { call } from '../../api.ts';
import { AddEndpoint, EndpointCard, type Work } from '../../parts/endpoint.tsx';
import { Card, PageHead } from '../../parts/page.tsx';
import { Empty, Loaded, Skeleton } from '../../parts/states.tsx';
import { provider } from './api.ts';

/** Servers of a provider that speak OpenAI's API and need no agent. */
export default function Endpoints() {
  const query = useQuery(provider.endpoints());
  const queries = useQueryClient();
  const work: Work = async (method, path, body) => {
    try {
      return await call(method, `/api/v1/provider${path}`, body === undefined ? {} : { body });
    } finally {
      await queries.invalidateQueries({ queryKey: provider.endpoints().queryKey });
    }
  };
  const add = <AddEndpoint work={work} path="/endpoints" />;
  return (
    <>
      <PageHead title="Endpoints" actions={add}>
        OpenAI-compatible servers of yours that run no agent. They serve where no agent can, and earn for you.
      </PageHead>
      <Loaded query={query} skeleton={<Skeleton className="h-72 rounded-xl" />}>
        {({ endpoints }) =>
          endpoints.length === 0 ? (
            <Card>
              <Empty icon={Network} title="No endpoint yet">
                Give the address of a server, its key, and the models it serves. It is probed at once, and its
                key is sealed.
              </Empty>
            </Card>
          ) : (
            <div className="space-y-4">
              {endpoints.map((each) => (
                <EndpointCard key={each.id} endpoint={each} work={work} />
              ))}
            </div>
          )
        }
      </Loaded>
    </>
  );
}
