/**
 * The agent's variables: name and meaning. This file is the only reader of `process.env` in the agent. What the command
 * line says wins over a variable, and a variable over a file. The first three are the Swan agent's own.
 */
export const AGENT_VARIABLES = {
  INFERENCE_WS_URL:
    'The hub, for example ws://127.0.0.1:8081; several hubs of one market with commas between them.',
  INFERENCE_API_KEY: 'The provider key, sk-prov-….',
  CP_PATH: "The folder of the node's key and settings, where CYGNET_AGENT_FOLDER is not set.",
  CYGNET_AGENT_FOLDER: "The folder of the node's key and settings.",
  CYGNET_AGENT_NAME: 'A name for this node.',
  CYGNET_AGENT_MODELS: 'Models to serve, as for --model, separated by spaces.',
  CYGNET_AGENT_TLS_CA: 'A PEM file of the authorities to believe about the hub, in place of the public ones.',
  CYGNET_AGENT_TLS_CERT: "A PEM file with this agent's certificate, for hubs that ask for one.",
  CYGNET_AGENT_TLS_KEY: 'The PEM file with the key of that certificate.',
  CYGNET_AGENT_SERVICE: "The market's REST address, for example https://market.example.",
  CYGNET_AGENT_API: 'Where the local REST interface listens: a port, host:port, or off.',
  CYGNET_AGENT_PASSWORD: 'The password for `setup`, where nobody is asked.',
  CYGNET_WALLET_KEY: "The private key of the provider's wallet, for `claim` alone.",
  CYGNET_AGENT_LOG_LEVEL: 'trace, debug, info, warn, error or silent.',
} as const;

export type AgentEnv = Partial<Record<keyof typeof AGENT_VARIABLES, string>>;

/** The agent's variables; empty ones count as absent. */
export function readAgentEnv(env: NodeJS.ProcessEnv = process.env): AgentEnv {
  const read: AgentEnv = {};
  for (const name of Object.keys(AGENT_VARIABLES) as (keyof typeof AGENT_VARIABLES)[]) {
    const value = env[name]?.trim();
    if (value) read[name] = value;
  }
  return read;
}
