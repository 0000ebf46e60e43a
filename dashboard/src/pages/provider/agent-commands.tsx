import { useQuery } from '@tanstack/react-query';
import { CodeBlock } from '../../parts/code.tsx';
import { provider } from './api.ts';

/** What is typed on the machine with the GPU. With a fresh key in hand it stands in the commands, else a place for it. */
export function AgentCommands({ secret }: { secret?: string | undefined }) {
  const facts = useQuery(provider.facts()).data;
  const key = secret ?? 'sk-prov-YOUR-KEY';
  const market = location.origin;
  const hub =
    facts?.hub.url ?? `${facts?.hub.tls ? 'wss' : 'ws'}://${location.hostname}:${facts?.hub.port ?? 8081}`;
  return (
    <CodeBlock
      label="How to start an agent"
      samples={[
        {
          name: 'From the project',
          code: [
            '# finds your model servers, and matches their models with what the market sells',
            `npx cygnet agent setup --market ${market} --key ${key}`,
            '',
            '# connects, serves, and shows what it does',
            'npx cygnet agent run',
          ].join('\n'),
        },
        {
          name: 'Agent alone',
          code: [
            '# the package is made by `npm run build:agent && npm pack ./dist/agent-package`',
            'npm install -g ./cygnet-agent-0.1.0.tgz',
            `cygnet-agent setup --market ${market} --key ${key}`,
            'cygnet-agent run',
          ].join('\n'),
        },
        {
          name: 'Swan’s agent',
          code: [
            '# its config.toml, as it is',
            '[Inference]',
            'Enable = true',
            `WebSocketURL = "${hub}"`,
            `ApiKey = "${key}"`,
            `ServiceURL = "${market}/api/v1"`,
          ].join('\n'),
        },
      ]}
    />
  );
}
