import { useQuery } from '@tanstack/react-query';
import { Network } from 'lucide-react';
import { useState } from 'react';
import { AddEndpoint, EndpointCard } from '../../parts/endpoint.tsx';
import { Select } from '../../parts/form.tsx';
import { Card, PageHead } from '../../parts/page.tsx';
import { Empty, Loaded, Skeleton } from '../../parts/states.tsx';
import { operator, useOperate } from './api.ts';
import { ProviderLink } from './pieces.tsx';

/** Servers elsewhere that stand behind the market's own agents. */
export default function Endpoints() {
  const operate = useOperate();
  const query = useQuery(operator.endpoints());
  return (
    <>
      <PageHead title="Endpoints" actions={<Add />}>
        OpenAI-compatible servers elsewhere. They serve where no agent can, and earn like one.
      </PageHead>
      <Loaded query={query} skeleton={<Skeleton className="h-72 rounded-xl" />}>
        {({ endpoints }) =>
          endpoints.length === 0 ? (
            <Card>
              <Empty icon={Network} title="No endpoint yet" action={<Add />}>
                Give the address of a server, its key, and the models it serves. It is probed at once, and its
                key is sealed.
              </Empty>
            </Card>
          ) : (
            <div className="space-y-4">
              {endpoints.map((each) => (
                <EndpointCard
                  key={each.id}
                  endpoint={each}
                  work={operate}
                  owner={<ProviderLink id={each.provider} name={each.provider_name} />}
                />
              ))}
            </div>
          )
        }
      </Loaded>
    </>
  );
}

function Add() {
  const operate = useOperate();
  const providers =
    useQuery(operator.providers()).data?.providers.filter(({ status }) => status !== 'removed') ?? [];
  const [provider, setProvider] = useState('');
  return (
    <AddEndpoint
      work={operate}
      path={`/providers/${provider}/endpoints`}
      onOpen={() => setProvider(providers[0]?.id ?? '')}
      owner={
        <Select
          label="Whose it is"
          value={provider}
          onChange={setProvider}
          options={providers.map(({ id, name: called }) => ({
            value: id,
            label: called === '' ? id : called,
          }))}
          hint="Earns what it serves."
        />
      }
    />
  );
}
