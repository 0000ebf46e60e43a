import type { Attempt, AttemptSink, Job, Link } from '#hub/link.ts';
import type { Occupancy } from '#hub/link-attempt.ts';
import { Presence, type Registry } from '#hub/registry.ts';
import type { Clock } from '#kit/clock.ts';
import type { News, NodeNews } from './news.ts';
import type { PeerLink } from './peer-link.ts';

/**
 * The agents of other gateways as candidates of this one. A node that is connected here is served from here; one that is
 * connected to several others is taken at one of them. What changes is put into the registry at once.
 *
 * An agent that holds one link at a time, and turns up at another gateway, has left its older one, whatever that socket
 * says: the younger connection counts, and the older is ended by the gateway that has it.
 */
export class RemoteNodes {
  readonly #registry: Registry;
  readonly #clock: Clock;
  readonly #gateways = new Map<PeerLink, Map<string, RemoteNode>>();
  /** By the node's id: the links to it that other gateways have. Nearly always one. */
  readonly #byNode = new Map<string, RemoteNode[]>();

  constructor(parts: { registry: Registry; clock: Clock }) {
    this.#registry = parts.registry;
    this.#clock = parts.clock;
  }

  hear(peer: PeerLink, news: News): void {
    const nodes = this.#nodesOf(peer);
    switch (news.type) {
      case 'node': {
        this.#node(peer, nodes, news.node);
        break;
      }
      case 'gone': {
        const node = nodes.get(news.link);
        if (node) this.#forget(nodes, news.link, node);
        break;
      }
      case 'load':
        for (const [link, all, models] of news.loads) {
          const node = nodes.get(link);
          if (!node) continue;
          node.load = { link: all, models: new Map(Object.entries(models)) };
          if (node.entered) this.#registry.elsewhere(node.presence, node.load);
        }
        break;
      case 'leaving':
        for (const node of nodes.values()) {
          node.leaving = true;
          this.#registry.drain(node.presence, true);
        }
        break;
    }
  }

  /** The link to a gateway is gone, and with it what we know of its agents. */
  forget(peer: PeerLink): void {
    const nodes = this.#gateways.get(peer);
    this.#gateways.delete(peer);
    for (const [link, node] of nodes ?? []) {
      // It was not they who came and went.
      node.presence.draining = true;
      this.#forget(nodes as Map<string, RemoteNode>, link, node);
    }
  }

  /** Decides anew for nodes that came here, or left. */
  placeAll(presences: Iterable<{ readonly nodeId: string }>): void {
    for (const { nodeId } of presences) this.#place(nodeId);
  }

  /** Decides where a node is served from. Called whenever somebody came or went under its id, here or there. */
  #place(nodeId: string): void {
    const known = this.#byNode.get(nodeId);
    if (!known) return;
    // Here, or else at the first of the gateways that have it.
    const here = this.#registry.presenceOf(nodeId) !== undefined;
    const chosen = here
      ? undefined
      : known.reduce((first, each) => (each.gateway < first.gateway ? each : first));
    for (const node of known) if (node !== chosen) this.#withdraw(node);
    if (chosen && !chosen.entered) this.#enter(chosen);
  }

  #forget(nodes: Map<string, RemoteNode>, link: string, node: RemoteNode): void {
    nodes.delete(link);
    this.#withdraw(node);
    const { nodeId } = node.presence;
    const others = (this.#byNode.get(nodeId) ?? []).filter((each) => each !== node);
    if (others.length > 0) this.#byNode.set(nodeId, others);
    else this.#byNode.delete(nodeId);
    this.#place(nodeId);
  }

  #node(peer: PeerLink, nodes: Map<string, RemoteNode>, said: NodeNews): void {
    const connectedAtMs = this.#clock.nowMs() - said.connected_ms_ago;
    const here = this.#registry.presenceOf(said.node);
    if (here?.mode === 'websocket' && !(here.several && said.several) && here.connectedAtMs < connectedAtMs)
      here.evict('replaced');
    let node = nodes.get(said.link);
    if (!node) {
      const presence = new Presence({
        linkId: `${peer.gateway}/${said.link}`,
        nodeId: said.node,
        providerId: said.provider,
        mode: 'websocket',
        keyId: null,
        gateway: peer.gateway,
        several: said.several,
        connectedAtMs,
        evict: () => undefined,
        // Its own gateway keeps it warm.
        warmUp: () => Promise.resolve('unanswered'),
        providerChanged: () => undefined,
      });
      const link = new RemoteLink(presence.linkId, {
        peer,
        at: said.link,
        occupancy: occupancyOf(this.#registry, presence),
      });
      node = {
        presence,
        gateway: peer.gateway,
        link,
        said,
        entered: false,
        leaving: false,
        load: { link: 0, models: new Map<string, number>() },
      };
      nodes.set(said.link, node);
      this.#byNode.set(said.node, [...(this.#byNode.get(said.node) ?? []), node]);
    }
    node.said = said;
    if (node.entered) this.#update(node);
    this.#place(said.node);
  }

  #enter(node: RemoteNode): void {
    node.entered = true;
    this.#registry.enter(node.presence, node.link);
    this.#update(node);
    this.#registry.elsewhere(node.presence, node.load);
  }

  #update({ presence, said, leaving }: RemoteNode): void {
    this.#registry.serve(
      presence,
      said.models.map((model) => ({
        modelId: model.id,
        name: model.name,
        capacity: model.capacity,
        operations: model.operations,
        quantization: model.quantization,
        parameters: model.parameters && new Set(model.parameters),
        version: model.version,
      })),
      { vramGb: said.vram_gb, linkCapacity: said.capacity, requestBytesMax: said.request_bytes_max },
    );
    this.#registry.health(
      presence,
      Object.fromEntries(said.models.map(({ name, health }) => [name, health])),
    );
    this.#registry.ready(presence, new Set(said.models.filter(({ ready }) => ready).map(({ name }) => name)));
    this.#registry.drain(presence, said.draining || leaving);
    presence.heardAtMs = this.#clock.nowMs();
  }

  #withdraw(node: RemoteNode): void {
    if (!node.entered) return;
    node.entered = false;
    this.#registry.leave(node.presence);
  }

  #nodesOf(peer: PeerLink): Map<string, RemoteNode> {
    let nodes = this.#gateways.get(peer);
    if (!nodes) {
      nodes = new Map();
      this.#gateways.set(peer, nodes);
    }
    return nodes;
  }
}

interface RemoteNode {
  readonly presence: Presence;
  /** Who has it. */
  readonly gateway: string;
  readonly link: Link;
  said: NodeNews;
  /** It is in the registry. */
  entered: boolean;
  leaving: boolean;
  load: { readonly link: number; readonly models: ReadonlyMap<string, number> };
}

/** An agent of another gateway, as dispatch sees it. */
class RemoteLink implements Link {
  readonly id: string;
  readonly mode = 'websocket';
  readonly #about: { readonly peer: PeerLink; readonly at: string; readonly occupancy: Occupancy };

  constructor(
    id: string,
    about: { readonly peer: PeerLink; readonly at: string; readonly occupancy: Occupancy },
  ) {
    this.id = id;
    this.#about = about;
  }

  start(job: Job, sink: AttemptSink): Attempt {
    return this.#about.peer.start(this.#about.at, job, sink, this.#about.occupancy);
  }
}

function occupancyOf(registry: Registry, presence: Presence): Occupancy {
  return {
    began: (modelId) => registry.began(presence, modelId),
    ended: (modelId) => registry.ended(presence, modelId),
    buffered: (delta) => registry.buffered(presence, delta),
    missing: (modelId) => registry.missing(presence, modelId),
  };
}
